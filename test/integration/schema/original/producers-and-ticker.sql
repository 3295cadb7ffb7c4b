-- Events written in every way, and when there are ticks.

select pgq.create_queue('q')
select pgq.create_queue('q2')
select pgq.insert_event('q', 't', 'd')
select * from pgq.insert_event('q', 't', 'd')
select pgq.insert_event('q', null, null)
select pgq.insert_event('q', 't', 'd', 'e1','e2','e3','e4')
select pgq.insert_event(queue_name := 'q', ev_type := 't', ev_data := 'd', ev_extra1 := 'a', ev_extra2 := 'b', ev_extra3 := 'c', ev_extra4 := 'd')
select pgq.insert_event(queue_name := 'q', ev_data := 'd', ev_type := 't')
select pgq.insert_event('nosuch', 't', 'd')
select pgq.insert_event(null, 't', 'd')
select pgq.insert_event('Q', 't', 'd')
select pgq.insert_event(null, 't', 'd', 'e1','e2','e3','e4')
select pgq.insert_event('', null, null, null, null, null, null)
select pgq.insert_event_raw('q', null, null, null, null, null, null, null, null, null, null)
select pgq.insert_event_raw('q', 500, '2001-01-01', 7, 3, 't', 'd', 'a', 'b', 'c', 'e')
select pgq.insert_event_raw(null, 500, '2001-01-01', 7, 3, 't', 'd', 'a', 'b', 'c', 'e')
select pgq.insert_event_raw('nosuch', 500, '2001-01-01', 7, 3, 't', 'd', 'a', 'b', 'c', 'e')
select * from pgq.insert_event_raw(queue_name := 'q', ev_id := 501, ev_time := '2001-01-01', ev_owner := null, ev_retry := null, ev_type := 't', ev_data := 'd', ev_extra1 := 'a', ev_extra2 := 'b', ev_extra3 := 'c', ev_extra4 := 'e')
select pgq.insert_event('q', 't', 'd')
select ev_id, ev_time = '2001-01-01'::timestamptz, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, tableoid::regclass::text from pgq.event_template order by 1
select pgq.current_event_table('q')
select * from pgq.current_event_table('q')
select pgq.current_event_table(null)
select pgq.current_event_table('nosuch')
update pgq.queue set queue_disable_insert = true where queue_name='q'
select pgq.insert_event('q', 't', 'd')
select pgq.insert_event_raw('q', null, null, null, null, null, null, null, null, null, null)
select pgq.current_event_table('q')
set session_replication_role = 'replica'
select pgq.insert_event('q', 't', 'replica')
select pgq.current_event_table('q')
set session_replication_role = 'local'
select pgq.insert_event('q', 't', 'local')
select pgq.current_event_table('q')
reset session_replication_role
update pgq.queue set queue_disable_insert = false where queue_name='q'
select pgq.insert_event('q', 't', 'd')
update pgq.queue set queue_per_tx_limit = 2 where queue_name='q2'
select pgq.insert_event('q2', 't', 'd')
select pgq.insert_event('q2', 't', i::text) from generate_series(1,2) i
select pgq.insert_event('q2', 't', i::text) from generate_series(1,3) i
begin
select pgq.insert_event('q2', 't', 'a')
select pgq.insert_event('q2', 't', 'b')
savepoint s
select pgq.insert_event('q2', 't', 'c')
rollback to s
select pgq.insert_event('q2', 't', 'd')
rollback to s
select pgq.insert_event_raw('q2', 7, null, null, null, null, null, null, null, null, null)
rollback
-- better: events that a savepoint took back do not count against the limit of a transaction
savepoint s; select pgq.insert_event('q2', 't', 'a'); rollback to s; select pgq.insert_event('q2', 't', 'a'); rollback to s; select pgq.insert_event('q2', 't', 'a')
update pgq.queue set queue_per_tx_limit = 0 where queue_name='q2'
select pgq.insert_event('q2', 't', 'd')
update pgq.queue set queue_per_tx_limit = -1 where queue_name='q2'
select pgq.insert_event('q2', 't', 'd')
update pgq.queue set queue_per_tx_limit = null where queue_name='q2'
select pgq.insert_event('q2', 't', 'd')
select ev_id, ev_data from pgq.event_2 order by 1
select pgq.ticker(null)
select pgq.ticker('nosuch')
select pgq.ticker('q')
select pgq.ticker('q')
select * from pgq.ticker()
select pgq.ticker()
select pgq.force_tick('q')
select pgq.force_tick('q')
select pgq.force_tick(null)
select * from pgq.force_tick('nosuch')
select last_value, is_called from pgq.event_1_id_seq
select pgq.ticker('q')
select tick_queue, tick_id, tick_event_seq from pgq.tick order by 1,2
select pgq.set_queue_config('q', 'ticker_paused', 'true')
select pgq.ticker('q')
select pgq.force_tick('q')
select last_value from pgq.event_1_id_seq
select pgq.ticker()
select pgq.set_queue_config('q', 'external_ticker', 'true')
select pgq.ticker('q')
select pgq.ticker('q', 100, now(), 20000)
select pgq.set_queue_config('q', 'ticker_paused', 'false')
select pgq.ticker('q')
select pgq.force_tick('q')
select pgq.ticker('q', 100, '2001-01-01', 20000)
select pgq.ticker('q', 100, '2001-01-01', 20000)
select pgq.ticker('q', 99, '2001-01-01', 2)
select pgq.ticker('q', 101, '2001-01-01', 0)
select pgq.ticker('q', 102, null, 0)
select pgq.ticker('q', 102, now(), null)
select pgq.ticker('q', null, now(), 5)
select pgq.ticker('nosuch', 102, now(), 5)
select pgq.ticker(null, 102, now(), 5)
select tick_queue, tick_id, tick_event_seq, tick_time = '2001-01-01'::timestamptz from pgq.tick order by 1,2
select last_value from pgq.event_1_id_seq
select last_value from pgq.event_1_tick_seq
select pgq.set_queue_config('q', 'external_ticker', 'false')
select pgq.ticker('q')
select tick_queue, tick_id, tick_event_seq from pgq.tick order by 1,2
select * from pgq.get_queue_info('q')
update pgq.tick set tick_event_seq = 999999 where tick_queue = 1 and tick_id = 103
select pgq.ticker('q')
update pgq.queue set queue_ticker_max_lag='0', queue_ticker_idle_period='0' where queue_name='q'
select pgq.ticker('q')
select pgq.ticker('q')
select pgq.ticker()
update pgq.tick set tick_snapshot = '99999999:99999999:' where tick_queue = 1 and tick_id = (select max(tick_id) from pgq.tick where tick_queue = 1)
select pgq.ticker('q')
update pgq.tick set tick_snapshot = '10:99999999:' where tick_queue = 1 and tick_id = (select max(tick_id) from pgq.tick where tick_queue = 1)
select pgq.ticker('q')
select * from pgq.get_queue_info() where queue_name = 'q'
delete from pgq.tick where tick_queue = 2
select * from pgq.get_queue_info()
select pgq.force_tick('q2')
select pgq.register_consumer('q2', 'c')
select count(*) from pgq.consumer
select pgq.ticker('q2')
select * from pgq.get_queue_info()

-- Subscriptions, batches, cursors and retries.

select pgq.create_queue('q')
select pgq.create_queue('Other.Q')
select pgq.register_consumer('nosuch', 'c')
select pgq.register_consumer(null, 'c')
select pgq.register_consumer('q', null)
select count(*) from pgq.consumer
select * from pgq.register_consumer('q', 'c')
select pgq.register_consumer('q', 'c')
select pgq.register_consumer(x_queue_name := 'q', x_consumer_id := 'c2')
select pgq.register_consumer('q', '')
select pgq.register_consumer('q', 'C')
select pgq.register_consumer('Other.Q', 'c')
select pgq.register_consumer_at('q', 'c', 1)
select pgq.register_consumer_at('q', 'c', 99)
select pgq.register_consumer_at('q', 'c', null)
select pgq.register_consumer_at('q', 'new', 99)
select pgq.register_consumer_at('nosuch', 'new', 99)
select pgq.register_consumer_at(x_queue_name := 'q', x_consumer_name := 'new', x_tick_pos := 1)
select pgq.register_consumer_at('q', null, 1)
select * from pgq.get_consumer_info()
select * from pgq.get_consumer_info('q')
select * from pgq.get_consumer_info(null, 'c')
select * from pgq.get_consumer_info('q', 'nosuch')
select f.queue_name, f.consumer_name from pgq.get_consumer_info() f, pgq.queue q where q.queue_name = f.queue_name order by 1,2
select pgq.next_batch('q', 'nosuch')
select pgq.next_batch('nosuch', 'c')
select pgq.next_batch(null, null)
select pgq.next_batch('q', null)
select pgq.next_batch_info(null, 'c')
select * from pgq.next_batch_custom('q', 'nosuch', null, null, null)
select * from pgq.next_batch('q', 'c')
select * from pgq.next_batch_info('q', 'c')
select pgq.next_batch_info('q', 'c')
update pgq.queue set queue_ticker_max_lag='0', queue_ticker_idle_period='0'
select pgq.insert_event('q', 't'||i, 'd'||i, 'e'||i%2, null, null, null) from generate_series(1,5) i
select pgq.ticker('q')
select pgq.next_batch('q', 'c')
select pgq.next_batch('q', 'c')
select * from pgq.next_batch_info('q', 'c')
select * from pgq.next_batch_custom('q', 'c', '10 years', 100000, '10 years')
select * from pgq.get_batch_info(1)
select * from pgq.get_batch_events(1)
select ev_id, ev_data from pgq.get_batch_events(1) where ev_extra1 in ('e1')
select * from pgq.get_batch_events(x_batch_id := 1)
select pgq.get_batch_events(55)
select * from pgq.batch_event_tables(1) limit 1
select * from pgq.batch_event_tables(null)
select * from pgq.batch_event_tables(55)
select pgq.batch_event_sql(55)
select pgq.batch_event_sql(null)
select right(pgq.batch_event_sql(1), 11)
begin
select * from pgq.get_batch_cursor(1, 'c1', 2, null)
select * from pgq.get_batch_cursor(1, 'c1', 2, null)
rollback
begin
select * from pgq.get_batch_cursor(1, 'c1', 2, null)
fetch 2 from c1
fetch 2 from c1
fetch 2 from c1
close c1
select * from pgq.get_batch_cursor(1, 'C 1', 0, null)
fetch 2 from "C 1"
select * from pgq.get_batch_cursor(1, 'c2', -5, null)
fetch 2 from c2
select * from pgq.get_batch_cursor(1, 'c3', 10, 'ev_id = 1')
select * from pgq.get_batch_cursor(1, 'c4', 10, 'ev_id = 1 or ev_id = 3')
select * from pgq.get_batch_cursor(1, 'c5', 10, $$ev_extra1 in ('e1')$$)
select * from pgq.get_batch_cursor(1, 'c6', 10, '(ev_id > 1 and ev_id < 4)')
select * from pgq.get_batch_cursor(1, 'c7', 10)
select * from pgq.get_batch_cursor(1, 'c8', null)
select * from pgq.get_batch_cursor(null, 'c8', 10, null)
select * from pgq.get_batch_cursor(1, null, 10, null)
select * from pgq.get_batch_cursor(1, 'c8', null, null)
select name, is_scrollable, is_holdable from pg_cursors order by 1
fetch all from c5
move backward 1 from c4
rollback
begin
select * from pgq.get_batch_cursor(1, 'c8', 10, '')
rollback
begin
select * from pgq.get_batch_cursor(1, 'c8', 10, 'nosuch = 1')
rollback
begin
select * from pgq.get_batch_cursor(55, 'c8', 10, null)
rollback
begin
select * from pgq.get_batch_cursor(1, '', 10, null)
rollback
begin
select * from pgq.get_batch_cursor(1, 'cx', 10, 'true order by 1 desc')
rollback
begin
select * from pgq.get_batch_cursor(1, 'cx', 10, 'ev_id = 1 -- comment')
rollback
begin
select * from pgq.get_batch_cursor(1, 'cx', 10, 'e.ev_id = 1')
rollback
begin
select * from pgq.get_batch_cursor(1, 'cx', 10, 'events.ev_id = 1')
rollback
select * from pgq.get_batch_cursor(1, 'cx', 2, null)
select pgq.event_retry(1, 1, 0)
select pgq.event_retry(1, 1, 0)
select * from pgq.event_retry(1, 2, now())
select pgq.event_retry(1, 2, '2001-01-01'::timestamptz)
select pgq.event_retry(1, 99, 0)
select pgq.event_retry(55, 1, 0)
select pgq.event_retry(null, 1, 0)
select pgq.event_retry(1, null, 0)
select pgq.event_retry(1, 3, null::int4)
select pgq.event_retry(1, 3, null::timestamptz)
select pgq.event_retry(1, 3, null)
select pgq.event_retry(1, 3, '5')
select pgq.event_retry(1, 4, -100)
select pgq.batch_retry(1, 0)
select pgq.batch_retry(1, 0)
select pgq.batch_retry(55, 0)
select pgq.batch_retry(null, 0)
select ev_queue, ev_id, ev_txid is null, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_retry_after <= now() from pgq.retry_queue order by ev_id
select pgq.event_retry_raw('q', 'c', now(), 666, now(), 0, 't', 'd', null, null, null, null)
select pgq.event_retry_raw('q', 'c', now(), 666, now(), 0, 't', 'd', null, null, null, null)
select pgq.event_retry_raw('q', 'c', now(), null, now(), null, 't', 'd', 'a', 'b', 'c', 'd')
select pgq.event_retry_raw('q', 'c', null, null, now(), null, 't', 'd', 'a', 'b', 'c', 'd')
select pgq.event_retry_raw('q', 'c', now(), null, null, null, 't', 'd', 'a', 'b', 'c', 'd')
select pgq.event_retry_raw('q', 'nosuch', now(), 666, now(), 0, 't', 'd', null, null, null, null)
select pgq.event_retry_raw(null, null, now(), 666, now(), 0, 't', 'd', null, null, null, null)
select * from pgq.event_retry_raw(x_queue := 'q', x_consumer := 'c', x_retry_after := now(), x_ev_id := 777, x_ev_time := now(), x_ev_retry := 5, x_ev_type := 't', x_ev_data := 'd', x_ev_extra1 := null, x_ev_extra2 := null, x_ev_extra3 := null, x_ev_extra4 := null)
select ev_queue, ev_id, ev_owner, ev_retry, ev_type, ev_data, ev_extra1 from pgq.retry_queue order by ev_id
select * from pgq.finish_batch(1)
select pgq.finish_batch(1)
select pgq.finish_batch(null)
select pgq.finish_batch(0)
select * from pgq.get_batch_info(1)
select pgq.maint_retry_events()
select * from pgq.maint_retry_events()
select pgq.ticker('q')
select pgq.next_batch('q','c'), pgq.next_batch('q','c2')
select * from pgq.get_batch_events(2)
select * from pgq.get_batch_events(3)
select * from pgq.get_consumer_info('q')
select pgq.event_retry(2, 1, 0)
select ev_id, ev_retry from pgq.retry_queue
select pgq.unregister_consumer('q', 'c2')
select pgq.unregister_consumer('q', 'c2')
select pgq.unregister_consumer('q', null)
select pgq.unregister_consumer(null, null)
select pgq.unregister_consumer('nosuch', 'c')
select pgq.unregister_consumer('q', 'c')
select co_name from pgq.consumer order by 1
select count(*) from pgq.retry_queue
select pgq.drop_queue('q')
select pgq.drop_queue('q', null)

-- What nobody in particular, readers, writers and administrators may do.

select pgq.create_queue('q')
set role pg_signal_backend
select pgq.create_queue('x')
select pgq.insert_event('q','a','b')
select pgq.register_consumer('q','c')
select pgq.next_batch('q','c')
select pgq.ticker()
select queue_name from pgq.get_queue_info()
select * from pgq.get_consumer_info()
select * from pgq.get_batch_info(1)
select pgq.version() > '3'
select pgq.quote_fqname('a.b'), pgq.seq_getval('pgq.event_1_id_seq')
select pgq.seq_setval('pgq.event_1_id_seq', 5)
select count(*) from pgq.queue
select count(*) from pgq.tick
select count(*) from pgq.consumer
select count(*) from pgq.subscription
select count(*) from pgq.retry_queue
select count(*) from pgq.event_template
select count(*) from pgq.event_1
select last_value from pgq.event_1_id_seq
select last_value from pgq.event_1_tick_seq
select last_value from pgq.batch_id_seq
select nextval('pgq.event_1_id_seq')
insert into pgq.queue(queue_name) values('z')
select pgq.maint_operations()
select pgq.current_event_table('q')
set role pgq_reader
select pgq.create_queue('x')
select pgq.insert_event('q','a','b')
select pgq.current_event_table('q')
select pgq.register_consumer('q','c')
select pgq.register_consumer_at('q','c', 1)
select pgq.next_batch('q','c')
select * from pgq.next_batch_info('q','c')
select pgq.force_tick('q')
select pgq.ticker('q')
select * from pgq.get_batch_events(1)
select pgq.find_tick_helper(1, 1, now(), 1, 1, '1 s')
select count(*) from pgq.event_template
select count(*) from pgq.event_1_0
delete from pgq.event_1_0
insert into pgq.event_1_0 (ev_time) values (now())
select count(*) from pgq.retry_queue
select pgq.batch_event_sql(1)
select pgq.event_retry_raw('q', 'c', now(), 666, now(), 0, 't', 'd', null, null, null, null)
select pgq.maint_retry_events()
select pgq.set_queue_config('q','ticker_paused','1')
select pgq.upgrade_schema()
select pgq.unregister_consumer('q','c')
select pgq.drop_queue('q')
set role pgq_writer
select pgq.create_queue('x')
select pgq.register_consumer('q','c')
select pgq.next_batch('q','c')
select pgq.insert_event('q','a','b') > 0
select pgq.insert_event('q','a','b',null,null,null,null) > 0
select pgq.insert_event_raw('q', null, null, null, null, null, null, null, null, null, null)
select pgq.current_event_table('q')
insert into pgq.event_1_0 (ev_time) values (now())
select count(*) from pgq.event_1_0
select pgq.force_tick('q')
select pgq.event_retry(1,1,1)
set role pgq_admin
select pgq.create_queue('x')
select pgq.insert_event('x','a','b')
select pgq.insert_event_raw('x', null, null, null, null, null, null, null, null, null, null)
insert into pgq.event_2_0 (ev_time) values (now())
select pgq.register_consumer('x','c')
select pgq.ticker('x')
select pgq.ticker() >= 0
select pgq.next_batch('x','c')
select count(*) from pgq.get_batch_events(1)
select pgq.set_queue_config('x','rotation_period','0')
select func_name from pgq.maint_operations() where func_name !~ 'londi'
select pgq.maint_rotate_tables_step1('x')
select pgq.maint_rotate_tables_step2()
select pgq.maint_retry_events()
select pgq.maint_tables_to_vacuum()
select pgq.grant_perms('x')
select pgq.tune_storage('x')
select pgq._grant_perms_from('pgq','event_template','pgq','event_13')
select pgq.seq_setval('pgq.event_2_id_seq', 5)
select pgq.seq_setval('pgq.event_2_tick_seq', 5)
select nextval('pgq.event_2_id_seq') > 0
select pgq.upgrade_schema()
update pgq.queue set queue_ticker_paused = true
delete from pgq.tick where false
truncate pgq.event_2_0
delete from pgq.event_2_0
update pgq.event_2_0 set ev_type = null
select pgq.finish_batch(1)
select pgq.unregister_consumer('x','c')
select pgq.drop_queue('x')
reset role

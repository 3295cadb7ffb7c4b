-- Rotation and what else maint_operations lists.

select pgq.create_queue('q')
select pgq.create_queue('b q')
select pgq.create_queue('a.q')
update pgq.queue set queue_ticker_max_lag='0', queue_ticker_idle_period='0'
select * from pgq.maint_operations() where func_name !~ 'londiste'
select pgq.set_queue_config('q', 'rotation_period', '0')
select * from pgq.maint_operations() where func_name !~ 'londiste'
select pgq.insert_event('q','a','b')
select pgq.register_consumer('q','c')
select pgq.maint_rotate_tables_step1('q')
select queue_cur_table, queue_switch_step1=queue_switch_step2, queue_switch_step2 is null from pgq.queue where queue_name='q'
select pgq.ticker('q')
select pgq.maint_rotate_tables_step1('q')
select queue_cur_table, queue_switch_step1=queue_switch_step2, queue_switch_step2 is null from pgq.queue where queue_name='q'
select pgq.next_batch('q','c')
select pgq.finish_batch(1)
select * from pgq.maint_operations() where func_name !~ 'londiste'
select pgq.maint_rotate_tables_step1('q')
select queue_cur_table, queue_switch_step1=queue_switch_step2, queue_switch_step2 is null from pgq.queue where queue_name='q'
select * from pgq.maint_operations() where func_name !~ 'londiste'
select pgq.maint_rotate_tables_step1('q')
select pgq.maint_rotate_tables_step2()
select queue_cur_table, queue_switch_step1=queue_switch_step2, queue_switch_step2 is null from pgq.queue where queue_name='q'
select * from pgq.current_event_table('q')
select pgq.insert_event('q','a','b2')
select ev_id, tableoid::regclass::text from pgq.event_1 order by 1
select pgq.ticker('q')
select pgq.next_batch('q','c')
select * from pgq.batch_event_tables(2)
select * from pgq.get_batch_events(2)
select pgq.finish_batch(2)
select pgq.ticker('q')
select tick_id from pgq.tick where tick_queue = 1 order by 1
select pgq.next_batch('q','c')
select pgq.finish_batch(3)
select pgq.maint_rotate_tables_step1('q')
select pgq.maint_rotate_tables_step2()
select tick_id from pgq.tick where tick_queue = 1 order by 1
select pgq.ticker('q')
select pgq.next_batch('q','c')
select * from pgq.batch_event_tables(4)
select pgq.finish_batch(4)
select pgq.maint_rotate_tables_step1('q')
select pgq.maint_rotate_tables_step2()
select tick_id from pgq.tick where tick_queue = 1 order by 1
select ev_id, tableoid::regclass::text from pgq.event_1 order by 1
update pgq.subscription set sub_last_tick = 777
select pgq.maint_rotate_tables_step1('q')
select * from pgq.next_batch('q','c')
select * from pgq.get_consumer_info()
update pgq.subscription set sub_last_tick = (select max(tick_id) from pgq.tick where tick_queue = 1)
update pgq.queue set queue_switch_step1 = 99999999 where queue_name='q'
select pgq.maint_rotate_tables_step1('q')
update pgq.queue set queue_switch_step1 = 10, queue_extra_maint = '{baz,foo.bar,NULL,""}' where queue_name='q'
update pgq.queue set queue_extra_maint = '{zip}' where queue_name='a.q'
update pgq.queue set queue_extra_maint = '{x}' where queue_name='b q'
select * from pgq.maint_operations() where func_name !~ 'londiste' or func_name is null
update pgq.queue set queue_switch_step2 = null where queue_name='b q'
select * from pgq.maint_operations() where func_name !~ 'londiste' or func_name is null
update pgq.queue set queue_rotation_period = '1 second', queue_switch_time = now() - interval '1 hour'
select * from pgq.maint_operations() where func_name !~ 'londiste' or func_name is null
select pgq_node.register_location('q','n','dbname=x',false), pgq_node.create_node('q','root','n','w',null,null,null)
select * from pgq.maint_operations()
create table seqt (id serial primary key)
select londiste.local_add_seq('q', 'seqt_id_seq')
select * from pgq.maint_operations()
select pgq.drop_queue('q', true)
select pgq.drop_queue('b q', false)
select pgq.drop_queue(x_queue_name := 'a.q')
select count(*) from pgq.queue
drop table pgq.event_1
select * from pgq.queue

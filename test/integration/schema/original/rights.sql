-- What each role may do.

do $$ begin create role lw in role londiste_writer; create role lr in role londiste_reader; create role pw in role pgq_writer; create role pr in role pgq_reader; create role pa in role pgq_admin; create role nobody1; exception when duplicate_object or unique_violation then null; end $$
grant create on schema public to public
set role lw
create table t (id serial primary key, v text); create table t2 (id int primary key, t int references t)
select * from pgq_node.register_location('q', 'n1', 'dbname=a', false)
select * from pgq_node.register_location('q', 'n2', 'dbname=a', false)
select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null)
select * from londiste.local_add_table('q', 't')
insert into t values (1, 'x')
truncate t cascade
select * from londiste.local_add_seq('q', 't_id_seq')
select * from londiste.root_check_seqs('q')
select * from londiste.local_change_handler('q', 'public.t', '{}', 'a')
select * from londiste.local_set_table_state('q', 't', null, 'in-copy')
select londiste.drop_table_fkey('public.t2', 't2_t_fkey')
select londiste.restore_table_fkey('public.t2', 't2_t_fkey')
select * from londiste.execute_start('q', 'f', 's', true)
select * from londiste.execute_finish('q', 'f')
select londiste.create_partition('t', 't_2020', 'id', '', now(), 'year')
select * from londiste.periodic_maintenance()
select londiste.set_session_replication_role('replica', false)
select current_setting('session_replication_role')
select londiste.set_session_replication_role('origin', false)
select * from pgq_node.set_global_watermark('q', null)
select pgq.force_tick('q') > 0
select pgq.ticker('q')
select * from pgq_node.register_subscriber('q', 'n2', 'w2', null)
select * from pgq_node.demote_root('q', 1, 'n2')
select * from pgq_node.demote_root('q', 2, 'n2')
select * from pgq_node.demote_root('q', 3, 'n2')
select * from pgq_node.promote_branch('q')
select * from londiste.local_remove_seq('q', 't_id_seq')
reset role
-- take over
set role lr
select * from londiste.get_table_list('q')
select * from londiste.get_seq_list('q')
select * from londiste._coordinate_copy('q', 'public.t')
select * from londiste.local_show_missing('q')
select * from londiste.local_add_table('q', 't2')
select * from pgq_node.get_node_info('q')
select * from pgq_node.register_subscriber('q', 'n1', 'w3', null)
select * from pgq_node.unregister_subscriber('q', 'n1')
select * from pgq.register_consumer('q', 'c')
select * from pgq.next_batch('q', 'c')
select londiste.find_column_types('t'), londiste.find_table_oid('t') > 0
-- better: every name has its schema
select * from londiste.find_table_fkeys('t2')
select * from londiste.get_valid_pending_fkeys('q')
select count(*) from londiste.table_info
select count(*) from pgq_node.node_info
select count(*) from pgq_node.node_location
delete from londiste.table_info
reset role
set role pw
select * from pgq_node.register_consumer('q', 'c', 'n1', 1)
select * from pgq_node.set_consumer_completed('q', 'c', 1)
select * from pgq_node.get_worker_state('q')
select * from pgq_node.create_node('q2', 'root', 'n1', 'w1', null, null, null)
select count(*) from pgq_node.local_state
delete from pgq_node.local_state
select * from londiste.get_table_list('q')
select pgq_node.version(), londiste.version() is not null
reset role
set role pr
select * from pgq_node.register_consumer('q', 'c', 'n1', 1)
select * from pgq_node.get_consumer_state('q', 'c')
select * from pgq_node.get_queue_locations('q')
select * from pgq_node.set_subscriber_watermark('q', 'n2', 1)
select * from pgq_node.set_node_attrs('q', 'x')
select * from londiste.root_check_seqs('q')
reset role
set role pa
select * from pgq_node.get_worker_state('q')
select * from pgq_node.maint_watermark('q')
select * from pgq_node.upgrade_schema()
select * from londiste.root_check_seqs('q')
select * from londiste.periodic_maintenance()
select * from londiste.get_table_list('q')
update londiste.table_info set table_attrs = table_attrs
delete from pgq_node.local_state where consumer_name = 'c'
select * from londiste.upgrade_schema()
reset role
set role nobody1
select pgq_node.is_root_node('q')
select pgq_node.is_leaf_node('q')
select * from pgq_node.get_node_info('q')
select count(*) from pgq_node.node_info
select count(*) from londiste.table_info
select count(*) from londiste.seq_info
select count(*) from londiste.applied_execute
select count(*) from londiste.pending_fkeys
select pgq_node.version(), londiste.version() is not null
select londiste.make_fqname('x'), londiste.quote_fqname('x'), londiste.split_fqname('a.b')
select londiste.find_rel_oid('t', 'r') > 0, londiste.find_seq_oid('t'), londiste.is_replica_func('now'::regproc)
-- better: every name has its schema
select * from londiste.find_table_fkeys('t2')
select londiste.set_session_replication_role('replica', false)
select * from londiste.get_table_list('q')
select * from londiste.local_show_missing('q')
reset role
select pgq_node.drop_node('q', 'n1')
select londiste.upgrade_schema(), pgq_node.upgrade_schema()

-- A table that several leaves of one database fill, added to one of them while the others are in every state.

create table t (id int primary key, v text); create table d (id int primary key); create table w (id int primary key)
select pgq_node.register_location(q, n, 'dbname=x', false) from (values ('p1','r'),('p1','l'),('p2','r'),('p2','l'),('p3','r'),('p3','l'),('s1','r'),('s1','l'),('s2','r'),('s2','l'),('c','r'),('c','b'),('w','w'),('b1','r'),('b1','l'),('b2','r'),('b2','l')) v(q,n)
select pgq.create_queue('c')
select pgq_node.create_node('p1','leaf','l','w1','r',1,'c'), pgq_node.create_node('p2','leaf','l','w2','r',1,'c'), pgq_node.create_node('p3','leaf','l','w3','r',1,'c')
select pgq_node.create_node('s1','leaf','l','v1','r',1,null), pgq_node.create_node('s2','leaf','l','v2','r',1,null), pgq_node.create_node('w','root','w','ww',null,null,null)
select londiste.global_add_table(q, n) from unnest(array['p1','p2','p3','s1','s2','w']) q, unnest(array['t','d','w']) n
select * from londiste.local_add_table('p1', 't', '{no_merge}', 'handler=londiste')
select * from londiste.local_add_table('p2', 't', '{no_merge}')
update londiste.table_info set merge_state = 'in-copy' where queue_name = 'p2' and table_name = 'public.t'
begin
select * from londiste.local_add_table('p3', 't')
rollback
begin
select * from londiste.local_add_table('p3', 't', '{merge_all}')
rollback
select * from londiste.local_add_table('p3', 't', '{expect_sync}')
select queue_name, local, merge_state, table_attrs from londiste.table_info where table_name = 'public.t' order by 1
select * from londiste.local_remove_table('p3', 't')
update londiste.table_info set merge_state = 'wanna-sync:7', custom_snapshot = '1:2:' where queue_name = 'p2' and table_name = 'public.t'
select * from londiste.local_add_table('p3', 't', '{expect_sync}', 'max_parallel_copy=2')
select queue_name, local, merge_state, custom_snapshot, table_attrs from londiste.table_info where table_name = 'public.t' order by 1
select * from londiste.local_remove_table('p3', 't')
select * from londiste.local_set_table_state('p2', 't', null, 'in-copy'), londiste.local_set_table_struct('p2', 't', 'create index t_v on t (v)')
select * from londiste.local_add_table('p3', 't', '{expect_sync}', 'max_parallel_copy=3')
select queue_name, local, merge_state, dropped_ddl, table_attrs from londiste.table_info where table_name = 'public.t' order by 1
select * from londiste.local_set_table_struct('p2', 't', null)
select * from londiste.local_add_table('p1', 'd', '{merge_all}')
select * from londiste.local_set_table_state(q, 'd', null, null) from unnest(array['p1','p2','p3']) q
select * from londiste.local_remove_table('p2', 'd')
select * from londiste.local_add_table('p2', 'd', '{virtual_table}', 'handler=vtable')
select * from londiste.local_add_table('p2', 'd', '{expect_sync}')
select queue_name, local, merge_state, table_attrs from londiste.table_info where table_name = 'public.d' order by 1
select * from londiste.local_add_table('w', 'w', '{}', 'mine=1')
begin
select * from londiste.local_add_table('s1', 'w')
rollback
select * from londiste.local_add_table('s1', 'w', '{expect_sync}', 'theirs=1')
select queue_name, local, merge_state, table_attrs from londiste.table_info where table_name = 'public.w' order by 1
select * from londiste.get_table_list('c')
select tgname from pg_trigger where not tgisinternal order by tgrelid::regclass::text, 1

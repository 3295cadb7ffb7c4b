-- Foreign keys: found, taken off, given back.

create schema "S c"
create table a (id int primary key, k int unique); create table b (id int primary key, a int references a, self int references b); create table "S c".c (id int primary key, "x y" int references a (k) on delete cascade on update set null deferrable initially deferred); create table o (id int primary key, b int references b)
-- better: every name has its schema
select * from londiste.find_table_fkeys('public.a')
-- better: every name has its schema
select * from londiste.find_table_fkeys('a')
-- better: every name has its schema
select * from londiste.find_table_fkeys('S c.c')
-- better: every name has its schema
select * from londiste.find_table_fkeys('b')
select * from londiste.find_table_fkeys('none')
select * from londiste.find_table_fkeys(null)
select pgq_node.register_location(q, n, 'dbname=x', false) from (values ('p1','r'),('p1','l'),('p2','r'),('p2','l'),('q','r'),('q','l')) v(q,n)
select * from pgq_node.create_node('q','leaf','l','w','r',1,null)
select * from pgq_node.create_node('p1','leaf','l','w1','r',1,null)
select londiste.global_add_table('q', n) from unnest(array['a','b','S c.c','o']) n
select londiste.global_add_table('p1', n) from unnest(array['a','b','S c.c','o']) n
select londiste.local_add_table('q', n, '{no_merge}') from unnest(array['a','b','S c.c']) n
select londiste.drop_table_fkey(null, 'x')
select londiste.drop_table_fkey('a', 'x')
-- better: a name without schema lies in public
select londiste.drop_table_fkey('b', 'b_a_fkey')
select londiste.drop_table_fkey('public.b', 'b_a_fkey')
select londiste.drop_table_fkey('public.b', 'b_self_fkey')
select londiste.drop_table_fkey('S c.c', 'c_x y_fkey')
select londiste.drop_table_fkey('public.o', 'o_b_fkey')
select from_table, to_table, fkey_name from londiste.get_table_pending_fkeys('public.b')
select from_table, to_table, fkey_name from londiste.get_table_pending_fkeys('b')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select londiste.local_set_table_state('q', n, null, 'ok') from unnest(array['a','b']) n
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('p1')
select londiste.local_set_table_state('q', 'a', '1:1:', 'ok')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select londiste.local_set_table_state('q', 'S c.c', null, 'ok')
select londiste.local_set_table_state('q', 'a', null, 'ok')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select londiste.local_add_table('p1', 'a', '{no_merge}')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select londiste.local_set_table_state('p1', 'a', null, 'ok')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('q')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys('p1')
select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys(null)
-- take over
select londiste.restore_table_fkey(null, null)
select londiste.restore_table_fkey('public.b', 'b_a_fkey', null)
select londiste.restore_table_fkey('public.b', 'b_a_fkey')
-- better: every name has its schema
select londiste.restore_table_fkey('public.b', 'b_self_fkey', true)
alter table only public.b add constraint b_self_fkey foreign key (self) references public.b(id) not valid
select londiste.restore_table_fkey('public.b', 'b_self_fkey', true)
alter table only public.b validate constraint b_self_fkey
select londiste.restore_table_fkey('public.b', 'b_self_fkey', true)
select londiste.restore_table_fkey('public.b', 'b_self_fkey', true)
select londiste.restore_table_fkey('S c.c', 'c_x y_fkey')
insert into o values (1, 99)
select londiste.restore_table_fkey('public.o', 'o_b_fkey')
select londiste.restore_table_fkey('public.o', 'o_b_fkey', false)
delete from o
select londiste.restore_table_fkey('public.o', 'o_b_fkey', false)
select londiste.drop_table_fkey('public.o', 'o_b_fkey')
drop table o
-- better: with its table the key is forgotten
select londiste.restore_table_fkey('public.o', 'o_b_fkey', false)

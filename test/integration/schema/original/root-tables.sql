-- The tables and sequences of a root, from before there is a node until after it is a branch.

create schema "Sch"; create schema s2
create table t (id serial primary key, v text); create table "Odd name" (id int primary key); create table "Sch"."T.dot" (id int primary key); create table s2.x (id bigserial, k2 int, v text, primary key (id, k2)); create table nopk (v int)
create table par (id int, d date, primary key (id, d)) partition by range (d); create table par_1 partition of par for values from ('2020-01-01') to ('2021-01-01')
create view vw as select 1 as a; create sequence s; create sequence "Sch"."Q s"; create materialized view mv as select 1 as a; create unlogged table ul (id int primary key); create table inh (c int, primary key (id)) inherits (t)

-- No node yet.
select * from londiste.local_add_table(null, 't')
select * from londiste.local_add_table('q', null)
select * from londiste.local_add_table('q', 't', null)
-- better: the note is never NULL
select * from londiste.local_add_table(null, 't', null)
-- better: the note is never NULL
select * from londiste.local_add_table('q', null, null, null, null)
select * from londiste.global_add_table('q', 't')
select * from londiste.global_add_table(null, 't')
select * from londiste.local_remove_table('q', 't')
select * from londiste.global_remove_table('q', 't')
select * from londiste.local_add_seq('q', 's')
select * from londiste.local_remove_seq('q', 's')
select * from londiste.global_remove_seq('q', 's')
select * from londiste.get_table_list('q')
select * from londiste.get_seq_list('q')
select * from londiste.local_show_missing('q')
select * from londiste.local_set_table_state('q', 't', null, null)
select * from londiste.local_set_table_attrs('q', 'public.t', null)
select * from londiste.local_set_table_struct('q', 'public.t', null)
select * from londiste.local_change_handler('q', 't', null, null)
select * from londiste.execute_start('q', 'f', 's', true)
select * from londiste.execute_finish('q', 'f')
select * from londiste.root_check_seqs('q')
select * from londiste.root_notify_change('q', 'a', 'b')
select * from londiste._coordinate_copy('q', 't')

-- Tables: odd names, kinds of relations, trigger arguments, other names in the queue.
select * from pgq_node.register_location('q', 'n1', 'dbname=a', false)
select * from pgq_node.register_location('q', 'n2', 'dbname=a', false)
select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null)
-- better: a partitioned table stands for its partitions
select * from londiste.local_show_missing('q')
select * from londiste.local_add_table('q', 't', array['tgflags=BIUQ','ignore=v'], 'a=b')
select * from londiste.local_add_table('q', 'public.t', array['tgflags=BIUQ','ignore=v'], 'a=b')
select * from londiste.local_add_table('q', 'public.t', array['tgflags=BIUQ','ignore=v'], 'a=c')
select * from londiste.local_add_table('q', 'public.t', array['skip_truncate'], 'a=b')
select * from londiste.local_add_table('q', 'public.t', null, null, 'public.t')
select * from londiste.local_add_table('q', 'public.t', null, null, 's2.x')
select * from londiste.local_add_table('q', 'Odd name')
select * from londiste.local_add_table('q', '"Odd name"')
select * from londiste.local_add_table('q', 'public."Odd name"')
select * from londiste.local_add_table('q', 'Sch.T.dot')
select * from londiste.local_add_table('q', 'sch.t.dot')
select * from londiste.local_add_table('q', 'T')
select * from londiste.local_add_table('q', 'vw')
select * from londiste.local_add_table('q', 'mv')
-- better: partitioned tables can be replicated
select * from londiste.local_add_table('q', 'par')
select * from londiste.local_add_table('q', 'par_1')
select * from londiste.local_add_table('q', 'ul')
select * from londiste.local_add_table('q', 'nopk')
select * from londiste.local_add_table('q', 'nopk', '{no_triggers}')
select * from londiste.local_add_table('q', 'nopk', '{virtual_table}')
select * from londiste.local_add_table('q', 'not.there', '{virtual_table}', 'handler=vtable')
select * from londiste.local_add_table('q', 'other', '{}', null, 's2.x')
select * from londiste.local_add_table('q', 'other', '{}', null, 'x')
select * from londiste.local_add_table('q', 'other', '{}', '', 's2.x')
select * from londiste.local_add_table('q', 'other', '{skip}', null, 's2.x')
select * from londiste.local_add_table('q', 'inh', '{SKIP,"when=id > 5"}', null, null)
select * from londiste.get_table_list('q')
-- better: a partitioned table stands for its partitions
select * from londiste.local_show_missing('q')
select * from londiste.local_remove_table('q', 'other')
select * from londiste.local_add_table('q', 'x2', '{expect_sync,skip_truncate,merge_all}', 'handler=a', 's2.x')
insert into s2.x values (1, 2, 'a'); update s2.x set v = 'b'
-- better: TRUNCATE too goes by the name of the queue
truncate s2.x; select ev_extra1 from pgq.event_template where ev_type = 'R'
select * from londiste.local_change_handler('q', 'public.x2', array['expect_sync','skip_truncate'], 'v')
select * from londiste.local_change_handler('q', 'public.x2', null, null)
select * from londiste.local_remove_table('q', 'x2')
select * from londiste.local_add_table('q', 'x3', '{expect_sync,skip_truncate,no_merge,"ev_extra1=''zz''"}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x3')
select * from londiste.local_add_table('q', 'x4', '{tgflags=iuds,"ev_type=''it''''s''"}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x4')
select * from londiste.local_add_table('q', 'x5', '{tgflags=}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x5')
select * from londiste.local_add_table('q', 'x6', '{tgflags=xyz}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x6')
select * from londiste.local_add_table('q', 'x7', '{tgflags=JQL,backup}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x7')
select * from londiste.local_add_table('q', 'x8', '{tgflags=JQB,null}', null, 's2.x')
select * from londiste.local_remove_table('q', 'x8')
select * from londiste.local_add_table('q', 'x9', array[null::text], null, 's2.x')
select * from londiste.local_remove_table('q', 'x9')
select * from londiste.local_add_table('q', 'x10', array[''], null, 's2.x')
select * from londiste.local_remove_table('q', 'x10')
select * from londiste.local_add_table('q', 'x11', array['a''b\c'], null, 's2.x')

-- What the triggers write.
insert into s2.x values (1, 2, 'a')
truncate "Odd name"; insert into "Odd name" values (1); update "Odd name" set id = 2
insert into "Odd name" values (3)
delete from "Odd name"
insert into "Sch"."T.dot" values (5)
truncate "Sch"."T.dot"
insert into inh values (9, 'a', 1); insert into inh values (2, 'a', 1)
select * from inh
select 1 from londiste.drop_table_triggers('q', 'public.t')
select 1 from londiste.drop_table_triggers('q', 't')
select 1 from londiste.drop_table_triggers('nope', 'public.t')
select 1 from londiste.drop_table_triggers('q', 'no.thing')

-- take over
-- Handlers, states, attributes.
select * from londiste.local_change_handler('q', 'public.t', array['tgflags=I'], 'handler=h(x%3d1)')
select * from londiste.local_change_handler('q', 'public.t', array['no_triggers'], null)
select * from londiste.local_change_handler('q', 'public.t', array['virtual_table'], 'v')
select * from londiste.local_change_handler('q', 'x2', null, null)
-- better: the note is never NULL
select * from londiste.local_change_handler('q', null, null, null)
select * from londiste.local_set_table_state('q', 't', '1:1:', 'in-copy')
select * from londiste.local_set_table_struct('q', 'public.t', 'select ''a''')
select * from londiste.local_set_table_struct('q', 't', 'select ''a''')
select * from londiste.local_set_table_state('q', 't', '1:1:', 'ok')
select * from londiste.local_set_table_state('q', 't', null, 'it''s \ bad')
select * from londiste.local_set_table_struct('q', 'public.t', null)
select * from londiste.local_set_table_state('q', 't', null, 'wanna-sync:5')
select * from londiste.local_set_table_state('q', 't', null, null)
-- better: the note is never NULL
select * from londiste.local_set_table_state('q', null, null, null)
select * from londiste.local_set_table_state('q', 'Odd name', null, '?')
select * from londiste.local_set_table_attrs('q', 'public.t', null)
select * from londiste.local_set_table_attrs('q', 'public.t', 'a=%20')
select * from londiste.global_add_table('q', 't')
select * from londiste.global_add_table('q', 'unknown.z')
select * from londiste.global_add_table('q', 'unknown.z')
select * from londiste.local_remove_table('q', 'unknown.z')
select * from londiste.global_remove_table('q', 'unknown.z')
select * from londiste.local_remove_table('q', 'Odd name')
select * from londiste.local_remove_table('q', '"Odd name"')
select * from londiste.local_remove_table('q', 't')
select * from londiste.local_remove_table('q', 'not.there')
select * from londiste.global_remove_table('q', 'public.inh')

-- Sequences.
select * from londiste.local_add_seq(null, 's')
-- better: the note is never NULL
select * from londiste.local_add_seq('q', null)
select * from londiste.local_add_seq('nope', 's')
select * from londiste.local_add_seq('q', 's')
select * from londiste.local_add_seq('q', 'public.s')
select * from londiste.local_add_seq('q', 't')
select * from londiste.local_add_seq('q', 'Sch.Q s')
select setval('s', 29999)
select * from londiste.root_check_seqs('q')
select setval('s', 19999)
select * from londiste.root_check_seqs('q')
select setval('s', 20000)
select * from londiste.root_check_seqs('q')
select * from londiste.root_check_seqs('q', 5)
select * from londiste.root_check_seqs('q', null)
select * from londiste.root_check_seqs('q', 50000)
-- better: the note is never NULL
select * from londiste.root_check_seqs(null, 50000)
select * from pgq.maint_operations() where func_name ~ 'pgq_node|londiste' order by 1, 2
select * from londiste.get_seq_list('q')
select * from londiste.global_update_seq('q', 's', 3)
-- better: the note is never NULL
select * from londiste.global_update_seq(null, 's', 3)
select * from londiste.local_remove_seq('q', 's')
select * from londiste.local_remove_seq('q', 's')
select * from londiste.local_remove_seq(null, 's')
select * from londiste.global_remove_seq('q', 'Sch.Q s')
-- better: a partitioned table stands for its partitions
select * from londiste.local_show_missing('q') where obj_kind = 'r'

-- Events and scripts.
select * from londiste.root_notify_change('q', 'londiste.zz', 'b')
select * from londiste.root_notify_change('q', null, null)
select * from londiste.execute_start('q', 'f.sql', 'select 1', true, 'a=b')
select * from londiste.execute_start('q', 'f.sql', 'select 2', false, null)
select * from londiste.execute_start('q', null, 'select 2', false, null)
select * from londiste.execute_start('q', 'g.sql', null, false, null)
select * from londiste.execute_start('q', 'g.sql', 'x', null, null)
select * from londiste.execute_start(null, 'g.sql', 'x', null, null)
select * from londiste.execute_finish('q', 'f.sql')
select * from londiste.execute_finish('nope', 'f.sql')
select * from londiste.execute_finish(null, 'f.sql')
select * from londiste.execute_finish('q', null)
select * from londiste.execute_finish('nope', 'none.sql')
select londiste.periodic_maintenance()
update londiste.applied_execute set execute_time = now() - interval '4 months'
select londiste.periodic_maintenance()

-- A root that steps down.
select pgq_node.demote_root('q', 1, 'n2')
-- better: says why nothing was published
select * from londiste.root_check_seqs('q')
select * from londiste.local_add_table('q', 's2.x')
select pgq_node.demote_root('q', 2, 'n2')
select * from pgq.maint_operations() where func_name ~ 'pgq_node|londiste' order by 1, 2
select pgq_node.demote_root('q', 3, 'n2')
select * from pgq.maint_operations() where func_name ~ 'pgq_node|londiste' order by 1, 2
select * from londiste.local_show_missing('q')
select * from londiste.local_add_table('q', 's2.x')
select * from londiste.local_add_seq('q', 's')
select * from londiste.root_notify_change('q', 'a', 'b')
select * from londiste.execute_start('q', 'h.sql', 'x', true, null)
select * from londiste.execute_start('q', 'h.sql', 'x', false, null)
select * from londiste.execute_finish('q', 'h.sql')
select * from londiste.root_check_seqs('q')
insert into s2.x values (5, 6, 'v')
select * from pgq_node.drop_node('q', 'n1')

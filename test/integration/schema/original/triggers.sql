-- Triggers: flags, SKIP, several queues on one table, what they write.

create table a (id int primary key, v text); create table b (id int primary key, v text); create table d (id int primary key, v text); create table e (id int primary key); create table c (id int primary key, v text, ts timestamptz default '2020-01-02', n numeric)
create schema "We.ird"
create table "We.ird".x (id int primary key)
select pgq_node.register_location(q, n, 'dbname=x', false) from (values ('q','r'),('q2','r'),('It''s "q"','r'),('l','l'),('l','r'),('a_queue_with_a_name_that_is_longer_than_forty_eight_chars_x','r')) v(q,n)
select pgq_node.create_node(q, 'root', 'r', 'w', null, null, null) from unnest(array['q','q2','It''s "q"','a_queue_with_a_name_that_is_longer_than_forty_eight_chars_x']) q
select pgq_node.create_node('l', 'leaf', 'l', 'w', 'r', 1, null)
select ret_code, ret_note from londiste.create_trigger('q', 'public.a', null, 'public.a', 'root')
select ret_code, ret_note from londiste.create_trigger('q', 'public.a', '{}', 'public.a', 'root')
select ret_code, ret_note from londiste.create_trigger('q', 'public.a', '{no_triggers}', 'public.a', 'root')
select ret_code, ret_note from londiste.create_trigger('q', 'public.a', '{}', 'public.none', 'root')
select ret_code, ret_note from londiste.create_trigger('nope', 'public.a', '{}', 'public.a', 'leaf')
select ret_code, ret_note from londiste.create_trigger('q', 'a', '{}', 'a', 'root')
select ret_code, ret_note from londiste.create_trigger('q', 'public.zz', '{tgflags=iu}', 'public.a', 'branch')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.a', '{tgflags=UD}', 'public.a', 'root')
-- SKIP: one trigger suppresses the change, and comes last.
select ret_code, ret_note from londiste.create_trigger('q', 'public.b', '{tgflags=B,skip}', 'public.b', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.b', '{tgflags=B,skip}', 'public.b', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.b', '{tgflags=B}', 'public.b', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.b', '{}', 'public.b', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.b', '{tgflags=BSI,no_triggers}', 'public.b', 'root')
select ret_code, ret_note from londiste.create_trigger('l', 'public.b', '{tgflags=BSI}', 'public.b', 'leaf')
create trigger user_skip before insert on d for each row execute function pgq.logutriga('q', 'SKIP')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.d', '{}', 'public.d', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.d', '{tgflags=B}', 'public.d', 'root')
select ret_code, ret_note from londiste.create_trigger('q2', 'public.d', '{tgflags=B,skip}', 'public.d', 'root')
insert into d values (1, 'x')
select * from d
create trigger user_skip2 before insert on d for each row execute function pgq.logutriga('q2', 'SKIP')
select ret_code, ret_note from londiste.create_trigger('l', 'public.d', '{tgflags=B}', 'public.d', 'root')
select ret_code, ret_note from londiste.create_trigger('l', 'public.d', '{tgflags=BS}', 'public.d', 'root')
select ret_code, ret_note from londiste.create_trigger('l', 'public.d', '{}', 'public.d', 'root')

-- Queues with odd names.
select * from londiste.local_add_table('It''s "q"', 'c')
insert into c values (1, 'x y=&', '2020-01-02 03:04:05+00', 1.50); update c set v = null; update c set v = 'x' where id = 1; delete from c
truncate c
select * from londiste.local_remove_table('It''s "q"', 'c')
-- better: a long name is shortened, for two triggers cannot have one name
select * from londiste.local_add_table('a_queue_with_a_name_that_is_longer_than_forty_eight_chars_x', 'c')

-- take over
-- Each function and argument.
select * from londiste.local_add_table('q', 'We.ird.x')
select * from londiste.local_add_table('q', 'We".x')
select * from londiste.local_add_table('q', 'c', '{tgflags=IUDQ,backup,"ignore=ts"}')
insert into c values (1, 'x''y\z', '2020-01-02 03:04:05+00', 1.50); update c set v = null; update c set ts = now(); delete from c
select * from londiste.local_change_handler('q', 'public.c', '{tgflags=J,backup}', null)
insert into c values (1, 'x''y\z', '2020-01-02 03:04:05+00', 1.50); update c set v = null; delete from c
truncate c
select * from londiste.local_change_handler('q', 'public.c', '{"ev_extra3=''hash='' || id","when=id > 5",pkey=v}', null)
insert into c values (1, 'x'), (6, 'y'); update c set n = 3; delete from c
select * from londiste.local_change_handler('q', 'public.c', '{"ev_type=''T''","ev_data=v","ev_extra1=id","ev_extra2=n","ev_extra4=''4''"}', null)
insert into c values (1, 'x'); delete from c
select * from londiste.local_change_handler('q', 'public.c', '{tgflags=IU,"a strange argument"}', null)
insert into c values (1, 'x')
select * from londiste.local_change_handler('q', 'public.c', '{tgflags=ID}', null)

-- Replication roles.
begin
select 1 from londiste.set_session_replication_role('local', true)
insert into c values (2, 'x')
commit
delete from c
select 1 from londiste.set_session_replication_role('replica', false)
insert into c values (3, 'x')
truncate c
select 1 from londiste.set_session_replication_role('origin', false)

-- An entrance to the queue.
select * from londiste.local_remove_table('q', 'c')
select * from londiste.local_add_table('q', 'c', '{tgflags=B,skip}', 'handler=qtable')
insert into c values (9, 'x')
select * from c
select * from londiste.local_change_handler('q', 'public.c', '{no_triggers}', null)
-- better: a trigger of our own that goes is not in the way
select * from londiste.local_change_handler('q', 'public.c', '{}', null)
select * from londiste.local_remove_table('q', 'c')

-- Rows that go take the triggers along.
select * from londiste.local_add_table('q', 'e')
delete from londiste.table_info where table_name = 'public.e'
select * from londiste.get_table_list('q')

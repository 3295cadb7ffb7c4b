-- Partitions made and dropped by name.

create schema "S c"
do $$ begin create role some_owner; create role some_reader; exception when duplicate_object or unique_violation then null; end $$
create table par (id int primary key, ts timestamptz, v text default 'x', check (v <> 'bad')); create index on par (ts); alter table par owner to some_owner; grant select on par to some_reader with grant option; grant insert (v) on par to public
create function ptf() returns trigger language plpgsql as 'begin return new; end'
create trigger "Trg on" before insert on par for each row when (new.id > 0) execute function ptf('ON public.par', 'x')
create trigger zz after update of v on par for each row execute function ptf(); alter table par disable trigger zz
create trigger aa after delete on par for each statement execute function ptf(); alter table par enable always trigger aa
create rule r1 as on delete to par where old.id = 5 do instead nothing
select londiste.create_partition('par', 'par_2020', 'id', 'ts', '2020-05-06', 'year')
select londiste.create_partition('public.par', 'public.par_2020_05', 'id', 'ts', '2020-05-06', 'month')
select londiste.create_partition('public.par', 'public.par_2020_05', 'id', 'ts', '2020-05-06', 'month')
-- take over
select londiste.create_partition('public.par', 'public.par_2020_05_06', 'id', 'ts', '2020-05-06 07:08', 'day')
select londiste.create_partition('public.par', 'public.par_2020_05_06_07', 'id', 'ts', '2020-05-06 07:08', 'hour')
select londiste.create_partition('public.par', 'public.par_none', 'id', null, null, null)
select londiste.create_partition('public.par', 'public.par_none2', 'id', '', now(), 'day')
select londiste.create_partition('public.par', 'public.par_bad', 'id', 'ts', now(), 'week')
select londiste.create_partition('public.par', 'public.par_bad2', 'id', 'ts', now(), 'nonsense')
select londiste.create_partition('public.par', 'public.par_bad3', 'id', 'nocol', now(), 'day')
select londiste.create_partition('public.nope', 'public.nope_2020', 'id', 'ts', now(), 'day')
select londiste.create_partition(null, 'public.nope_2020', 'id', 'ts', now(), 'day')
select londiste.create_partition('public.par', null, 'id', 'ts', now(), 'day')
select londiste.create_partition('public.par', 'S c.P x_2020', 'id', 'ts', '2020-05-06 07:08', 'year')
select londiste.create_partition('public.par', 'noschema.x', 'id', 'ts', '2020-05-06 07:08', 'year')
select londiste.is_obsolete_partition(n, r::interval, p) from (values ('public.par_2020','1 year','year'),('public.par_2020_05','1 year','month'),('public.par_2020_05','1 year','year'),('par_2020_05_06','1 day','day'),('par_2020_05_06_07','1 hour','hour'),('x','1 year','year'),('_2020','1 year','year'),(null,'1 year','year')) v(n,r,p)
-- better: of an unknown retention nothing is known
select londiste.is_obsolete_partition('public.par_2020', null, 'year')
select londiste.is_obsolete_partition('public.par_2020', '1 year', 'week')
select londiste.is_obsolete_partition('public.par_2020', '1 year', null)
select londiste.is_obsolete_partition('public.par_9999', '1 year', 'year')
select * from londiste.list_obsolete_partitions('public.par', '1 year', 'year')
select * from londiste.list_obsolete_partitions('public.par', '1 year', 'month')
select * from londiste.list_obsolete_partitions('public.par', '1 year', 'day')
select * from londiste.list_obsolete_partitions('public.par', '1 year', 'hour')
select * from londiste.list_obsolete_partitions('par', '1 year', 'hour')
select * from londiste.list_obsolete_partitions('public.par', '1 year', 'nonsense')
-- better: no table has no partitions
select * from londiste.list_obsolete_partitions(null, '1 year', 'year')
select * from londiste.list_obsolete_partitions('public.par', null, 'year')
select * from londiste.list_obsolete_partitions('S c.P x', '1 year', 'year')
select * from londiste.drop_obsolete_partitions('public.par', '1 year', 'month')
select * from londiste.drop_obsolete_partitions('public.par', '1 year', 'nonsense')
select * from londiste.drop_obsolete_partitions('S c.P x', '1 year', 'year')

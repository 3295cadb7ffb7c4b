-- What the C extensions consisted of before they were taken over, so that `skytools uninstall` can give everything back.
-- Written once, by the take-over itself (the next file); empty in every other installation.
create table if not exists skytools.taken_over_extension (
    extname         text        not null,
    extversion      text        not null,
    -- names of the tables and sequences whose rows pg_dump saves
    config          text[]      not null,
    condition       text[]      not null,
    taken_over_at   timestamptz not null default now(),

    constraint taken_over_extension_pkey primary key (extname)
);

create table if not exists skytools.taken_over_member (
    -- empty for a schema that was there before and belonged to no extension
    extname         text        not null,
    -- as ALTER EXTENSION names it: function, table, sequence, schema ...
    type            text        not null,
    identity        text        not null,
    -- a function's CREATE statement
    definition      text,
    -- a table's columns
    columns         text[],

    constraint taken_over_member_pkey primary key (extname, type, identity)
);

revoke all on skytools.taken_over_extension, skytools.taken_over_member from public;

insert into skytools.taken_over_member (extname, type, identity, definition, columns)
select e.extname, i.type, i.identity,
       case when d.classid = 'pg_catalog.pg_proc'::regclass
                and (select p.prokind in ('f', 'p') from pg_catalog.pg_proc p where p.oid = d.objid)
            then pg_catalog.pg_get_functiondef(d.objid) end,
       case when i.type = 'table'
            then array(select a.attname::text from pg_catalog.pg_attribute a
                        where a.attrelid = d.objid and a.attnum > 0 and not a.attisdropped order by a.attnum) end
  from pg_catalog.pg_extension e
  join pg_catalog.pg_depend d
    on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e',
       lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) i
 where e.extname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
on conflict do nothing;

insert into skytools.taken_over_extension (extname, extversion, config, condition)
select e.extname, e.extversion,
       coalesce((select pg_catalog.array_agg(pg_catalog.format('%I.%I', n.nspname, c.relname) order by u.ord)
                   from pg_catalog.unnest(e.extconfig) with ordinality u (oid, ord)
                   join pg_catalog.pg_class c on c.oid = u.oid
                   join pg_catalog.pg_namespace n on n.oid = c.relnamespace), '{}'),
       coalesce(e.extcondition, '{}')
  from pg_catalog.pg_extension e
 where e.extname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
on conflict do nothing;

insert into skytools.taken_over_member (extname, type, identity)
select '', 'schema', pg_catalog.quote_ident(n.nspname)
  from pg_catalog.pg_namespace n
 where n.nspname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
   and exists (select from pg_catalog.pg_extension e where e.extname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste'))
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_namespace'::regclass and d.objid = n.oid
                      and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e')
on conflict do nothing;

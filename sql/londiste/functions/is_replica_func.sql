-- londiste.is_replica_func(func_oid) -> bool
--
-- Does this trigger function write events into a queue? Triggers with such a function and the
-- queue as first argument are Londiste's to drop. Those of pgq.create_fast_trigger lie in the
-- schemas of their tables.
create or replace function londiste.is_replica_func(func_oid oid)
returns boolean
language sql
strict stable
as $$
    select count(*) > 0
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where p.oid = func_oid
       and (n.nspname = 'pgq' and p.proname in ('sqltriga', 'logutriga', 'jsontriga')
            or n.nspname = 'londiste' and p.proname = 'truncate_trigger'
            or starts_with(p.proname::text, '_pgq_fast_'))
$$;

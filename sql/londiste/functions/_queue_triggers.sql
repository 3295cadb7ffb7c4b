-- londiste._queue_triggers(i_table) -> setof (name, queue_name, skip, inherited)
--
-- Triggers of a table that write events: for each its queue (the first argument), whether it
-- suppresses the change itself (argument SKIP), and whether it is a partition's copy of its
-- parent's.
create or replace function londiste._queue_triggers(
    in i_table oid,
    out name text,
    out queue_name text,
    out skip boolean,
    out inherited boolean)
returns setof record
language sql
strict stable
as $$
    -- Arguments lie in one bytea, each with a zero byte behind it.
    select t.tgname::text,
           convert_from(substr(t.tgargs, 1, position('\x00'::bytea in t.tgargs) - 1),
                        getdatabaseencoding()),
           position('\x00534b495000'::bytea in t.tgargs) > 0,
           t.tgparentid <> 0
      from pg_catalog.pg_trigger t
     where t.tgrelid = i_table
       and not t.tgisinternal
       and t.tgnargs > 0
       and londiste.is_replica_func(t.tgfoid)
     order by t.tgname
$$;

-- Roles, and what queues made by an earlier installation lack.
select pgq.upgrade_schema();

-- Generated triggers of an earlier installation go on working as they are; they are written as this one does it.
select pgq._refresh_or_tell(t.tgrelid)
  from (select distinct t.tgrelid from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
         where pg_catalog.starts_with(p.proname, '_pgq_fast_') and not t.tgisinternal) t;

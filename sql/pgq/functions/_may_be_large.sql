-- pgq._may_be_large(i_batch_id) -> bool
--
-- Whether a batch's tables hold values out of line: its events may be of any size then, else a row is at most a page.
--
-- Parameters:
--   i_batch_id  id of an open batch
-- Calls: pgq.batch_event_tables, pgq.quote_fqname
create or replace function pgq._may_be_large(i_batch_id int8)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (select
                     from pgq.batch_event_tables(i_batch_id) t
                     join pg_class c on c.oid = pgq.quote_fqname(t)::regclass
                    where c.reltoastrelid <> 0 and pg_relation_size(c.reltoastrelid) > 0);
$$;

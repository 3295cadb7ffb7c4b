-- pgq._may_be_large(i_batch_id) -> bool
--
-- Whether event tables of a batch's queue hold values out of line: its events may be of any size then, else a row is at
-- most a page.
--
-- Parameters:
--   i_batch_id  id of an open batch
-- Calls: pgq.quote_fqname
create or replace function pgq._may_be_large(i_batch_id int8)
returns boolean
language plpgsql
stable
as $$
begin
    return exists (
        select
          from pgq.subscription s
          join pgq.queue q on q.queue_id = s.sub_queue
          join pg_catalog.pg_inherits h on h.inhparent = pgq.quote_fqname(q.queue_data_pfx)::pg_catalog.regclass
          join pg_catalog.pg_class c on c.oid = h.inhrelid
         where s.sub_batch = i_batch_id
           and c.reltoastrelid <> 0
           and pg_catalog.pg_relation_size(c.reltoastrelid) > 0);
end;
$$;

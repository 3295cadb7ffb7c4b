-- pgq_ext.is_batch_done(a_consumer [, a_subconsumer], a_batch_id) -> bool
--
-- Was this batch the last one that the consumer's effects here come from?
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id  id of the batch in the queue's database
-- Returns: true only if the id equals the stored one
-- Tables written: none
create or replace function pgq_ext.is_batch_done(a_consumer text, a_subconsumer text, a_batch_id int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select 1 from pgq_ext.completed_batch b
         where b.consumer_id = a_consumer
           and b.subconsumer_id = a_subconsumer
           and b.last_batch_id = a_batch_id);
end;
$$;

create or replace function pgq_ext.is_batch_done(a_consumer text, a_batch_id int8)
returns boolean
language plpgsql
as $$
begin
    return pgq_ext.is_batch_done(a_consumer, '', a_batch_id);
end;
$$;

-- pgq_ext.get_batch_progress(a_consumer [, a_subconsumer], a_batch_id) -> int8
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id  id of the batch in the queue's database
-- Returns: the last ev_id of this batch whose effect is here, or NULL
-- Tables written: none
create or replace function pgq_ext.get_batch_progress(a_consumer text, a_subconsumer text, a_batch_id int8)
returns int8
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select p.event_id from pgq_ext.batch_progress p
             where p.consumer_id = a_consumer
               and p.subconsumer_id = a_subconsumer
               and p.batch_id = a_batch_id);
end;
$$;

create or replace function pgq_ext.get_batch_progress(a_consumer text, a_batch_id int8)
returns int8
language plpgsql
as $$
begin
    return pgq_ext.get_batch_progress(a_consumer, '', a_batch_id);
end;
$$;

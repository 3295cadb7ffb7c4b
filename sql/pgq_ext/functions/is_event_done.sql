-- pgq_ext.is_event_done(a_consumer [, a_subconsumer], a_batch_id, a_event_id) -> bool
--
-- Has this event of this batch been applied here?
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id, a_event_id     ids in the queue's database
-- Tables written: none
create or replace function pgq_ext.is_event_done(
    a_consumer text, a_subconsumer text, a_batch_id int8, a_event_id int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select 1 from pgq_ext.completed_event e
         where e.consumer_id = a_consumer
           and e.subconsumer_id = a_subconsumer
           and e.batch_id = a_batch_id
           and e.event_id = a_event_id);
end;
$$;

create or replace function pgq_ext.is_event_done(a_consumer text, a_batch_id int8, a_event_id int8)
returns boolean
language plpgsql
as $$
begin
    return pgq_ext.is_event_done(a_consumer, '', a_batch_id, a_event_id);
end;
$$;

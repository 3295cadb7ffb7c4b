-- pgq_ext.set_batch_progress(a_consumer [, a_subconsumer], a_batch_id, a_event_id) -> int4
--
-- Records that the effects of a batch are here up to and including this event. Call it in
-- the transaction of the effects.
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id, a_event_id     ids in the queue's database
-- Returns: 1
-- Tables written: pgq_ext.batch_progress
create or replace function pgq_ext.set_batch_progress(
    a_consumer text, a_subconsumer text, a_batch_id int8, a_event_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgq_ext.batch_progress (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict (consumer_id, subconsumer_id) do update
       set batch_id = excluded.batch_id,
           event_id = excluded.event_id;
    return 1;
end;
$$;

create or replace function pgq_ext.set_batch_progress(a_consumer text, a_batch_id int8, a_event_id int8)
returns int4
language plpgsql
as $$
begin
    return pgq_ext.set_batch_progress(a_consumer, '', a_batch_id, a_event_id);
end;
$$;

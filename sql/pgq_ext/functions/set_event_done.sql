-- pgq_ext.set_event_done(a_consumer [, a_subconsumer], a_batch_id, a_event_id) -> bool
--
-- Records one event as applied. The first event of another batch clears the events recorded
-- of the batch before.
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id, a_event_id     ids in the queue's database
-- Returns: true recorded now, false recorded before
-- Tables written: pgq_ext.completed_event, pgq_ext.partial_batch
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id int8, a_event_id int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch int8;
begin
    if pgq_ext.is_event_done(a_consumer, a_subconsumer, a_batch_id, a_event_id) then
        return false;
    end if;

    select p.cur_batch_id into v_batch
      from pgq_ext.partial_batch p
     where p.consumer_id = a_consumer and p.subconsumer_id = a_subconsumer;
    if v_batch is distinct from a_batch_id then
        insert into pgq_ext.partial_batch (consumer_id, subconsumer_id, cur_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id)
        on conflict (consumer_id, subconsumer_id) do update
           set cur_batch_id = excluded.cur_batch_id;
        delete from pgq_ext.completed_event e
         where e.consumer_id = a_consumer
           and e.subconsumer_id = a_subconsumer
           and e.batch_id = v_batch;
    end if;

    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end;
$$;

create or replace function pgq_ext.set_event_done(a_consumer text, a_batch_id int8, a_event_id int8)
returns boolean
language plpgsql
as $$
begin
    return pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id);
end;
$$;

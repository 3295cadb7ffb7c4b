-- pgq_ext.set_batch_done(a_consumer [, a_subconsumer], a_batch_id) -> bool
--
-- Records a batch as applied. Two transactions that record the same batch follow one
-- another, and the second is told that it is done.
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
--   a_batch_id  id of the batch; NULL and ids below 1 are not stored
-- Returns: true recorded now, false it was already the last one recorded
-- Tables written: pgq_ext.completed_batch
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if a_batch_id is null or a_batch_id <= 0 then
        return true;
    end if;
    insert into pgq_ext.completed_batch as b (consumer_id, subconsumer_id, last_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
       set last_batch_id = excluded.last_batch_id
     where b.last_batch_id <> excluded.last_batch_id;
    return found;
end;
$$;

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id int8)
returns boolean
language plpgsql
as $$
begin
    return pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
end;
$$;

-- pgq_ext.forget_consumer(a_consumer [, a_subconsumer]) -> int4
--
-- Deletes everything recorded about a consumer that will not come back; the per-event rows
-- of its last batch would otherwise stay for ever.
--
-- Parameters:
--   a_consumer, a_subconsumer  who; the subconsumer is '' unless given
-- Returns: number of rows deleted
-- Tables written: all tables of pgq_ext
create or replace function pgq_ext.forget_consumer(a_consumer text, a_subconsumer text)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_deleted int4;
begin
    with t as (
        delete from pgq_ext.completed_tick
         where consumer_id = a_consumer and subconsumer_id = a_subconsumer returning 1
    ), b as (
        delete from pgq_ext.completed_batch
         where consumer_id = a_consumer and subconsumer_id = a_subconsumer returning 1
    ), e as (
        delete from pgq_ext.completed_event
         where consumer_id = a_consumer and subconsumer_id = a_subconsumer returning 1
    ), p as (
        delete from pgq_ext.partial_batch
         where consumer_id = a_consumer and subconsumer_id = a_subconsumer returning 1
    ), g as (
        delete from pgq_ext.batch_progress
         where consumer_id = a_consumer and subconsumer_id = a_subconsumer returning 1
    )
    select count(*) into v_deleted
      from (select * from t union all select * from b union all select * from e
            union all select * from p
            union all select * from g) deleted;
    return v_deleted;
end;
$$;

create or replace function pgq_ext.forget_consumer(a_consumer text)
returns int4
language plpgsql
as $$
begin
    return pgq_ext.forget_consumer(a_consumer, '');
end;
$$;

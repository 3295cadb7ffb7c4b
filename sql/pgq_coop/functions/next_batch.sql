-- pgq_coop.next_batch(i_queue_name, i_consumer_name, i_subconsumer_name
--   [, i_dead_interval]) -> int8
--
-- The next batch for a member, without conditions on its size or age. See
-- pgq_coop.next_batch_custom.
--
-- Parameters:
--   i_queue_name, i_consumer_name, i_subconsumer_name  who asks
--   i_dead_interval  take over the batch of a member that has been silent for longer
-- Returns: batch id, or NULL when there is nothing to do now
-- Calls: pgq_coop.next_batch_custom
-- Tables written: none itself
create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns int8
language plpgsql
as $$
begin
    return pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name,
                                      null, null, null, null);
end;
$$;

create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_dead_interval interval)
returns int8
language plpgsql
as $$
begin
    return pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name,
                                      null, null, null, i_dead_interval);
end;
$$;

-- pgq.open_circuit(i_queue_name, i_consumer_name, i_reason, i_base, i_maximum, i_at_least) -> timestamptz
--
-- Records that the service to which a consumer's events go does not take them. The consumer is left alone until one
-- request may try again: after i_base, doubled with each further failure up to i_maximum, less up to a fifth at random,
-- and not before the service itself has asked for. Until then its lease stands, so that nobody wakes it.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
--   i_reason    what the service said, for the operator's eyes
--   i_base, i_maximum  the shortest and the longest time to the next attempt
--   i_at_least  time that the service asked for, or NULL
-- Returns: when the next attempt may be made
-- Raises: 'Not subscriber to queue: <queue>/<consumer>'
-- Tables written: pgq.consumer_circuit, pgq.consumer_lease
create or replace function pgq.open_circuit(
    i_queue_name text, i_consumer_name text, i_reason text,
    i_base interval, i_maximum interval, i_at_least interval default null)
returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue    int4;
    v_consumer int4;
    v_failures int4;
    v_probe_at timestamptz;
begin
    select s.sub_queue, s.sub_consumer
      into v_queue, v_consumer
      from pgq.queue q, pgq.consumer c, pgq.subscription s
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name
       and s.sub_queue = q.queue_id
       and s.sub_consumer = c.co_id;
    if not found then
        raise exception 'Not subscriber to queue: %/%',
            coalesce(i_queue_name, 'NULL'), coalesce(i_consumer_name, 'NULL');
    end if;

    insert into pgq.consumer_circuit as k (circuit_queue, circuit_consumer, circuit_reason, circuit_probe_at)
    values (v_queue, v_consumer, i_reason, clock_timestamp())
    on conflict (circuit_queue, circuit_consumer) do update
       set circuit_failures = k.circuit_failures + 1,
           circuit_reason = excluded.circuit_reason
    returning k.circuit_failures into v_failures;
    -- The exponent is bounded before an interval could overflow.
    v_probe_at := clock_timestamp() + greatest(
        least(i_base * (2 ^ least(v_failures - 1, 20)), i_maximum) * (1 - random() / 5),
        i_at_least);
    update pgq.consumer_circuit k
       set circuit_probe_at = v_probe_at
     where k.circuit_queue = v_queue and k.circuit_consumer = v_consumer;

    -- A lease that another worker has taken meanwhile stands.
    insert into pgq.consumer_lease as l
           (lease_queue, lease_consumer, lease_fence, lease_holder, lease_until)
    values (v_queue, v_consumer, 1, 'circuit open: ' || coalesce(i_reason, 'unknown'), v_probe_at)
    on conflict (lease_queue, lease_consumer) do update
       set lease_fence = l.lease_fence + 1,
           lease_holder = excluded.lease_holder,
           lease_until = excluded.lease_until
     where l.lease_until is null
        or l.lease_until <= clock_timestamp();
    return v_probe_at;
end;
$$;

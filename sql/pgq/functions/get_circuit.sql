-- pgq.get_circuit(i_queue_name, i_consumer_name) -> setof record
--
-- The circuit breaker of a consumer whose events go to another service; no row while the service takes them.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
-- Returns: failures = attempts that failed since the service was last in order; reason = what it said last; opened_at;
--   probe_at = when one request may try again; waiting = whether that time is still to come
create or replace function pgq.get_circuit(
    i_queue_name text, i_consumer_name text,
    out failures int4, out reason text, out opened_at timestamptz, out probe_at timestamptz, out waiting boolean)
returns setof record
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select k.circuit_failures, k.circuit_reason, k.circuit_opened_at, k.circuit_probe_at,
           k.circuit_probe_at > clock_timestamp()
      from pgq.consumer_circuit k, pgq.queue q, pgq.consumer c
     where k.circuit_queue = q.queue_id
       and k.circuit_consumer = c.co_id
       and q.queue_name = i_queue_name
       and c.co_name = i_consumer_name;
$$;

-- pgq.close_circuit(i_queue_name, i_consumer_name) -> bool
--
-- Records that the service takes a consumer's events again. An operator calls it to have the next attempt made at once.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
-- Returns: false when the circuit was closed already
-- Tables written: pgq.consumer_circuit, pgq.consumer_lease
create or replace function pgq.close_circuit(i_queue_name text, i_consumer_name text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue    int4;
    v_consumer int4;
    v_probe_at timestamptz;
begin
    delete from pgq.consumer_circuit k
     using pgq.queue q, pgq.consumer c
     where k.circuit_queue = q.queue_id
       and k.circuit_consumer = c.co_id
       and q.queue_name = i_queue_name
       and c.co_name = i_consumer_name
    returning k.circuit_queue, k.circuit_consumer, k.circuit_probe_at
         into v_queue, v_consumer, v_probe_at;
    if not found then
        return false;
    end if;
    -- The lease that stood for the wait; one that a worker holds now ends at another time.
    update pgq.consumer_lease l
       set lease_until = null,
           lease_holder = null
     where l.lease_queue = v_queue
       and l.lease_consumer = v_consumer
       and l.lease_until = v_probe_at;
    return true;
end;
$$;

-- pgq.tick_now(i_queue_name)
--
-- Stores a tick for one queue whatever its thresholds. Unlike pgq.force_tick it leaves the event sequence alone, so that
-- pending events and rates, which are estimated by it, stay true.
-- Returns: tick id
-- Calls: pgq._tick_queue()
-- Writes: pgq.tick
create or replace function pgq.tick_now(i_queue_name text)
returns bigint as $$
begin
    return pgq._tick_queue(i_queue_name, true);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

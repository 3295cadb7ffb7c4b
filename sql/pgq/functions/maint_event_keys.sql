-- pgq.maint_event_keys()
--
-- Forgets keys whose window has passed, at most 10,000. Repeat until 0.
-- Returns: number of keys
-- Writes: pgq.event_key
create or replace function pgq.maint_event_keys()
returns integer as $$
declare
    _removed integer;
begin
    with due as (
        select k.key_queue, k.key_name
          from pgq.event_key k
         where k.key_until <= now()
         order by k.key_until
         limit 10000
           for update skip locked
    )
    delete from pgq.event_key k
     using due
     where k.key_queue = due.key_queue and k.key_name = due.key_name;
    get diagnostics _removed = row_count;
    return _removed;
end;
$$ language plpgsql;

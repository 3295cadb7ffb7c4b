-- pgq.finish_batch(x_batch_id)
--
-- Closes a batch: its consumer goes on to the end tick. The batch of a cooperative consumer's member is closed as
-- pgq_coop.finish_batch does it: the member has no position of its own, unless it is a slot (pgq.key_slot).
-- Returns: 1 - closed, 0 - no such open batch (with a warning)
-- Calls: pgq._is_member()
-- Writes: pgq.subscription
create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer as $$
begin
    update pgq.subscription s
       set sub_active = now(),
           sub_last_tick = case
               when not pgq._is_member(s.sub_queue, s.sub_id, s.sub_consumer)
                   or exists (select from pgq.key_slot k
                               where k.slot_queue = s.sub_queue and k.slot_consumer = s.sub_consumer)
               then s.sub_next_tick
           end,
           sub_next_tick = null,
           sub_batch = null
     where s.sub_batch = x_batch_id;
    if not found then
        raise warning 'finish_batch: batch % not found', x_batch_id;
        return 0;
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

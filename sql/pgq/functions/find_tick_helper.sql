-- pgq.find_tick_helper(6)
--
-- Chooses the end of a batch that shall have a minimal size: the newest tick if it is big enough and not more than
-- twice as big; else the first tick that is big enough.
-- Parameters: the tick where the batch begins; i_min_count - events, i_min_interval - time; NULL: does not count
-- Returns: the tick, or NULLs when there is none yet
create or replace function pgq.find_tick_helper(
    i_queue_id integer, i_prev_tick_id bigint, i_prev_tick_time timestamptz, i_prev_tick_seq bigint,
    i_min_count bigint, i_min_interval interval,
    out next_tick_id bigint, out next_tick_time timestamptz, out next_tick_seq bigint)
returns record as $$
declare
    _newest record;
    _count bigint;
    _interval interval;
begin
    select t.tick_id, t.tick_time, t.tick_event_seq
      into _newest
      from pgq.tick t
     where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id
     order by t.tick_queue desc, t.tick_id desc
     limit 1;
    if not found then
        return;
    end if;

    _count := _newest.tick_event_seq - i_prev_tick_seq;
    _interval := _newest.tick_time - i_prev_tick_time;
    if _count > i_min_count * 2 or _interval > i_min_interval * 2 then
        select t.tick_id, t.tick_time, t.tick_event_seq
          into next_tick_id, next_tick_time, next_tick_seq
          from pgq.tick t
         where t.tick_queue = i_queue_id and t.tick_id > i_prev_tick_id
           and (t.tick_event_seq - i_prev_tick_seq >= i_min_count or t.tick_time - i_prev_tick_time >= i_min_interval)
         order by t.tick_queue, t.tick_id
         limit 1;
    elsif _count >= i_min_count or _interval >= i_min_interval then
        next_tick_id := _newest.tick_id;
        next_tick_time := _newest.tick_time;
        next_tick_seq := _newest.tick_event_seq;
    end if;
end;
$$ language plpgsql stable;

-- pgq.hold_batch(i_batch_id) -> record
--
-- Claims a batch that an earlier transaction opened, for as long as this transaction lasts.
-- Serves consumers whose batch id must be committed before they begin (cooperative ones,
-- and those with their effect in another database). Does not wait.
--
-- Parameters:
--   i_batch_id  id of an open batch
-- Returns: state = 'held' (with all the rest), 'busy' (another transaction holds it) or
--   'gone' (no subscription has it open any more); the names of queue and consumer, the
--   batch's ticks, event_sql, done_event and large as in pgq.open_batch
-- Calls: pgq.batch_event_sql, pgq._may_be_large
-- Tables written: none (a row lock in pgq.subscription)
create or replace function pgq.hold_batch(
    i_batch_id int8,
    out state text, out queue_name text, out consumer_name text,
    out cur_tick_id int8, out prev_tick_id int8,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq int8, out prev_tick_event_seq int8,
    out event_sql text, out done_event int8, out large boolean)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sub record;
begin
    select s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_next_tick
      into v_sub
      from pgq.subscription s
     where s.sub_batch = i_batch_id
       for update skip locked;
    if not found then
        state := case when exists (select 1 from pgq.subscription s where s.sub_batch = i_batch_id)
                      then 'busy' else 'gone' end;
        return;
    end if;

    select q.queue_name, c.co_name,
           cur.tick_id, prev.tick_id, cur.tick_time, prev.tick_time,
           cur.tick_event_seq, prev.tick_event_seq
      into queue_name, consumer_name, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time,
           cur_tick_event_seq, prev_tick_event_seq
      from pgq.queue q, pgq.consumer c, pgq.tick cur, pgq.tick prev
     where q.queue_id = v_sub.sub_queue
       and c.co_id = v_sub.sub_consumer
       and cur.tick_queue = v_sub.sub_queue and cur.tick_id = v_sub.sub_next_tick
       and prev.tick_queue = v_sub.sub_queue and prev.tick_id = v_sub.sub_last_tick;
    state := 'held';
    event_sql := pgq.batch_event_sql(i_batch_id);
    done_event := (select p.event_id from pgq.batch_progress p where p.batch_id = i_batch_id);
    large := pgq._may_be_large(i_batch_id);
end;
$$;

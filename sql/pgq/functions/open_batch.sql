-- pgq.open_batch(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval,
--   i_cursor_name) -> record
--
-- Everything a consumer needs to start on a batch, in one call: claims the subscription for
-- this transaction, opens the next batch (or the one that is open), and gives the query that
-- reads it. Does not wait: where another transaction or a lease holds the subscription, the
-- state says so.
--
-- Parameters:
--   i_queue_name, i_consumer_name            who consumes what
--   i_min_lag, i_min_count, i_min_interval   as in pgq.next_batch_custom
--   i_cursor_name  name for a cursor over the events that are not done yet, so that they can be
--                  fetched in the same message; empty where there is no batch. NULL = none
-- Returns: state = 'open' (with all the rest), 'idle' (no batch to be had now; a member of a
--   cooperative consumer has the one that it was given, or none) or 'busy' (held by another
--   transaction or lease); the batch's ticks as pgq.next_batch_custom gives
--   them; event_sql = pgq.batch_event_sql; done_event = the last ev_id of the batch that an
--   earlier transaction has done, or NULL; large = pgq._may_be_large: the cursor is empty then,
--   since a number of rows does not bound what they hold
-- Raises: 'Not subscriber to queue: <queue>/<consumer>'
-- Calls: pgq.next_batch_custom, pgq.batch_event_sql, pgq._may_be_large
-- Tables written: pgq.subscription
create or replace function pgq.open_batch(
    i_queue_name text, i_consumer_name text,
    i_min_lag interval, i_min_count int4, i_min_interval interval, i_cursor_name text,
    out state text,
    out batch_id int8, out cur_tick_id int8, out prev_tick_id int8,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq int8, out prev_tick_event_seq int8,
    out event_sql text, out done_event int8, out large boolean)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue    int4;
    v_consumer int4;
    v_member_idle boolean;
begin
    select q.queue_id, c.co_id
      into v_queue, v_consumer
      from pgq.queue q, pgq.consumer c
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name;
    select s.sub_last_tick is null
      into v_member_idle
      from pgq.subscription s
     where s.sub_queue = v_queue and s.sub_consumer = v_consumer
       for update skip locked;
    if not found then
        if not exists (select 1 from pgq.subscription s
                        where s.sub_queue = v_queue and s.sub_consumer = v_consumer) then
            raise exception 'Not subscriber to queue: %/%',
                coalesce(i_queue_name, 'NULL'), coalesce(i_consumer_name, 'NULL');
        end if;
        state := 'busy';
    elsif exists (select 1 from pgq.consumer_lease l
                where l.lease_queue = v_queue and l.lease_consumer = v_consumer
                  and l.lease_until > clock_timestamp()) then
        state := 'busy';
    elsif v_member_idle then
        state := 'idle';
    else
        select b.batch_id, b.cur_tick_id, b.prev_tick_id, b.cur_tick_time, b.prev_tick_time,
               b.cur_tick_event_seq, b.prev_tick_event_seq
          into batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time,
               cur_tick_event_seq, prev_tick_event_seq
          from pgq.next_batch_custom(i_queue_name, i_consumer_name,
                                     i_min_lag, i_min_count, i_min_interval) b;
        state := 'idle';
        if batch_id is not null then
            state := 'open';
            event_sql := pgq.batch_event_sql(batch_id);
            done_event := (select p.event_id from pgq.batch_progress p
                            where p.batch_id = open_batch.batch_id);
            large := pgq._may_be_large(batch_id);
        end if;
    end if;

    if i_cursor_name is not null then
        execute format('declare %I no scroll cursor for ', i_cursor_name) || case
            when event_sql is null or large then 'select 1 where false'
            when done_event is null then event_sql
            else format('select * from (%s) e where e.ev_id > %s order by 1', event_sql, done_event)
        end;
    end if;
end;
$$;

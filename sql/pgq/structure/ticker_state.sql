-- What the ticker must know about each queue, for all of them in one statement.
-- event_seq: the event sequence's last value as it is reported (1 when untouched).
-- first_event: the queue's first event is not ticked yet; the sequence says 1 before and after it.
-- due: a tick is wanted by the queue's settings. odd: something that needs a closer look, one queue at a time.
-- A view, so that conditions on it reach the tables below; the laterals read at most two entries of tick_pkey.
create or replace view pgq._ticker_state as
select s.queue_id, s.queue_name, s.queue_external_ticker, s.queue_ticker_paused, s.event_rel, s.tick_rel, s.event_seq,
       s.allocated_tick, s.tick_id, s.tick_time, s.tick_snapshot, s.tick_event_seq, s.first_event, s.new_events,
       case
           when s.tick_id is null then true
           when s.new_events > 0 then
               s.new_events >= s.queue_ticker_max_count or now() - s.tick_time >= s.queue_ticker_max_lag
           when s.previous_time is null then true
           else
               now() - s.tick_time >= s.queue_ticker_max_lag / 2
               and (now() - s.tick_time >= 2 * (s.tick_time - s.previous_time)
                    or now() - s.tick_time >= s.queue_ticker_idle_period)
               or s.first_event
               and (s.queue_ticker_max_count <= 1 or now() - s.tick_time >= s.queue_ticker_max_lag)
       end as due,
       s.event_rel is null or s.tick_rel is null
           or coalesce(s.new_events < 0, false)
           or coalesce(s.allocated_tick, 0) < coalesce(s.tick_id, 0)
           or coalesce(txid_snapshot_xmax(s.tick_snapshot) > txid_snapshot_xmax(txid_current_snapshot()), false)
           as odd
  from (select q.*, r.event_rel, r.tick_rel, r.allocated_tick, l.tick_id, l.tick_time, l.tick_snapshot,
               l.tick_event_seq, p.tick_time as previous_time, coalesce(r.last_event, 1) as event_seq,
               first.event as first_event,
               coalesce(r.last_event, 1) - l.tick_event_seq as new_events
          from pgq.queue q
         cross join lateral (
               select n.event_rel, n.tick_rel, pg_sequence_last_value(n.event_rel) as last_event,
                      pg_sequence_last_value(n.tick_rel) as allocated_tick
                 from (select to_regclass(q.queue_event_seq) as event_rel,
                              to_regclass(q.queue_tick_seq) as tick_rel
                       offset 0) n
               ) r
          left join lateral (
               select t.tick_id, t.tick_time, t.tick_snapshot, t.tick_event_seq
                 from pgq.tick t
                where t.tick_queue = q.queue_id
                order by t.tick_queue desc, t.tick_id desc
                limit 1
               ) l on true
          left join lateral (
               select t.tick_time
                 from pgq.tick t
                where t.tick_queue = q.queue_id and t.tick_id < l.tick_id
                order by t.tick_queue desc, t.tick_id desc
                limit 1
               ) p on true
         cross join lateral (
               select r.last_event = 1 and l.tick_event_seq = 1
                      and not exists (select from pgq._first_event_tick f where f.queue_id = q.queue_id) as event
               ) first
       ) s;

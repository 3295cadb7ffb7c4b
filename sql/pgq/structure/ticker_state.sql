-- What the ticker must know about each queue, for all of them in one statement.
-- event_seq: the event sequence's last value as it is reported (1 when untouched).
-- first_event: the queue's first event is not ticked yet; the sequence says 1 before and after it.
-- due: a tick is wanted by the queue's settings. odd: something that needs a closer look, one queue at a time.
-- A view, so that conditions on it reach the tables below. OFFSET 0 keeps the planner from copying the look-ups into
-- each place where their results are used; the last tick but one is looked up only where it decides.
drop view if exists pgq._ticker_state;
create view pgq._ticker_state as
select s.queue_id, s.queue_name, s.queue_external_ticker, s.queue_ticker_paused, s.queue_tick_seq, s.event_rel,
       s.event_seq, s.tick_id, s.tick_time, s.tick_snapshot, s.tick_event_seq, s.first_event, s.new_events,
       case
           when s.tick_id is null then true
           when s.new_events > 0 then
               s.new_events >= s.queue_ticker_max_count or s.lag >= s.queue_ticker_max_lag
           when s.first_event and (s.queue_ticker_max_count <= 1 or s.lag >= s.queue_ticker_max_lag) then true
           else coalesce(
               (select s.lag >= s.queue_ticker_max_lag / 2
                       and (s.lag >= s.queue_ticker_idle_period or s.lag >= 2 * (s.tick_time - p.tick_time))
                  from pgq.tick p
                 where p.tick_queue = s.queue_id and p.tick_id < s.tick_id
                 order by p.tick_queue desc, p.tick_id desc
                 limit 1),
               true)
       end as due,
       s.event_rel is null
           or coalesce(s.new_events < 0, false)
           or coalesce(txid_snapshot_xmax(s.tick_snapshot) > txid_snapshot_xmax(txid_current_snapshot()), false)
           as odd
  from (select q.*, r.event_rel, l.tick_id, l.tick_time, l.tick_snapshot, l.tick_event_seq,
               now() - l.tick_time as lag,
               coalesce(r.last_event, 1) as event_seq,
               coalesce(r.last_event, 1) - l.tick_event_seq as new_events,
               r.last_event = 1 and l.tick_event_seq = 1
                   and not exists (select from pgq._first_event_tick f where f.queue_id = q.queue_id) as first_event
          from pgq.queue q
         cross join lateral (
               select n.event_rel, pg_sequence_last_value(n.event_rel) as last_event
                 from (select to_regclass(q.queue_event_seq) as event_rel offset 0) n
               offset 0
               ) r
          left join lateral (
               select t.tick_id, t.tick_time, t.tick_snapshot, t.tick_event_seq
                 from pgq.tick t
                where t.tick_queue = q.queue_id
                order by t.tick_queue desc, t.tick_id desc
                limit 1
               ) l on true
       ) s;

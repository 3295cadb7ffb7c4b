-- Which tick a batch ends at, for every kind of condition.

select pgq.create_queue('q')
select pgq.register_consumer('q', 'c')
insert into pgq.tick select max(queue_id), i, '2020-01-01'::timestamptz + (i * i * 17 % 1000 + i * 60) * interval '1 second', '1:1:', 10 + i * i * 7 % 300 + i * 5 from pgq.queue, generate_series(2, 40) i group by i
select p, s, c, i::text, next_tick_id, next_tick_seq, next_tick_time::text from (select max(queue_id) as id from pgq.queue) q, generate_series(1, 41, 4) p, generate_series(0, 300, 100) s, unnest(array[null, 0, 1, 10, 50, 200, -5, 1000]) c, unnest(array[null, '0', '1 s', '10 min', '1 day']::interval[]) i, pgq.find_tick_helper(q.id, p, '2020-01-01'::timestamptz + p * interval '1 minute', s, c, i) order by p, s, c, i
select * from pgq.find_tick_helper(null, 1, now(), 1, 1, '1 s')
select * from pgq.find_tick_helper(1, null, now(), 1, 1, '1 s')
select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq from pgq.next_batch_custom('q', 'c', '10000 years', null, null)
select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq from pgq.next_batch_custom('q', 'c', null, 50, '10 min')

-- pgq.next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval)
--
-- Opens the consumer's next batch. While one is open, every call returns that one. A call that finds nothing writes
-- nothing; two calls at the same time get the same batch.
-- Parameters: i_min_lag - age that the end of the batch must have; i_min_count, i_min_interval - size that the batch
--   shall have at least; NULL: no condition
-- Returns: one row, all NULL when there is no batch now
-- Calls: pgq.find_tick_helper()
-- Writes: pgq.subscription
create or replace function pgq.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, out cur_tick_time timestamptz,
    out prev_tick_time timestamptz, out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record as $$
declare
    _sub record;
    _locked boolean := false;
begin
    select s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_batch, s.sub_next_tick
      into _sub
      from pgq.subscription s
      join pgq.queue q on q.queue_id = s.sub_queue
      join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = i_queue_name and c.co_name = i_consumer_name;
    if not found then
        raise exception 'Not subscriber to queue: %/%', coalesce(i_queue_name, 'NULL'),
            coalesce(i_consumer_name, 'NULL');
    end if;

    loop
        prev_tick_id := _sub.sub_last_tick;
        select t.tick_time, t.tick_event_seq
          into prev_tick_time, prev_tick_event_seq
          from pgq.tick t
         where t.tick_queue = _sub.sub_queue and t.tick_id = prev_tick_id;
        if not found then
            -- The contract prints NULL here; which tick is missing is in the detail.
            raise exception 'PgQ corruption: Consumer % on queue % does not see tick %', i_consumer_name, i_queue_name,
                null::bigint
                using detail = case when prev_tick_id is null
                    then 'It is a member of a cooperative consumer, or a group whose slots (pgq.key_slot) have the batches.'
                    else pg_catalog.format('Tick %s is not in pgq.tick.', prev_tick_id) end;
        end if;

        if _sub.sub_batch is not null then
            batch_id := _sub.sub_batch;
            cur_tick_id := _sub.sub_next_tick;
            select t.tick_time, t.tick_event_seq
              into cur_tick_time, cur_tick_event_seq
              from pgq.tick t
             where t.tick_queue = _sub.sub_queue and t.tick_id = cur_tick_id;
            return;
        end if;

        if i_min_count is null and i_min_interval is null then
            select t.tick_id, t.tick_time, t.tick_event_seq
              into cur_tick_id, cur_tick_time, cur_tick_event_seq
              from pgq.tick t
             where t.tick_queue = _sub.sub_queue and t.tick_id > prev_tick_id
             order by t.tick_queue, t.tick_id
             limit 1;
        else
            select h.next_tick_id, h.next_tick_time, h.next_tick_seq
              into cur_tick_id, cur_tick_time, cur_tick_event_seq
              from pgq.find_tick_helper(_sub.sub_queue, prev_tick_id, prev_tick_time, prev_tick_event_seq, i_min_count,
                       i_min_interval) h;
        end if;
        if cur_tick_id is null or now() - cur_tick_time < i_min_lag then
            prev_tick_id := null;
            prev_tick_time := null;
            prev_tick_event_seq := null;
            cur_tick_id := null;
            cur_tick_time := null;
            cur_tick_event_seq := null;
            return;
        end if;
        exit when _locked;

        -- There is one to open: once more, by what the row says now that nobody else can change it.
        select s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_batch, s.sub_next_tick
          into _sub
          from pgq.subscription s
         where s.sub_queue = _sub.sub_queue and s.sub_consumer = _sub.sub_consumer
           for update;
        if not found then
            raise exception 'Not subscriber to queue: %/%', i_queue_name, i_consumer_name;
        end if;
        _locked := true;
    end loop;

    batch_id := nextval('pgq.batch_id_seq');
    update pgq.subscription s
       set sub_batch = batch_id, sub_next_tick = cur_tick_id, sub_active = now()
     where s.sub_queue = _sub.sub_queue and s.sub_consumer = _sub.sub_consumer;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.next_batch_info(i_queue_name, i_consumer_name)
--
-- Opens the consumer's next batch, without conditions.
-- Calls: pgq.next_batch_custom()
create or replace function pgq.next_batch_info(
    i_queue_name text, i_consumer_name text,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, out cur_tick_time timestamptz,
    out prev_tick_time timestamptz, out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
returns record as $$
begin
    select b.batch_id, b.cur_tick_id, b.prev_tick_id, b.cur_tick_time, b.prev_tick_time, b.cur_tick_event_seq,
           b.prev_tick_event_seq
      into batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time, cur_tick_event_seq, prev_tick_event_seq
      from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null) b;
end;
$$ language plpgsql;

-- pgq.next_batch(i_queue_name, i_consumer_name)
--
-- Opens the consumer's next batch, without conditions.
-- Returns: batch id, or NULL when there is no batch now
-- Calls: pgq.next_batch_custom()
create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns bigint as $$
begin
    return (select b.batch_id from pgq.next_batch_custom(i_queue_name, i_consumer_name, null, null, null) b);
end;
$$ language plpgsql;

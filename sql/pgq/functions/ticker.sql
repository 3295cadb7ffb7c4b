-- pgq.ticker(i_queue_name, i_tick_id, i_orig_timestamp, i_event_seq)
--
-- Stores a tick that was made elsewhere, on a queue whose ticks come from outside. Its snapshot is the current one.
-- Lower ids and sequence values than before are accepted.
-- Parameters: i_tick_id, i_orig_timestamp, i_event_seq - of the original tick
-- Returns: i_tick_id
-- Writes: pgq.tick; sequences of the queue, forwards only
create or replace function pgq.ticker(
    i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
returns bigint as $$
declare
    _queue record;
begin
    -- One tick of a queue at a time, until commit. The snapshot is taken by a later statement than the lock, so that it
    -- is newer than that of any tick stored before.
    select q.queue_id, q.queue_tick_seq, q.queue_event_seq
      into _queue
      from pgq.queue q
     where q.queue_name = i_queue_name
       and q.queue_external_ticker and not q.queue_ticker_paused
       for no key update;
    if not found then
        raise exception 'queue not found or ticker disabled: %', i_queue_name;
    end if;
    -- A transaction with one snapshot for all statements cannot do that. It may store a tick if there is none between.
    if current_setting('transaction_isolation') <> 'read committed'
       and pg_sequence_last_value(_queue.queue_tick_seq::regclass) < i_tick_id
       and pg_sequence_last_value(_queue.queue_tick_seq::regclass) > (
               select coalesce(max(t.tick_id), 0) from pgq.tick t where t.tick_queue = _queue.queue_id) then
        raise exception 'could not serialize access: queue "%" has a newer tick', i_queue_name
            using errcode = 'serialization_failure', hint = 'Repeat the transaction.';
    end if;

    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
    values (_queue.queue_id, i_tick_id, i_orig_timestamp, i_event_seq);
    perform pgq.seq_setval(_queue.queue_tick_seq, i_tick_id);
    perform pgq.seq_setval(_queue.queue_event_seq, i_event_seq);
    return i_tick_id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq._insert_ticks(i_queue_ids, i_last_ticks, i_event_seqs, i_first_events, i_locked)
--
-- Ticks queues that were found to be due, unless something has changed since. The caller holds the locks on their rows:
-- the snapshot of this function's statement is then newer than that of any tick stored before.
-- Parameters: from pgq._ticker_state, for each queue its id, last tick (0: none), event_seq and first_event; i_locked -
--   ids of the queues whose rows are locked
-- Returns: number of ticks; the id of the tick where it is one
-- Writes: pgq.tick, pgq._first_event_tick, tick sequences
create or replace function pgq._insert_ticks(
    i_queue_ids integer[], i_last_ticks bigint[], i_event_seqs bigint[], i_first_events boolean[], i_locked integer[],
    out ticks bigint, out last_id bigint)
returns record as $$
declare
    -- A transaction with one snapshot for all its statements may miss a tick that was stored after the snapshot was
    -- taken. It ticks only where the tick it sees is the last that was ever allocated.
    _fixed_snapshot boolean := pg_catalog.current_setting('transaction_isolation') <> 'read committed';
begin
    with due as (
        select q.queue_id, q.queue_tick_seq::regclass as tick_rel, found.last_tick, found.event_seq, found.first_event
          from rows from (pg_catalog.unnest(i_queue_ids), pg_catalog.unnest(i_last_ticks),
                          pg_catalog.unnest(i_event_seqs), pg_catalog.unnest(i_first_events))
               as found (queue_id, last_tick, event_seq, first_event)
          join pgq.queue q on q.queue_id = found.queue_id
          left join lateral (
               select t.tick_id, t.tick_snapshot
                 from pgq.tick t
                where t.tick_queue = found.queue_id
                order by t.tick_queue desc, t.tick_id desc
                limit 1
               ) l on true
         where found.queue_id = any (i_locked)
           and not q.queue_external_ticker and not q.queue_ticker_paused
           and coalesce(l.tick_id, 0) = found.last_tick
           and (not _fixed_snapshot
                or coalesce(pg_catalog.pg_sequence_last_value(q.queue_tick_seq::regclass), 0) = found.last_tick)
           -- a snapshot older than that of the last tick, without the excuse of a restored database
           and (l.tick_id is null
                or pg_catalog.txid_snapshot_xmax(l.tick_snapshot)
                   <= pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())
                or pg_catalog.txid_snapshot_xmax(l.tick_snapshot) > pg_catalog.txid_current())
    ), numbered as (
        select d.*, pg_catalog.nextval(d.tick_rel) as next_id from due d
    ), stored as (
        insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
        select n.queue_id,
               -- a sequence that fell behind, by a restore perhaps, is moved on
               case when n.next_id > n.last_tick then n.next_id else pg_catalog.setval(n.tick_rel, n.last_tick + 1) end,
               pg_catalog.now(), pg_catalog.txid_current_snapshot(), n.event_seq
          from numbered n
        returning tick_id
    ), counted as (
        insert into pgq._first_event_tick (queue_id, tick_id)
        select n.queue_id, n.next_id from numbered n where n.first_event
        on conflict do nothing
    )
    select pg_catalog.count(*), pg_catalog.max(t.tick_id)
      into ticks, last_id
      from stored t;
end;
$$ language plpgsql;

-- pgq._tick_queue(i_queue_name, i_always)
--
-- Stores a tick for one queue, if its settings ask for one or i_always is set.
-- Returns: tick id, or NULL when none is needed
-- Calls: pgq._insert_ticks()
-- Writes: pgq.tick
create or replace function pgq._tick_queue(i_queue_name text, i_always boolean)
returns bigint as $$
declare
    _state record;
    _txid bigint;
begin
    select * into _state from pgq._ticker_state s where s.queue_name = i_queue_name;
    if not found then
        raise exception 'no such queue';
    end if;
    if _state.queue_external_ticker then
        raise exception 'This queue has external tick source.';
    end if;
    if _state.queue_ticker_paused then
        raise exception 'Ticker has been paused for this queue';
    end if;

    if _state.odd then
        if _state.event_rel is null then
            raise exception 'queue "%" has lost its event sequence', i_queue_name
                using errcode = 'undefined_table',
                      hint = 'Create the sequence named in its row of pgq.queue, or drop the queue.';
        end if;
        _txid := txid_current();
        if txid_snapshot_xmin(_state.tick_snapshot) > _txid then
            raise exception 'Invalid PgQ state: old xmin=%, old xmax=%, cur txid=%',
                txid_snapshot_xmin(_state.tick_snapshot), txid_snapshot_xmax(_state.tick_snapshot), _txid
                using hint = 'The database was restored into a cluster with lower transaction ids.';
        end if;
        if _state.new_events < 0 then
            raise warning 'Negative new_events?  old=% cur=%', _state.tick_event_seq, _state.event_seq;
        end if;
        if txid_snapshot_xmax(_state.tick_snapshot) > _txid then
            raise warning 'Dubious PgQ state: old xmax=%, cur txid=%', txid_snapshot_xmax(_state.tick_snapshot), _txid;
        end if;
    end if;
    if not (_state.due or i_always) then
        return null;
    end if;

    perform from pgq.queue q where q.queue_id = _state.queue_id for no key update;
    -- who held the lock may have ticked
    select * into _state from pgq._ticker_state s where s.queue_id = _state.queue_id;
    if (_state.due or i_always) is not true then
        return null;
    end if;
    return (select t.last_id
              from pgq._insert_ticks(array[_state.queue_id], array[coalesce(_state.tick_id, 0)],
                       array[_state.event_seq], array[_state.first_event], array[_state.queue_id]) t);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

-- pgq.ticker(i_queue_name)
--
-- Stores a tick for one queue if its settings ask for one: with new events after max_count events or max_lag, without
-- after twice the last gap up to idle_period.
-- Returns: tick id, or NULL when none is needed
-- Calls: pgq._tick_queue()
-- Writes: pgq.tick
create or replace function pgq.ticker(i_queue_name text)
returns bigint as $$
begin
    return pgq._tick_queue(i_queue_name, false);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.ticker()
--
-- Ticks all queues that need it and whose ticks are made here. Idle queues cost one statement for all of them; a queue
-- that another session is ticking or rotating is left out; one in a bad state gets a warning.
-- The planner settings are for the look-ups of the last ticks, one per queue: pgq.tick is small enough for it to prefer
-- reading it whole, as many times as there are queues (100 queues: 17 ms instead of 2).
-- Returns: number of ticks
-- Calls: pgq._insert_ticks(), pgq.ticker(queue)
-- Writes: pgq.tick
create or replace function pgq.ticker()
returns bigint as $$
declare
    _due integer[];
    _last_ticks bigint[];
    _event_seqs bigint[];
    _first_events boolean[];
    _locked integer[];
    _odd text[];
    _name text;
    _message text;
    _attempts integer := 0;
    _ticks bigint := 0;
begin
    loop
        begin
            select array_agg(s.queue_id) filter (where not s.odd),
                   array_agg(coalesce(s.tick_id, 0)) filter (where not s.odd),
                   array_agg(s.event_seq) filter (where not s.odd),
                   array_agg(s.first_event) filter (where not s.odd),
                   array_agg(s.queue_name order by s.queue_name) filter (where s.odd)
              into _due, _last_ticks, _event_seqs, _first_events, _odd
              from pgq._ticker_state s
             where not s.queue_external_ticker and not s.queue_ticker_paused
               and (s.due or s.odd);
            exit;
        exception
            when undefined_table or internal_error then
                -- a queue was dropped while the statement ran; without it, then, unless the same happens again and again
                _attempts := _attempts + 1;
                if _attempts >= 5 then
                    raise;
                end if;
        end;
    end loop;

    if _due is not null then
        begin
            -- in no order: who never waits causes no deadlock
            _locked := array(select q.queue_id from pgq.queue q where q.queue_id = any (_due)
                                for no key update skip locked);
            _ticks := (select t.ticks
                         from pgq._insert_ticks(_due, _last_ticks, _event_seqs, _first_events, _locked) t);
        exception
            when read_only_sql_transaction then
                -- a standby: no queue is at fault
                raise;
            when others then
                -- one of them is at fault: the others must not wait for it
                _odd := _odd || array(select q.queue_name from pgq.queue q where q.queue_id = any (_due) order by 1);
        end;
    end if;

    if _odd is not null then
        foreach _name in array _odd loop
            begin
                if pgq.ticker(_name) is not null then
                    _ticks := _ticks + 1;
                end if;
            exception
                when others then
                    get stacked diagnostics _message = message_text;
                    raise warning 'no tick for queue "%": %', _name, _message;
            end;
        end loop;
    end if;
    return _ticks;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off;

-- pgq_node.demote_root(i_queue_name, i_step, i_new_provider) -> (ret_code, ret_note, last_tick)
--
-- Turns the root into a branch, in three transactions; 1 and 2 may be repeated.
--   1  refuses further events and stops the ticker
--   2  waits for open writers, closes the event tables to later ones, then adds the last tick;
--      last_tick is its id. Every repetition adds one more
--   3  the node becomes a branch that reads from i_new_provider after that tick
-- Needs no right beyond pgq_admin: no event is written here after step 1.
--
-- Step 2 must not wait without end while the producers are refused: where the session has no
-- lock_timeout, one minute holds. After that it fails and can be called again.
--
-- Returns: 200 'Step 1: Writing disabled for: <queue>', 'Step 2: Inserted last tick: <queue>',
--       'Step 3: Demoted root to branch: <queue>'
--   301 'Node not root'
--   404 'Node not initialized for queue: <queue>', 'Huh, no queue?: <queue>'
-- Raises: 'steps in wrong order', 'incorrect step number', and in step 2
--   'step 2 needs isolation level read committed' and the lock time-out (55P03)
-- Calls: pgq.ticker, pgq_node._close_event_tables
-- Tables written: pgq.queue, pgq.tick; pgq_node.node_info, pgq_node.local_state
create or replace function pgq_node.demote_root(
    in i_queue_name text,
    in i_step int4,
    in i_new_provider text,
    out ret_code int4,
    out ret_note text,
    out last_tick int8)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_node         record;
    v_queue        record;
    v_lock_timeout text;
begin
    select n.node_type, n.worker_name
      into v_node
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for update;
    if not found then
        ret_code := 404;
        ret_note := format('Node not initialized for queue: %s', i_queue_name);
        return;
    end if;
    if v_node.node_type <> 'root' then
        ret_code := 301;
        ret_note := 'Node not root';
        return;
    end if;

    if i_step = 1 then
        update pgq.queue q
           set queue_disable_insert = true,
               queue_external_ticker = true
         where q.queue_name = i_queue_name;
        if not found then
            ret_code := 404;
            ret_note := format('Huh, no queue?: %s', i_queue_name);
            return;
        end if;
        ret_code := 200;
        ret_note := format('Step 1: Writing disabled for: %s', i_queue_name);
        return;
    end if;

    select q.queue_data_pfx, q.queue_tick_seq, q.queue_event_seq
      into v_queue
      from pgq.queue q
     where q.queue_name = i_queue_name
       and q.queue_disable_insert
       and q.queue_external_ticker;
    if not found and i_step > 1 then
        raise exception 'steps in wrong order';
    end if;

    if i_step = 2 then
        -- An older snapshot would hide the last writers' events behind the last tick.
        if current_setting('transaction_isolation') <> 'read committed' then
            raise exception 'step 2 needs isolation level read committed';
        end if;
        v_lock_timeout := current_setting('lock_timeout');
        if v_lock_timeout = '0' then
            perform set_config('lock_timeout', '60s', true);
        end if;
        -- Conflicts with every writer of the event tables below it, with no reader.
        execute 'lock table ' || v_queue.queue_data_pfx::regclass::text || ' in exclusive mode';
        perform pgq_node._close_event_tables(i_queue_name, true);
        perform set_config('lock_timeout', v_lock_timeout, true);

        last_tick := pgq.ticker(i_queue_name, nextval(v_queue.queue_tick_seq), now(),
                                nextval(v_queue.queue_event_seq));
        ret_code := 200;
        ret_note := format('Step 2: Inserted last tick: %s', i_queue_name);

    elsif i_step = 3 then
        last_tick := pgq_node._newest_tick(i_queue_name);
        update pgq_node.node_info n
           set node_type = 'branch'
         where n.queue_name = i_queue_name;
        update pgq_node.local_state s
           set provider_node = i_new_provider,
               last_tick_id = demote_root.last_tick,
               uptodate = false
         where s.queue_name = i_queue_name
           and s.consumer_name = v_node.worker_name;
        ret_code := 200;
        ret_note := format('Step 3: Demoted root to branch: %s', i_queue_name);

    else
        raise exception 'incorrect step number';
    end if;
end;
$$;

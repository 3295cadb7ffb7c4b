-- pgq.maint_rotate_tables_step1(i_queue_name)
--
-- First half of a rotation: empties the oldest table of the queue and makes it the current one, if the rotation period
-- is over and no consumer needs the previous table any more. Removes old ticks.
-- Returns: 0
-- Calls: -
-- Writes: pgq.queue, pgq.tick, an event table, the rotation marker
create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer as $$
declare
    _queue record;
    _locked boolean := false;
    _lowest_tick bigint;
    _lowest_xmin bigint;
    _txid bigint;
    _next integer;
    _next_table text;
begin
    select q.queue_id, q.queue_switch_step1, q.queue_switch_step2
      into _queue
      from pgq.queue q
     where q.queue_name = i_queue_name
       and q.queue_rotation_period is not null and q.queue_switch_step2 is not null
       and q.queue_switch_time + q.queue_rotation_period < pg_catalog.now();
    if not found then
        return 0;
    end if;
    -- A transaction's single snapshot could hide a consumer that registered after it.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'queue % maint failure: transaction is %', i_queue_name,
            pg_catalog.current_setting('transaction_isolation')
            using hint = 'Rotate tables in a READ COMMITTED transaction.';
    end if;

    loop
        select pg_catalog.min(s.sub_last_tick)
          into _lowest_tick
          from pgq.subscription s
         where s.sub_queue = _queue.queue_id;
        if _lowest_tick is not null then
            select pg_catalog.txid_snapshot_xmin(t.tick_snapshot)
              into _lowest_xmin
              from pgq.tick t
             where t.tick_queue = _queue.queue_id and t.tick_id = _lowest_tick;
        else
            -- nobody reads: only what running transactions have written must stay, for who registers before they end
            _lowest_xmin := pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot());
        end if;
        -- Most calls end here, without a lock or an xid (which step 2 in the same transaction could not use).
        if _lowest_xmin <= _queue.queue_switch_step2
           and pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) > _queue.queue_switch_step1 then
            return 0;
        end if;
        exit when _locked;

        select q.queue_id, q.queue_switch_step1, q.queue_switch_step2, q.queue_data_pfx, q.queue_ntables,
               q.queue_cur_table
          into _queue
          from pgq.queue q
         where q.queue_name = i_queue_name
           and q.queue_rotation_period is not null and q.queue_switch_step2 is not null
           and q.queue_switch_time + q.queue_rotation_period < pg_catalog.now()
           for update;
        if not found then
            return 0;
        end if;
        _locked := true;
    end loop;

    _txid := pg_catalog.txid_current();
    if _txid < _queue.queue_switch_step1 then
        raise exception 'queue % maint failure: step1=%, current=%', i_queue_name, _queue.queue_switch_step1, _txid;
    end if;
    if _lowest_xmin is null then
        raise exception 'queue % maint failure: tick % not found', i_queue_name, _lowest_tick;
    end if;

    _next := (_queue.queue_cur_table + 1) % _queue.queue_ntables;
    _next_table := pgq.quote_fqname(_queue.queue_data_pfx || '_' || _next);
    begin
        execute 'lock table ' || _next_table || ' in access exclusive mode nowait';
        execute 'truncate ' || _next_table;
    exception
        when lock_not_available then
            -- somebody reads it still, a dump perhaps: next time
            return 0;
    end;

    -- Before the commit, so that whoever sees the old value here has its xid before this transaction ends.
    perform pg_catalog.setval(pg_catalog.to_regclass(_queue.queue_data_pfx || '_switch_seq'), _txid);
    update pgq.queue q
       set queue_cur_table = _next,
           queue_switch_time = pg_catalog.now(),
           queue_switch_step1 = _txid,
           queue_switch_step2 = null
     where q.queue_id = _queue.queue_id;

    -- The newest stays in any case: who registers needs it.
    delete from pgq.tick t
     where t.tick_queue = _queue.queue_id
       and pg_catalog.txid_snapshot_xmin(t.tick_snapshot) < _queue.queue_switch_step2
       and t.tick_id < (select pg_catalog.max(l.tick_id) from pgq.tick l where l.tick_queue = _queue.queue_id);
    return 0;
end;
$$ language plpgsql;

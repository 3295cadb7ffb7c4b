-- pgq.maint_rotate_tables_step2()
--
-- Second half of all rotations: stores an xid that is newer than every transaction that may have written to the old
-- table. Only an xid given after the first half was committed is that: a transaction that has its xid already (by step 1,
-- for example) changes nothing, and the next call in a transaction of its own does the work.
-- Returns: 0
-- Writes: pgq.queue
create or replace function pgq.maint_rotate_tables_step2()
returns integer as $$
declare
    _ids integer[];
    _step1 bigint[];
    _txid bigint;
begin
    if pg_catalog.txid_current_if_assigned() is not null then
        return 0;
    end if;
    -- What this statement sees is committed.
    select pg_catalog.array_agg(q.queue_id), pg_catalog.array_agg(q.queue_switch_step1)
      into _ids, _step1
      from pgq.queue q
     where q.queue_switch_step2 is null;
    if _ids is null then
        return 0;
    end if;
    _txid := pg_catalog.txid_current();
    -- A queue that was rotated once more in the meantime has another step 1, which this xid may be older than.
    update pgq.queue q
       set queue_switch_step2 = _txid
      from rows from (pg_catalog.unnest(_ids), pg_catalog.unnest(_step1)) as seen (queue_id, step1)
     where q.queue_id = seen.queue_id
       and q.queue_switch_step1 = seen.step1
       and q.queue_switch_step2 is null;
    return 0;
end;
$$ language plpgsql;

-- pgq._check_switch(i_data_pfx, i_step1)
--
-- A transaction at REPEATABLE READ or SERIALIZABLE that writes events must not do so by a queue row that was current
-- when its snapshot was taken and is not any more: its xid is then newer than the switch to the next table, no batch
-- would look for it in the old one, and the events would be lost. Call it after the transaction has its xid.
-- Parameters: i_data_pfx, i_step1 - queue_data_pfx and queue_switch_step1 of the row that the snapshot shows
-- Raises: 40001 when the queue was rotated after the snapshot was taken
create or replace function pgq._check_switch(i_data_pfx text, i_step1 bigint)
returns void as $$
declare
    _switch bigint := pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass(i_data_pfx || '_switch_seq'));
begin
    if _switch is null then
        raise exception 'queue tables "%" have no rotation marker', i_data_pfx
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Run pgq.upgrade_schema() as owner of the queue, or write at READ COMMITTED.';
    end if;
    -- Not the switch we see, and ended neither before our snapshot nor by a rollback: it committed after the snapshot.
    -- One that is still running commits after we got our xid, which is soon enough to be looked for.
    if _switch <> i_step1
       and not pg_catalog.txid_visible_in_snapshot(_switch, pg_catalog.txid_current_snapshot())
       and pg_catalog.txid_status(_switch) = 'committed' then
        raise exception 'could not serialize access: queue tables "%" were rotated', i_data_pfx
            using errcode = 'serialization_failure',
                  hint = 'Repeat the transaction.';
    end if;
end;
$$ language plpgsql;

-- walmgr.register_backup(i_cluster_name, i_state, i_record)
--
-- Notes a finished base backup, or its new state.
-- i_record: the backup's record as it lies in the archive (name, timeline, startLsn, stopLsn, startedAt, stoppedAt,
--           plainSize, objectSize)
-- Returns: 1
-- Writes: walmgr.backup
create or replace function walmgr.register_backup(i_cluster_name text, i_state text, i_record jsonb)
returns integer as $$
begin
    insert into walmgr.backup (cluster_name, backup_name, state, timeline, start_lsn, stop_lsn, started_at, stopped_at,
                               plain_size, object_size)
    select i_cluster_name, r.name, i_state, r.timeline, r."startLsn", r."stopLsn", r."startedAt", r."stoppedAt",
           r."plainSize", r."objectSize"
      from pg_catalog.jsonb_to_record(i_record)
           as r(name text, timeline bigint, "startLsn" pg_lsn, "stopLsn" pg_lsn, "startedAt" timestamptz,
                "stoppedAt" timestamptz, "plainSize" bigint, "objectSize" bigint)
    on conflict (cluster_name, backup_name) do update set state = excluded.state;
    return 1;
end;
$$ language plpgsql;

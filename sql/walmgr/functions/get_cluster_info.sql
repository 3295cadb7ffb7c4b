-- walmgr.get_cluster_info()
--
-- One row for each cluster: what its archive holds, and how far it is behind.
-- Returns: lag_bytes: what the server had and the archive had not at the last look; lag: since the last success of
--          pull, or since the newest file came
-- Reads: every table of the schema
create or replace function walmgr.get_cluster_info(
    out cluster_name text, out system_identifier numeric, out archive text, out files bigint, out bytes numeric,
    out newest_file text, out damaged bigint, out gaps bigint, out usable_backups bigint, out newest_backup timestamptz,
    out oldest_backup timestamptz, out durable_lsn pg_lsn, out lag_bytes numeric, out lag interval, out last_error text)
returns setof record as $$
    select c.cluster_name, c.system_identifier, c.archive, s.files, s.bytes, s.newest_file, s.damaged, g.gaps,
           b.usable, b.newest, b.oldest, j.durable_lsn, greatest(0, j.server_lsn - j.durable_lsn),
           pg_catalog.clock_timestamp() - coalesce(j.finished_at, s.stored_at),
           (select e.last_error from walmgr.job e
             where e.cluster_name = c.cluster_name and e.last_error is not null order by e.started_at desc limit 1)
      from walmgr.cluster c
      left join lateral (
            select pg_catalog.count(*) as files, pg_catalog.sum(x.object_size) as bytes,
                   pg_catalog.max(x.file_name) filter (where x.file_name ~ '^[0-9A-F]{24}$') as newest_file,
                   pg_catalog.count(*) filter (where x.state = 'damaged') as damaged,
                   pg_catalog.max(x.stored_at) as stored_at
              from walmgr.segment x where x.cluster_name = c.cluster_name) s on true
      left join lateral (
            select pg_catalog.count(*) as gaps from walmgr.gap x where x.cluster_name = c.cluster_name) g on true
      left join lateral (
            select pg_catalog.count(*) filter (where x.state = 'usable') as usable,
                   pg_catalog.max(x.stopped_at) as newest, pg_catalog.min(x.stopped_at) as oldest
              from walmgr.backup x where x.cluster_name = c.cluster_name) b on true
      left join walmgr.job j on j.cluster_name = c.cluster_name and j.job_kind = 'pull'
     order by c.cluster_name;
$$ language sql stable;

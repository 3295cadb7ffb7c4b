-- walmgr.register_segments(i_cluster_name, i_source, i_files)
--
-- Notes files that are durable in the archive. The same file again changes its state only from stored to something
-- that is known better.
-- i_source: upload, pull, or listing: found in the archive afterwards
-- i_files: array of {"name", "state", "plainSize", "objectSize", "plainSha256"}
-- Returns: how many were new
-- Writes: walmgr.segment
create or replace function walmgr.register_segments(i_cluster_name text, i_source text, i_files jsonb)
returns integer as $$
declare
    _new integer;
begin
    with noted as (
        insert into walmgr.segment as s
               (cluster_name, file_name, timeline, state, source, plain_size, object_size, plain_sha256)
        select i_cluster_name, f.name, ('x' || pg_catalog.lpad(pg_catalog.left(f.name, 8), 16, '0'))::bit(64)::bigint,
               f.state, i_source, f."plainSize", f."objectSize", f."plainSha256"
          from pg_catalog.jsonb_to_recordset(i_files)
               as f(name text, state text, "plainSize" bigint, "objectSize" bigint, "plainSha256" text)
         order by f.name
        on conflict (cluster_name, file_name) do update
           set state = excluded.state
         where s.state <> excluded.state and excluded.state <> 'stored'
        returning (s.xmax = 0) as is_new
    )
    select pg_catalog.count(*) filter (where n.is_new) into _new from noted n;
    return _new;
end;
$$ language plpgsql;

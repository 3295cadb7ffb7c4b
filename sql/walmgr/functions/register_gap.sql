-- walmgr.register_gap(i_cluster_name, i_timeline, i_from, i_to)
--
-- Notes WAL that is lost for good.
-- Returns: 1 if it is new, 0 if it was known
-- Writes: walmgr.gap
create or replace function walmgr.register_gap(i_cluster_name text, i_timeline bigint, i_from pg_lsn, i_to pg_lsn)
returns integer as $$
begin
    insert into walmgr.gap (cluster_name, timeline, from_lsn, to_lsn)
    values (i_cluster_name, i_timeline, i_from, i_to)
    on conflict (cluster_name, timeline, from_lsn) do nothing;
    if found then
        return 1;
    end if;
    return 0;
end;
$$ language plpgsql;

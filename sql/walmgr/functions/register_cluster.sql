-- walmgr.register_cluster(i_cluster_name, i_system_identifier, i_segment_size, i_major, i_archive)
--
-- Makes a cluster known, or changes where its archive lies and its major version.
-- Returns: 1 if it is new, 0 if it was known
-- Raises: when another cluster goes by this name
-- Writes: walmgr.cluster
create or replace function walmgr.register_cluster(
    i_cluster_name text, i_system_identifier numeric, i_segment_size integer, i_major integer, i_archive text)
returns integer as $$
declare
    _known numeric;
begin
    insert into walmgr.cluster (cluster_name, system_identifier, segment_size, major, archive)
    values (i_cluster_name, i_system_identifier, i_segment_size, i_major, i_archive)
    on conflict (cluster_name) do nothing;
    if found then
        return 1;
    end if;
    select c.system_identifier into _known from walmgr.cluster c where c.cluster_name = i_cluster_name;
    if _known <> i_system_identifier then
        raise exception 'cluster % has system identifier %, not %', i_cluster_name, _known, i_system_identifier
            using hint = 'Give a new cluster a new name, or delete the old row of walmgr.cluster.';
    end if;
    update walmgr.cluster c
       set archive = i_archive, major = i_major
     where c.cluster_name = i_cluster_name and (c.archive, c.major) is distinct from (i_archive, i_major);
    return 0;
end;
$$ language plpgsql;

-- walmgr.forget_backup(i_cluster_name, i_backup_name, i_segments)
--
-- Follows an expiry in the archive.
-- i_backup_name: null for WAL alone
-- i_segments: names of files that were deleted
-- Returns: how many files were forgotten
-- Writes: walmgr.backup, walmgr.segment
create or replace function walmgr.forget_backup(i_cluster_name text, i_backup_name text, i_segments text[])
returns integer as $$
declare
    _count integer;
begin
    delete from walmgr.backup b where b.cluster_name = i_cluster_name and b.backup_name = i_backup_name;
    delete from walmgr.segment s where s.cluster_name = i_cluster_name and s.file_name = any (i_segments);
    get diagnostics _count = row_count;
    return _count;
end;
$$ language plpgsql;

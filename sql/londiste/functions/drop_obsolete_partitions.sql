-- londiste.drop_obsolete_partitions(i_parent_table, i_retention_period, i_partition_period)
--   -> setof text
--
-- Drops what list_obsolete_partitions() lists, and returns its quoted names.
--
-- Calls: londiste.list_obsolete_partitions
create or replace function londiste.drop_obsolete_partitions(
    i_parent_table text, i_retention_period interval, i_partition_period text)
returns setof text
language plpgsql
as $$
declare
    v_part text;
begin
    for v_part in
        select l.part
          from londiste.list_obsolete_partitions(i_parent_table, i_retention_period,
                                                 i_partition_period) l (part)
    loop
        execute format('drop table %s', v_part);
        return next v_part;
    end loop;
end;
$$;

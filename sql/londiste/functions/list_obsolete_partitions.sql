-- londiste.list_obsolete_partitions(i_parent_table, i_retention_period, i_partition_period)
--   -> setof text
--
-- Quoted names of the tables that are named like partitions of a table and obsolete.
--
-- Calls: londiste.is_obsolete_partition
create or replace function londiste.list_obsolete_partitions(
    i_parent_table text, i_retention_period interval, i_partition_period text)
returns setof text
language plpgsql
as $$
begin
    perform londiste._partition_format(i_partition_period);
    return query
        select format('%I.%I', n.nspname, c.relname)
          from londiste.split_fqname(i_parent_table) p
          join pg_catalog.pg_namespace n on n.nspname = p.schema_part
          join pg_catalog.pg_class c on c.relnamespace = n.oid
         where c.relkind = 'r'
           and starts_with(c.relname::text, p.name_part || '_')
           -- Nothing between the parent's name and the period.
           and substr(c.relname::text, length(p.name_part) + 2) ~ '^[0-9]{4}(_[0-9]{2})*$'
           and londiste.is_obsolete_partition(n.nspname || '.' || c.relname, i_retention_period,
                                              i_partition_period)
         order by n.nspname, c.relname;
end;
$$;

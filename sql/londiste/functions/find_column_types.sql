-- londiste.find_column_types(tbl) -> text
--
-- One letter for each column of a table in its order: k in the primary key, v otherwise. Columns
-- that a key index merely INCLUDEs are no key. Empty when there is no such table.
create or replace function londiste.find_column_types(tbl text)
returns text
language sql
strict stable
as $$
    select coalesce(string_agg(case when a.attnum = any (k.columns) then 'k' else 'v' end, ''
                               order by a.attnum), '')
      from pg_catalog.pg_attribute a
      left join lateral (
          select (i.indkey::int2[])[0:i.indnkeyatts - 1] as columns
            from pg_catalog.pg_index i
           where i.indrelid = a.attrelid
             and i.indisprimary
      ) k on true
     where a.attrelid = londiste.find_table_oid(tbl)
       and a.attnum > 0
       and not a.attisdropped
$$;

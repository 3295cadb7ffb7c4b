-- pgq._listed_columns(i_list text, i_cols text[])
--
-- Purpose:    which columns a trigger's `ignore=` or `pkey=` names. A name stands between commas or blanks; a name that
--             holds such characters itself is found too.
-- Parameters: i_list - the list; i_cols - names of the table's columns
-- Returns:    the columns, NULL if there is no list
-- Calls:      -
-- Tables:     -
create or replace function pgq._listed_columns(i_list text, i_cols text[])
returns text[] language plpgsql immutable strict parallel safe as $$
declare
  words constant text[] := pg_catalog.regexp_split_to_array(i_list, '[,\s]+');
begin
  if pg_catalog.array_to_string(i_cols, '') !~ '[,\s]' then
    return array(select c from pg_catalog.unnest(i_cols) as c where c = any (words));
  end if;
  return array(
    select c from pg_catalog.unnest(i_cols) as c
     where case
        when c !~ '[,\s]' then c = any (words)
        else exists (
          select from pg_catalog.generate_series(1, pg_catalog.length(i_list)) as p
           where pg_catalog.substr(i_list, p, pg_catalog.length(c)) = c
             and (p = 1 or pg_catalog.substr(i_list, p - 1, 1) ~ '[,\s]')
             and pg_catalog.substr(i_list, p + pg_catalog.length(c), 1) ~ '^[,\s]?$')
      end);
end;
$$;

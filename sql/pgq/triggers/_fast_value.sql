-- pgq._fast_value(i_format text, i_ref text, i_type oid, i_filled bool)
--
-- Purpose:    the source of an expression for a column's value in an event, the shortest that gives what the classic
--             trigger would. Everything in it is qualified, since it runs with the rights of the trigger's creator.
-- Parameters: i_format - json or logu; i_ref - the column, such as NEW.a; i_type - its type; i_filled - it is never NULL
-- Returns:    argument for concat(); in logu, NULL for NULL
-- Calls:      pgq._fast_is_null
-- Tables:     -
create or replace function pgq._fast_value(i_format text, i_ref text, i_type oid, i_filled bool)
returns text language plpgsql stable as $$
declare
  any_text constant text := 'pg_catalog.concat(' || i_ref || ') collate pg_catalog."C"';
begin
  if i_format = 'json' then
    return case
      when i_type in (20, 21, 23) and i_filled then i_ref
      when i_type in (20, 21, 23) then pg_catalog.format('coalesce(%s::pg_catalog.text, ''null'')', i_ref)
      when i_type = 16 then
        pg_catalog.format('case when %1$s then ''true'' when not %1$s then ''false'' else ''null'' end', i_ref)
      when i_type = any (pgq._fast_json_types()) then
        pg_catalog.format('coalesce(pg_catalog.to_json(%s)::pg_catalog.text, ''null'')', i_ref)
      else pg_catalog.format('case when %s then ''null'' else pg_catalog.to_json(%s)::pg_catalog.text end',
        pgq._fast_is_null(i_ref, i_type), any_text)
    end;
  end if;
  return case
    -- bool, int, oid, numeric, uuid print nothing that needs encoding
    when i_type in (16, 20, 21, 23, 26, 1700, 2950) then i_ref
    when i_type in (25, 1043) then pg_catalog.format(
      'case when pg_catalog.textregexne(%1$s collate pg_catalog."C", ''[^A-Za-z0-9_. -]'')'
      ' then pg_catalog.replace(%1$s collate pg_catalog."C", '' '', ''+'')'
      ' else pgq._urlencode(%1$s collate pg_catalog."C") end', i_ref)
    when i_type in (700, 701) then pg_catalog.format('pg_catalog.replace(%s::pg_catalog.text, ''+'', ''%%2b'')', i_ref)
    -- whatever the DateStyle, dates and times print letters, digits and `-.+ :/`
    when i_type in (1082, 1083, 1114, 1184, 1266) then pg_catalog.format(
      'pg_catalog.replace(pg_catalog.replace(pg_catalog.replace('
      'pg_catalog.replace(%s::pg_catalog.text, ''+'', ''%%2b''), '' '', ''+''), '':'', ''%%3a''), ''/'', ''%%2f'')', i_ref)
    else pg_catalog.format('case when not %s then pgq._urlencode(%s) end', pgq._fast_is_null(i_ref, i_type), any_text)
  end;
end;
$$;

-- pgq._fast_is_null(i_ref text, i_type oid)
--
-- Purpose:    the source of a condition: a column is NULL. `is null` would also be true for a row of NULLs.
-- Parameters: i_ref - the column, such as NEW.a; i_type - its type
-- Returns:    the condition
-- Calls:      pgq._fast_comparable
-- Tables:     -
create or replace function pgq._fast_is_null(i_ref text, i_type oid)
returns text language sql stable as $$
  select case when pgq._fast_comparable(i_type) then pg_catalog.format('(%s is null)', i_ref)
    else pg_catalog.format('(pg_catalog.num_nulls(%s) operator(pg_catalog.<>) 0)', i_ref) end
$$;

-- pgq._fast_json_types()
--
-- Purpose:    types, besides integers and booleans, that to_json() shows as the classic trigger does: dates and
--             timestamps in ISO form, the others as a string of what they print
-- Parameters: -
-- Returns:    type oids
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_json_types()
returns oid[] language sql immutable parallel safe as $$
  -- bytea, "char", name, text, oid, xml, cidr, macaddr, inet, bpchar, varchar, date, time, timestamp, timestamptz,
  -- interval, timetz, bit, varbit, money, uuid
  select array[17, 18, 19, 25, 26, 142, 650, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1562, 790,
    2950]::oid[]
$$;

-- pgq._fast_value(i_format text, i_ref text, i_type oid, i_coll oid)
--
-- Purpose:    the source of an expression for a column's value in an event, the shortest that gives what the classic
--             trigger would. Everything in it is qualified, since it runs with the rights of the trigger's creator.
-- Parameters: i_format - json or logu; i_ref - the column, such as NEW.a; i_type, i_coll - its type and collation
-- Returns:    arguments for concat(): in logu, nothing for NULL, else `=` and the value
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_value(i_format text, i_ref text, i_type oid, i_coll oid)
returns text language plpgsql stable as $$
declare
  any_text constant text := 'pg_catalog.concat(' || i_ref || ') collate pg_catalog."C"';
  is_there constant text := 'pg_catalog.num_nulls(' || i_ref || ') operator(pg_catalog.=) 0';
begin
  if i_format = 'json' then
    return case
      when i_type in (20, 21, 23) then pg_catalog.format('coalesce(%s::pg_catalog.text, ''null'')', i_ref)
      when i_type = 16 then
        pg_catalog.format('case when %1$s then ''true'' when not %1$s then ''false'' else ''null'' end', i_ref)
      when i_type = any (pgq._fast_json_types()) then
        pg_catalog.format('coalesce(pg_catalog.to_json(%s)::pg_catalog.text, ''null'')', i_ref)
      else pg_catalog.format('case when %s then pg_catalog.to_json(%s)::pg_catalog.text else ''null'' end',
        is_there, any_text)
    end;
  end if;
  return case
    -- bool, int, oid, numeric, uuid print nothing that needs encoding
    when i_type in (16, 20, 21, 23, 26, 1700, 2950) then
      pg_catalog.format('case when %1$s is not null then ''='' end, %1$s', i_ref)
    when i_type in (25, 1043) then pg_catalog.format(
      'case when %1$s is not null then ''='' end, case'
      ' when pg_catalog.textregexne(%1$s collate pg_catalog."C", ''[^A-Za-z0-9_. -]'')'
      ' then pg_catalog.replace(%1$s collate pg_catalog."C", '' '', ''+'')'
      ' else pgq._urlencode(%1$s collate pg_catalog."C") end', i_ref)
    when i_type in (700, 701) then pg_catalog.format(
      'case when %1$s is not null then ''='' end, pg_catalog.replace(%1$s::pg_catalog.text, ''+'', ''%%2b'')', i_ref)
    -- whatever the DateStyle, dates and times print letters, digits and `-.+ :/`
    when i_type in (1082, 1083, 1114, 1184, 1266) then pg_catalog.format(
      'case when %1$s is not null then ''='' end, pg_catalog.replace(pg_catalog.replace(pg_catalog.replace('
      'pg_catalog.replace(%1$s::pg_catalog.text, ''+'', ''%%2b''), '' '', ''+''), '':'', ''%%3a''), ''/'', ''%%2f'')', i_ref)
    else pg_catalog.format('case when %s then ''='' end, case when %1$s then pgq._urlencode(%2$s) end', is_there, any_text)
  end;
end;
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

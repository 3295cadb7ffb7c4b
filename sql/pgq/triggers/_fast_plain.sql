-- pgq._fast_plain(i_ref text, i_cols text[], i_types oid[], i_filled text[])
--
-- Purpose:    the shorter way to the same data of a logutriga event as pgq._fast_data, for rows without NULLs whose texts
--             hold nothing but letters, digits and `_.-+:/ `: what has to be encoded is replaced once, in the whole.
--             At the first row of a transaction, when each function called costs its look-up, it takes two thirds.
-- Parameters: i_ref - the row, such as NEW; i_cols, i_types - the columns to show; i_filled - columns that are never NULL
-- Returns:    condition - the source of the condition under which it may be taken, data - the source of the data; NULLs
--             where a column's type or name does not allow it
-- Calls:      pgq._urlencode
-- Tables:     -
create or replace function pgq._fast_plain(
  i_ref text, i_cols text[], i_types oid[], i_filled text[], out condition text, out data text)
language plpgsql stable as $$
declare
  -- text, varchar
  texts constant oid[] := '{25,1043}';
  -- float4, float8, date, time, timestamp, timestamptz, timetz: they print letters, digits and `-.+ :/`
  signed constant oid[] := '{700,701,1082,1083,1114,1184,1266}';
  -- bool, int8, int2, int4, oid, numeric, uuid: nothing that needs encoding
  clean constant oid[] := '{16,20,21,23,26,1700,2950}';
  name text;
  ref text;
  conditions text[] := '{}';
  nullable text[] := '{}';
  arguments text[] := '{}';
begin
  -- a function takes at most 100 arguments
  if pg_catalog.cardinality(i_cols) not between 1 and 50 or not i_types <@ (texts || signed || clean) then
    return;
  end if;
  for i in 1 .. pg_catalog.cardinality(i_cols) loop
    ref := i_ref || '.' || pg_catalog.quote_ident(i_cols[i]);
    name := pgq._urlencode(i_cols[i]);
    if name ~ '[+]' then
      return;
    end if;
    arguments := arguments || array[pg_catalog.quote_literal(case i when 1 then '' else '&' end || name || '='), ref];
    if i_cols[i] <> all (i_filled) then
      nullable := nullable || ref;
    end if;
    if i_types[i] = any (texts) then
      conditions := conditions || pg_catalog.format(
        'pg_catalog.textregexne(%s collate pg_catalog."C", ''[^A-Za-z0-9_. +:/-]'')', ref);
    end if;
  end loop;
  if nullable <> '{}' then
    conditions := pg_catalog.format('pg_catalog.num_nulls(%s) operator(pg_catalog.=) 0',
      pg_catalog.array_to_string(nullable, ', ')) || conditions;
  end if;
  condition := coalesce(nullif(pg_catalog.array_to_string(conditions, ' and '), ''), 'true');
  data := 'pg_catalog.concat(' || pg_catalog.array_to_string(arguments, ', ') || ')';
  if i_types && (texts || signed) then
    data := pg_catalog.format('pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(%s,'
      ' ''+'', ''%%2b''), '' '', ''+''), '':'', ''%%3a''), ''/'', ''%%2f'')', data);
  end if;
end;
$$;

-- pgq._urlencode(val text)
--
-- Purpose:    encodes a text as the value of a url-encoded event: the bytes of the database encoding, where letters,
--             digits and `_.-` stay, a space becomes `+` and every other byte `%xx` in lower case.
-- Parameters: val - the text
-- Returns:    the encoded text, NULL for NULL. All in it is qualified: generated triggers call it with their creator's rights
-- Calls:      -
-- Tables:     -
create or replace function pgq._urlencode(val text)
returns text language plpgsql immutable strict parallel safe as $$
declare
  result pg_catalog.text;
  chars pg_catalog.text[];
  c pg_catalog.text;
begin
  if val operator(pg_catalog.!~) '[^A-Za-z0-9_.-]' then
    return val;
  end if;
  -- `%` and `+` come first, since the replacements contain them; the next are the most frequent
  result := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
    pg_catalog.replace(val, '%', '%25'), '+', '%2b'), ' ', '+'), ':', '%3a'), ',', '%2c'), '/', '%2f');
  if result operator(pg_catalog.!~) '[^A-Za-z0-9_.%+-]' then
    return result;
  end if;
  -- each distinct other character is replaced once
  chars := array(
    select distinct x from pg_catalog.regexp_split_to_table(
      pg_catalog.regexp_replace(result, '[A-Za-z0-9_.%+-]+', '', 'g'), '') as x);
  -- a text of many different characters (200: about where both ways cost the same) is encoded character by character
  if pg_catalog.cardinality(chars) operator(pg_catalog.>) 200 then
    return (
      select pg_catalog.string_agg(
          case
            when x operator(pg_catalog.~) '[A-Za-z0-9_.-]' then x
            when x operator(pg_catalog.=) ' ' then '+'
            else pg_catalog.regexp_replace(
              pg_catalog.encode(pg_catalog.convert_to(x, pg_catalog.getdatabaseencoding()), 'hex'), '(..)', '%\1', 'g')
          end, '' order by ord)
      from pg_catalog.regexp_split_to_table(val, '') with ordinality as s(x, ord));
  end if;
  foreach c in array chars loop
    result := pg_catalog.replace(result, c, pg_catalog.regexp_replace(
      pg_catalog.encode(pg_catalog.convert_to(c, pg_catalog.getdatabaseencoding()), 'hex'), '(..)', '%\1', 'g'));
  end loop;
  return result;
end;
$$;

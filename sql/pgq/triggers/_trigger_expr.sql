-- pgq._trigger_expr(i_expr text, i_cols text[], i_row text)
--
-- Purpose:    makes a trigger's EXPR argument into an expression over a row. A word that is the name of a
--             column stands for its value: bare and exactly as the column is written, bare and folded to lower case,
--             in double quotes, or after the alias `r`. Strings, comments, names of functions and types, and names
--             qualified with anything but `r` are left as they are.
-- Parameters: i_expr - the text after the `=` of the argument
--             i_cols - names of the table's columns
--             i_row  - what stands before the dot of a column
-- Returns:    the expression
-- Calls:      -
-- Tables:     -
create or replace function pgq._trigger_expr(i_expr text, i_cols text[], i_row text default '($1)')
returns text language plpgsql immutable as $$
declare
  -- an identifier starts with a letter, `_` or anything beyond ASCII, and goes on with digits and `$` too
  word constant text := '[^\x01-\x40\x5b-\x5e\x60\x7b-\x7f][^\x01-\x23\x25-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]*';
  quoted constant text := '"(?:[^"]|"")*"';
  token_pattern constant text := '^(?:[eE]''(?:[^''\\]|\\.|'''')*''|''(?:[^'']|'''')*''|' || quoted || '|' || word
    || '|--[^\n]*|/\*|\$(?:' || word || ')?\$|[0-9][0-9A-Za-z_.]*|::|\s+|.)';
  result text := '';
  rest text := i_expr;
  before text := '';
  token text;
  name text;
  stop int4;
begin
  while rest <> '' loop
    token := (pg_catalog.regexp_match(rest, token_pattern))[1];
    if token like '$%$' then
      stop := pg_catalog.strpos(pg_catalog.substr(rest, pg_catalog.length(token) + 1), token);
      token := pg_catalog.left(rest, case stop when 0 then pg_catalog.length(rest)
        else stop + 2 * pg_catalog.length(token) - 1 end);
    elsif token = '/*' then
      stop := pg_catalog.strpos(rest, '*/');
      token := pg_catalog.left(rest, case stop when 0 then pg_catalog.length(rest) else stop + 1 end);
    elsif token ~ ('^(?:' || word || '|' || quoted || ')$') and before <> '.' then
      name := null;
      if pg_catalog.lower(token) = 'r' and rest ~ ('^.\.(?:' || word || '|' || quoted || ')') then
        name := (pg_catalog.regexp_match(rest, '^.\.(' || word || '|' || quoted || ')'))[1];
        name := pg_catalog.concat(pgq._trigger_expr_column(name, i_cols));
        if name <> '' then
          token := pg_catalog.left(rest,
            2 + pg_catalog.length((pg_catalog.regexp_match(rest, '^.\.(' || word || '|' || quoted || ')'))[1]));
        end if;
      elsif pg_catalog.substr(rest, pg_catalog.length(token) + 1) !~ '^(?:\.|\s*[(''])'
          and before <> '::' and before <> 'as' then
        name := pgq._trigger_expr_column(token, i_cols);
      end if;
      if name <> '' then
        result := result || i_row || '.' || pg_catalog.quote_ident(name);
        rest := pg_catalog.substr(rest, pg_catalog.length(token) + 1);
        before := 'column';
        continue;
      end if;
    end if;
    result := result || token;
    rest := pg_catalog.substr(rest, pg_catalog.length(token) + 1);
    if token !~ '^(?:\s|--|/\*)' then
      before := pg_catalog.lower(token);
    end if;
  end loop;
  return result;
end;
$$;

-- pgq._trigger_expr_column(i_token text, i_cols text[])
--
-- Purpose:    the column that a bare or quoted word names
-- Parameters: i_token - the word; i_cols - names of the table's columns
-- Returns:    the column's name, NULL if there is none
-- Calls:      -
-- Tables:     -
create or replace function pgq._trigger_expr_column(i_token text, i_cols text[])
returns text language sql immutable as $$
  select case
    when pg_catalog.left(i_token, 1) = '"' then (
      select c from pg_catalog.unnest(i_cols) as c
       where c = pg_catalog.replace(pg_catalog.substr(i_token, 2, pg_catalog.length(i_token) - 2), '""', '"'))
    when i_token = any (i_cols) then i_token
    when pg_catalog.lower(i_token) = any (i_cols) then pg_catalog.lower(i_token)
  end
$$;

-- londiste._rename_in_definition(i_definition, i_object, i_keyword, i_table, i_part) -> text
--
-- The definition of a trigger or rule with another table in place of its own: the table that
-- follows the keyword first behind the object's name, which itself might hold such words.
create or replace function londiste._rename_in_definition(
    i_definition text, i_object text, i_keyword text, i_table text, i_part text)
returns text
language sql
strict immutable
as $$
    select left(i_definition, d.head)
           || overlay(d.tail placing i_keyword || i_part
                      from strpos(d.tail, i_keyword || i_table)
                      for length(i_keyword || i_table))
      from (select n.head, substr(i_definition, n.head + 1) as tail
              from (select strpos(i_definition, quote_ident(i_object))
                           + length(quote_ident(i_object)) - 1 as head) n) d
$$;

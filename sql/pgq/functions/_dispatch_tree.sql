-- pgq._dispatch_tree(i_keys, i_variable, i_leaf)
--
-- Source text of a binary search: PL/pgSQL that compares i_variable with the sorted keys and runs i_leaf, with %s
-- replaced by the key, for the one that it equals.
-- Parameters: i_keys - sorted, not empty; i_variable - name of an integer variable; i_leaf - statement, format() text
-- Returns: PL/pgSQL statements
create or replace function pgq._dispatch_tree(i_keys integer[], i_variable text, i_leaf text)
returns text as $$
declare
    _middle integer := pg_catalog.array_length(i_keys, 1) / 2;
begin
    if _middle = 0 then
        return pg_catalog.format('if %s = %s then %s end if;', i_variable, i_keys[1],
            pg_catalog.replace(i_leaf, '%s', i_keys[1]::text));
    end if;
    return pg_catalog.format('if %s < %s then %s else %s end if;', i_variable, i_keys[_middle + 1],
        pgq._dispatch_tree(i_keys[:_middle], i_variable, i_leaf),
        pgq._dispatch_tree(i_keys[_middle + 1:], i_variable, i_leaf));
end;
$$ language plpgsql immutable;

-- pgq._dispatch_tree(i_variable, i_keys, i_actions)
--
-- Source text of a binary search: PL/pgSQL that compares a value with sorted keys and runs the action of the greatest
-- key that is not greater than it (the first action for smaller values). The action makes sure itself.
-- Parameters: i_variable - what is searched for; i_keys - sorted; i_actions - a statement for each
-- Returns: PL/pgSQL statements
create or replace function pgq._dispatch_tree(i_variable text, i_keys integer[], i_actions text[])
returns text as $$
declare
    _count integer := coalesce(pg_catalog.array_length(i_keys, 1), 0);
    _half integer := _count / 2;
begin
    if _count = 0 then
        return 'return null;';
    elsif _count = 1 then
        return i_actions[1];
    end if;
    return pg_catalog.format(E'if %s operator(pg_catalog.<) %s then\n%s\nelse\n%s\nend if;', i_variable, i_keys[_half + 1],
        pgq._dispatch_tree(i_variable, i_keys[:_half], i_actions[:_half]),
        pgq._dispatch_tree(i_variable, i_keys[_half + 1:], i_actions[_half + 1:]));
end;
$$ language plpgsql immutable;

-- londiste.drop_table_fkey(i_from_table, i_fkey_name) -> int4
--
-- Takes a foreign key off and keeps its definition in pending_fkeys.
--
-- Returns: 1 dropped, 0 no such foreign key
-- Calls: londiste.find_table_fkeys
-- Tables written: londiste.pending_fkeys
create or replace function londiste.drop_table_fkey(i_from_table text, i_fkey_name text)
returns integer
language plpgsql
strict
as $$
declare
    v_name text := londiste.make_fqname(i_from_table);
begin
    -- An older definition of the same name was put back by somebody else, this one is in force.
    insert into londiste.pending_fkeys as p (from_table, to_table, fkey_name, fkey_def)
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def
      from londiste.find_table_fkeys(v_name) f
     where f.from_table = v_name
       and f.fkey_name = i_fkey_name
    on conflict on constraint pending_fkeys_pkey
    do update set to_table = excluded.to_table, fkey_def = excluded.fkey_def;
    if not found then
        return 0;
    end if;
    execute format('alter table %s%s drop constraint %I',
                   case when londiste.find_rel_oid(v_name, 'p') is null then 'only ' else '' end,
                   londiste.quote_fqname(v_name), i_fkey_name);
    return 1;
end;
$$;

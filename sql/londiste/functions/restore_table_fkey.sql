-- londiste.restore_table_fkey(i_from_table, i_fkey_name, i_lazy) -> text
--
-- Puts a pending foreign key back: at once, or (lazy) step by step, each in the caller's own
-- transaction: first without checking the rows that are there, under a short lock, then the check,
-- which locks writers of neither table out.
--
-- A key that somebody has put back already, and one that was never checked, get only what is
-- missing. Partitioned tables know no unchecked keys before PostgreSQL 18; theirs come back in one
-- step. When the table is gone, its key is forgotten.
--
-- Parameters:
--   i_lazy  true: returns the statement to run next; call again until it returns ''
-- Returns: the next statement, or '' when nothing is left to do
-- Tables written: londiste.pending_fkeys
create or replace function londiste.restore_table_fkey(
    i_from_table text, i_fkey_name text, i_lazy boolean default false)
returns text
language plpgsql
strict
as $$
declare
    v_fkey      record;
    v_table     oid;
    v_kind      "char";
    v_valid     boolean;
    v_unchecked boolean;
    v_sql       text;
begin
    select f.from_table, f.fkey_def
      into v_fkey
      from londiste.pending_fkeys f
     where f.from_table = londiste.make_fqname(i_from_table)
       and f.fkey_name = i_fkey_name
       for update;
    if not found then
        return '';
    end if;
    -- Not checked, or not even enforced, when it was taken off: so it shall stay.
    v_unchecked := v_fkey.fkey_def ~* '\mnot (valid|enforced)\s*$';
    v_table := londiste.find_table_oid(v_fkey.from_table);
    select c.relkind into v_kind from pg_catalog.pg_class c where c.oid = v_table;
    select c.convalidated
      into v_valid
      from pg_catalog.pg_constraint c
     where c.conrelid = v_table
       and c.conname = i_fkey_name
       and c.contype = 'f';

    if v_table is not null and v_valid is null then
        v_sql := v_fkey.fkey_def;
        if i_lazy and not v_unchecked and v_kind <> 'p' then
            v_sql := v_sql || ' not valid';
        end if;
    elsif not v_valid and not v_unchecked then
        v_sql := format('alter table %s%s validate constraint %I',
                        case v_kind when 'p' then '' else 'only ' end,
                        londiste.quote_fqname(v_fkey.from_table), i_fkey_name);
    end if;
    if v_sql is not null then
        if i_lazy then
            return v_sql;
        end if;
        execute v_sql;
    end if;

    delete from londiste.pending_fkeys f
     where f.from_table = v_fkey.from_table
       and f.fkey_name = i_fkey_name;
    return '';
end;
$$;

-- pgq_node.upgrade_schema() -> int4
--
-- Brings tables made by an older release to the present shape. Runs at every install.
--
-- Returns: number of changes; 0 when nothing was missing
-- Tables changed: pgq_node.node_info (column node_attrs)
create or replace function pgq_node.upgrade_schema()
returns int4
language plpgsql
as $$
declare
    v_changes int4 := 0;
begin
    if not exists (
        select 1 from pg_catalog.pg_attribute a
         where a.attrelid = 'pgq_node.node_info'::regclass
           and a.attname = 'node_attrs' and not a.attisdropped
    ) then
        alter table pgq_node.node_info add column node_attrs text;
        v_changes := v_changes + 1;
    end if;
    return v_changes;
end;
$$;

do $$ begin perform pgq_node.upgrade_schema(); end; $$;

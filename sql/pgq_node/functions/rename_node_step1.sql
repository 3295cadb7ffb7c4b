-- pgq_node.rename_node_step1(i_queue_name, i_node_old, i_node_new) -> (ret_code, ret_note)
--
-- First half of a rename, called on every member, the root first: makes the new name known beside
-- the old one. The root tells the cascade. May be repeated.
--
-- Returns: 200 'New name registered: <new>'
--   404 'Location not found: <queue>/<old>'
-- Calls: pgq_node.register_location
-- Tables written: pgq_node.node_location
create or replace function pgq_node.rename_node_step1(
    in i_queue_name text,
    in i_node_old text,
    in i_node_new text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_old record;
begin
    select l.node_location, l.dead
      into v_old
      from pgq_node.node_location l
     where l.queue_name = i_queue_name
       and l.node_name = i_node_old;
    if not found then
        ret_code := 404;
        ret_note := format('Location not found: %s/%s', i_queue_name, i_node_old);
        return;
    end if;
    perform pgq_node.register_location(i_queue_name, i_node_new, v_old.node_location, v_old.dead);
    ret_code := 200;
    ret_note := format('New name registered: %s', i_node_new);
end;
$$;

-- pgq_node.register_location(i_queue_name, i_node_name, i_node_location, i_dead)
--   -> (ret_code, ret_note)
--
-- Adds a member or changes what is known of it. A NULL location keeps the present one (a new
-- member is not added then). On the root a change goes out to all nodes as an event
-- pgq.location-info; a call that changes nothing sends nothing.
--
-- Returns: 200 'Location registered'
-- Calls: pgq.insert_event
-- Tables written: pgq_node.node_location
create or replace function pgq_node.register_location(
    in i_queue_name text,
    in i_node_name text,
    in i_node_location text,
    in i_dead boolean,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_changed boolean;
begin
    if i_node_location is null then
        update pgq_node.node_location l
           set dead = i_dead
         where l.queue_name = i_queue_name
           and l.node_name = i_node_name
           and l.dead is distinct from i_dead;
    else
        insert into pgq_node.node_location as l (queue_name, node_name, node_location, dead)
        values (i_queue_name, i_node_name, i_node_location, i_dead)
        on conflict on constraint node_location_pkey
        do update set node_location = excluded.node_location, dead = excluded.dead
         where (l.node_location, l.dead) is distinct from (excluded.node_location, excluded.dead);
    end if;
    v_changed := found;

    if v_changed and exists (
        select 1 from pgq_node.node_info n
         where n.queue_name = i_queue_name
           and n.node_type = 'root'
    ) then
        perform pgq.insert_event(i_queue_name, 'pgq.location-info', i_node_name,
                                 i_queue_name, i_node_location, i_dead::text, null);
    end if;
    ret_code := 200;
    ret_note := 'Location registered';
end;
$$;

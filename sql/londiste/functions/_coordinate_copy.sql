-- londiste._coordinate_copy(i_queue_name, i_table_name) -> (copy_role, copy_pos)
--
-- Copies of several queues into one table must not disturb each other: one of them leads (takes
-- indexes off, empties the table, puts indexes back), the others wait.
--
-- The siblings are this set and the other sets of this database that merge into the same combined
-- queue (or into none, as this one) and are copying into the same real table. The leader is the
-- one that holds dropped_ddl, else the first queue by name.
--
-- Returns: copy_role: NULL (nobody to wait for), lead, wait-copy (do not begin yet), wait-replay
--     (copy the rows and nothing else, then wait before replaying)
--   copy_pos: how many siblings copy before this one. Both NULL for an unknown table
create or replace function londiste._coordinate_copy(
    in i_queue_name text,
    in i_table_name text,
    out copy_role text,
    out copy_pos integer)
returns record
language plpgsql
strict stable
as $$
declare
    v_own      record;
    v_copying  record;
    v_leader   text;
begin
    select t.merge_state, coalesce(t.dest_table, t.table_name) as dest, n.combined_queue
      into v_own
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where t.queue_name = i_queue_name
       and t.table_name = i_table_name;
    if not found then
        return;
    end if;
    copy_pos := 0;

    select count(*) as tables,
           count(*) filter (where t.merge_state <> 'in-copy') as done,
           min(t.queue_name) as first_queue,
           min(t.queue_name) filter (where t.dropped_ddl is not null) as ddl_queue,
           count(*) filter (where t.merge_state = 'in-copy'
                              and t.queue_name < i_queue_name) as ahead
      into v_copying
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
     where n.combined_queue is not distinct from v_own.combined_queue
       and coalesce(t.dest_table, t.table_name) = v_own.dest
       and t.local
       and (t.merge_state is null or t.merge_state <> 'ok');

    v_leader := coalesce(v_copying.ddl_queue, v_copying.first_queue);
    if v_own.merge_state = 'in-copy' and i_queue_name <> v_leader then
        copy_pos := v_copying.ahead;
    end if;
    if v_copying.tables < 2 then
        return;
    end if;

    if v_own.merge_state = 'in-copy' then
        if v_copying.done > 0 and v_copying.ddl_queue is null then
            copy_role := 'wait-replay';
        elsif i_queue_name = v_leader then
            copy_role := 'lead';
        elsif v_copying.ddl_queue is not null or v_copying.done > 0 then
            copy_role := 'wait-replay';
        else
            copy_role := 'wait-copy';
        end if;
    elsif v_own.merge_state = 'catching-up' and v_copying.ddl_queue is not null then
        if i_queue_name <> v_leader or v_copying.done < v_copying.tables then
            copy_role := 'wait-replay';
        end if;
    end if;
end;
$$;

-- londiste.global_update_seq(i_queue_name, i_seq_name, i_value) -> (ret_code, ret_note)
--
-- Takes note of the value that the root published (event londiste.update-seq); a sequence that is
-- subscribed here moves on to it, never back.
--
-- Returns: 200 'Sequence updated'
--   402 'Must not run on root node'
--   404 'Set not found: <queue>'
-- Calls: londiste._move_sequence
-- Tables written: londiste.seq_info
create or replace function londiste.global_update_seq(
    in i_queue_name text,
    in i_seq_name text,
    in i_value int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_name  text := londiste.make_fqname(i_seq_name);
    v_type  text;
    v_local boolean;
begin
    select n.node_type into v_type from pgq_node.node_info n where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := format('Set not found: %s', i_queue_name);
        return;
    end if;
    if v_type = 'root' then
        ret_code := 402;
        ret_note := 'Must not run on root node';
        return;
    end if;

    insert into londiste.seq_info as s (queue_name, seq_name, last_value)
    values (i_queue_name, v_name, i_value)
    on conflict on constraint seq_info_pkey do update set last_value = excluded.last_value
    returning s.local into v_local;
    if v_local then
        perform londiste._move_sequence(v_name, i_value);
    end if;
    ret_code := 200;
    ret_note := 'Sequence updated';
end;
$$;

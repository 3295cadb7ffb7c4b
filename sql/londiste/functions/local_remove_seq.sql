-- londiste.local_remove_seq(i_queue_name, i_seq_name) -> (ret_code, ret_note)
--
-- Ends the subscription of a sequence; on a root it leaves the set.
--
-- Returns: 200 'Sequence removed: <sequence>'
--   404 'Sequence not found: <sequence>' (not subscribed here); on a root the codes of
--     global_remove_seq
-- Raises: pgq_node.is_root_node's error for an unknown queue
-- Calls: londiste.global_remove_seq
-- Tables written: londiste.seq_info
create or replace function londiste.local_remove_seq(
    in i_queue_name text,
    in i_seq_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_name text := londiste.make_fqname(i_seq_name);
begin
    if pgq_node.is_root_node(i_queue_name) then
        select r.ret_code, r.ret_note
          into ret_code, ret_note
          from londiste.global_remove_seq(i_queue_name, v_name) r;
        return;
    end if;

    update londiste.seq_info s
       set local = false
     where s.queue_name = i_queue_name
       and s.seq_name = v_name
       and s.local;
    if not found then
        ret_code := 404;
        ret_note := format('Sequence not found: %s', v_name);
        return;
    end if;
    ret_code := 200;
    ret_note := format('Sequence removed: %s', v_name);
end;
$$;

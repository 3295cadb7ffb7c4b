-- londiste.global_remove_seq(i_queue_name, i_seq_name) -> (ret_code, ret_note)
--
-- Forgets a sequence of the set; the root tells the cascade.
--
-- Returns: 200 'Sequence removed: <sequence>'
--   400 'Sequence not found: <sequence>'
-- Calls: londiste.root_notify_change
-- Tables written: londiste.seq_info
create or replace function londiste.global_remove_seq(
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
    delete from londiste.seq_info s
     where s.queue_name = i_queue_name
       and s.seq_name = v_name;
    if not found then
        ret_code := 400;
        ret_note := format('Sequence not found: %s', v_name);
        return;
    end if;
    if pgq_node.is_root_node(i_queue_name) then
        perform londiste.root_notify_change(i_queue_name, 'londiste.remove-seq', v_name);
    end if;
    ret_code := 200;
    ret_note := format('Sequence removed: %s', v_name);
end;
$$;

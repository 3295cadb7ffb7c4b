-- londiste.local_add_seq(i_queue_name, i_seq_name) -> (ret_code, ret_note)
--
-- Subscribes a sequence. On a root it thereby joins the set, and its first value goes out; on
-- another node it moves on to the value that was published last.
--
-- Returns: 200 'Sequence added: <sequence>'
--   201 'Sequence already added: <sequence>'
--   400 'Sequence not found: <sequence>'
--   404 'Unknown sequence: <sequence>' (not in the set)
-- Raises: pgq_node.is_root_node's error for an unknown queue
-- Calls: londiste.root_check_seqs, londiste._move_sequence
-- Tables written: londiste.seq_info
create or replace function londiste.local_add_seq(
    in i_queue_name text,
    in i_seq_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_name text := londiste.make_fqname(i_seq_name);
    v_root boolean;
    v_seq  record;
begin
    if londiste.find_seq_oid(v_name) is null then
        ret_code := 400;
        ret_note := format('Sequence not found: %s', v_name);
        return;
    end if;
    v_root := pgq_node.is_root_node(i_queue_name);
    if v_root then
        insert into londiste.seq_info (queue_name, seq_name, local, last_value)
        values (i_queue_name, v_name, false, 0)
        on conflict on constraint seq_info_pkey do nothing;
    end if;

    select s.local, s.last_value
      into v_seq
      from londiste.seq_info s
     where s.queue_name = i_queue_name
       and s.seq_name = v_name
       for update;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown sequence: %s', v_name);
        return;
    end if;
    if v_seq.local then
        ret_code := 201;
        ret_note := format('Sequence already added: %s', v_name);
        return;
    end if;

    update londiste.seq_info s
       set local = true
     where s.queue_name = i_queue_name
       and s.seq_name = v_name;
    if v_root then
        perform londiste.root_check_seqs(i_queue_name);
    else
        perform londiste._move_sequence(v_name, v_seq.last_value);
    end if;
    ret_code := 200;
    ret_note := format('Sequence added: %s', v_name);
end;
$$;

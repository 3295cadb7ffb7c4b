-- londiste.root_check_seqs(i_queue_name [, i_buffer]) -> (ret_code, ret_note)
--
-- Publishes on a root the values of its sequences (event londiste.update-seq) so far ahead that
-- subscribers stay ahead of the root: when less than i_buffer steps are left before the value
-- published last, one three times as far goes out. Listed by pgq.maint_operations.
--
-- Sequences that count down or in larger steps are published in their own direction and steps,
-- never beyond their limit. One that no longer exists is passed over. Between the steps of
-- demote_root, when the queue takes no events, nothing is published.
--
-- Parameters:
--   i_buffer  steps of the sequence; below 10 or NULL: 10000
-- Returns: 100 'Sequences updated', or 100 'Queue takes no events now'
--   402 'Not a root node'
--   404 'Queue not found: <queue>'
-- Calls: pgq.insert_event
-- Tables written: londiste.seq_info
create or replace function londiste.root_check_seqs(
    in i_queue_name text,
    in i_buffer int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_buffer int8 := case when i_buffer >= 10 then i_buffer else 10000 end;
    v_type   text;
    v_seq    record;
    v_oid    oid;
    v_rule   record;
    v_last   int8;
    v_far    numeric;
    v_new    int8;
begin
    select n.node_type into v_type from pgq_node.node_info n where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := format('Queue not found: %s', i_queue_name);
        return;
    end if;
    if v_type <> 'root' then
        ret_code := 402;
        ret_note := 'Not a root node';
        return;
    end if;
    ret_code := 100;
    if exists (
        select 1 from pgq.queue q where q.queue_name = i_queue_name and q.queue_disable_insert
    ) then
        ret_note := 'Queue takes no events now';
        return;
    end if;

    for v_seq in
        select s.seq_name, s.last_value
          from londiste.seq_info s
         where s.queue_name = i_queue_name
           and s.local
         order by s.nr
           for update
    loop
        v_oid := londiste.find_seq_oid(v_seq.seq_name);
        if v_oid is null then
            raise warning 'sequence % of set % does not exist', v_seq.seq_name, i_queue_name;
            continue;
        end if;
        select s.seqincrement as step, s.seqmin, s.seqmax
          into v_rule
          from pg_catalog.pg_sequence s
         where s.seqrelid = v_oid;
        execute format('select last_value from %s', v_oid::regclass) into v_last;

        -- numeric: a sequence of bigint near its end must not overflow here.
        v_far := v_last + 3::numeric * v_buffer * v_rule.step;
        v_new := greatest(least(v_far, v_rule.seqmax), v_rule.seqmin);
        if (case when v_rule.step > 0
                 then v_last + v_buffer::numeric * v_rule.step >= v_seq.last_value
                 else v_last + v_buffer::numeric * v_rule.step <= v_seq.last_value end)
           and v_new <> v_seq.last_value then
            update londiste.seq_info s
               set last_value = v_new
             where s.queue_name = i_queue_name
               and s.seq_name = v_seq.seq_name;
            perform pgq.insert_event(i_queue_name, 'londiste.update-seq', v_new::text,
                                     v_seq.seq_name, null, null, null);
        end if;
    end loop;
    ret_note := 'Sequences updated';
end;
$$;

create or replace function londiste.root_check_seqs(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text)
returns record
language sql
as $$
    select r.ret_code, r.ret_note from londiste.root_check_seqs(i_queue_name, 10000::int8) r
$$;

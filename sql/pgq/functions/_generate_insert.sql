-- pgq._generate_insert(i_queue_id, i_present)
--
-- Dynamic SQL is parsed and planned at every call, which costs more than the insert itself. So each queue has a
-- function with static INSERTs into its tables, pgq._insert_<id>, and insert_event_raw reaches it by static calls: the
-- root pgq._insert_dispatch knows the groups of 32 queue ids, pgq._insert_dispatch_<group> the queues of its group.
-- PL/pgSQL compiles a function at its first call in a session, and prepares a statement when it is first run, so a
-- session pays only for the queues that it writes to. 100,000 calls in one statement take 1.6 to 1.9 s this way,
-- 2.4 s with a dynamic INSERT, 1.35 s in C.
-- All of them return NULL for what they do not know (the caller then uses dynamic SQL): a queue that is new to the
-- session, tables whose names an administrator has changed.
--
-- Parameters: i_queue_id - queue; i_present - make its function, or remove it
-- Calls: pgq._dispatch_tree()
-- Writes: pg_proc
create or replace function pgq._generate_insert(i_queue_id integer, i_present boolean)
returns void as $$
declare
    _group_size constant integer := 32;
    _parameters constant text := 'integer, integer, text, text, bigint, timestamptz, bigint, integer, integer,'
        ' text, text, text, text, text, text';
    -- i_queue, i_table, i_prefix, i_sequence, i_id, i_time, i_txid, i_owner, i_retry, i_type, i_data, i_extra1..4
    _arguments constant text := '$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15';
    _group constant integer := i_queue_id / _group_size;
    _dispatch constant text := 'pgq._insert_dispatch_' || _group;
    _names text[] := array['pgq._insert_' || i_queue_id, _dispatch, 'pgq._insert_dispatch'];
    _name text;
    _queue record;
    _ids integer[];
    _groups integer[];
    _body text;
begin
    -- two creators would replace the same dispatcher ("tuple concurrently updated")
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgq._generate_insert', 0));

    select q.queue_ntables, q.queue_data_pfx, q.queue_event_seq
      into _queue
      from pgq.queue q
     where q.queue_id = i_queue_id;
    if i_present and found then
        select pg_catalog.string_agg(pg_catalog.format(
                   E'    %sif $2 = %s then\n'
                   '        insert into %s (ev_id, ev_time, ev_txid, ev_owner, ev_retry,'
                   ' ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)\n'
                   '        values (_id, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);\n',
                   case when n > 0 then 'els' else '' end, n, pgq.quote_fqname(_queue.queue_data_pfx || '_' || n)),
                   '' order by n)
          into _body
          from pg_catalog.generate_series(0, _queue.queue_ntables - 1) n;
        execute pg_catalog.format(
            E'create or replace function %s(%s) returns bigint as %L language plpgsql',
            _names[1], _parameters, pg_catalog.format(
            E'\ndeclare\n    _id bigint;\n'
            'begin\n'
            '    if $3 <> %L or $4 <> %L or $2 < 0 or $2 >= %s then\n'
            '        return null;\n'
            '    end if;\n'
            -- even when the id is given: the ticker counts by this sequence
            '    _id := pg_catalog.nextval(%L::regclass);\n'
            '    if $5 is not null then\n'
            '        _id := $5;\n'
            '    end if;\n'
            '%s'
            '    end if;\n'
            '    return _id;\n'
            'end;\n',
            _queue.queue_data_pfx, _queue.queue_event_seq, _queue.queue_ntables, _queue.queue_event_seq, _body));
    end if;

    select pg_catalog.array_agg(q.queue_id order by q.queue_id) filter (where q.queue_id / _group_size = _group),
           pg_catalog.array_agg(distinct q.queue_id / _group_size)
      into _ids, _groups
      from pgq.queue q
     where i_present or q.queue_id <> i_queue_id;

    if _ids is not null then
        execute pg_catalog.format(
            'create or replace function %s(%s) returns bigint as %L language plpgsql',
            _dispatch, _parameters, pg_catalog.format(E'\nbegin\n%s\nreturn null;\nend;\n',
            pgq._dispatch_tree(_ids, '$1', 'return pgq._insert_%s(' || _arguments || ');')));
    end if;
    if _ids is null or _ids = array[i_queue_id]
       or pg_catalog.to_regproc('pgq._insert_dispatch') is null then
        execute pg_catalog.format(
            'create or replace function pgq._insert_dispatch(%s) returns bigint as %L language plpgsql',
            _parameters, pg_catalog.format(E'\ndeclare\n_group constant integer := $1 / %s;\nbegin\n%s\nreturn null;\nend;\n',
            _group_size, case when _groups is null then ''
            else pgq._dispatch_tree(_groups, '_group', 'return pgq._insert_dispatch_%s(' || _arguments || ');') end));
    end if;

    if not i_present then
        execute pg_catalog.format('drop function if exists %s(%s)', _names[1], _parameters);
        if _ids is null then
            execute pg_catalog.format('drop function if exists %s(%s)', _dispatch, _parameters);
        end if;
    end if;

    foreach _name in array _names loop
        if pg_catalog.to_regproc(_name) is not null then
            execute pg_catalog.format('revoke all on function %s(%s) from public', _name, _parameters);
            if pg_catalog.to_regrole('pgq_admin') is not null then
                execute pg_catalog.format('grant execute on function %s(%s) to pgq_admin', _name, _parameters);
            end if;
        end if;
    end loop;
end;
$$ language plpgsql;

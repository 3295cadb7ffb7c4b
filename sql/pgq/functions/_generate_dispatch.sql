-- pgq._generate_dispatch(i_queue_name)
--
-- insert_event reaches a queue's generated function by static calls: pgq._insert_dispatch searches by the hash of the
-- queue's name. PL/pgSQL compiles a function at its first call in a session and prepares a statement when it first runs,
-- so a session pays for the queues that it writes to, and for the size of the dispatcher. Beyond 64 queues the
-- dispatcher is in parts, by the last bits of the hash.
-- A name that is not found is not an error here: the result is NULL, and insert_event_raw looks at the queue row.
--
-- Parameters: i_queue_name - queue that has come or gone; NULL: make everything anew
-- Calls: pgq._dispatch_tree()
-- Writes: pg_proc
create or replace function pgq._generate_dispatch(i_queue_name text)
returns void as $$
declare
    _parts constant integer := 64;
    _parameters constant text := 'integer, text, bigint, text, text, text, text, text, text';
    _arguments constant text := '($1, $2, $3, $4, $5, $6, $7, $8, $9)';
    _part_of_name constant integer := pg_catalog.hashtext(i_queue_name) & (_parts - 1);
    _was_split boolean;
    _split boolean;
    _part integer;
    _names text[];
    _bodies text[];
begin
    -- two creators would replace the same function ("tuple concurrently updated")
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgq._generate_dispatch', 0));
    _was_split := pg_catalog.to_regproc('pgq._insert_dispatch_0') is not null;
    _split := (select pg_catalog.count(*) > 64 from pgq.queue);

    with target as (
        -- names with the same hash one after the other
        select case when _split then pg_catalog.hashtext(q.queue_name) & (_parts - 1) else 0 end as part,
               pg_catalog.hashtext(q.queue_name) as hash,
               'return coalesce(' || pg_catalog.string_agg('pgq._insert_' || q.queue_id || _arguments, ', ')
                   || ');' as action
          from pgq.queue q
         group by 1, 2
    ), body as (
        select p.part,
               pgq._dispatch_tree('$1', pg_catalog.array_agg(t.hash order by t.hash) filter (where t.hash is not null),
                   pg_catalog.array_agg(t.action order by t.hash) filter (where t.hash is not null)) as text
          from pg_catalog.generate_series(0, case when _split then _parts - 1 else 0 end) as p (part)
          left join target t on t.part = p.part
         group by p.part
    )
    select pg_catalog.array_agg('pgq._insert_dispatch' || case when _split then '_' || b.part else '' end),
           pg_catalog.array_agg(b.text)
      into _names, _bodies
      from body b
     where not (_split and _was_split) or i_queue_name is null or b.part = _part_of_name;
    if _split and (not _was_split or i_queue_name is null) then
        _names := _names || text 'pgq._insert_dispatch';
        _bodies := _bodies || pgq._dispatch_tree('($1 operator(pg_catalog.&) ' || _parts - 1 || ')',
            array(select n from pg_catalog.generate_series(0, _parts - 1) n order by n),
            array(select 'return pgq._insert_dispatch_' || n || _arguments || ';'
                    from pg_catalog.generate_series(0, _parts - 1) n order by n));
    end if;

    for _n in 1 .. pg_catalog.array_length(_names, 1) loop
        execute pg_catalog.format('create or replace function %s(%s) returns bigint as %L language plpgsql',
            _names[_n], _parameters, E'\nbegin\n' || _bodies[_n] || E'\nend;\n');
        execute pg_catalog.format('revoke all on function %s(%s) from public', _names[_n], _parameters);
    end loop;
    if _was_split and not _split then
        for _part in 0 .. _parts - 1 loop
            execute pg_catalog.format('drop function pgq._insert_dispatch_%s(%s)', _part, _parameters);
        end loop;
    end if;
end;
$$ language plpgsql;

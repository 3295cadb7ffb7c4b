-- pgq.maint_operations()
--
-- What maintenance has to do now. Each row is a call of its own transaction; one that returns a number other than 0 is
-- to be repeated at once. Tables to vacuum come last: some callers stop at them.
-- Returns: func_name - function, or "vacuum"; func_arg - its argument, NULL for none; the table to vacuum
-- Calls: pgq.maint_tables_to_vacuum()
create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record as $$
declare
    _rotating boolean := false;
begin
    for func_arg in
        select q.queue_name
          from pgq.queue q
         where q.queue_rotation_period is not null and q.queue_switch_step2 is not null
           and q.queue_switch_time + q.queue_rotation_period < pg_catalog.now()
         order by 1
    loop
        func_name := 'pgq.maint_rotate_tables_step1';
        _rotating := true;
        return next;
    end loop;

    if _rotating or exists (select from pgq.queue q where q.queue_switch_step2 is null) then
        func_name := 'pgq.maint_rotate_tables_step2';
        func_arg := null;
        return next;
    end if;

    func_arg := null;
    if exists (select from pgq.delayed_event d
                 join pgq.queue q on q.queue_id = d.ev_queue
                where d.ev_not_before <= pg_catalog.now() and not q.queue_disable_insert) then
        func_name := 'pgq.maint_delayed_events';
        return next;
    end if;
    if exists (select from pgq.event_key k where k.key_until <= pg_catalog.now()) then
        func_name := 'pgq.maint_event_keys';
        return next;
    end if;

    return query
        select e.name, q.queue_name
          from pgq.queue q, pg_catalog.unnest(q.queue_extra_maint) with ordinality as e (name, position)
         order by q.queue_name, e.position;

    if pg_catalog.to_regprocedure('pgq_node.maint_watermark(text)') is not null then
        return query execute
            $q$select 'pgq_node.maint_watermark', n.queue_name
                 from pgq_node.node_info n where n.node_type = 'root' order by 2$q$;
    end if;
    if pg_catalog.to_regprocedure('londiste.root_check_seqs(text)') is not null then
        return query execute
            $q$select distinct 'londiste.root_check_seqs', n.queue_name
                 from pgq_node.node_info n join londiste.seq_info s on s.queue_name = n.queue_name
                where n.node_type = 'root' and s.local order by 2$q$;
    end if;
    if pg_catalog.to_regprocedure('londiste.periodic_maintenance()') is not null then
        func_name := 'londiste.periodic_maintenance';
        func_arg := null;
        return next;
    end if;

    return query select 'vacuum', t.name from pgq.maint_tables_to_vacuum() t (name);
end;
$$ language plpgsql;

-- Rights. Tables: reader and writer read, admin writes. Functions: see the lists. A role that
-- does not exist (the installer could not create it) is left out.
grant usage on schema pgq_node to public;
revoke all on pgq_node.node_location, pgq_node.node_info, pgq_node.local_state,
    pgq_node.subscriber_info from public;

do $$
declare
    v_role    text;
    v_func    record;
    v_grantee text[];
begin
    foreach v_role in array array['pgq_reader', 'pgq_writer', 'pgq_admin'] loop
        if to_regrole(v_role) is not null then
            execute format('grant select%s on pgq_node.node_location, pgq_node.node_info,'
                           ' pgq_node.local_state, pgq_node.subscriber_info to %I',
                           case v_role when 'pgq_admin' then ', insert, update, delete' else '' end,
                           v_role);
        end if;
    end loop;

    for v_func in
        select p.oid::regprocedure as signature, p.proname::text as name
          from pg_catalog.pg_proc p
         where p.pronamespace = 'pgq_node'::regnamespace
         order by p.oid
    loop
        v_grantee := case
            -- anybody
            when v_func.name in ('is_root_node', 'is_leaf_node', 'version')
                then array['public']
            -- source side: a subscriber's worker on its provider
            when v_func.name in ('get_queue_locations', 'get_node_info', 'get_subscriber_info',
                                 'get_consumer_info', 'get_consumer_state', 'register_subscriber',
                                 'unregister_subscriber', 'set_subscriber_watermark')
                then array['pgq_reader', 'pgq_writer', 'pgq_admin']
            -- target side: a cascaded consumer
            when v_func.name in ('register_consumer', 'unregister_consumer',
                                 'change_consumer_provider', 'set_consumer_uptodate',
                                 'set_consumer_paused', 'set_consumer_completed',
                                 'set_consumer_error')
                then array['pgq_writer', 'pgq_admin']
            -- internal helpers: only the functions of this schema call them, as owner
            when v_func.name like E'\\_%'
                then array[]::text[]
            else array['pgq_admin']
        end;
        execute format('revoke all on function %s from public', v_func.signature);
        foreach v_role in array v_grantee loop
            if v_role = 'public' then
                execute format('grant execute on function %s to public', v_func.signature);
            elsif to_regrole(v_role) is not null then
                execute format('grant execute on function %s to %I', v_func.signature, v_role);
            end if;
        end loop;
    end loop;
end;
$$;

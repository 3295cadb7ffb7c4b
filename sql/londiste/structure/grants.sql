-- Roles and rights. londiste_reader is what a subscriber needs on its provider, londiste_writer
-- what administers and applies; they include pgq_reader and pgq_admin. A role that cannot be
-- created or granted is left out.
grant usage on schema londiste to public;
grant select on londiste.table_info, londiste.seq_info, londiste.applied_execute,
    londiste.pending_fkeys, londiste.trigger_args, londiste.copy_job, londiste.copy_chunk,
    londiste.copy_dropped, londiste.copy_order, londiste.replay_progress, londiste.table_health to public;

do $$
declare
    v_role    text;
    v_func    record;
    v_grantee text[];
begin
    foreach v_role in array array['pgq_admin', 'londiste_reader'] loop
        if to_regrole(v_role) is not null then
            execute format('grant select%s on londiste.table_info, londiste.seq_info,'
                           ' londiste.applied_execute, londiste.pending_fkeys,'
                           ' londiste.trigger_args, londiste.copy_job, londiste.copy_chunk,'
                           ' londiste.copy_dropped, londiste.copy_order,'
                           ' londiste.replay_progress, londiste.table_health,'
                           ' londiste.dead_event to %I',
                           case v_role when 'pgq_admin' then ', insert, update, delete' else '' end,
                           v_role);
        end if;
    end loop;
    if to_regrole('londiste_writer') is not null then
        grant usage on sequence londiste.table_info_nr_seq, londiste.seq_info_nr_seq,
            londiste.copy_job_job_id_seq
            to londiste_writer;
    end if;

    for v_func in
        select p.oid::regprocedure as signature, p.proname::text as name
          from pg_catalog.pg_proc p
         where p.pronamespace = 'londiste'::regnamespace
         order by p.oid
    loop
        v_grantee := case
            when v_func.name in ('version', 'make_fqname', 'quote_fqname', 'split_fqname',
                                 'find_rel_oid', 'find_table_oid', 'find_seq_oid',
                                 'find_column_types', 'find_table_fkeys', 'is_replica_func',
                                 '_queue_triggers')
                then array['public']
            -- what a subscriber asks its provider
            when v_func.name in ('get_table_list', 'get_seq_list', '_coordinate_copy',
                                 'find_trigger_faults')
                then array['londiste_reader', 'londiste_writer']
            -- what pgq.maint_operations lists
            when v_func.name in ('root_check_seqs', 'periodic_maintenance', 'due_work')
                then array['londiste_writer', 'pgq_admin']
            else array['londiste_writer']
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

-- Who may do what. Readers consume, writers produce, admins (members of both) administer; everybody sees the state of
-- queues and consumers, never events. What is not granted here is the owner's alone.
-- Roles that could not be created are left out; run the install again when they are there.
do $$
declare
    -- role, functions with all their overloads
    _functions constant jsonb := '{
        "public": [
            "get_consumer_info", "get_queue_info", "quote_fqname", "rotation_blockers", "seq_getval", "version",
            "_listed_columns", "_refresh_or_tell", "_replication_role", "_row_check", "_row_fields", "_row_json", "_row_same", "_row_sql", "_row_urlencoded",
            "_table_shape", "_trigger_args", "_trigger_eval", "_trigger_event", "_trigger_expr", "_trigger_expr_column",
            "_trigger_silent",
            "_urlencode"
        ],
        "pgq_reader": [
            "batch_event_sql", "batch_event_tables", "batch_retry", "event_retry", "event_retry_many",
            "find_tick_helper", "finish_batch", "force_tick", "get_batch_cursor", "get_batch_events",
            "get_batch_info", "next_batch", "next_batch_custom", "next_batch_info", "register_consumer",
            "register_consumer_at", "unregister_consumer",
            "acquire_lease", "close_batch", "hold_batch", "open_batch", "release_lease", "renew_lease", "set_batch_progress",
            "close_circuit", "get_circuit", "open_circuit",
            "event_failed", "failed_event_count", "failed_event_delete", "failed_event_list", "failed_event_retry",
            "event_fail", "event_fail_many", "set_retry_policy"
        ],
        "pgq_writer": [
            "current_event_table", "insert_event", "insert_event_at", "insert_event_once", "insert_events", "jsontriga", "logutriga", "sqltriga", "_check_switch"
        ],
        "pgq_admin": [
            "create_fast_trigger", "drop_fast_trigger", "refresh_fast_triggers", "_fast_classic", "_fast_classic_pinned", "_fast_comparable",
            "_fast_ctid", "_fast_data", "_fast_events", "_fast_insert", "_fast_insert_source", "_fast_is_null", "_fast_json_types",
            "_fast_plain", "_fast_queue", "_fast_role", "_fast_rows", "_fast_same", "_fast_shape", "_fast_source", "_fast_value", "_fast_xmin",
            "_trigger_arguments", "_value_same", "_when",
            "create_queue", "drop_queue", "event_retry_raw", "grant_perms", "insert_event_raw", "maint_operations",
            "maint_delayed_events", "maint_event_keys", "maint_retry_events", "maint_rotate_tables_step1", "maint_rotate_tables_step2",
            "maint_tables_to_vacuum", "seq_setval", "set_queue_config", "tick_now", "ticker", "tune_storage",
            "upgrade_schema", "_check_tx_limit", "_complete_queue", "_dispatch_tree", "_generate_dispatch", "_generate_insert",
            "_grant_perms_from", "_subscription_of"
        ]
    }';
    _function regprocedure;
    _role text;
begin
    for _function, _role in
        select p.oid, r.key
          from pg_catalog.pg_proc p
          left join pg_catalog.jsonb_each(_functions) r on r.value ? p.proname::text
         where p.pronamespace = 'pgq'::regnamespace
         order by p.oid
    loop
        if _role is distinct from 'public' then
            execute pg_catalog.format('revoke all on function %s from public', _function);
        end if;
        if _role = 'public' or pg_catalog.to_regrole(_role) is not null then
            execute pg_catalog.format('grant execute on function %s to %s', _function, _role);
        end if;
    end loop;

    grant usage on schema pgq to public;
    revoke all on pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.event_template, pgq.retry_queue,
        pgq._first_event_tick, pgq._ticker_state, pgq.failed_queue, pgq.retry_policy, pgq.delayed_event,
        pgq.event_key from public;
    grant select on pgq.retry_policy to public;
    grant select on pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.consumer_lease, pgq.batch_progress,
        pgq.consumer_circuit, pgq.maintenance_run, pgq._first_event_tick to public;
    if pg_catalog.to_regrole('pgq_reader') is not null then
        grant select on pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.event_template, pgq.failed_queue
            to pgq_reader;
    end if;
    if pg_catalog.to_regrole('pgq_admin') is not null then
        grant select, insert, update, delete
            on pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.retry_queue, pgq.failed_queue, pgq.retry_policy,
               pgq.delayed_event, pgq.event_key, pgq.consumer_lease, pgq.batch_progress, pgq.consumer_circuit,
               pgq.maintenance_run
            to pgq_admin;
        grant select, insert, truncate on pgq.event_template to pgq_admin;
    end if;
end;
$$;

-- The same for the event tables of the queues that are there.
do $$
declare
    _queue text;
begin
    for _queue in select q.queue_name from pgq.queue q order by q.queue_id loop
        perform pgq.grant_perms(_queue);
    end loop;
end;
$$;

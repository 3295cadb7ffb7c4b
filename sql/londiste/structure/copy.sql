-- What a node remembers between two invocations, beyond the tables of the original.

-- The copy of a subscribed table in progress; its state is londiste.table_info.merge_state.
create table if not exists londiste.copy_job (
    queue_name      text not null,
    table_name      text not null,
    consumer_name   text not null,              -- <worker>.copy.<table>, at the source and here
    source_node     text not null,
    started         timestamptz not null default now(),
    source_bytes    int8,                       -- size at the source when it was planned
    until_tick      int8,                       -- set after the last chunk: exact from this tick on
    constraint copy_job_pkey primary key (queue_name, table_name),
    constraint copy_job_table_fkey foreign key (queue_name, table_name)
        references londiste.table_info (queue_name, table_name) on delete cascade
);

-- Ranges of the key in which it is copied: lower <= key < upper, as text; NULL is open.
create table if not exists londiste.copy_chunk (
    queue_name      text not null,
    table_name      text not null,
    nr              int4 not null,
    lower_key       text[],
    upper_key       text[],
    done            timestamptz,                -- set in the transaction of the rows
    rows            int8,
    bytes           int8,
    constraint copy_chunk_pkey primary key (queue_name, table_name, nr),
    constraint copy_chunk_job_fkey foreign key (queue_name, table_name)
        references londiste.copy_job (queue_name, table_name) on delete cascade
);

-- How far inside a batch a leaf has come.
create table if not exists londiste.replay_progress (
    queue_name      text not null,
    consumer_name   text not null,
    tick_id         int8 not null,              -- the end of the batch
    done_event      int8 not null,
    constraint replay_progress_pkey primary key (queue_name, consumer_name),
    constraint replay_progress_queue_fkey foreign key (queue_name)
        references pgq_node.node_info (queue_name) on delete cascade
);

-- What replay has noticed about a subscribed table.
create table if not exists londiste.table_health (
    queue_name      text not null,
    table_name      text not null,
    missing_rows    int8 not null default 0,    -- updates and deletes that found no row
    last_missing    timestamptz,
    fault           text,                       -- of the table on the provider
    fault_noticed   timestamptz,
    constraint table_health_pkey primary key (queue_name, table_name),
    constraint table_health_table_fkey foreign key (queue_name, table_name)
        references londiste.table_info (queue_name, table_name) on delete cascade
);

-- Events that could not be applied and were set aside by policy.
create table if not exists londiste.dead_event (
    queue_name      text not null,
    tick_id         int8 not null,
    ev_id           int8 not null,
    ev_time         timestamptz not null,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    sqlstate        text not null,
    set_aside       timestamptz not null default now(),
    constraint dead_event_pkey primary key (queue_name, ev_id)
);

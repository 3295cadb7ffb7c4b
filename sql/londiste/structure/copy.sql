-- What a node remembers between two invocations, beyond the tables of the original.

-- Rows of one table on their way here: the first copy of a subscribed table, whose state is
-- londiste.table_info.merge_state, or a copy on demand, whose state is in londiste.copy_order.
create table if not exists londiste.copy_job (
    job_id          int8 generated always as identity,
    queue_name      text,                       -- of a subscription; NULL on demand
    table_name      text,
    consumer_name   text,                       -- <worker>.copy.<table>, at the source and here
    until_tick      int8,                       -- set after the last chunk: exact from this tick on
    until_snapshot  txid_snapshot,              -- .. that sees all that this one, taken at the source then, saw
    source_node     text not null,              -- a node; on demand a configured database
    source_table    text not null,
    dest_table      text not null,
    started         timestamptz not null default now(),
    source_bytes    int8,                       -- size at the source when it was planned
    source_columns  text,                       -- if they change between two chunks, all begins again
    condition       text,                       -- WHERE at the source
    keep_rows       boolean not null,           -- those that are here stay, unless the source has their key
    ranges          text,                       -- whole, key or block; NULL: not planned yet
    source_file     int8,                       -- block: the file whose blocks are meant
    newer_than      int8,                       -- block: what this transaction and later ones write comes as events
    analyzed        boolean not null default false,
    constraint copy_job_pkey primary key (job_id),
    constraint copy_job_table_key unique (queue_name, table_name),
    constraint copy_job_ranges_check check (ranges in ('whole', 'key', 'block')),
    constraint copy_job_table_fkey foreign key (queue_name, table_name)
        references londiste.table_info (queue_name, table_name) on delete cascade
);

-- What is copied at a time: rows with lower_key <= key < upper_key (as text), or those that lie in
-- the blocks lower_block <= n < upper_block of the source. NULL is open.
create table if not exists londiste.copy_chunk (
    job_id          int8 not null,
    nr              int4 not null,
    lower_key       text[],
    upper_key       text[],
    lower_block     int8,
    upper_block     int8,
    collided        boolean not null default false, -- a key of it stood here already: write with care
    done            timestamptz,                -- set in the transaction of the rows
    rows            int8,
    bytes           int8,
    constraint copy_chunk_pkey primary key (job_id, nr),
    constraint copy_chunk_job_fkey foreign key (job_id)
        references londiste.copy_job (job_id) on delete cascade
);

-- What was taken off the table here, and makes it again.
create table if not exists londiste.copy_dropped (
    job_id          int8 not null,
    nr              int4 not null,
    name            text not null,
    kind            text not null,              -- index, unique, foreign key or trigger
    definition      text not null,              -- statements
    done            timestamptz,                -- set in the transaction that made it again
    problem         text,                       -- why it could not be made the last time
    constraint copy_dropped_pkey primary key (job_id, nr),
    constraint copy_dropped_job_fkey foreign key (job_id)
        references londiste.copy_job (job_id) on delete cascade
);

-- A copy that somebody asked for, without a set.
create table if not exists londiste.copy_order (
    job_id          int8 not null,
    order_name      text not null,              -- asking twice under one name asks once
    existing        text not null,              -- what becomes of rows that are here
    chunk_bytes     int8 not null,              -- of the source, in one chunk
    one_snapshot    boolean not null,           -- one chunk, and so one moment of the source
    state           text not null default 'waiting',
    problem         text,                       -- of the last attempt
    asked           timestamptz not null default now(),
    finished        timestamptz,
    constraint copy_order_pkey primary key (job_id),
    constraint copy_order_state_check
        check (state in ('waiting', 'in-copy', 'building', 'done', 'cancelled')),
    constraint copy_order_existing_check check (existing in ('refuse', 'truncate', 'keep')),
    constraint copy_order_job_fkey foreign key (job_id)
        references londiste.copy_job (job_id) on delete cascade
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

-- Tables of londiste. Column order and constraint names are part of the contract: original
-- clients read them too.

-- Tables of each set, as known on this node; `local` ones are subscribed here.
create table if not exists londiste.table_info (
    nr              serial not null,
    queue_name      text not null,
    table_name      text not null,              -- name in the queue, schema.table
    local           boolean not null default false,
    merge_state     text,                       -- NULL, in-copy, catching-up, wanna-sync:<tick>,
                                                -- do-sync:<tick>, ok
    custom_snapshot text,                       -- txid_snapshot of the copy; events that it sees
                                                -- are skipped
    dropped_ddl     text,                       -- recreates what a merged copy took off the table
    table_attrs     text,                       -- urlencoded: handler, copy_node, skip_truncate, ..
    dest_table      text,                       -- the real table; NULL: same name
    constraint table_info_pkey primary key (queue_name, table_name),
    constraint table_info_queue_name_fkey foreign key (queue_name)
        references pgq_node.node_info (queue_name) on delete cascade,
    constraint table_info_check check (
        dropped_ddl is null or merge_state in ('in-copy', 'catching-up'))
);

-- Sequences of each set; last_value is what the root published last.
create table if not exists londiste.seq_info (
    nr              serial not null,
    queue_name      text not null,
    seq_name        text not null,
    local           boolean not null default false,
    last_value      int8 not null,
    constraint seq_info_pkey primary key (queue_name, seq_name),
    constraint seq_info_queue_name_fkey foreign key (queue_name)
        references pgq_node.node_info (queue_name) on delete cascade
);

-- Scripts that EXECUTE ran in this database; the file's name is the key whatever the set.
create table if not exists londiste.applied_execute (
    queue_name      text not null,
    execute_file    text not null,
    execute_time    timestamptz not null default now(),
    execute_sql     text not null,
    execute_attrs   text,
    constraint applied_execute_pkey primary key (execute_file)
);

-- Foreign keys taken off for a copy, until both tables are in sync.
create table if not exists londiste.pending_fkeys (
    from_table      text not null,
    to_table        text not null,
    fkey_name       text not null,
    fkey_def        text not null,              -- whole alter table statement
    constraint pending_fkeys_pkey primary key (from_table, fkey_name)
);

-- Arguments with which the triggers of a subscribed table were made, so that lost ones can be
-- told from unwanted ones and made again. Not part of the original; a table without a row here
-- was subscribed by it.
create table if not exists londiste.trigger_args (
    queue_name      text not null,
    table_name      text not null,
    trg_args        text[] not null,
    constraint trigger_args_pkey primary key (queue_name, table_name),
    constraint trigger_args_table_fkey foreign key (queue_name, table_name)
        references londiste.table_info (queue_name, table_name) on delete cascade
);

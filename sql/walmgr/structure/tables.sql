-- Schema walmgr: progress of WAL archiving, checkpointed. Everything here can be told again from the archive's listing.
create schema if not exists walmgr;

-- walmgr.cluster: clusters whose WAL is archived.
create table if not exists walmgr.cluster (
    cluster_name        text        not null,
    -- pg_control's 64-bit number, which int8 cannot hold unsigned
    system_identifier   numeric(20) not null,
    segment_size        integer     not null,
    major               integer     not null,
    archive             text        not null,
    registered_at       timestamptz not null default now(),
    constraint cluster_pkey primary key (cluster_name)
);

-- walmgr.segment: files in the archive, by the way they came. state: stored (its checksum was verified by the store),
-- verified (read back and checked), damaged.
create table if not exists walmgr.segment (
    cluster_name        text        not null,
    file_name           text        not null,
    timeline            bigint      not null,
    state               text        not null,
    source              text        not null,
    plain_size          bigint      not null,
    object_size         bigint      not null,
    plain_sha256        text        not null,
    stored_at           timestamptz not null default now(),
    constraint segment_pkey primary key (cluster_name, file_name),
    constraint segment_cluster_fkey foreign key (cluster_name) references walmgr.cluster on delete cascade,
    constraint segment_state_check check (state in ('stored', 'verified', 'damaged'))
);

-- walmgr.gap: WAL that was gone before it could be archived. Recovery from a backup before a gap ends at it.
create table if not exists walmgr.gap (
    cluster_name        text        not null,
    timeline            bigint      not null,
    from_lsn            pg_lsn      not null,
    to_lsn              pg_lsn      not null,
    found_at            timestamptz not null default now(),
    constraint gap_pkey primary key (cluster_name, timeline, from_lsn),
    constraint gap_cluster_fkey foreign key (cluster_name) references walmgr.cluster on delete cascade
);

-- walmgr.backup: base backups. state: waiting (for WAL), usable, damaged.
create table if not exists walmgr.backup (
    cluster_name        text        not null,
    backup_name         text        not null,
    state               text        not null,
    timeline            bigint      not null,
    start_lsn           pg_lsn      not null,
    stop_lsn            pg_lsn      not null,
    started_at          timestamptz not null,
    stopped_at          timestamptz not null,
    plain_size          bigint      not null,
    object_size         bigint      not null,
    constraint backup_pkey primary key (cluster_name, backup_name),
    constraint backup_cluster_fkey foreign key (cluster_name) references walmgr.cluster on delete cascade,
    constraint backup_state_check check (state in ('waiting', 'usable', 'damaged'))
);

-- walmgr.job: what is done again and again for a cluster, with the lease of whoever is at it and a number that fences
-- off an owner whose lease was taken over.
create table if not exists walmgr.job (
    cluster_name        text        not null,
    job_kind            text        not null,
    fence               bigint      not null default 0,
    leased_until        timestamptz,
    started_at          timestamptz,
    finished_at         timestamptz,
    failures            integer     not null default 0,
    last_error          text,
    durable_lsn         pg_lsn,
    server_lsn          pg_lsn,
    constraint job_pkey primary key (cluster_name, job_kind),
    constraint job_cluster_fkey foreign key (cluster_name) references walmgr.cluster on delete cascade,
    constraint job_kind_check check (job_kind in ('pull', 'backup', 'expire'))
);

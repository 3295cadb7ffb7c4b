-- What a consumer's function keeps beside its subscription.

-- A lease for work that spans several transactions. A row exists only for consumers that
-- ever needed one; unregistering removes it.
create table if not exists pgq.consumer_lease (
    lease_queue     int4 not null,
    lease_consumer  int4 not null,
    -- Grows with every acquisition; work done under an older number is refused.
    lease_fence     int8 not null default 0,
    -- Free text for the operator: which invocation holds it.
    lease_holder    text,
    -- By PostgreSQL's clock; NULL = free.
    lease_until     timestamptz,
    constraint consumer_lease_pkey primary key (lease_queue, lease_consumer),
    constraint consumer_lease_subscription_fkey foreign key (lease_queue, lease_consumer)
        references pgq.subscription (sub_queue, sub_consumer) on delete cascade
);

-- How far into an open batch its consumer got when its time ran out: events up to and
-- including event_id are done. By batch and not by consumer, because a batch of a
-- cooperative consumer may pass from one member to another.
create table if not exists pgq.batch_progress (
    batch_id  int8 not null,
    event_id  int8 not null,
    constraint batch_progress_pkey primary key (batch_id)
);

-- When the last whole round of maintenance ended: one row at most.
create table if not exists pgq.maintenance_run (
    one          boolean not null default true,
    finished_at  timestamptz not null,
    constraint maintenance_run_pkey primary key (one),
    constraint maintenance_run_one_check check (one)
);

-- Keys of events that must not come a second time within a window.
create table if not exists pgq.event_key (
    key_queue   integer     not null,
    key_name    text        not null,
    key_until   timestamptz not null,
    -- NULL only while the transaction that inserts the event is at it
    key_event   bigint,

    constraint event_key_pkey primary key (key_queue, key_name),
    constraint event_key_queue_fkey foreign key (key_queue) references pgq.queue (queue_id) on delete cascade
);

create index if not exists event_key_until_idx on pgq.event_key (key_until);

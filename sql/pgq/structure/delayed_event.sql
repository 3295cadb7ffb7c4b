-- Events that are not to be in their queue before a time.
create table if not exists pgq.delayed_event (
    ev_not_before   timestamptz not null,
    ev_queue        integer     not null,

    ev_id           bigint      not null,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text,

    constraint delayed_event_pkey primary key (ev_queue, ev_id),
    constraint delayed_event_queue_fkey foreign key (ev_queue) references pgq.queue (queue_id) on delete cascade
);

create index if not exists delayed_event_time_idx on pgq.delayed_event (ev_not_before);

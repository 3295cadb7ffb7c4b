-- Dead letters: events that a consumer has given up. The table of PgQ 2.x.
-- ev_owner is the sub_id of the subscription, as in the retry queue; a group of cooperative consumers shares it.
create table if not exists pgq.failed_queue (
    ev_failed_reason    text,
    ev_failed_time      timestamptz not null,

    ev_id               bigint      not null,
    ev_time             timestamptz not null,
    ev_txid             bigint,
    ev_owner            integer     not null,
    ev_retry            integer,
    ev_type             text,
    ev_data             text,
    ev_extra1           text,
    ev_extra2           text,
    ev_extra3           text,
    ev_extra4           text,

    constraint fq_pkey primary key (ev_owner, ev_id)
);

-- Left from PgQ 2.x, the column refuses what comes from another database or has no transaction any more.
alter table pgq.failed_queue alter column ev_txid drop not null;
alter table pgq.failed_queue alter column ev_txid drop default;

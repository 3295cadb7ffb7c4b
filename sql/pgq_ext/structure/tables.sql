-- Schema pgq_ext: how far a consumer got, kept in the database that receives its effects and
-- written in the same transaction as they. Knows nothing of schema pgq. The default of
-- subconsumer_id comes from pgq_ext.upgrade_schema(), which every install runs.
create schema if not exists pgq_ext;

-- Last tick applied (consumers that keep their own position).
create table if not exists pgq_ext.completed_tick (
    consumer_id     text not null,
    subconsumer_id  text not null,
    last_tick_id    int8 not null,
    constraint completed_tick_pkey primary key (consumer_id, subconsumer_id)
);

-- Last batch applied.
create table if not exists pgq_ext.completed_batch (
    consumer_id     text not null,
    subconsumer_id  text not null,
    last_batch_id   int8 not null,
    constraint completed_batch_pkey primary key (consumer_id, subconsumer_id)
);

-- Events applied of the batch in pgq_ext.partial_batch.
create table if not exists pgq_ext.completed_event (
    consumer_id     text not null,
    subconsumer_id  text not null,
    batch_id        int8 not null,
    event_id        int8 not null,
    constraint completed_event_pkey primary key (consumer_id, subconsumer_id, batch_id, event_id)
);

-- The batch whose events are being ticked off one by one.
create table if not exists pgq_ext.partial_batch (
    consumer_id     text not null,
    subconsumer_id  text not null,
    cur_batch_id    int8 not null,
    constraint partial_batch_pkey primary key (consumer_id, subconsumer_id)
);

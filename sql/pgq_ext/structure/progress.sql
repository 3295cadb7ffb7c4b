-- How far into a batch its consumer got when its time ran out: the effects of events up to
-- and including event_id are here. An addition to the four tables of the contract.
create table if not exists pgq_ext.batch_progress (
    consumer_id     text not null,
    subconsumer_id  text not null default '',
    batch_id        int8 not null,
    event_id        int8 not null,
    constraint batch_progress_pkey primary key (consumer_id, subconsumer_id)
);

-- PgQ 2.1 to the tables of 3.x. Does nothing to any other installation. The functions that have the same name and other
-- result types are the installer's business; two that 3.x gave up and whose tables changed are dropped here.
-- A retried event was found through its subscription then, and carries its queue now, so that cooperative consumers can
-- share a sub_id.
do $$
declare
    _name text;
    _queue record;
begin
    if pg_catalog.to_regclass('pgq.queue') is null
       or exists (select from pg_catalog.pg_attribute
                   where attrelid = pg_catalog.to_regclass('pgq.tick') and attname = 'tick_event_seq' and not attisdropped) then
        return;
    end if;

    alter table pgq.queue
        add column if not exists queue_disable_insert boolean not null default false,
        add column if not exists queue_ticker_paused boolean not null default false,
        add column if not exists queue_per_tx_limit integer,
        add column if not exists queue_extra_maint text[],
        alter column queue_switch_step2 drop not null;

    -- Only a hint for the ticker and the statistics: what came before counts as ticked.
    alter table pgq.tick add column tick_event_seq bigint;
    for _queue in select queue_id, queue_event_seq from pgq.queue loop
        update pgq.tick
           set tick_event_seq = coalesce(pg_catalog.pg_sequence_last_value(_queue.queue_event_seq::regclass), 1)
         where tick_queue = _queue.queue_id;
    end loop;
    update pgq.tick set tick_event_seq = 1 where tick_event_seq is null;
    alter table pgq.tick alter column tick_event_seq set not null;

    for _name in
        select pg_catalog.format('alter table %s drop constraint %I', conrelid::regclass, conname)
          from pg_catalog.pg_constraint
         where contype = 'f' and confrelid = 'pgq.subscription'::regclass
    loop
        execute _name;
    end loop;
    for _name in
        select pg_catalog.format('alter table pgq.subscription drop constraint %I', conname)
          from pg_catalog.pg_constraint
         where contype in ('p', 'u') and conrelid = 'pgq.subscription'::regclass and conname <> 'subscription_batch_idx'
    loop
        execute _name;
    end loop;
    alter table pgq.subscription
        add constraint subscription_pkey primary key (sub_queue, sub_consumer),
        alter column sub_last_tick drop not null;
    if pg_catalog.to_regclass('pgq.subscription_batch_idx') is null then
        alter table pgq.subscription add constraint subscription_batch_idx unique (sub_batch);
    end if;

    alter table pgq.retry_queue add column ev_queue integer;
    update pgq.retry_queue r set ev_queue = s.sub_queue from pgq.subscription s where s.sub_id = r.ev_owner;
    -- retries of consumers that are gone can be delivered to nobody
    delete from pgq.retry_queue where ev_queue is null;
    alter table pgq.retry_queue
        alter column ev_queue set not null,
        alter column ev_owner set not null,
        alter column ev_txid drop not null,
        alter column ev_txid drop default,
        add constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id);

    drop function if exists pgq.ticker(text, bigint);
    drop function if exists pgq.register_consumer(text, text, bigint);
end;
$$;

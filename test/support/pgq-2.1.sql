-- The parts of a PgQ 2.1 that matter to an upgrade: its tables, and functions whose result types differ from 3.x.
create schema pgq;
create table pgq.consumer (co_id serial, co_name text not null default 'fooz',
    constraint consumer_pkey primary key (co_id), constraint consumer_name_uq unique (co_name));
create table pgq.queue (
    queue_id serial, queue_name text not null,
    queue_ntables integer not null default 3, queue_cur_table integer not null default 0,
    queue_rotation_period interval not null default '2 hours',
    queue_switch_step1 bigint not null default txid_current(),
    queue_switch_step2 bigint default txid_current(),
    queue_switch_time timestamptz not null default now(),
    queue_external_ticker boolean not null default false,
    queue_ticker_max_count integer not null default 500,
    queue_ticker_max_lag interval not null default '3 seconds',
    queue_ticker_idle_period interval not null default '1 minute',
    queue_data_pfx text not null, queue_event_seq text not null, queue_tick_seq text not null,
    constraint queue_pkey primary key (queue_id), constraint queue_name_uq unique (queue_name));
create table pgq.tick (
    tick_queue int4 not null, tick_id bigint not null, tick_time timestamptz not null default now(),
    tick_snapshot txid_snapshot not null default txid_current_snapshot(),
    constraint tick_pkey primary key (tick_queue, tick_id),
    constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue (queue_id));
create sequence pgq.batch_id_seq;
create table pgq.subscription (
    sub_id serial not null, sub_queue int4 not null, sub_consumer int4 not null, sub_last_tick bigint not null,
    sub_active timestamptz not null default now(), sub_batch bigint, sub_next_tick bigint,
    constraint subscription_pkey primary key (sub_id),
    constraint sub_queue_fkey foreign key (sub_queue) references pgq.queue (queue_id),
    constraint sub_consumer_fkey foreign key (sub_consumer) references pgq.consumer (co_id),
    constraint sub_ukey unique (sub_queue, sub_consumer));
create table pgq.event_template (
    ev_id bigint not null, ev_time timestamptz not null, ev_txid bigint not null default txid_current(),
    ev_owner int4, ev_retry int4, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text);
create table pgq.retry_queue (
    ev_retry_after timestamptz not null, like pgq.event_template,
    constraint rq_pkey primary key (ev_owner, ev_id),
    constraint rq_owner_fkey foreign key (ev_owner) references pgq.subscription (sub_id));
alter table pgq.retry_queue alter ev_txid drop not null;
create index rq_retry_idx on pgq.retry_queue (ev_retry_after);
create table pgq.failed_queue (
    ev_failed_reason text, ev_failed_time timestamptz not null, like pgq.event_template,
    constraint fq_pkey primary key (ev_owner, ev_id),
    constraint fq_owner_fkey foreign key (ev_owner) references pgq.subscription (sub_id));
create type pgq.ret_queue_info as (queue_name text, queue_ntables int4, ticker_lag interval);
create function pgq.get_queue_info(x_name text) returns setof pgq.ret_queue_info language sql
    as $$ select queue_name, queue_ntables, interval '0' from pgq.queue where queue_name = $1 $$;
create function pgq.get_queue_info() returns setof pgq.ret_queue_info language sql
    as $$ select queue_name, queue_ntables, interval '0' from pgq.queue $$;
create type pgq.ret_batch_event as (ev_id bigint, ev_time timestamptz, ev_txid bigint, ev_retry int4, ev_type text,
    ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text);
create function pgq.get_batch_events(x_batch_id bigint) returns setof pgq.ret_batch_event language sql
    as $$ select null::pgq.ret_batch_event where false $$;
create function pgq.ticker(text, bigint) returns bigint language sql as $$ select $2 $$;
create function pgq.register_consumer(text, text, bigint) returns integer language sql as $$ select 1 $$;
create function pgq.insert_event(text, text, text) returns bigint language sql as $$ select 0::bigint $$;
create function pgq.ticker() returns bigint language sql as $$ select 0::bigint $$;
create function pgq.logutriga() returns trigger language plpgsql as $$ begin return null; end $$;

-- one queue with a consumer, an open batch that holds event 2, an event waiting for retry and a failed one
insert into pgq.queue (queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values ('old', 'pgq.event_1', 'pgq.event_1_id_seq', 'pgq.event_1_tick_seq');
create sequence pgq.event_1_id_seq;
create sequence pgq.event_1_tick_seq;
create table pgq.event_1 () inherits (pgq.event_template);
create table pgq.event_1_0 () inherits (pgq.event_1);
create table pgq.event_1_1 () inherits (pgq.event_1);
create table pgq.event_1_2 () inherits (pgq.event_1);
alter table pgq.event_1_0 alter ev_id set default nextval('pgq.event_1_id_seq');
alter table pgq.event_1_1 alter ev_id set default nextval('pgq.event_1_id_seq');
alter table pgq.event_1_2 alter ev_id set default nextval('pgq.event_1_id_seq');
create index event_1_0_txid_idx on pgq.event_1_0 (ev_txid);
create index event_1_1_txid_idx on pgq.event_1_1 (ev_txid);
create index event_1_2_txid_idx on pgq.event_1_2 (ev_txid);
insert into pgq.tick (tick_queue, tick_id) values (1, nextval('pgq.event_1_tick_seq'));

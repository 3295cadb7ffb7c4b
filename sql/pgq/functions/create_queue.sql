-- pgq.create_queue(i_queue_name)
--
-- Creates a queue with its tables and sequences and gives it its first tick, so that consumers can register at once.
-- Parameters: i_queue_name - any text
-- Returns: 1 - created, 0 - exists
-- Calls: pgq._complete_queue(), pgq._generate_dispatch(), pgq.grant_perms(), pgq.ticker(queue), pgq.tune_storage()
-- Writes: pgq.queue, pgq.tick, pg_class, pg_proc
create or replace function pgq.create_queue(i_queue_name text)
returns integer as $$
declare
    _id integer;
    _prefix text;
    _ntables integer;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value';
    end if;

    -- Creators come one by one (they share what _generate_dispatch makes), and the second of a name sees the first.
    perform pg_advisory_xact_lock(hashtextextended('pgq._generate_dispatch', 0));
    if exists (select from pgq.queue q where q.queue_name = i_queue_name) then
        return 0;
    end if;

    _id := nextval('pgq.queue_queue_id_seq');
    _prefix := 'pgq.event_' || _id;
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values (_id, i_queue_name, _prefix, _prefix || '_id_seq', _prefix || '_tick_seq')
    on conflict (queue_name) do nothing
    returning queue_ntables into _ntables;
    if not found then
        return 0;
    end if;

    execute 'create sequence ' || _prefix || '_tick_seq';
    execute 'create sequence ' || _prefix || '_id_seq';
    execute 'create table ' || _prefix || ' () inherits (pgq.event_template)';
    for _n in 0 .. _ntables - 1 loop
        execute format('create table %1$s_%2$s () inherits (%1$s)', _prefix, _n);
        execute format('alter table %1$s_%2$s alter column ev_id set default nextval(%3$L)', _prefix, _n,
            _prefix || '_id_seq');
        execute format('create index event_%1$s_%2$s_txid_idx on %3$s_%2$s (ev_txid)', _id, _n, _prefix);
    end loop;

    perform pgq._complete_queue(_id);
    perform pgq._generate_dispatch(i_queue_name);
    perform pgq.grant_perms(i_queue_name);
    perform pgq.ticker(i_queue_name);
    -- A snapshot leaves out the transaction that takes it. Where a younger one has ended already, events that this
    -- transaction goes on to insert would count as seen at the first tick, and no batch would have them.
    update pgq.tick t
       set tick_snapshot = (
           select format('%s:%s:%s', min(x.xid), txid_snapshot_xmax(t.tick_snapshot), string_agg(x.xid::text, ',' order by x.xid))
             from (select txid_snapshot_xip(t.tick_snapshot) union select txid_current()) x (xid))::txid_snapshot
     where t.tick_queue = _id
       and txid_current() < txid_snapshot_xmax(t.tick_snapshot);
    perform pgq.tune_storage(i_queue_name);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

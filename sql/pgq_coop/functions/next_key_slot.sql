-- pgq_coop.next_key_slot(i_queue_name, i_consumer_name, i_key, i_slots, i_except) -> record
--
-- A slot of a group that keeps the order of each key. The events of the queue are dealt to the
-- slots by the hash of a field; each slot is a consumer of its own, read with the ordinary
-- functions (pgq.next_batch, pgq.open_batch ...) by one worker at a time. So the events of one
-- key are handled one after the other, whoever dies or takes over.
--
-- The first call makes the slots at the position of the consumer, which is registered on the way;
-- a batch that it has open is finished first. With another number of slots, or another key, the
-- old slots go on to one tick, and the new ones begin there when all of them have arrived. A group
-- that is moved (pgq.register_consumer_at) begins anew at that tick.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the group
--   i_key     field that holds the key: ev_type or ev_extra1 to ev_extra4. Events where it is
--             NULL have no order to keep and are dealt by their id
--   i_slots   number of slots
--   i_except  consumers that the caller has tried in vain
-- Returns: consumer_name = the slot to work on, or the group itself while its old batch is open;
--   arriving = true when it is on its way to the tick where the slots change: open its batches
--   without conditions on their size. consumer_name NULL = none is to be had: working = true when
--   others are at work, false when there is nothing to do
-- Raises: 'invalid key ...', 'the group has members without a key'
-- Calls: pgq.register_consumer
-- Tables written: pgq.subscription, pgq.consumer, pgq.key_slot
create or replace function pgq_coop.next_key_slot(
    i_queue_name text, i_consumer_name text, i_key text, i_slots int4, i_except text[],
    out consumer_name text, out arriving boolean, out working boolean)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_main   record;
    v_slots  record;
    v_end    int8;
begin
    if i_key is null or i_key not in ('ev_type', 'ev_extra1', 'ev_extra2', 'ev_extra3', 'ev_extra4')
       or i_slots is null or i_slots < 1 then
        raise exception 'invalid key or number of slots: %, %', i_key, i_slots
            using hint = 'The key is ev_type or one of ev_extra1 to ev_extra4; there is at least one slot.';
    end if;

    -- Whoever changes the group's slots holds the row of the group; workers hold the rows of their slots.
    for v_pass in 1 .. 2 loop
        select s.sub_queue, s.sub_consumer, s.sub_id, s.sub_last_tick, s.sub_batch
          into v_main
          from pgq.queue q
          join pgq.subscription s on s.sub_queue = q.queue_id
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name
           for update of s;
        exit when found;
        perform pgq.register_consumer(i_queue_name, i_consumer_name);
    end loop;

    arriving := false;
    working := false;
    if v_main.sub_batch is not null then
        if i_consumer_name = any (i_except) then
            working := true;
        else
            consumer_name := i_consumer_name;
        end if;
        return;
    end if;

    select count(*) as total,
           count(*) filter (where k.slot_count = i_slots and k.slot_key = i_key) as wanted,
           -- where all of them can end
           max(coalesce(s.sub_next_tick, s.sub_last_tick)) as last_tick,
           bool_and(s.sub_batch is null) as between_batches,
           min(s.sub_last_tick) as first_tick
      into v_slots
      from pgq.key_slot k
      join pgq.subscription s on s.sub_queue = k.slot_queue and s.sub_consumer = k.slot_consumer
     where k.slot_queue = v_main.sub_queue
       and s.sub_id = v_main.sub_id;

    if v_main.sub_last_tick is not null
       or v_slots.total <> i_slots or v_slots.wanted <> i_slots then
        v_end := coalesce(v_main.sub_last_tick, v_slots.last_tick);
        if v_end is null then
            raise exception 'the slots of group % are gone', i_consumer_name
                using hint = 'Move the group to a tick with pgq.register_consumer_at, or register it anew.';
        end if;
        if v_main.sub_last_tick is not null
           or v_slots.between_batches and v_slots.first_tick = v_end then
            if not pgq_coop._replace_key_slots(v_main.sub_queue, v_main.sub_id, v_main.sub_consumer,
                                               i_key, i_slots, v_end,
                                               v_main.sub_last_tick is not null) then
                working := true;
                return;
            end if;
        else
            arriving := true;
        end if;
    end if;

    select c.co_name
      into consumer_name
      from pgq.key_slot k
      join pgq.subscription s on s.sub_queue = k.slot_queue and s.sub_consumer = k.slot_consumer
      join pgq.consumer c on c.co_id = s.sub_consumer
     where k.slot_queue = v_main.sub_queue
       and s.sub_id = v_main.sub_id
       and c.co_name <> all (i_except)
       and (s.sub_batch is not null
            or exists (select from pgq.tick t
                        where t.tick_queue = s.sub_queue and t.tick_id > s.sub_last_tick
                          and (not arriving or t.tick_id <= v_end)))
       and not exists (select from pgq.consumer_lease l
                        where l.lease_queue = s.sub_queue and l.lease_consumer = s.sub_consumer
                          and l.lease_until > clock_timestamp())
     order by s.sub_last_tick, k.slot_number
     limit 1
       for update of s skip locked;
    if consumer_name is null then
        working := arriving or exists (
            select
              from pgq.key_slot k
              join pgq.subscription s on s.sub_queue = k.slot_queue and s.sub_consumer = k.slot_consumer
              join pgq.consumer c on c.co_id = s.sub_consumer
             where k.slot_queue = v_main.sub_queue
               and s.sub_id = v_main.sub_id
               and c.co_name <> all (i_except)
               and exists (select from pgq.tick t
                            where t.tick_queue = s.sub_queue and t.tick_id > s.sub_last_tick));
    end if;
end;
$$;

-- pgq_coop._replace_key_slots(i_queue_id, i_sub_id, i_group_id, i_key, i_slots, i_tick, i_moved)
--   -> bool
--
-- Ends the slots of a group and makes new ones at a tick.
--
-- Parameters:
--   i_queue_id, i_sub_id, i_group_id  the group; the caller has locked its subscription
--   i_key, i_slots, i_tick            of the new slots
--   i_moved   the old ones need not be at that tick, and lose the batches that they have open
-- Returns: false and has done nothing where a slot is held by a transaction or a lease, or is not
--   at that tick
-- Raises: 'the group has members without a key'
-- Calls: pgq.register_consumer
-- Tables written: pgq.subscription, pgq.consumer, pgq.key_slot
create or replace function pgq_coop._replace_key_slots(
    i_queue_id int4, i_sub_id int4, i_group_id int4, i_key text, i_slots int4, i_tick int8,
    i_moved boolean)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_others int4[] := array(
        select s.sub_consumer
          from pgq.subscription s
         where s.sub_queue = i_queue_id and s.sub_id = i_sub_id and s.sub_consumer <> i_group_id
         order by s.sub_consumer);
    v_held   int4[];
    v_group  text := (select c.co_name from pgq.consumer c where c.co_id = i_group_id);
    v_queue  text := (select q.queue_name from pgq.queue q where q.queue_id = i_queue_id);
    v_name   text;
    v_gone   int4;
begin
    v_held := array(
        select s.sub_consumer
          from pgq.subscription s
         where s.sub_queue = i_queue_id and s.sub_consumer = any (v_others)
           and not exists (select from pgq.consumer_lease l
                            where l.lease_queue = s.sub_queue and l.lease_consumer = s.sub_consumer
                              and l.lease_until > clock_timestamp())
         order by s.sub_consumer
           for update of s skip locked);
    if v_held <> v_others
       or not i_moved
       and exists (select from pgq.subscription s
                    where s.sub_queue = i_queue_id and s.sub_consumer = any (v_others)
                      and (s.sub_batch is not null or s.sub_last_tick <> i_tick)) then
        return false;
    end if;
    if exists (select
                 from pgq.subscription s
                where s.sub_queue = i_queue_id and s.sub_consumer = any (v_others) and s.sub_batch is not null
                  and not exists (select from pgq.key_slot k
                                   where k.slot_queue = s.sub_queue and k.slot_consumer = s.sub_consumer)) then
        raise exception 'the group has members without a key'
            using hint = 'Let them finish their batches, or unregister them (pgq_coop.unregister_subconsumer).';
    end if;

    delete from pgq.subscription s where s.sub_queue = i_queue_id and s.sub_consumer = any (v_others);
    for v_number in 1 .. i_slots loop
        v_name := format('%s.%sof%s', v_group, v_number, i_slots);
        if pgq.register_consumer(v_queue, v_name) = 0 then
            raise exception 'a consumer has the name of a slot: %', v_name
                using hint = 'Unregister it or choose another name for the group.';
        end if;
        update pgq.subscription s
           set sub_id = i_sub_id, sub_last_tick = i_tick
          from pgq.consumer c
         where s.sub_queue = i_queue_id and s.sub_consumer = c.co_id and c.co_name = v_name;
        insert into pgq.key_slot (slot_queue, slot_consumer, slot_key, slot_number, slot_count)
        select i_queue_id, c.co_id, i_key, v_number, i_slots from pgq.consumer c where c.co_name = v_name;
    end loop;
    update pgq.subscription s
       set sub_last_tick = null, sub_active = now()
     where s.sub_queue = i_queue_id and s.sub_consumer = i_group_id;
    foreach v_gone in array v_others loop
        perform pgq_coop._drop_unused_consumer(v_gone);
    end loop;
    return true;
end;
$$;

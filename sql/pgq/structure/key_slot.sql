-- The slots of groups that keep the order of each key: see pgq_coop.next_key_slot. A slot is an ordinary consumer that sees
-- the events of its keys only, so any client can read it. Its name is <group>.<slot>of<slots>, its sub_id the group's, whose
-- own position is NULL as long as it has slots.
create table if not exists pgq.key_slot (
    slot_queue      int4 not null,
    slot_consumer   int4 not null,
    -- Field of the event that holds the key.
    slot_key        text not null,
    -- This slot, from 1, of so many.
    slot_number     int4 not null,
    slot_count      int4 not null,

    constraint key_slot_pkey primary key (slot_queue, slot_consumer),
    constraint key_slot_subscription_fkey foreign key (slot_queue, slot_consumer)
        references pgq.subscription (sub_queue, sub_consumer) on delete cascade,
    constraint key_slot_key_check check (slot_key in ('ev_type', 'ev_extra1', 'ev_extra2', 'ev_extra3', 'ev_extra4')),
    constraint key_slot_number_check check (slot_number between 1 and slot_count)
);

grant select on pgq.key_slot to public;

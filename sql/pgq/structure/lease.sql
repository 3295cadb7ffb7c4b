-- What a consumer's function keeps beside its subscription: a lease for work that spans
-- several transactions, and how far into an open batch it got when its time ran out.
-- A row exists only for consumers that ever needed one; unregistering removes it.
create table if not exists pgq.consumer_lease (
    lease_queue     int4 not null,
    lease_consumer  int4 not null,
    -- Grows with every acquisition; work done under an older number is refused.
    lease_fence     int8 not null default 0,
    -- Free text for the operator: which invocation holds it.
    lease_holder    text,
    -- By PostgreSQL's clock; NULL = free.
    lease_until     timestamptz,
    -- Events of this batch up to and including this ev_id are done.
    progress_batch  int8,
    progress_event  int8,
    constraint consumer_lease_pkey primary key (lease_queue, lease_consumer),
    constraint consumer_lease_subscription_fkey foreign key (lease_queue, lease_consumer)
        references pgq.subscription (sub_queue, sub_consumer) on delete cascade
);

grant select on pgq.consumer_lease to public;
do $$
begin
    if to_regrole('pgq_admin') is not null then
        grant select, insert, update, delete on pgq.consumer_lease to pgq_admin;
    end if;
end;
$$;

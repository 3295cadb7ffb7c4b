-- pgq_node._refuse_events() -> trigger
--
-- BEFORE INSERT trigger, once for each statement, on the event tables of a demoted root: refuses
-- a producer whose snapshot still shows the queue as open. Does not fire in the role replica, and
-- lets its emulation through.
--
-- Raises: 'Insert into queue disallowed'
create or replace function pgq_node._refuse_events()
returns trigger
language plpgsql
as $$
begin
    if pgq._replication_role() <> 'replica' then
        raise exception 'Insert into queue disallowed';
    end if;
    return null;
end;
$$;

-- pgq_coop._drop_unused_consumer(i_consumer_id) -> void
--
-- Deletes the name of a departed member from pgq.consumer when no subscription uses it
-- any more. Does nothing when another transaction is using the row.
--
-- Parameters:
--   i_consumer_id  pgq.consumer.co_id of the member
-- Tables written: pgq.consumer
create or replace function pgq_coop._drop_unused_consumer(i_consumer_id int4)
returns void
language plpgsql
as $$
begin
    -- Two statements: the second one's snapshot is taken with the lock already held, so it
    -- sees the subscription of a registration that committed in between.
    perform 1 from pgq.consumer where co_id = i_consumer_id for update skip locked;
    if found then
        delete from pgq.consumer c
         where c.co_id = i_consumer_id
           and not exists (select 1 from pgq.subscription s where s.sub_consumer = c.co_id);
    end if;
end;
$$;

-- pgq._is_member(i_queue_id, i_sub_id, i_consumer_id)
--
-- Is this subscription a cooperative consumer's member? Members share the sub_id of their group and are named
-- <group>.<member>. What their ticks look like says nothing certain.
create or replace function pgq._is_member(i_queue_id integer, i_sub_id integer, i_consumer_id integer)
returns boolean as $$
    select exists (
        select
          from pgq.subscription s
          join pgq.consumer main on main.co_id = s.sub_consumer
          join pgq.consumer own on own.co_id = i_consumer_id
         where s.sub_queue = i_queue_id and s.sub_id = i_sub_id and s.sub_consumer <> i_consumer_id
           and pg_catalog.starts_with(own.co_name, main.co_name || '.'));
$$ language sql stable;

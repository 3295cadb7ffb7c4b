-- pgq_node.create_node(i_queue_name, i_node_type, i_node_name, i_worker_name, i_provider_name,
--   i_global_watermark, i_combined_queue) -> (ret_code, ret_note)
--
-- Makes this database a node of a cascaded queue. The locations of the node and of its provider
-- must be registered before.
--
-- Parameters:
--   i_node_type         root: creates the queue; the last three arguments must be NULL
--                       branch: creates the queue as a copy (ticks come from outside, inserts
--                       are refused) that begins at the global watermark
--                       leaf: no queue
--   i_worker_name       consumer that maintains the node
--   i_provider_name     node to read from
--   i_global_watermark  answer of register_subscriber on the provider: first position
--   i_combined_queue    leaf only: queue of this database into which its events are merged
-- Returns: 200 'Node "<node>" initialized for queue "<queue>" with type "<type>"'
--   401 'Node already initialized', 'unexpected args for root', 'provider not set for branch',
--       'global watermark not set for branch', 'non-existing queue on leaf side: <queue>',
--       'bad node type: <type>'
--   or what register_consumer returned
-- Calls: pgq.create_queue, pgq.ticker, pgq.register_consumer_at, pgq_node.register_consumer
-- Tables written: pgq_node.node_info, pgq_node.local_state; pgq.queue and what belongs to it
create or replace function pgq_node.create_node(
    in i_queue_name text,
    in i_node_type text,
    in i_node_name text,
    in i_worker_name text,
    in i_provider_name text,
    in i_global_watermark int8,
    in i_combined_queue text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_provider text := i_provider_name;
    v_position int8 := i_global_watermark;
begin
    -- There is no row to lock yet: of two creators the second must see the first one's node.
    perform pg_advisory_xact_lock(hashtextextended('pgq_node.create_node ' || i_queue_name, 0));

    ret_code := 401;
    if exists (select 1 from pgq_node.node_info n where n.queue_name = i_queue_name) then
        ret_note := 'Node already initialized';
        return;
    end if;

    if i_node_type = 'root' then
        if coalesce(i_provider_name, i_global_watermark::text, i_combined_queue) is not null then
            ret_note := 'unexpected args for root';
            return;
        end if;
        perform pgq.create_queue(i_queue_name);
        perform pgq.register_consumer(i_queue_name, '.global_watermark');
        v_provider := i_node_name;
        v_position := pgq_node._consumer_tick(i_queue_name, '.global_watermark');

    elsif i_node_type = 'branch' then
        if i_provider_name is null then
            ret_note := 'provider not set for branch';
            return;
        end if;
        if i_global_watermark is null then
            ret_note := 'global watermark not set for branch';
            return;
        end if;
        perform pgq.create_queue(i_queue_name);
        update pgq.queue q
           set queue_external_ticker = true,
               queue_disable_insert = true
         where q.queue_name = i_queue_name;
        -- Tick 1 came with the queue.
        if i_global_watermark > 1 then
            perform pgq.ticker(i_queue_name, i_global_watermark, now(), 1);
        end if;
        perform pgq.register_consumer_at(i_queue_name, '.global_watermark', i_global_watermark);

    elsif i_node_type = 'leaf' then
        if i_combined_queue is not null and not exists (
            select 1 from pgq.queue q where q.queue_name = i_combined_queue
        ) then
            ret_note := format('non-existing queue on leaf side: %s', i_combined_queue);
            return;
        end if;

    else
        ret_note := format('bad node type: %s', i_node_type);
        return;
    end if;

    insert into pgq_node.node_info (queue_name, node_type, node_name, worker_name, combined_queue)
    values (i_queue_name, i_node_type, i_node_name, i_worker_name, i_combined_queue);

    select r.ret_code, r.ret_note
      into ret_code, ret_note
      from pgq_node.register_consumer(i_queue_name, i_worker_name, v_provider, v_position) r;
    if ret_code = 200 then
        ret_note := format('Node "%s" initialized for queue "%s" with type "%s"',
                           i_node_name, i_queue_name, i_node_type);
    end if;
end;
$$;

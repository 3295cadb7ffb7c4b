-- pgq.grant_perms(x_queue_name)
--
-- Gives a queue's tables the grants of pgq.event_template, and its sequences theirs.
-- Returns: 1
-- Calls: pgq._grant_perms_from()
-- Writes: pg_class
create or replace function pgq.grant_perms(x_queue_name text)
returns integer as $$
declare
    _queue record;
    _schema text;
    _table text;
begin
    select q.queue_data_pfx, q.queue_event_seq, q.queue_tick_seq, q.queue_ntables
      into _queue
      from pgq.queue q
     where q.queue_name = x_queue_name;
    if not found then
        raise exception 'Queue not found';
    end if;

    execute format('grant select on %s, %s to public', pgq.quote_fqname(_queue.queue_event_seq),
        pgq.quote_fqname(_queue.queue_tick_seq));
    if to_regrole('pgq_admin') is not null then
        execute format('grant usage on %s to pgq_admin', pgq.quote_fqname(_queue.queue_event_seq));
    end if;

    _schema := split_part(_queue.queue_data_pfx, '.', 1);
    _table := substr(_queue.queue_data_pfx, length(_schema) + 2);
    perform pgq._grant_perms_from('pgq', 'event_template', _schema, _table);
    for _n in 0 .. _queue.queue_ntables - 1 loop
        perform pgq._grant_perms_from('pgq', 'event_template', _schema, _table || '_' || _n);
    end loop;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

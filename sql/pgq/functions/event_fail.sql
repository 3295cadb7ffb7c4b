-- pgq.event_fail_many(i_batch_id, i_event_ids, i_reasons)
--
-- Tells that a consumer could not handle these events of its open batch. Its policy (pgq.set_retry_policy) decides: an
-- event comes back later, or goes to the dead letters (pgq.failed_queue) once it has come back as often as allowed;
-- without a policy, at once. The events are read from the batch, never taken from the caller. The batch must still
-- be finished, in the same transaction.
-- An event that is put aside already, or is a dead letter already, stays what it is.
-- Parameters: i_reasons - for each event, kept with the dead letter
-- Returns: for each event: its id; 'retry' or 'dead'; when it comes back, at the earliest
-- Raises: 'batch not found', 'event not found'
-- Calls: pgq.batch_event_sql()
-- Writes: pgq.retry_queue, pgq.failed_queue
create or replace function pgq.event_fail_many(
    i_batch_id bigint, i_event_ids bigint[], i_reasons text[],
    out event_id bigint, out outcome text, out retry_after timestamptz)
returns setof record as $$
#variable_conflict use_column
declare
    _sub record;
    _found bigint;
begin
    select s.sub_id, s.sub_queue, coalesce(p.policy_max_retries, 0) as retries,
           extract(epoch from p.policy_base)::double precision as base,
           extract(epoch from p.policy_maximum)::double precision as maximum, p.policy_jitter as jitter
      into _sub
      from pgq.subscription s
      left join pgq.retry_policy p on p.policy_owner = s.sub_id
     where s.sub_batch = i_batch_id;
    if not found then
        raise exception 'batch not found';
    end if;

    -- 2^40 of anything is more than any largest time
    execute 'with event as ('
        'select distinct on (e.ev_id) e.*, f.reason'
        ' from (' || pgq.batch_event_sql(i_batch_id) || ') e'
        ' join unnest($1, $2) f (id, reason) on f.id = e.ev_id'
        ' order by e.ev_id, e.ev_retry desc nulls last'
        '), retried as ('
        'insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,'
        ' ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
        ' select now() + interval ''1 second'' * (least($6, $5 * power(2::float8, least(coalesce(ev_retry, 0), 40)))'
        ' * (1 - $7 * random())), $4, ev_id, ev_time, $3, coalesce(ev_retry, 0) + 1, ev_type, ev_data, ev_extra1,'
        ' ev_extra2, ev_extra3, ev_extra4 from event'
        ' where coalesce(ev_retry, 0) < $8'
        ' and not exists (select from pgq.failed_queue q where q.ev_owner = $3 and q.ev_id = event.ev_id)'
        ' on conflict (ev_owner, ev_id) do nothing'
        '), dead as ('
        'insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_owner, ev_retry, ev_type,'
        ' ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
        ' select reason, now(), ev_id, ev_time, $3, coalesce(ev_retry, 0), ev_type, ev_data, ev_extra1, ev_extra2,'
        ' ev_extra3, ev_extra4 from event'
        ' where coalesce(ev_retry, 0) >= $8'
        ' and not exists (select from pgq.retry_queue q where q.ev_owner = $3 and q.ev_id = event.ev_id)'
        ' on conflict (ev_owner, ev_id) do nothing'
        ') select count(*) from event'
       into _found
      using i_event_ids, i_reasons, _sub.sub_id, _sub.sub_queue, _sub.base, _sub.maximum, _sub.jitter, _sub.retries;
    if _found <> (select count(distinct i) from unnest(i_event_ids) i) then
        raise exception 'event not found';
    end if;

    return query
        select i.id, case when r.ev_id is null then 'dead' else 'retry' end, r.ev_retry_after
          from (select distinct u.id from unnest(i_event_ids) u (id)) i
          left join pgq.retry_queue r on r.ev_owner = _sub.sub_id and r.ev_id = i.id
         order by i.id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.event_fail(batch_id, event_id, reason)
--
-- The same for one event.
-- Returns: 'retry' or 'dead'; when it comes back, at the earliest
-- Calls: pgq.event_fail_many()
create or replace function pgq.event_fail(
    batch_id bigint, event_id bigint, reason text, out outcome text, out retry_after timestamptz)
returns record as $$
    select f.outcome, f.retry_after from pgq.event_fail_many(batch_id, array[event_id], array[reason]) f;
$$ language sql;

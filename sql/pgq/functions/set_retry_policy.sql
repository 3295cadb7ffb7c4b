-- pgq.set_retry_policy(queue_name, consumer_name, max_retries, base_interval, max_interval, jitter)
--
-- Says what becomes of events of a consumer that are given to pgq.event_fail: how often they come back, and after how
-- long. The n-th repetition waits base_interval * 2^(n-1), at most max_interval, less a random part of it, so that
-- events that failed together do not come back together.
-- Parameters: max_retries - 0: the first failure is final; NULL: forget the policy; jitter - largest part of the time,
--   0 to 1, that is left out at random
-- Returns: 1 - changed, 0 - was so before
-- Calls: pgq._subscription_of()
-- Writes: pgq.retry_policy
create or replace function pgq.set_retry_policy(
    queue_name text, consumer_name text, max_retries integer, base_interval interval default '10 seconds',
    max_interval interval default '1 hour', jitter double precision default 0.2)
returns integer as $$
declare
    _owner constant integer := pgq._subscription_of(queue_name, consumer_name);
    _changed integer;
begin
    if max_retries is null then
        delete from pgq.retry_policy p where p.policy_owner = _owner;
    elsif max_retries >= 0 and base_interval >= interval '0' and max_interval >= base_interval and jitter between 0 and 1 then
        -- ON CONFLICT would lock the row, and the members of a group would wait for each other
        if exists (select from pgq.retry_policy p
                    where (p.policy_owner, p.policy_max_retries, p.policy_base, p.policy_maximum, p.policy_jitter)
                        = (_owner, max_retries, base_interval, max_interval, jitter)) then
            return 0;
        end if;
        insert into pgq.retry_policy (policy_owner, policy_max_retries, policy_base, policy_maximum, policy_jitter)
        values (_owner, max_retries, base_interval, max_interval, jitter)
        on conflict (policy_owner) do update
           set policy_max_retries = excluded.policy_max_retries, policy_base = excluded.policy_base,
               policy_maximum = excluded.policy_maximum, policy_jitter = excluded.policy_jitter;
    else
        raise exception 'not a retry policy: % retries, % to %, jitter %', max_retries, base_interval, max_interval, jitter
            using errcode = 'invalid_parameter_value',
                  hint = 'Retries and times are 0 or more, the largest time is no less than the first, jitter is between 0 and 1.';
    end if;
    get diagnostics _changed = row_count;
    return _changed;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

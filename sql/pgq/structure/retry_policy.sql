-- What pgq.event_fail does with an event that a consumer could not handle. By sub_id, which the members of a group share.
create table if not exists pgq.retry_policy (
    policy_owner        integer             not null,
    policy_max_retries  integer             not null,
    policy_base         interval            not null,
    policy_maximum      interval            not null,
    -- 0: wait as long as computed, 1: anything down to nothing
    policy_jitter       double precision    not null,

    constraint retry_policy_pkey primary key (policy_owner)
);

-- The circuit breaker of a consumer whose events go to another service: a row exists while the service does not take them.
create table if not exists pgq.consumer_circuit (
    circuit_queue     int4 not null,
    circuit_consumer  int4 not null,
    -- Attempts that failed since it was last in order, the one that opened the circuit included.
    circuit_failures  int4 not null default 1,
    -- For the operator: what the service said. Never data of an event.
    circuit_reason    text,
    circuit_opened_at timestamptz not null default clock_timestamp(),
    -- One request may try again then, by PostgreSQL's clock.
    circuit_probe_at  timestamptz not null,
    constraint consumer_circuit_pkey primary key (circuit_queue, circuit_consumer),
    constraint consumer_circuit_subscription_fkey foreign key (circuit_queue, circuit_consumer)
        references pgq.subscription (sub_queue, sub_consumer) on delete cascade
);

-- Schema pgq_coop: cooperative consumers. Several workers (subconsumers) share the
-- batches of one consumer. No tables: all state is in pgq.consumer and
-- pgq.subscription, where the rows of a group carry the same sub_id.
create schema if not exists pgq_coop;

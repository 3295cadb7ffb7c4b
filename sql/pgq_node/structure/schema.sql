-- Schema pgq_node: membership of this database in cascaded queues. One queue lives in several
-- databases ("nodes") with the same tick ids, batch borders and event ids. Only metadata is
-- kept here; the copying is done by clients.
create schema if not exists pgq_node;

-- Schema londiste: which tables and sequences of this database take part in which replication set
-- (cascaded queue), and in which state each of them is.
create schema if not exists londiste;

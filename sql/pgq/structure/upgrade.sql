-- Roles, and what queues made by an earlier installation lack.
select pgq.upgrade_schema();

-- Prints 4 on a new install, 8 over the earliest layout, 0 on repetition.
select pgq_ext.upgrade_schema();

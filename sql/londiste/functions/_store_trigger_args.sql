-- londiste._store_trigger_args(i_queue_name, i_table_name, i_trg_args) -> void
--
-- Remembers the arguments with which a table's triggers are to be made.
--
-- Tables written: londiste.trigger_args
create or replace function londiste._store_trigger_args(
    i_queue_name text, i_table_name text, i_trg_args text[])
returns void
language sql
as $$
    insert into londiste.trigger_args (queue_name, table_name, trg_args)
    values (i_queue_name, i_table_name, coalesce(i_trg_args, '{}'))
    on conflict on constraint trigger_args_pkey do update set trg_args = excluded.trg_args
$$;

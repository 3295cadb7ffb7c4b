-- londiste.local_add_table(i_queue_name, i_table_name [, i_trg_args [, i_table_attrs
--   [, i_dest_table]]]) -> (ret_code, ret_note)
--
-- Subscribes a table on this node; on a root it thereby joins the set. Makes the triggers.
-- A failure (400 and above) leaves nothing behind, even when the caller commits.
--
-- Parameters:
--   i_table_name   name in the queue
--   i_trg_args     see create_trigger; words of our own:
--                  expect_sync    the data is there already: state ok, no copy
--                  skip_truncate  the copy keeps the rows that are there (an attribute)
--                  merge_all      on a leaf: subscribe it in all sibling sets of the same real table
--                  no_merge       on a leaf: in this set only
--                  virtual_table  no real table is needed: as expect_sync, no triggers
--   i_table_attrs  urlencoded attributes
--   i_dest_table   the real table, where it has another name
-- Returns: 200 'Table added: <table>', 'Table added with no triggers: <table>',
--     'Table already added: <table>'
--   301 'Table added: <table>, but its trigger is not the first: <other trigger>'
--   400 'No such set: <queue>', 'Primary key missing on table: <table>'
--   403, 405 'Trigger creation failed for table <table>: <reason>'
--   404 'Table does not exist: <table>', 'Table not available on queue: <table>'
--   405 'Cannot use merge-all and no-merge together', 'Found local table <table> in queue <queue>,
--     use remove-table first to remove all previous table subscriptions', 'Found multiple sources
--     for table <table>, use merge-all or no-merge to continue'
--   410 'Table <table> already added, but with different args: <attributes>'
-- Calls: londiste._add_table
create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    in i_dest_table text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
begin
    select a.ret_code, a.ret_note
      into ret_code, ret_note
      from londiste._add_table(i_queue_name, i_table_name, i_trg_args, i_table_attrs,
                               i_dest_table) a;
    if ret_code >= 400 then
        raise exception using errcode = 'LDRBK';
    end if;
exception when sqlstate 'LDRBK' then
    -- Only the work is undone, the answer stays.
    null;
end;
$$;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
language sql
as $$
    select a.ret_code, a.ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, i_trg_args, i_table_attrs, null) a
$$;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    out ret_code int4,
    out ret_note text)
returns record
language sql
as $$
    select a.ret_code, a.ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, i_trg_args, null, null) a
$$;

create or replace function londiste.local_add_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
language sql
strict
as $$
    select a.ret_code, a.ret_note
      from londiste.local_add_table(i_queue_name, i_table_name, null, null, null) a
$$;

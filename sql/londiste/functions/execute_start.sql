-- londiste.execute_start(i_queue_name, i_file_name, i_sql, i_expect_root [, i_attrs])
--   -> (ret_code, ret_note)
--
-- Begins the execution of a script on this node, which happens once in each database. The row
-- that it writes keeps a parallel run of the same file waiting until this transaction ends.
--
-- Parameters:
--   i_file_name    base name of the script, its identity in the whole database
--   i_expect_root  true: refuse unless this node is the root
--   i_attrs        urlencoded conditions
-- Returns: 200 'Executing: <file>'
--   201 'EXECUTE: "<file>" already applied, skipping'
--   401 'Node is not root node: <queue>'
-- Raises: pgq_node.is_root_node's error for an unknown queue
-- Tables written: londiste.applied_execute
create or replace function londiste.execute_start(
    in i_queue_name text,
    in i_file_name text,
    in i_sql text,
    in i_expect_root boolean,
    in i_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
begin
    if not pgq_node.is_root_node(i_queue_name) and i_expect_root then
        ret_code := 401;
        ret_note := format('Node is not root node: %s', i_queue_name);
        return;
    end if;

    insert into londiste.applied_execute (queue_name, execute_file, execute_sql, execute_attrs)
    values (i_queue_name, i_file_name, i_sql, i_attrs)
    on conflict on constraint applied_execute_pkey do nothing;
    if found then
        ret_code := 200;
        ret_note := format('Executing: %s', i_file_name);
    else
        ret_code := 201;
        ret_note := format('EXECUTE: "%s" already applied, skipping', i_file_name);
    end if;
end;
$$;

create or replace function londiste.execute_start(
    in i_queue_name text,
    in i_file_name text,
    in i_sql text,
    in i_expect_root boolean,
    out ret_code int4,
    out ret_note text)
returns record
language sql
as $$
    select e.ret_code, e.ret_note
      from londiste.execute_start(i_queue_name, i_file_name, i_sql, i_expect_root, null) e
$$;

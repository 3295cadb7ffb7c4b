-- londiste.execute_finish(i_queue_name, i_file_name) -> (ret_code, ret_note)
--
-- Ends the execution of a script in the transaction that began it; on a root the script goes out
-- to the cascade as an event EXECUTE.
--
-- Returns: 200 'Execute finished: <file>'
--   404 'execute_file called without execute_start'
-- Raises: pgq_node.is_root_node's error for an unknown queue
-- Calls: pgq.insert_event
create or replace function londiste.execute_finish(
    in i_queue_name text,
    in i_file_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_root   boolean := pgq_node.is_root_node(i_queue_name);
    v_script record;
begin
    select e.execute_sql, e.execute_attrs
      into v_script
      from londiste.applied_execute e
     where e.execute_file = i_file_name;
    if not found then
        ret_code := 404;
        ret_note := 'execute_file called without execute_start';
        return;
    end if;

    if v_root then
        perform pgq.insert_event(i_queue_name, 'EXECUTE', v_script.execute_sql, i_file_name,
                                 v_script.execute_attrs, null, null);
    end if;
    ret_code := 200;
    ret_note := format('Execute finished: %s', i_file_name);
end;
$$;

-- pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, i_extra_where)
--
-- Opens a cursor over the events of a batch in the caller's transaction and returns the first of them.
-- Parameters: i_cursor_name - name of the cursor; i_quick_limit - rows to return at once; i_extra_where - SQL condition
--   on the columns, or NULL. It runs with the caller's rights.
-- Calls: pgq.batch_event_sql()
create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer, i_extra_where text,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
declare
    _sql text;
begin
    if i_batch_id is null or i_cursor_name is null or i_quick_limit is null then
        return;
    end if;
    _sql := pgq.batch_event_sql(i_batch_id);
    if i_extra_where is not null then
        _sql := 'select * from (' || pg_catalog.regexp_replace(_sql, ' order by 1$', '') || ') _evs where '
            || i_extra_where || ' order by 1';
    end if;
    execute 'declare ' || pg_catalog.quote_ident(i_cursor_name) || ' no scroll cursor for ' || _sql;
    if i_quick_limit > 0 then
        return query execute 'fetch ' || i_quick_limit || ' from ' || pg_catalog.quote_ident(i_cursor_name);
    end if;
end;
$$ language plpgsql;

-- pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit)
--
-- The same without a condition.
-- Calls: pgq.get_batch_cursor(4)
create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
begin
    return query
        select c.ev_id, c.ev_time, c.ev_txid, c.ev_retry, c.ev_type, c.ev_data, c.ev_extra1, c.ev_extra2, c.ev_extra3,
               c.ev_extra4
          from pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, null) c;
end;
$$ language plpgsql strict;

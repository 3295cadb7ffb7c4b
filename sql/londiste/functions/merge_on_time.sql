-- londiste.merge_on_time(fn_conf, cur_tick, ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,
--   ev_extra1, ev_extra2, ev_extra3, ev_extra4) -> text
--
-- For the handlers applyfn and multimaster: applies one row event (urlencoded, from logutriga) to
-- a table that several masters write, so that the newest version of each row stays.
--
-- Parameters:
--   fn_conf    urlencoded settings
--              timefield       column with the time of the change; required. Times are compared as
--                              text, so all masters must write them in the same way
--              altpk           columns (a,b) of another key by which the row is looked up
--              fkey_ref_table, fkey_ref_cols, fkey_cols
--                              ignore a row whose parent is missing here
--   ev_type    I:, U: or D: and the columns of the key
--   ev_data    the row
--   ev_extra1  the table
-- Returns: what was done: insert, update, delete, or ignored with the reason
-- Raises: 'merge_on_time needs timefield'; 'merge_on_time cannot read event type <type>'
-- Tables written: the table
create or replace function londiste.merge_on_time(
    fn_conf text, cur_tick text, ev_id text, ev_time text, ev_txid text, ev_retry text,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns text
language plpgsql
as $$
declare
    v_conf   jsonb := (select coalesce(jsonb_object_agg(c.name, c.value), '{}')
                         from (select d.name, d.value from londiste._urldecode(fn_conf) d
                                order by d.nr) c);
    v_row    jsonb := (select coalesce(jsonb_object_agg(c.name, c.value), '{}')
                         from (select d.name, d.value from londiste._urldecode(ev_data) d
                                order by d.nr) c);
    v_op     text := left(ev_type, 1);
    v_key    text[] := string_to_array(substr(ev_type, 3), ',');
    v_lookup text[] := coalesce(string_to_array(v_conf ->> 'altpk', ','), v_key);
    v_time   text := v_conf ->> 'timefield';
    v_table  text := londiste.quote_fqname(ev_extra1);
    v_where  text;
    v_old    record;
    v_moved  boolean := false;
    v_found  int8;
begin
    if v_time is null then
        raise exception 'merge_on_time needs timefield';
    end if;
    if ev_type !~ '^[IUD]:.' then
        raise exception 'merge_on_time cannot read event type %', ev_type;
    end if;

    if v_conf ? 'fkey_ref_table' then
        select string_agg(format('%I = %L', r.col, v_row ->> c.col), ' and ')
          into v_where
          from string_to_table(v_conf ->> 'fkey_ref_cols', ',') with ordinality r (col, nr)
          join string_to_table(v_conf ->> 'fkey_cols', ',') with ordinality c (col, nr)
            on c.nr = r.nr;
        execute format('select 1 from %s where %s', londiste.quote_fqname(v_conf ->> 'fkey_ref_table'),
                       v_where);
        get diagnostics v_found = row_count;
        if v_found = 0 then
            return 'ignored: parent row missing';
        end if;
    end if;

    select string_agg(format('%I = %L', k.col, v_row ->> k.col), ' and ')
      into v_where
      from unnest(v_lookup) k (col);
    execute format('select (%I)::text as changed, not (%s) as moved from only %s where %s for update',
                   v_time,
                   (select string_agg(format('%I is not distinct from %L', k.col, v_row ->> k.col),
                                      ' and ') from unnest(v_key) k (col)),
                   v_table, v_where)
       into v_old;
    get diagnostics v_found = row_count;

    if v_found > 0 then
        if v_old.changed collate "C" >= (v_row ->> v_time) collate "C" then
            return 'ignored: present row is not older';
        end if;
        v_moved := v_old.moved;
    elsif v_op = 'D' then
        return 'ignored: no such row';
    end if;

    if v_op = 'D' or v_moved then
        execute format('delete from only %s where %s', v_table, v_where);
        if v_op = 'D' then
            return 'delete';
        end if;
    elsif v_found > 0 then
        execute format('update only %s set %s where %s', v_table,
                       (select string_agg(format('%I = %L', c.key, c.value), ', ')
                          from jsonb_each_text(v_row) c),
                       v_where);
        return 'update';
    end if;
    execute format('insert into %s (%s) values (%s)', v_table,
                   (select string_agg(quote_ident(c.key), ', ' order by c.key)
                      from jsonb_each_text(v_row) c),
                   (select string_agg(quote_nullable(c.value), ', ' order by c.key)
                      from jsonb_each_text(v_row) c));
    return 'insert';
end;
$$;

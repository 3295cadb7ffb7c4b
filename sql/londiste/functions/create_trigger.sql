-- londiste.create_trigger(i_queue_name, i_table_name, i_trg_args, i_dest_table, i_node_type)
--   -> (ret_code, ret_note, trigger_name)
--
-- Makes the triggers of a table for a set: the row trigger _londiste_<queue> and, for TRUNCATE,
-- _londiste_<queue>_truncate. Triggers of this queue that are there already are replaced.
--
-- Parameters:
--   i_table_name  name in the queue
--   i_trg_args    instructions for this function, and arguments for the trigger function:
--                 no_triggers, virtual_table; expect_sync, skip_truncate, merge_all, no_merge
--                 (not ours); tgflags=<letters>; skip; fast or fast=statement; anything else
--                 goes to the trigger
--   i_dest_table  the real table
--   i_node_type   root, branch or leaf. On a leaf the triggers refuse changes
--
-- Letters of tgflags: I U D events (all three); B or A time (AFTER); Q L J function pgq.sqltriga,
-- logutriga (this) or jsontriga; S suppress the change itself, as does the argument skip.
--
-- fast takes triggers that pgq.create_fast_trigger generates for exactly this table: the same
-- events, captured several times as fast. Partitioned tables and most flags need the classic ones.
--
-- Suppressing works in one BEFORE trigger, which must come last: the table's first such trigger
-- gets the prefix zzz_; a second one leaves the suppressing to it.
--
-- Events of a table under another name, or of a partitioned table's partitions, carry the
-- queue's name of the table.
--
-- Returns: 200 'OK' and the name of the row trigger
--   201 'Trigger not created'
--   403 'AFTER trigger cannot work with SKIP trigger(s)'
--   405 'Multiple SKIP triggers', 'Generated triggers have no flags but L and J'
-- Calls: londiste._queue_triggers, londiste._drop_queue_triggers, pgq.create_fast_trigger
create or replace function londiste.create_trigger(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_dest_table text,
    in i_node_type text,
    out ret_code int4,
    out ret_note text,
    out trigger_name text)
returns record
language plpgsql
as $$
declare
    v_arg       text;
    v_events    text[] := '{}';
    v_before    boolean := false;
    v_after     boolean := false;
    v_function  text := 'pgq.logutriga';
    v_flags     text;
    v_skip      boolean := false;
    v_args      text[] := '{}';
    v_dest      regclass;
    v_kind      "char";
    v_other     text[];
    v_fast      text;
    v_truncate  text;
    v_tg_args   text;
begin
    ret_code := 201;
    ret_note := 'Trigger not created';
    foreach v_arg in array coalesce(i_trg_args, '{}') loop
        case
            when v_arg in ('no_triggers', 'virtual_table') then
                return;
            when v_arg in ('expect_sync', 'skip_truncate', 'merge_all', 'no_merge') then
                null;
            when lower(v_arg) = 'skip' then
                v_skip := true;
            when v_arg in ('fast', 'fast=row', 'fast=statement') then
                v_fast := case v_arg when 'fast=statement' then 'statement' else 'row' end;
            when v_arg like 'tgflags=%' then
                v_flags := upper(substr(v_arg, 9));
                v_events := array(
                    select w.word
                      from (values ('I', 'insert'), ('U', 'update'), ('D', 'delete')) w (letter, word)
                     where strpos(v_flags, w.letter) > 0);
                v_before := strpos(v_flags, 'B') > 0;
                v_after := strpos(v_flags, 'A') > 0;
                v_skip := v_skip or strpos(v_flags, 'S') > 0;
                v_function := case when strpos(v_flags, 'J') > 0 then 'pgq.jsontriga'
                                   when strpos(v_flags, 'L') > 0 then 'pgq.logutriga'
                                   when strpos(v_flags, 'Q') > 0 then 'pgq.sqltriga'
                                   else v_function end;
            else
                v_args := v_args || v_arg;
        end case;
    end loop;
    v_before := v_before and not v_after;
    if v_fast is not null and translate(v_flags, 'LJ', '') <> '' then
        ret_code := 405;
        ret_note := 'Generated triggers have no flags but L and J';
        return;
    end if;
    if i_node_type = 'leaf' then
        v_fast := null; -- nothing is captured there
    end if;
    if v_events = '{}' then
        v_events := array['insert', 'update', 'delete'];
    end if;

    v_dest := londiste.quote_fqname(i_dest_table)::regclass;
    select c.relkind into v_kind from pg_catalog.pg_class c where c.oid = v_dest;

    -- Who else suppresses the table's changes? This queue's own triggers are about to go.
    select array_agg(t.name)
      into v_other
      from londiste._queue_triggers(v_dest) t
     where t.skip
       and t.queue_name <> i_queue_name;
    if v_other is not null and not v_before then
        ret_code := 403;
        ret_note := 'AFTER trigger cannot work with SKIP trigger(s)';
        return;
    end if;
    if v_skip and cardinality(v_other) > 1 then
        ret_code := 405;
        ret_note := 'Multiple SKIP triggers';
        return;
    end if;

    perform londiste._drop_queue_triggers(v_dest, i_queue_name, '^(zzz_)?_londiste_');

    -- Of a queue's long name PostgreSQL would cut off what tells the two triggers apart.
    trigger_name := '_londiste_' || case when octet_length(i_queue_name) > 40 then md5(i_queue_name)
                                         else i_queue_name end;
    v_truncate := trigger_name || '_truncate';
    if (i_dest_table <> i_table_name or v_kind = 'p')
       and not exists (select 1 from unnest(v_args) a where a like 'ev\_extra1=%') then
        v_args := v_args || format('ev_extra1=%L', i_table_name);
    end if;
    if v_skip then
        if v_other is null then
            trigger_name := 'zzz_' || trigger_name;
            v_args := v_args || 'SKIP'::text;
        elsif v_other[1] not like 'zzz\_%' then
            execute format('alter trigger %I on %s rename to %I', v_other[1], v_dest,
                           'zzz_' || v_other[1]);
        end if;
    end if;
    if i_node_type = 'leaf' then
        v_args := v_args || 'deny'::text;
    end if;

    ret_code := 200;
    ret_note := 'OK';
    if v_fast is not null then
        perform pgq.create_fast_trigger(v_dest, i_queue_name, substr(v_function, 5), v_fast,
                                        trigger_name, variadic v_args);
        if i_dest_table = i_table_name then
            return; -- it has made the one for TRUNCATE too
        end if;
        execute format('drop trigger %I on %s', trigger_name || '_truncate', v_dest);
        v_truncate := trigger_name || '_truncate';
    else
        select string_agg(quote_literal(a.arg), ', ' order by a.nr)
          into v_tg_args
          from unnest(i_queue_name || v_args) with ordinality a (arg, nr);
        execute format('create trigger %I %s %s on %s for each row execute procedure %s(%s)',
                       trigger_name, case when v_before then 'before' else 'after' end,
                       array_to_string(v_events, ' or '), v_dest, v_function, v_tg_args);
    end if;

    -- Its event carries the real name; pgq's functions take no other for TRUNCATE.
    if i_dest_table <> i_table_name and i_node_type <> 'leaf' then
        v_tg_args := format('londiste.truncate_trigger(%L, %L)', i_queue_name, i_table_name);
    elsif i_node_type = 'leaf' then
        v_tg_args := format('pgq.sqltriga(%L, %L)', i_queue_name, 'deny');
    else
        v_tg_args := format('pgq.sqltriga(%L)', i_queue_name);
    end if;
    execute format('create trigger %I after truncate on %s for each statement execute procedure %s',
                   v_truncate, v_dest, v_tg_args);
end;
$$;

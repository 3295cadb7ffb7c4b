-- londiste._move_sequence(i_seq_name, i_value) -> void
--
-- Moves a sequence of this database on to a value, in its own direction and never back. The next
-- value that it gives lies behind it. A value beyond its limit stops at the limit.
create or replace function londiste._move_sequence(i_seq_name text, i_value int8)
returns void
language plpgsql
strict
as $$
declare
    v_seq  regclass := londiste.quote_fqname(i_seq_name)::regclass;
    v_rule record;
    v_last int8;
    v_new  int8;
begin
    select s.seqincrement > 0 as up, s.seqmin, s.seqmax
      into v_rule
      from pg_catalog.pg_sequence s
     where s.seqrelid = v_seq;
    v_new := greatest(least(i_value, v_rule.seqmax), v_rule.seqmin);
    execute format('select last_value from %s', v_seq) into v_last;
    if (case when v_rule.up then v_new > v_last else v_new < v_last end) then
        perform setval(v_seq, v_new);
    end if;
end;
$$;

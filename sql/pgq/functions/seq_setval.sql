-- pgq.seq_setval(i_seq_name, i_new_value)
--
-- Moves a sequence forward, never back.
-- Parameters: i_seq_name - name as quote_fqname() takes it; i_new_value - last value to reach
-- Returns: the sequence's last value now
-- Calls: pgq.seq_getval(), pgq.quote_fqname()
create or replace function pgq.seq_setval(i_seq_name text, i_new_value bigint)
returns bigint as $$
begin
    if i_new_value > pgq.seq_getval(i_seq_name) then
        perform pg_catalog.setval(pgq.quote_fqname(i_seq_name)::regclass, i_new_value);
    end if;
    return pgq.seq_getval(i_seq_name);
end;
$$ language plpgsql strict;

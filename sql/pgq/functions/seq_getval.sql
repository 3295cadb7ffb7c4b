-- pgq.seq_getval(i_seq_name)
--
-- Last value of a sequence, without using one up. A sequence that gave no value yet reports its first.
-- Parameters: i_seq_name - name as quote_fqname() takes it
-- Returns: last value
create or replace function pgq.seq_getval(i_seq_name text)
returns bigint as $$
declare
    _value bigint;
begin
    execute 'select last_value from ' || pgq.quote_fqname(i_seq_name) into _value;
    return _value;
end;
$$ language plpgsql strict;

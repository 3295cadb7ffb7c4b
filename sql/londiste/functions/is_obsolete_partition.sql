-- londiste.is_obsolete_partition(i_partition_table, i_retention_period, i_partition_period) -> bool
--
-- Does the name of a partition say that its period lies wholly before now() less the retention?
--
-- Parameters:
--   i_partition_table   name that ends in _YYYY[_MM[_DD[_HH]]], as deep as the period
--   i_partition_period  hour, day, month or year
-- Returns: NULL when the name does not end so
-- Raises: 'not supported i_partition_period: <period>'
create or replace function londiste.is_obsolete_partition(
    i_partition_table text, i_retention_period interval, i_partition_period text)
returns boolean
language plpgsql
as $$
declare
    v_format text := londiste._partition_format(i_partition_period);
    -- Each letter of the format is a digit of the name. A year has four, so the suffix of a
    -- shorter period never ends like that of a longer one.
    v_suffix text := substring(i_partition_table
        from '.+_(' || regexp_replace(replace(v_format, '24', ''), '[A-Z]', '[0-9]', 'g') || ')$');
begin
    return v_suffix < to_char(now() - i_retention_period, v_format);
end;
$$;

-- londiste._partition_format(i_partition_period) -> text
--
-- to_char() format of the suffix that partitions of a period have, behind an underscore.
--
-- Raises: 'not supported i_partition_period: <period>'
create or replace function londiste._partition_format(i_partition_period text)
returns text
language plpgsql
immutable
as $$
begin
    case i_partition_period
        when 'hour' then return 'YYYY_MM_DD_HH24';
        when 'day' then return 'YYYY_MM_DD';
        when 'month' then return 'YYYY_MM';
        when 'year' then return 'YYYY';
        else raise exception 'not supported i_partition_period: %', i_partition_period;
    end case;
end;
$$;

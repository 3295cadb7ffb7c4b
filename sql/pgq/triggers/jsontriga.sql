-- pgq.jsontriga('queue' [, 'argument' ...])
--
-- Purpose:    trigger that writes an event for each change of a row and each TRUNCATE. The event data is
--             a JSON object of the columns; the event type a JSON object with the operation, the table and its key.
-- Parameters: the queue's name, then in any order SKIP, backup, deny, ignore=, pkey=, when=, ev_type=, ev_data=,
--             ev_extra1= .. ev_extra4= (docs/reference/triggers.md)
-- Returns:    BEFORE a change its row, or NULL with SKIP; AFTER it NULL
-- Calls:      pgq._trigger_silent, pgq._trigger_event
-- Tables:     -
create or replace function pgq.jsontriga()
returns trigger language plpgsql stable as $$
declare
  skip bool := false;
begin
  -- A replay without the right to the role replica says so in a setting; no trigger would fire in the real one.
  if pg_catalog.current_setting('session_replication_role') <> 'local'
      and (coalesce(pg_catalog.current_setting('skytools.replication_role', true), '') = ''
        or pg_catalog.current_setting('session_replication_role') = 'replica'
        or pgq._replication_role() = 'origin') then
    if TG_OP = 'INSERT' then
      skip := pgq._trigger_event('json', TG_ARGV, TG_WHEN, TG_LEVEL, TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        NEW, null);
    elsif TG_OP = 'UPDATE' then
      skip := pgq._trigger_event('json', TG_ARGV, TG_WHEN, TG_LEVEL, TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        NEW, OLD);
    elsif TG_OP = 'DELETE' then
      skip := pgq._trigger_event('json', TG_ARGV, TG_WHEN, TG_LEVEL, TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        null, OLD);
    else
      skip := pgq._trigger_event('json', TG_ARGV, TG_WHEN, TG_LEVEL, TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        null::text, null);
    end if;
  end if;
  if TG_WHEN = 'AFTER' or TG_LEVEL = 'STATEMENT' or skip then
    return null;
  elsif TG_OP = 'DELETE' then
    return OLD;
  end if;
  return NEW;
end;
$$;

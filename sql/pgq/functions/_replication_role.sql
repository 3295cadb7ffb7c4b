-- pgq._replication_role()
--
-- The replication role in force: PostgreSQL's own session_replication_role, or where the right to set that is missing
-- the setting skytools.replication_role (set for the transaction by londiste.set_session_replication_role). The setting
-- counts only for sessions that may write event tables anyway: members of pgq_admin and the owner. It is the session's
-- user that counts, because insert_event runs as the owner.
-- Returns: origin, replica or local
create or replace function pgq._replication_role()
returns text as $$
    select case
        when r.native <> 'origin' then r.native
        when r.emulated in ('replica', 'local')
             and pg_catalog.has_table_privilege(session_user, 'pgq.event_template', 'INSERT') then r.emulated
        else 'origin' end
      from (select pg_catalog.current_setting('session_replication_role') as native,
                   pg_catalog.current_setting('skytools.replication_role', true) as emulated) r;
$$ language sql stable;

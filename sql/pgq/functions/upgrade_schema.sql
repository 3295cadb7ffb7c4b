-- pgq.upgrade_schema()
--
-- Brings an installation up to date, any number of times: the three roles (where the caller may create roles), columns
-- that older versions lack, and what each queue needs beside its tables.
-- Returns: 0
-- Calls: pgq._complete_queue(), pgq._generate_dispatch()
-- Writes: pg_authid, pg_class, pg_proc
create or replace function pgq.upgrade_schema()
returns integer as $$
declare
    _name text;
    _id integer;
    _may_create boolean;
begin
    select r.rolsuper or r.rolcreaterole
      into _may_create
      from pg_catalog.pg_roles r
     where r.rolname = current_user;
    foreach _name in array array['pgq_reader', 'pgq_writer', 'pgq_admin'] loop
        if pg_catalog.to_regrole(_name) is not null then
            continue;
        end if;
        if not _may_create then
            raise notice 'role % is missing and % may not create roles: its grants are left out', _name, current_user
                using hint = 'Let a role with CREATEROLE create it, then run the install again.';
            continue;
        end if;
        begin
            execute 'create role ' || _name
                || case _name when 'pgq_admin' then ' in role pgq_reader, pgq_writer' else '' end;
        exception
            -- another database of this cluster is being installed at the same time
            when duplicate_object or unique_violation then null;
        end;
    end loop;

    if exists (select from pg_catalog.pg_attribute a
                where a.attrelid = 'pgq.subscription'::regclass and a.attname = 'sub_last_tick' and a.attnotnull) then
        alter table pgq.subscription alter column sub_last_tick drop not null;
    end if;
    if not exists (select from pg_catalog.pg_attribute a
                    where a.attrelid = 'pgq.queue'::regclass and a.attname = 'queue_extra_maint') then
        alter table pgq.queue add column queue_extra_maint text[];
    end if;

    -- pgq_admin may call this too, and finds nothing to do: only who may create objects here installs versions.
    if not pg_catalog.has_schema_privilege('pgq', 'create') then
        return 0;
    end if;
    for _id in select q.queue_id from pgq.queue q order by q.queue_id loop
        perform pgq._complete_queue(_id);
    end loop;
    perform pgq._generate_dispatch(null);
    return 0;
end;
$$ language plpgsql;

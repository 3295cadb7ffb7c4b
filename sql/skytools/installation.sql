-- What is installed: one row per component, written by the installer at the end of its transaction.
create schema if not exists skytools;

create table if not exists skytools.installation (
    component       text        not null,
    version         text        not null,
    checksum        text,
    installed_at    timestamptz not null default now(),

    constraint installation_pkey primary key (component)
);

revoke all on skytools.installation from public;
grant usage on schema skytools to public;
grant select on skytools.installation to public;

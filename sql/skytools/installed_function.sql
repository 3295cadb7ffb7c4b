-- The functions as the installer left them: `skytools doctor` names those that were replaced or dropped since.
create table if not exists skytools.installed_function (
    signature       text        not null,
    hash            text        not null,

    constraint installed_function_pkey primary key (signature)
);

revoke all on skytools.installed_function from public;
grant select on skytools.installed_function to public;

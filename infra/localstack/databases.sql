-- An owner without superuser rights, as the master user of a managed service.
create role owner login createrole password 'local-only';
create database source owner owner;
create database target owner owner;

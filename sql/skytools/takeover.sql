-- An installation made by the C extensions is taken over in place: tables, queues, consumers and events stay as they
-- are, their functions are replaced by the files that follow. For that the objects leave their extension, which is
-- then empty and goes; otherwise pg_dump would leave them out, and a restore would need the extension again.
-- Writes: pg_depend and pg_extension through ALTER and DROP EXTENSION. Needs the owner of the extension.
do $$
declare
    _member record;
begin
    for _member in
        select e.extname, i.type, i.identity
          from pg_catalog.pg_extension e
          join pg_catalog.pg_depend d
            on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e',
               lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) i
         where e.extname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
    loop
        execute pg_catalog.format('alter extension %I drop %s %s', _member.extname, _member.type, _member.identity);
    end loop;

    -- those that depend on others first
    for _member in
        select e.extname
          from pg_catalog.pg_extension e
         where e.extname in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste')
         order by pg_catalog.array_position(array['londiste', 'pgq_coop', 'pgq_node', 'pgq_ext', 'pgq'], e.extname::text)
    loop
        execute pg_catalog.format('drop extension %I', _member.extname);
    end loop;
end;
$$;

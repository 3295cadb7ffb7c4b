-- Rights: everybody may use the schema and ask its version; the functions are for
-- pgq_reader. Without that role they stay with the owner.
grant usage on schema pgq_coop to public;

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
          from pg_catalog.pg_proc p
         where p.pronamespace = 'pgq_coop'::regnamespace
           and p.proname <> 'version'
         order by p.oid
    loop
        execute format('revoke all on function %s from public', v_function);
        if to_regrole('pgq_reader') is not null
           and v_function::text not like 'pgq\_coop.\_%' then
            execute format('grant execute on function %s to pgq_reader', v_function);
        end if;
    end loop;
end;
$$;
grant execute on function pgq_coop.version() to public;

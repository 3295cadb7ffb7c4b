import type { Client } from '../../postgres/connect.ts';

interface TypeRow {
  name: string;
  schema: string;
  kind: string;
  /** Types it is made of. */
  parts: number[];
  definition: string | null;
}

/**
 * Statements that make the types of this database's users, one for each and in the order of their use: enums, domains,
 * composites and ranges. Types of extensions are left to their extensions. The search_path of the transaction must hold
 * pg_catalog only, so that every name is qualified.
 *
 * @param wanted object ids of types
 */
export async function typeStatements(
  source: Client,
  wanted: readonly number[],
  seen: Map<number, { name: string; schema: string; statement: string } | null> = new Map(),
): Promise<{ name: string; schema: string; statement: string }[]> {
  for (const oid of wanted) {
    if (seen.has(oid)) continue;
    seen.set(oid, null);
    const { rows } = await source.query<TypeRow>(DESCRIBE, [oid]);
    const type = rows[0];
    if (type === undefined) continue;
    // Parts first: a Map keeps the order in which things came to be.
    await typeStatements(source, type.parts, seen);
    if (type.definition === null) continue;
    seen.delete(oid);
    seen.set(oid, {
      name: type.name,
      schema: type.schema,
      statement: `create ${type.kind === 'd' ? 'domain' : 'type'} ${type.name} as ${type.definition}`,
    });
  }
  return [...seen.values()].filter((found) => found !== null);
}

const DESCRIBE = `
  select t.oid::regtype::text as name, n.nspname as schema, t.typtype as kind,
         array_remove(array[nullif(t.typelem, 0), nullif(t.typbasetype, 0), r.rngsubtype]::int8[]
           || array(select a.atttypid::int8 from pg_attribute a
                     where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped), null)::int4[]
           as parts,
         case when t.typelem <> 0 and t.typlen = -1 then null
              when t.typtype = 'e' then
                'enum (' || (select coalesce(string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder), '')
                               from pg_enum e where e.enumtypid = t.oid) || ')'
              when t.typtype = 'd' then
                format_type(t.typbasetype, t.typtypmod)
                  || case when t.typcollation <> b.typcollation then ' collate ' || t.typcollation::regcollation::text else '' end
                  || coalesce(' default ' || t.typdefault, '') || case when t.typnotnull then ' not null' else '' end
                  || coalesce((select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.oid)
                                 from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '')
              when t.typtype = 'c' and c.relkind = 'c' then
                '(' || (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                          from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) || ')'
              when t.typtype = 'r' then
                'range (subtype = ' || r.rngsubtype::regtype
                  || case when r.rngcollation <> 0 then ', collation = ' || r.rngcollation::regcollation::text else '' end || ')'
         end as definition
    from pg_type t
    join pg_namespace n on n.oid = t.typnamespace
    left join pg_type b on b.oid = t.typbasetype
    left join pg_class c on c.oid = t.typrelid
    left join pg_range r on r.rngtypid = t.oid
   where t.oid = $1 and t.oid >= 16384
     and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')`;

import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState } from '../postgres/errors.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { createdNames, installSql } from './compose.ts';
import { GENERATED, SCHEMAS } from './inspect.ts';

interface Extension {
  extname: string;
  extversion: string;
  config: string[];
  condition: string[];
}

interface Member {
  extname: string;
  type: string;
  identity: string;
  definition: string | null;
  columns: string[] | null;
}

/** Extensions in the order in which they can be created. */
const CREATION_ORDER = ['pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste'];

/** Our schemas stand aside under this suffix while the extensions make theirs. */
const ASIDE = '__skytools_aside';

/**
 * Undoes a take-over: the functions get their C definitions back, and the old objects, with all their rows, become members
 * of newly created extensions. Other sessions see nothing of it before the commit.
 *
 * PostgreSQL cannot create an extension over existing objects, so the schemas are renamed, the extensions created, their
 * fresh objects dropped, and the old ones renamed back and attached. The list of tables that pg_dump saves can otherwise
 * be set by an extension's own script only, so it is written to pg_extension.
 *
 * What this project added stays until {@link dropAdditions}: calls that began before the commit still use it.
 */
export async function restoreExtensions(client: Client): Promise<void> {
  const { rows: extensions } = await client.query<Extension>('select * from skytools.taken_over_extension');
  const members = await recordedMembers(client);
  await requireExtensions(client, extensions);
  extensions.sort((a, b) => CREATION_ORDER.indexOf(a.extname) - CREATION_ORDER.indexOf(b.extname));
  const attached = members.filter((member) => member.extname !== '');
  const schemas = attached.filter((member) => member.type === 'schema').map((member) => member.identity);

  await restoreFunctions(client, attached);
  for (const schema of schemas) await rename(client, schema, `${unquoted(schema)}${ASIDE}`);
  for (const { extname, extversion } of extensions) {
    await client.query(`create extension ${quoteIdent(extname)} version ${quoteIdent(extversion)}`);
  }
  await emptyExtensions(client, extensions);
  await client.query(`drop schema ${schemas.join(', ')} cascade`);
  for (const schema of schemas) {
    await rename(client, quoteIdent(`${unquoted(schema)}${ASIDE}`), unquoted(schema));
  }
  for (const { extname, type, identity } of attached) {
    await client.query(`alter extension ${quoteIdent(extname)} add ${type} ${identity}`);
  }
  for (const { extname, config, condition } of extensions) {
    await client.query(
      `update pg_extension
          set extconfig = case when cardinality($2::text[]) > 0
                          then array(select c::regclass::oid from unnest($2::text[]) with ordinality u (c, n) order by n) end,
              extcondition = case when cardinality($2::text[]) > 0 then $3::text[] end
        where extname = $1`,
      [extname, config, condition],
    );
  }
}

async function recordedMembers(client: Client): Promise<Member[]> {
  return (await client.query<Member>('select * from skytools.taken_over_member')).rows;
}

/** Our schemas that were not there before the take-over. */
export async function addedSchemas(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select nspname::text as name from pg_namespace
      where nspname = any($1)
        and not exists (select from skytools.taken_over_member where type = 'schema' and identity = quote_ident(nspname))
      order by 1`,
    [SCHEMAS],
  );
  return rows.map((row) => row.name);
}

const unquoted = (identifier: string): string =>
  identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;

async function rename(client: Client, schema: string, name: string): Promise<void> {
  await client.query(`alter schema ${schema} rename to ${quoteIdent(name)}`);
}

async function requireExtensions(client: Client, extensions: readonly Extension[]): Promise<void> {
  const { rows } = await client.query(
    `select n as name from unnest($1::text[], $2::text[]) u (n, v)
      where not exists (select from pg_available_extension_versions where name = n and version = v)`,
    [extensions.map((e) => e.extname), extensions.map((e) => e.extversion)],
  );
  if (rows.length === 0) return;
  throw new SkytoolsError(
    'UNINSTALL_NO_EXTENSION',
    `the extension ${rows.map((row) => row.name).join(', ')} is no longer on this server`,
    { hint: 'install its package again (Debian: postgresql-NN-pgq3), or remove everything with --purge' },
  );
}

async function restoreFunctions(client: Client, members: readonly Member[]): Promise<void> {
  for (const { definition, identity } of members) {
    if (definition === null) continue;
    try {
      await client.query(`savepoint skytools_function;\n${definition}\n;release savepoint skytools_function`);
    } catch (error) {
      if (!hasSqlState(error, '42P13')) throw error;
      await client.query('rollback to savepoint skytools_function');
      await client.query(`drop function ${identity}`);
      await client.query(definition);
    }
  }
}

/** Drops the generated trigger functions, which lie beside the captured tables, with their triggers. */
export async function dropGeneratedTriggers(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select p.oid::regprocedure::text as name from pg_proc p where ${GENERATED}`,
  );
  for (const { name } of rows) await client.query(`drop function ${name} cascade`);
}

/** Drops what was not there before the take-over: functions, relations, columns, schemas, and the record of it. */
export async function dropAdditions(client: Client): Promise<void> {
  await dropGeneratedTriggers(client);
  const members = await recordedMembers(client);
  const before = members.map((member) => member.identity);
  const sql = installSql();
  const ours = [...createdNames(sql, 'function'), ...createdNames(sql, 'relation')];
  // Names that start with an underscore are made per queue or per table; any other unknown name is the user's.
  const { rows: objects } = await client.query<{ type: string; identity: string }>(
    `select i.type, i.identity
       from (select 'pg_class'::regclass as classid, oid, relnamespace as namespace, relname as name
               from pg_class where relkind in ('r', 'v', 'S')
             union all
             select 'pg_proc'::regclass, oid, pronamespace, proname from pg_proc where prokind = 'f') o
       join pg_namespace n on n.oid = o.namespace,
            lateral pg_identify_object(o.classid, o.oid, 0) i
      where n.nspname = any($1) and not i.identity = any($2)
        and (o.name like '\\_%' or o.name like '%\\_switch\\_seq' or n.nspname || '.' || o.name = any($3))`,
    [CREATION_ORDER, before, ours],
  );
  for (const { type, identity } of objects) await client.query(`drop ${type} if exists ${identity} cascade`);
  for (const { type, identity, columns } of members) {
    if (type !== 'table' || columns === null) continue;
    const added = await client.query<{ name: string }>(
      `select attname::text as name from pg_attribute
        where attrelid = $1::regclass and attnum > 0 and not attisdropped and attname <> all($2)`,
      [identity, columns],
    );
    for (const { name } of added.rows) {
      await client.query(`alter table ${identity} drop column ${quoteIdent(name)} cascade`);
    }
  }
  const schemas = await addedSchemas(client);
  await client.query(`drop schema if exists ${schemas.map(quoteIdent).join(', ')} cascade`);
}

async function emptyExtensions(client: Client, extensions: readonly Extension[]): Promise<void> {
  const { rows } = await client.query(
    `select e.extname, i.type, i.identity
       from pg_extension e
       join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e',
            lateral pg_identify_object(d.classid, d.objid, d.objsubid) i
      where e.extname = any($1)`,
    [extensions.map((e) => e.extname)],
  );
  for (const { extname, type, identity } of rows) {
    await client.query(`alter extension ${quoteIdent(extname)} drop ${type} ${identity}`);
  }
}

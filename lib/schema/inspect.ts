import type { Client } from '../postgres/connect.ts';
import { type Drift, findDrift } from './drift.ts';

/** The schemas of this project, in install order. */
export const SCHEMAS = ['skytools', 'pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste', 'walmgr'] as const;

/** The C extensions that are taken over, those that others need last. */
export const EXTENSIONS = ['londiste', 'pgq_coop', 'pgq_node', 'pgq_ext', 'pgq'] as const;

/** The roles that rights are granted to. */
const ROLES = ['pgq_reader', 'pgq_writer', 'pgq_admin', 'londiste_reader', 'londiste_writer'] as const;

/** An object that the installing role would have to own. */
export interface OwnedObject {
  kind: 'schema' | 'extension' | 'function' | 'table' | 'sequence';
  name: string;
  owner: string;
}

/** What is in a database before anything is installed, and who is asking. */
export interface DatabaseState {
  /** As server_version_num: 180004. */
  serverVersion: number;
  /** Of the database: UTF8. */
  encoding: string;
  database: string;
  user: string;
  superuser: boolean;
  mayCreateRoles: boolean;
  mayCreateSchemas: boolean;
  inRecovery: boolean;
  /** Our schemas that exist. */
  schemas: string[];
  extensions: { name: string; version: string }[];
  /** The row the installer left, if it ever ran. */
  installed: { version: string; checksum: string | null; installedAt: Date } | undefined;
  /** Functions that were changed or dropped since then. */
  drift: Drift[];
  /** Our SQL was run by hand (`psql -f skytools.sql`), which leaves no record of the version. */
  unrecorded: boolean;
  /** PgQ without extension and without our record: the original's plain SQL, 2.1 or 3.x. */
  plainPgq: '2.1' | '3' | undefined;
  missingRoles: string[];
  /** Objects in our schemas (and extensions) that belong to a role this one is not a member of. */
  notOwned: OwnedObject[];
  queues: number;
  consumers: number;
  openBatches: number;
  retryEvents: number;
  /** Triggers on tables outside our schemas that call our functions, those generated beside the tables included. */
  triggers: { table: string; name: string; function: string }[];
}

const ENVIRONMENT = `
select current_setting('server_version_num')::int as server_version,
       getdatabaseencoding()::text as encoding,
       current_database()::text as database,
       current_user::text as "user",
       r.rolsuper as superuser,
       (r.rolsuper or r.rolcreaterole) as may_create_roles,
       has_database_privilege(current_database(), 'CREATE') as may_create_schemas,
       pg_is_in_recovery() as in_recovery,
       array(select nspname::text from pg_namespace where nspname = any($1)) as schemas,
       array(select n from unnest($2::text[]) n where not exists (select from pg_roles where rolname = n))
         as missing_roles,
       exists(select from pg_tables where schemaname = 'skytools' and tablename = 'installation') as has_record,
       exists(select from pg_tables where schemaname = 'pgq' and tablename = 'queue') as has_queue,
       -- by catalog, not by name: a role without USAGE on a schema may not even ask for its tables
       (select coalesce(bool_and(has_schema_privilege(oid, 'USAGE')), true) from pg_namespace where nspname = any($1))
         as may_look,
       exists(select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
               where n.nspname = 'pgq' and p.proname = 'maint_operations') as has_maint_operations
  from pg_roles r where r.rolname = current_user`;

const NOT_OWNED = `
select 'schema' as kind, n.nspname::text as name, pg_get_userbyid(n.nspowner)::text as owner
  from pg_namespace n where n.nspname = any($1) and not pg_has_role(n.nspowner, 'USAGE')
union all
select 'extension', e.extname::text, pg_get_userbyid(e.extowner)::text
  from pg_extension e where e.extname = any($2) and not pg_has_role(e.extowner, 'USAGE')
union all
select 'function', p.oid::regprocedure::text, pg_get_userbyid(p.proowner)::text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = any($1) and not pg_has_role(p.proowner, 'USAGE')
union all
select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text, pg_get_userbyid(c.relowner)::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = any($1) and c.relkind in ('r', 'p', 'S') and not pg_has_role(c.relowner, 'USAGE')
order by 1, 2`;

/** Functions that pgq.create_fast_trigger makes in the schema of the captured table; `p` is pg_proc. */
export const GENERATED = `starts_with(p.proname, '_pgq_fast_')`;

const TRIGGERS = `
select t.tgrelid::regclass::text as "table", t.tgname::text as name, t.tgfoid::regproc::text as "function"
  from pg_trigger t
  join pg_proc p on p.oid = t.tgfoid
  join pg_namespace fn on fn.oid = p.pronamespace
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace tn on tn.oid = c.relnamespace
 where not t.tgisinternal and (fn.nspname = any($1) or ${GENERATED}) and tn.nspname <> all($1)
 order by 1, 2`;

/** Reads what the installer has to know. Changes nothing. */
export async function inspect(client: Client): Promise<DatabaseState> {
  const environment = (await client.query(ENVIRONMENT, [SCHEMAS, ROLES])).rows[0];
  const extensions = await client.query<{ name: string; version: string }>(
    'select extname::text as name, extversion as version from pg_extension where extname = any($1) order by 1',
    [EXTENSIONS],
  );
  const notOwned = environment.superuser
    ? []
    : (await client.query<OwnedObject>(NOT_OWNED, [SCHEMAS, EXTENSIONS])).rows;
  const triggers = await client.query<DatabaseState['triggers'][number]>(TRIGGERS, [SCHEMAS]);
  const installed =
    environment.has_record && environment.may_look ? await readInstallation(client) : undefined;
  const counts = environment.has_queue && environment.may_look ? await readCounts(client) : undefined;
  const plain = environment.has_queue && !environment.has_record && extensions.rows.length === 0;
  return {
    serverVersion: environment.server_version,
    encoding: environment.encoding,
    database: environment.database,
    user: environment.user,
    superuser: environment.superuser,
    mayCreateRoles: environment.may_create_roles,
    mayCreateSchemas: environment.may_create_schemas,
    inRecovery: environment.in_recovery,
    schemas: SCHEMAS.filter((schema) => environment.schemas.includes(schema)),
    extensions: extensions.rows,
    installed,
    drift: installed ? await findDrift(client) : [],
    unrecorded: environment.has_record && environment.has_queue && !installed,
    plainPgq: plain ? (environment.has_maint_operations ? '3' : '2.1') : undefined,
    missingRoles: environment.missing_roles,
    notOwned,
    queues: counts?.queues ?? 0,
    consumers: counts?.consumers ?? 0,
    openBatches: counts?.open_batches ?? 0,
    retryEvents: counts?.retry_events ?? 0,
    triggers: triggers.rows,
  };
}

async function readInstallation(client: Client): Promise<DatabaseState['installed']> {
  const { rows } = await client.query(
    `select version, checksum, installed_at from skytools.installation where component = $1`,
    [COMPONENT],
  );
  const row = rows[0];
  return row && { version: row.version, checksum: row.checksum, installedAt: row.installed_at };
}

/** The name of our row in skytools.installation. */
export const COMPONENT = 'skytools';

async function readCounts(client: Client) {
  const rights = await client.query(
    `select has_table_privilege('pgq.queue', 'SELECT') and has_table_privilege('pgq.subscription', 'SELECT') as queues,
            has_table_privilege('pgq.retry_queue', 'SELECT') as retry`,
  );
  if (!rights.rows[0].queues) return undefined;
  const retry = rights.rows[0].retry ? '(select count(*)::int from pgq.retry_queue)' : '0';
  const { rows } = await client.query(
    `select (select count(*)::int from pgq.queue) as queues,
            (select count(*)::int from pgq.subscription) as consumers,
            (select count(*)::int from pgq.subscription where sub_batch is not null) as open_batches,
            ${retry} as retry_events`,
  );
  return rows[0] as { queues: number; consumers: number; open_batches: number; retry_events: number };
}

import { decodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { quoteQualified } from '../../postgres/quote.ts';
import { call } from '../errors.ts';
import { subscriptions } from '../tables.ts';

/** A script that the root executed. */
export interface Script {
  /** Base name of its file: its identity in the whole database. */
  file: string;
  sql: string;
  /** Urlencoded conditions. */
  attributes: string | null;
}

/** Conditions whose names are replaced by the real table's. */
const REPLACED = new Set(['local-table', 'local-sequence', 'local-destination']);

/**
 * Runs a script once in this database, with the triggers of queues silent, as the original does: where all of its conditions
 * hold or it has none. Inside the caller's transaction.
 *
 * @throws SkytoolsError LONDISTE_SCRIPT_PARTIAL where some conditions hold and others do not
 */
export async function executeScript(client: Client, queue: string, script: Script): Promise<boolean> {
  await client.query(`select londiste.set_session_replication_role('local', true)`);
  const values = [queue, script.file, script.sql, script.attributes];
  const { ret_code } = await call(client, 'londiste.execute_start($1, $2, $3, false, $4)', values);
  let executed = false;
  if (ret_code === 200) {
    const names = await matching(client, queue, script);
    if (names !== undefined) {
      await client.query(
        script.sql.replace(/@([^@\s]+)@/g, (whole, name: string) => names.get(name) ?? whole),
      );
      executed = true;
    }
    await call(client, 'londiste.execute_finish($1, $2)', [queue, script.file]);
  }
  await client.query(`select londiste.set_session_replication_role('replica', true)`);
  return executed;
}

/** What each `@name@` stands for, or undefined where the script is not for this node. */
async function matching(
  client: Client,
  queue: string,
  script: Script,
): Promise<Map<string, string> | undefined> {
  const local = new Map((await subscriptions(client, queue)).map((table) => [table.name, table.dest]));
  const names = new Map<string, string>();
  const held: boolean[] = [];
  for (const [condition, list] of Object.entries(decodeUrlencoded(script.attributes ?? ''))) {
    for (const written of (list ?? '').split(',').map((item) => item.trim())) {
      const name = written.includes('.') ? written : `public.${written}`;
      held.push(await holds(client, queue, condition, written, name, local));
      if (REPLACED.has(condition)) names.set(written, quoteQualified(local.get(name) ?? name));
    }
  }
  if (held.every(Boolean)) return names;
  if (!held.some(Boolean)) return undefined;
  throw new SkytoolsError(
    'LONDISTE_SCRIPT_PARTIAL',
    `the conditions of script ${script.file} hold only in part here`,
    {
      subject: { queue, file: script.file },
      hint: 'create or drop what its conditions name, so that all of them hold here or none',
    },
  );
}

async function holds(
  client: Client,
  queue: string,
  condition: string,
  written: string,
  name: string,
  local: ReadonlyMap<string, string>,
): Promise<boolean> {
  const exists = async (text: string, values: unknown[]) => (await client.query(text, values)).rowCount !== 0;
  const relation = (kinds: string[]) =>
    exists(`select from pg_catalog.pg_class where oid = to_regclass($1) and relkind::text = any ($2)`, [
      quoteQualified(local.get(name) ?? name),
      kinds,
    ]);
  switch (condition) {
    case 'local-table':
      return local.has(name);
    case 'local-destination':
      return local.has(name) && relation(['r', 'p']);
    case 'local-sequence':
      return exists('select from londiste.seq_info where queue_name = $1 and seq_name = $2 and local', [
        queue,
        name,
      ]);
    case 'need-table':
      return relation(['r', 'p']);
    case 'need-sequence':
      return relation(['S']);
    case 'need-view':
      return relation(['v', 'm']);
    case 'need-schema':
      return exists('select from pg_catalog.pg_namespace where nspname = $1', [written]);
    case 'need-function': {
      const [, plain, count] = /^(.*?)(?:\((\d+)\))?$/.exec(written)!;
      const [schema, fn] = plain!.includes('.') ? plain!.split('.', 2) : ['public', plain];
      return exists(
        `select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
          where n.nspname = $1 and p.proname = $2 and p.pronargs = $3`,
        [schema, fn, Number(count ?? 0)],
      );
    }
    default:
      throw new SkytoolsError('LONDISTE_SCRIPT_CONDITION', `script condition ${condition} is not known`, {
        subject: { queue },
        hint: 'Local-Table, Local-Sequence, Local-Destination, Need-Table, Need-Sequence, Need-View, Need-Schema and Need-Function are',
      });
  }
}

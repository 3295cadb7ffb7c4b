import { SkytoolsError, UsageError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState } from '../postgres/errors.ts';
import { quoteIdent, quoteLiteral, quoteQualified } from '../postgres/quote.ts';
import { pgqError } from './errors.ts';

/** The classic trigger functions, named after the format of their events. */
export type TriggerFormat = 'logutriga' | 'jsontriga' | 'sqltriga';

export interface TriggerSpec {
  /** `schema.table`; without a schema, `public`. */
  table: string;
  queue: string;
  format: TriggerFormat;
  /** Default `capture_<queue>`. */
  name?: string;
  /** Arguments as the trigger functions take them: `ignore=a,b`, `backup`, `when=…`. */
  arguments?: readonly string[];
  /** Fire before the change (needed by `SKIP`) instead of after it. */
  before?: boolean;
  /**
   * Write a function for exactly this table: faster than the classic ones, called for each row or for each statement.
   * Needs the rights of pgq_admin and CREATE on the table's schema; formats logutriga and jsontriga.
   */
  generated?: 'row' | 'statement';
}

/** A trigger that writes to a queue. */
export interface CaptureTrigger {
  table: string;
  name: string;
  queue: string;
  function: string;
  /** Written for this table by pgq.create_fast_trigger. */
  generated: boolean;
  enabled: boolean;
  definition: string;
}

/** What the trigger functions take; they refuse the rest when they fire, and with it every change of the table. */
const ARGUMENT = /^(SKIP$|backup$|deny$|(ignore|pkey|when|ev_type|ev_data|ev_extra[1-4])=)/;

/** Arguments that a TRUNCATE trigger takes as well; it refuses the rest. */
const FOR_TRUNCATE = /^(deny|SKIP)$/;

/** PostgreSQL cuts longer names, in bytes; room is left for the suffix of the TRUNCATE trigger. */
const NAME_BYTES = 63;
const TRUNCATE_SUFFIX = '_truncate';

/**
 * Captures a table's changes into a queue: one trigger for each changed row and one for TRUNCATE, both or none.
 *
 * @returns the names of the triggers
 * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_TRIGGER_EXISTS; UsageError PGQ_TRIGGER_ARGUMENT
 */
export async function addTrigger(client: Client, spec: TriggerSpec): Promise<string[]> {
  const wrong = spec.arguments?.find((argument) => !ARGUMENT.test(argument));
  if (wrong !== undefined) {
    throw new UsageError('PGQ_TRIGGER_ARGUMENT', `the trigger functions know no argument "${wrong}"`, {
      subject: { table: spec.table },
      hint: 'they are SKIP, backup, deny, ignore=, pkey=, when=, ev_type=, ev_data= and ev_extra1= to ev_extra4=',
    });
  }
  if (spec.generated !== undefined) return addGeneratedTrigger(client, spec, spec.generated);
  const name = triggerName(spec);
  const truncateName = `${name}${TRUNCATE_SUFFIX}`;
  const table = quoteQualified(spec.table);
  const timing = spec.before ? 'before' : 'after';
  const given = spec.arguments ?? [];
  const call = (args: readonly string[]) =>
    `execute function pgq.${quoteIdent(spec.format)}(${[spec.queue, ...args].map(quoteLiteral).join(', ')})`;
  try {
    await client.query(`select 1 / count(*) from pgq.queue where queue_name = ${quoteLiteral(spec.queue)}`);
  } catch (error) {
    // Division by zero: no such queue. A trigger without its queue would fail every change of the table.
    if (!hasSqlState(error, '22012')) throw pgqError(error, { queue: spec.queue });
    throw new SkytoolsError('PGQ_QUEUE_MISSING', `no such queue: ${spec.queue}`, {
      subject: { queue: spec.queue },
      hint: `create it first: skytools queue create ${spec.queue}`,
    });
  }
  try {
    // One multi-statement query is one transaction.
    await client.query(
      `create trigger ${quoteIdent(name)} ${timing} insert or update or delete on ${table} for each row ${call(given)};
       create trigger ${quoteIdent(truncateName)} ${timing} truncate on ${table} for each statement ${call(given.filter((argument) => FOR_TRUNCATE.test(argument)))}`,
    );
  } catch (error) {
    if (!hasSqlState(error, '42710')) throw pgqError(error, { table: spec.table, queue: spec.queue });
    throw triggerExists(spec.table, name);
  }
  return [name, truncateName];
}

async function addGeneratedTrigger(
  client: Client,
  spec: TriggerSpec,
  level: 'row' | 'statement',
): Promise<string[]> {
  const before = await listTriggers(client, { table: spec.table });
  const name = triggerName(spec);
  if (before.some((trigger) => trigger.name === name)) throw triggerExists(spec.table, name);
  try {
    await client.query(
      'select pgq.create_fast_trigger($1::text::regclass, $2, $3, $4, $5, variadic $6::text[])',
      [quoteQualified(spec.table), spec.queue, spec.format, level, name, spec.arguments ?? []],
    );
  } catch (error) {
    throw pgqError(error, { table: spec.table, queue: spec.queue });
  }
  const known = new Set(before.map((trigger) => trigger.name));
  const after = await listTriggers(client, { table: spec.table });
  return after.map((trigger) => trigger.name).filter((trigger) => !known.has(trigger));
}

const triggerExists = (table: string, name: string) =>
  new SkytoolsError('PGQ_TRIGGER_EXISTS', `table ${table} has a trigger named ${name}`, {
    subject: { table },
    hint: 'remove it first, or give another --name',
  });

/**
 * Writes generated triggers again that do not fit their table any more, of one table or of all.
 *
 * @returns how many were written
 */
export async function refreshTriggers(client: Client, table?: string): Promise<number> {
  try {
    const { rows } = await client.query<{ count: number }>(
      'select pgq.refresh_fast_triggers($1::text::regclass) as count',
      [table === undefined ? null : quoteQualified(table)],
    );
    return rows[0]!.count;
  } catch (error) {
    throw pgqError(error, table === undefined ? {} : { table });
  }
}

function triggerName(spec: TriggerSpec): string {
  if (spec.name !== undefined) return spec.name;
  let name = `capture_${spec.queue}`;
  while (Buffer.byteLength(name) > NAME_BYTES - TRUNCATE_SUFFIX.length) name = name.slice(0, -1);
  return name;
}

/**
 * Removes the triggers of a table that write to a queue, or one of them by name.
 *
 * @returns the names of the triggers removed
 * @throws SkytoolsError PGQ_TRIGGER_MISSING
 */
export async function removeTriggers(
  client: Client,
  table: string,
  by: { queue: string } | { name: string },
): Promise<string[]> {
  const all = await listTriggers(client, { table });
  const found = all.filter((trigger) =>
    'queue' in by ? trigger.queue === by.queue : trigger.name === by.name,
  );
  const others = (removed: CaptureTrigger) =>
    all.some((trigger) => trigger.function === removed.function && !found.includes(trigger));
  if (found.length === 0) {
    throw new SkytoolsError('PGQ_TRIGGER_MISSING', `table ${table} has no such capture trigger`, {
      subject: { table },
      hint: 'skytools trigger list shows them',
    });
  }
  const names = found.map((trigger) => trigger.name);
  // A generated function belongs to its triggers. One multi-statement query is one transaction.
  const functions = new Set(
    found.filter((trigger) => trigger.generated && !others(trigger)).map((trigger) => trigger.function),
  );
  await client.query(
    [
      ...names.map((name) => `drop trigger ${quoteIdent(name)} on ${quoteQualified(table)}`),
      ...[...functions].map((name) => `drop function ${quoteQualified(name)}()`),
    ].join('; '),
  );
  return names;
}

/** Triggers that write to queues: all, of a table, of a queue. */
export async function listTriggers(
  client: Client,
  only: { table?: string; queue?: string } = {},
): Promise<CaptureTrigger[]> {
  try {
    const { rows } = await client.query<CaptureTrigger>(
      String.raw`select * from (
         select format('%s.%s', tn.nspname, c.relname) as "table", t.tgname::text as name,
                convert_from(substring(t.tgargs for nullif(position('\x00'::bytea in t.tgargs), 0) - 1),
                             getdatabaseencoding()) as queue,
                format('%s.%s', n.nspname, p.proname) as "function",
                starts_with(p.proname, '_pgq_fast_') as generated, t.tgenabled <> 'D' as enabled,
                pg_get_triggerdef(t.oid) as definition
           from pg_trigger t
           join pg_proc p on p.oid = t.tgfoid
           join pg_namespace n on n.oid = p.pronamespace
           join pg_class c on c.oid = t.tgrelid
           join pg_namespace tn on tn.oid = c.relnamespace
          where not t.tgisinternal and (n.nspname = 'pgq' or starts_with(p.proname, '_pgq_fast_')) and t.tgnargs > 0
            and ($1::text is null or t.tgrelid = to_regclass($1))) found
        where $2::text is null or queue = $2
        order by 1, 2`,
      [only.table === undefined ? null : quoteQualified(only.table), only.queue ?? null],
    );
    return rows;
  } catch (error) {
    throw pgqError(error, only);
  }
}

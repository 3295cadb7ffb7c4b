import type pg from 'pg';
import { UsageError } from '../../platform/errors.ts';
import { quoteColumns, quoteQualified } from '../../postgres/quote.ts';
import { choose } from '../admin/names.ts';
import { type RowSource, rowsAbove } from '../admin/provider.ts';
import { type Patience, waitFor } from '../admin/wait.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { forgetLost, lostMarks } from '../replay/health.ts';
import { holdsRows, type Subscription, subscriptions } from '../tables.ts';
import { atSamePoint, type Point } from './same-point.ts';

export interface CompareOptions {
  queue: string;
  /** Names and masks; none: every subscribed table. */
  tables: readonly string[];
  /** Numbers of rows only. */
  countOnly?: boolean | undefined;
  /** Function of a row's text that gives a number; default hashtextextended(text, 0). */
  checksumFunction?: string | undefined;
  /** A query of its own, with `_TABLE_` and `_COLS_` (a row) in it; its whole result is compared as text. */
  sql?: string | undefined;
  /** How long the ticks may be held for the subscriber to come to the point. */
  holdMs: number;
}

/** How a table here compares with the one that it is copied from. */
export interface ComparedTable {
  table: string;
  result: 'same' | 'different' | 'skipped';
  /** The node compared with, and the tick at which. */
  source: string | null;
  tick: bigint | null;
  sourceResult: string | null;
  targetResult: string | null;
  /** Why it was skipped, or what was left out of the comparison. */
  note: string | null;
}

/** Snapshots older than this hold back vacuum and rotation for longer than a new point costs, in milliseconds. */
const OLDEST_POINT_MS = 60_000;

/** The text of values is the same on both sides whatever the servers' settings. */
const FORMATS: Readonly<Record<string, string>> = {
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  statement_timeout: '0',
};

/**
 * Compares tables of this node with those they come from, each pair at the same logical point: by the number of rows and a sum over
 * their texts that does not depend on their order.
 *
 * @param heard called after each table
 * @throws UsageError LONDISTE_COMPARE_ROOT, LONDISTE_NOT_SUBSCRIBED, LONDISTE_COMPARE_FUNCTION; SkytoolsError
 *   LONDISTE_WAIT_TIMEOUT, LONDISTE_COMPARE_LAGGING
 */
export async function compareTables(
  scope: NodeScope,
  client: pg.Client,
  options: CompareOptions,
  patience: Patience,
  heard: (compared: ComparedTable) => void = () => {},
): Promise<ComparedTable[]> {
  const { queue } = options;
  const state = await nodeState(client, queue);
  if (state.node_type === 'root') {
    throw new UsageError('LONDISTE_COMPARE_ROOT', 'the root has nothing to be compared with', {
      subject: { queue },
      hint: 'run it at a branch or leaf: --database',
    });
  }
  const all = await subscriptions(client, queue);
  const known = all.map(({ name }) => name);
  const chosen = choose(options.tables, known, { all: options.tables.length === 0 });
  const done: ComparedTable[] = [];
  const note = (compared: ComparedTable) => {
    done.push(compared);
    heard(compared);
  };
  const waiting: { table: Subscription; source: RowSource }[] = [];
  for (const table of all.filter(({ name }) => chosen.includes(name))) {
    const source = holdsRows(table)
      ? await rowsAbove(scope, client, queue, state, table.name, '?')
      : undefined;
    const reason = !holdsRows(table)
      ? 'its handler keeps no rows'
      : table.state !== 'ok'
        ? `it is not in sync: ${table.state ?? 'waiting'}`
        : source === undefined
          ? 'no node above has its rows'
          : source.state !== 'ok'
            ? `it is not in sync at ${source.node}: ${source.state ?? 'waiting'}`
            : undefined;
    if (reason !== undefined) note(skipped(table.name, reason));
    else waiting.push({ table, source: source! });
  }
  if (waiting.length === 0) return done;
  const lost = await lostMarks(client, queue);
  // Ticks are held while the subscriber comes to the point: let it be near before.
  await waitFor('provider', scope, client, queue, patience);
  while (waiting.length > 0) {
    const { source } = waiting[0]!;
    const there = await atLocation(scope, source.location, (remote) => nodeState(remote, queue));
    const point = {
      queue,
      source: { location: source.location, worker: there.worker_name, isRoot: there.node_type === 'root' },
      worker: state.worker_name,
      holdMs: options.holdMs,
    };
    await atSamePoint(scope, client, point, async (met) => {
      const begun = performance.now();
      await setFormats(met, options);
      while (waiting[0]?.source.location === source.location && performance.now() - begun < OLDEST_POINT_MS)
        note(await compareAt(met, state, waiting.shift()!, options));
    });
  }
  if (provesWholeness(options)) for (const compared of done) await unmark(client, queue, lost, compared);
  return done;
}

/** Equal counts, or equal results of somebody's own query, say less than equal checksums of whole rows. */
const provesWholeness = ({ countOnly, sql, checksumFunction }: CompareOptions) =>
  !countOnly && sql === undefined && checksumFunction === undefined;

/**
 * A table that is the same as at its source lacks nothing, whatever was lost once. The mark was read before the tables were: one
 * that was made since stays.
 */
async function unmark(
  client: pg.Client,
  queue: string,
  lost: ReadonlyMap<string, string>,
  compared: ComparedTable,
): Promise<void> {
  const noticed = lost.get(compared.table);
  if (noticed === undefined || compared.result !== 'same' || compared.note !== null) return;
  if (await forgetLost(client, queue, compared.table, noticed))
    compared.note = 'was marked because changes were lost: nothing is missing, the mark is off';
}

const skipped = (table: string, reason: string): ComparedTable => ({
  table,
  result: 'skipped',
  source: null,
  tick: null,
  sourceResult: null,
  targetResult: null,
  note: reason,
});

async function setFormats({ source, target }: Point, { sql }: CompareOptions): Promise<void> {
  // The text of some types depends on the search path; a query of the user's own may depend on it otherwise.
  const settings = { ...FORMATS, ...(sql === undefined ? { search_path: 'pg_catalog' } : {}) };
  const text = 'select set_config(name, value, true) from unnest($1::text[], $2::text[]) s (name, value)';
  for (const side of [source, target])
    await side.query(text, [Object.keys(settings), Object.values(settings)]);
}

async function compareAt(
  { source, target, tick }: Point,
  state: NodeState,
  { table, source: from }: { table: Subscription; source: RowSource },
  options: CompareOptions,
): Promise<ComparedTable> {
  const { rows } = await target.query(
    `select from londiste.table_info where queue_name = $1 and table_name = $2 and merge_state = 'ok'`,
    [options.queue, table.name],
  );
  if (rows.length === 0) return skipped(table.name, 'it is not in sync any more');
  const [there, here] = [await shape(source, from.dest), await shape(target, table.dest)];
  if (there === undefined) return skipped(table.name, `${from.dest} does not exist at ${from.node}`);
  if (here === undefined) return skipped(table.name, `${table.dest} does not exist here`);
  const columns = there.columns.filter((column) => here.columns.includes(column));
  const ignored = [...there.columns, ...here.columns].filter((column) => !columns.includes(column));
  const query = async (side: pg.Client, real: string, only: string) =>
    resultText(
      await side.query({ text: await statement(side, real, only, columns, options), rowMode: 'array' }),
      options,
    );
  const [sourceResult, targetResult] = await Promise.all([
    query(source, from.dest, there.only),
    query(target, table.dest, here.only),
  ]);
  return {
    table: table.name,
    result: sourceResult === targetResult ? 'same' : 'different',
    source: from.node,
    tick,
    sourceResult,
    targetResult,
    note:
      ignored.length > 0
        ? `ignoring columns that only one of ${from.node} and ${state.node_name} has: ${ignored.join(', ')}`
        : null,
  };
}

async function shape(
  client: pg.Client,
  table: string,
): Promise<{ columns: string[]; only: string } | undefined> {
  const { rows } = await client.query<{ column: string; kind: string }>(
    `select a.attname as column, c.relkind as kind
       from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
      where c.oid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [quoteQualified(table)],
  );
  if (rows.length === 0) return undefined;
  return { columns: rows.map(({ column }) => column), only: rows[0]!.kind === 'p' ? '' : 'only ' };
}

async function statement(
  client: pg.Client,
  table: string,
  only: string,
  columns: readonly string[],
  { countOnly, checksumFunction, sql }: CompareOptions,
): Promise<string> {
  const from = `${only}${quoteQualified(table)}`;
  const row = `row(${quoteColumns(columns)})`;
  if (sql !== undefined) return sql.replaceAll('_TABLE_', () => from).replaceAll('_COLS_', () => row);
  if (countOnly) return `select count(*) from ${from}`;
  const checksum =
    checksumFunction === undefined
      ? `hashtextextended(${row}::text, 0)`
      : `${await functionOf(client, checksumFunction)}(${row}::text)`;
  return `select count(*), coalesce(sum(${checksum}), 0)::text from ${from}`;
}

/** @throws UsageError LONDISTE_COMPARE_FUNCTION */
async function functionOf(client: pg.Client, name: string): Promise<string> {
  const qualified = name.includes('.') ? quoteQualified(name) : undefined;
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, p.proname) as name
       from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where p.proargtypes[0] = 'text'::regtype and p.pronargs - p.pronargdefaults <= 1
        and (format('%I.%I', n.nspname, p.proname) = $1 or $1 is null and p.proname = $2)
      order by n.nspname = 'pg_catalog' desc, n.nspname = 'public' desc limit 1`,
    [qualified ?? null, name],
  );
  if (rows[0] !== undefined) return rows[0].name;
  throw new UsageError('LONDISTE_COMPARE_FUNCTION', `there is no function ${name}(text)`, {
    hint: 'name one that both databases have and that gives a number: hashtext, or public.my_hash',
  });
}

/** A result for people to read, equal exactly where the results are. */
function resultText(result: pg.QueryArrayResult, { countOnly, sql }: CompareOptions): string {
  if (sql !== undefined)
    return result.rows.map((row) => (row as unknown[]).map(String).join(', ')).join('; ');
  const [count, checksum] = result.rows[0] as [bigint, string?];
  return countOnly ? `${count} rows` : `${count} rows, checksum=${checksum}`;
}

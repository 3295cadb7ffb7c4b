import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { quoteLiteral } from '../../postgres/quote.ts';
import type { RealTable } from '../tables.ts';
import {
  addCounts,
  applyAlone,
  applyExactly,
  isOfTheRows,
  type MissingCounts,
  type RefusedEvent,
} from './apply.ts';
import { OutOfOrder } from './arrival.ts';
import { eventQuery, readEvents } from './event-reader.ts';
import type { EventKind, QueueEvent, TableHook } from './event-type.ts';
import type { Forward } from './forward.ts';
import { Intake } from './intake.ts';
import { applyNetEffect } from './net-effect.ts';

/**
 * For the transaction that applies: queues and the triggers of tables are silent, and rows are joined in memory. Compiling the
 * statements would take longer than running them.
 */
export const APPLY_SETTINGS = `select londiste.set_session_replication_role('replica', true),
  set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`;

export interface ApplyRun {
  /** An open batch of the provider. */
  batch: bigint;
  /** Begin behind this event, in the order of ids. */
  after?: bigint | undefined;
  /** At most so many events. */
  limit?: number | undefined;
  /** How many there are, by the sequence of their ids: more or fewer may come. */
  expected?: number | undefined;
  /** The tables that rows go to; asked again after an event that may have changed them. */
  tables: () => Promise<ReadonlyMap<string, RealTable>>;
  /** Tables whose handler looks at each event, as it is then asked for `tables`. */
  hooks?: (() => ReadonlyMap<string, TableHook>) | undefined;
  /** See ApplyMode. */
  idempotent: boolean;
  /** Every event by itself. */
  strict: boolean;
  /** Events that are refused alone are returned; else the batch stops there. */
  setAside: boolean;
  /** Where all events go as well, in every attempt anew. */
  forward?: (() => Forward) | undefined;
  /** Called for each event that is neither of a row nor a TRUNCATE, in its place among the rows. */
  onSystemEvent: (event: QueueEvent) => Promise<void>;
}

export interface Applied {
  /** Events that came. */
  events: number;
  /** The last one's id. */
  last: bigint | undefined;
  missing: MissingCounts;
  refused: RefusedEvent[];
}

/**
 * Brings the events of a batch to the subscriber and applies them. TRUNCATE, scripts and changes of the set split the batch:
 * what comes before them is applied before, what comes after, after. Between them the net effect of the rows is applied table
 * by table; where the tables refuse that, everything is undone and read again, event for event, to be split finer. Rows
 * alone are taken as they stand in the provider's tables; where that is not their order, they are read again sorted. Both
 * clients are in a transaction.
 *
 * @throws SkytoolsError LONDISTE_EVENT_REFUSED, LONDISTE_ROW_MISSING, LONDISTE_COLUMN_MISSING, LONDISTE_KEY_MISSING,
 *   LONDISTE_EVENT_UNREADABLE; PostgresError
 */
export async function applyBatch(provider: pg.Client, target: pg.Client, run: ApplyRun): Promise<Applied> {
  for (let way = firstWay(run); ; ) {
    await target.query('savepoint londiste_batch');
    try {
      const applied = await attempt(provider, target, run, way);
      await target.query('release savepoint londiste_batch');
      return applied;
    } catch (error) {
      const next = nextWay(way, error);
      if (next === undefined) throw error;
      await target.query('rollback to savepoint londiste_batch; release savepoint londiste_batch');
      way = next;
    }
  }
}

/** How the events are read and applied. */
interface Way {
  /** In the order of their ids, for which the server sorts them first; else as they stand in its tables, nearly in order. */
  ordered: boolean;
  /** Event for event; else by the net effect of each segment. */
  exact: boolean;
}

const AS_THEY_STAND: Way = { ordered: false, exact: false };
const SORTED: Way = { ordered: true, exact: false };
const EXACT: Way = { ordered: true, exact: true };

function firstWay({ strict, after, limit, expected = 0 }: ApplyRun): Way {
  if (strict) return EXACT;
  // A part of a batch is a part of its order.
  return after !== undefined || (limit !== undefined && expected >= limit) ? SORTED : AS_THEY_STAND;
}

/** The way that may do where this one did not. */
function nextWay(way: Way, error: unknown): Way | undefined {
  if (way === EXACT) return undefined;
  if (isOfTheRows(error)) return EXACT;
  return way === AS_THEY_STAND && mayBeOfTheOrder(error) ? SORTED : undefined;
}

/** Whether an event may only have come before another that it needs: a row before the script that gave it a column. */
const mayBeOfTheOrder = (error: unknown) =>
  error instanceof OutOfOrder || (error instanceof SkytoolsError && error.code.startsWith('LONDISTE_'));

async function attempt(provider: pg.Client, target: pg.Client, run: ApplyRun, way: Way): Promise<Applied> {
  const missing: MissingCounts = new Map();
  const refused: RefusedEvent[] = [];
  const { exact } = way;
  let tables = await run.tables();
  // What a handler looks at one by one has to come one behind the other.
  const ordered = way.ordered || (run.hooks?.().size ?? 0) > 0;
  const forward = run.forward?.();
  const hookOf = (name: string | null) => named(run.hooks?.(), name);
  const intake = new Intake({
    target,
    tables: () => tables,
    isHooked: (name) => hookOf(name) !== undefined,
    ordered,
    exact,
    direct: !exact && !run.idempotent,
    forward,
    apply: async (stages) => {
      const { idempotent, strict } = run;
      if (!exact) addCounts(missing, await applyNetEffect(target, stages, undefined, { idempotent }));
      else {
        const options = { idempotent, strict, refused: run.setAside ? refused : undefined };
        await applyExactly(target, stages, options, missing);
      }
    },
    between: async (event, kind) => {
      const hook = kind.kind === 'system' ? undefined : hookOf(event.extra1);
      if (hook !== undefined) {
        if (!exact) return hook(target, event);
        const alone = { id: event.id, name: event.extra1!, key: [] };
        return applyAlone(target, alone, run.setAside ? refused : undefined, () => hook(target, event));
      }
      await between(target, run, tables, event, kind);
      if (kind.kind === 'system') tables = await run.tables();
    },
  });
  const query = await batchQuery(provider, run, tables, { onlyTheirs: forward === undefined, ordered });
  try {
    const { events, last } = await readEvents(provider, query, intake);
    // Which ones have not come nobody can tell then.
    if (!ordered && events === run.limit) throw new OutOfOrder();
    await intake.finish();
    return { events, last, missing, refused };
  } catch (error) {
    await intake.abandon();
    throw error;
  }
}

/** With CASCADE, as the original: a table that refers to this one cannot keep its rows. */
async function between(
  target: pg.Client,
  run: ApplyRun,
  tables: ReadonlyMap<string, RealTable>,
  event: QueueEvent,
  kind: EventKind,
): Promise<void> {
  if (kind.kind === 'system') return run.onSystemEvent(event);
  const table = named(tables, event.extra1);
  if (table !== undefined && !table.ignoresTruncate)
    await target.query(`truncate ${table.only}${table.quoted} cascade`);
}

/** What is known by a table's name, as an event has it: without a schema it is of `public`. */
const named = <T>(known: ReadonlyMap<string, T> | undefined, name: string | null): T | undefined =>
  known?.get(name ?? '') ?? known?.get(`public.${name}`);

/**
 * Memory for sorting the events of a batch by their ids. Where they are not sorted nothing may disturb the order in which they
 * stand in the tables: neither an index of transactions nor several processes, nor a scan that joins another one in its
 * middle. Compiling would only delay the first event.
 */
const READ_SETTINGS = `set_config('work_mem', '64MB', true), set_config('enable_indexscan', 'off', true),
  set_config('max_parallel_workers_per_gather', '0', true), set_config('synchronize_seqscans', 'off', true),
  set_config('jit', 'off', true)`;

async function batchQuery(
  provider: pg.Client,
  run: ApplyRun,
  tables: ReadonlyMap<string, RealTable>,
  { onlyTheirs, ordered }: { onlyTheirs: boolean; ordered: boolean },
): Promise<string> {
  const { rows } = await provider.query<{ sql: string }>(
    `select pgq.batch_event_sql($1) as sql, ${READ_SETTINGS}`,
    [run.batch],
  );
  const wanted = [
    ...(run.after === undefined ? [] : [`ev_id > ${run.after}`]),
    ...(onlyTheirs
      ? [`(${ofTables([...tables.keys(), ...(run.hooks?.().keys() ?? [])])} or ${NOT_OF_A_TABLE})`]
      : []),
  ];
  const hidden = hiddenSql([...tables.values()]);
  return eventQuery({ batchSql: rows[0]!.sql, hidden, wanted, ordered, limit: run.limit });
}

/** An event without a schema in its table's name is of `public`. */
const namesOf = (table: string) => (table.startsWith('public.') ? [table, table.slice(7)] : [table]);

const ofTables = (tables: readonly string[]) =>
  tables.length === 0 ? 'false' : `ev_extra1 in (${tables.flatMap(namesOf).map(quoteLiteral).join(', ')})`;

/** Rows and TRUNCATE carry their table's name; what else there is has a type of its own. */
const NOT_OF_A_TABLE = `ev_type like 'pgq.%' or ev_type like 'londiste.%' or ev_type = 'EXECUTE'
  or not (ev_type in ('I', 'U', 'D', 'R') or ev_type like '_:%' or ev_type like '{"op":%')`;

/** True for events that a table's copy has seen. */
function hiddenSql(tables: readonly RealTable[]): string {
  const copied = tables.filter(({ snapshot }) => snapshot !== null);
  if (copied.length === 0) return 'false';
  const cases = copied.map(
    ({ name, snapshot }) =>
      `when ev_extra1 in (${namesOf(name).map(quoteLiteral).join(', ')})
       then txid_visible_in_snapshot(ev_txid, ${quoteLiteral(snapshot!)}::txid_snapshot)`,
  );
  return `case ${cases.join(' ')} else false end`;
}

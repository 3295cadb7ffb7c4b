import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { PostgresError, toSkytoolsError } from '../../postgres/errors.ts';
import { type ApplyMode, applyNetEffect, type Range } from './net-effect.ts';
import type { Stage } from './stage.ts';

/** Updates and deletes that found no row, by the table's name in the queue. */
export type MissingCounts = Map<string, number>;

/** Stands for LONDISTE_ROW_MISSING, which no server reports. */
const ROW_MISSING = 'LD001';

/** An event that the tables refused, and why. */
export interface RefusedEvent {
  event: bigint;
  sqlstate: string;
}

export interface ExactOptions extends ApplyMode {
  /** Every event by itself, in the order of the source. */
  strict: boolean;
  /** Takes what becomes of an event that is refused alone; undefined: the batch stops there. */
  refused: RefusedEvent[] | undefined;
}

export function addCounts(total: MissingCounts, counts: MissingCounts): void {
  for (const [table, count] of counts) total.set(table, (total.get(table) ?? 0) + count);
}

/**
 * Applies rows that were staged as text, each event one. The net effect is tried on the whole; where that is refused (values
 * that change places between rows, foreign keys whose triggers fire, rows of one table written in different layouts) the
 * halves are applied one after the other, down to single events, whose order is that of the source. So the end state is
 * always the one of applying the events one by one; an event that is refused alone is named.
 *
 * @throws SkytoolsError LONDISTE_EVENT_REFUSED
 */
export async function applyExactly(
  client: Client,
  stages: readonly Stage[],
  options: ExactOptions,
  missing: MissingCounts,
): Promise<void> {
  for (const { name } of stages)
    await client.query(`create index if not exists ${name}_seq on pg_temp.${name} (seq)`);
  // The order of all events over the tables: position, and the stage by its place.
  const { rows } = await client.query<{ seq: bigint; stage: number }>(
    `${stages.map(({ name }, index) => `select seq, ${index} as stage from pg_temp.${name}`).join(' union all ')} order by 1`,
  );
  await applyRange(
    client,
    stages,
    rows.map(({ seq, stage }) => ({ seq, stage: stages[stage]! })),
    options,
    missing,
  );
}

interface StagedEvent {
  seq: bigint;
  stage: Stage;
}

async function applyRange(
  client: Client,
  stages: readonly Stage[],
  events: readonly StagedEvent[],
  options: ExactOptions,
  missing: MissingCounts,
): Promise<void> {
  if (options.strict) {
    for (const event of events) await applyOne(client, event, options, missing);
    return;
  }
  if (events.length === 1) return applyOne(client, events[0]!, options, missing);
  const range: Range = { from: events[0]!.seq - 1n, to: events.at(-1)!.seq + 1n };
  const here = new Set(events.map(({ stage }) => stage));
  const tables = new Set([...here].map(({ table }) => table));
  if (here.size === tables.size) {
    await client.query('savepoint londiste_range');
    try {
      addCounts(missing, await applyNetEffect(client, [...here], range, options));
      await client.query('release savepoint londiste_range');
      return;
    } catch (error) {
      if (!isOfTheRows(error)) throw error;
      await client.query('rollback to savepoint londiste_range; release savepoint londiste_range');
    }
  }
  const middle = Math.floor(events.length / 2);
  await applyRange(client, stages, events.slice(0, middle), options, missing);
  await applyRange(client, stages, events.slice(middle), options, missing);
}

function applyOne(
  client: Client,
  { seq, stage }: StagedEvent,
  options: ExactOptions,
  missing: MissingCounts,
): Promise<void> {
  const range = { from: seq - 1n, to: seq + 1n };
  const event = { id: seq, name: stage.table.name, key: stage.layout.key };
  return applyAlone(client, event, options.refused, async () =>
    addCounts(missing, await applyNetEffect(client, [stage], range, options)),
  );
}

/** One event, by its id, the table's name in the queue and the columns of its key. */
interface LoneEvent {
  id: bigint;
  name: string;
  key: readonly string[];
}

/**
 * Applies a single event.
 *
 * @param refused takes it where it is refused; undefined: the batch stops there
 * @throws SkytoolsError LONDISTE_EVENT_REFUSED
 */
export async function applyAlone(
  client: Client,
  event: LoneEvent,
  refused: RefusedEvent[] | undefined,
  apply: () => Promise<void>,
): Promise<void> {
  if (refused) await client.query('savepoint londiste_event');
  try {
    await apply();
    if (refused) await client.query('release savepoint londiste_event');
  } catch (error) {
    if (!isOfTheRows(error)) throw error;
    if (refused === undefined) throw eventRefused(event, error);
    await client.query('rollback to savepoint londiste_event; release savepoint londiste_event');
    const why = toSkytoolsError(error);
    refused.push({
      event: event.id,
      sqlstate: why instanceof PostgresError ? why.report.sqlstate : ROW_MISSING,
    });
  }
}

/** Whether fewer events at once may go where these together did not. */
export function isOfTheRows(error: unknown): boolean {
  const known = toSkytoolsError(error);
  return known instanceof PostgresError
    ? /^2[23]/.test(known.report.sqlstate)
    : known.code === 'LONDISTE_ROW_MISSING';
}

/** Names the event, its table and its key's columns, and no value. */
function eventRefused({ id, name, key: columns }: LoneEvent, cause: unknown): SkytoolsError {
  const why = toSkytoolsError(cause);
  const key = columns.length > 0 ? ` (key ${columns.join(', ')})` : '';
  return new SkytoolsError(
    'LONDISTE_EVENT_REFUSED',
    `event ${id} of ${name}${key} is refused: ${why.message}`,
    {
      cause: why,
      subject: { table: name, event: String(id) },
      hint: 'correct the row or the table here; refusedEvents: set-aside puts such events into londiste.dead_event instead',
    },
  );
}

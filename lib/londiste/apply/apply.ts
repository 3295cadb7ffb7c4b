import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { PostgresError, toSkytoolsError } from '../../postgres/errors.ts';
import type { RealTable } from '../tables.ts';
import { type ApplyMode, applyNetEffect, MixedLayouts, type Range, tablesIn } from './net-effect.ts';
import { STAGING } from './staging.ts';

export interface ApplyOptions extends ApplyMode {
  /** Every event by itself. */
  strict: boolean;
  /** What becomes of an event that is refused alone; undefined: the batch stops there. */
  setAside?: ((event: bigint, sqlstate: string) => Promise<void>) | undefined;
}

/** Updates and deletes that found no row, by the table's name in the queue. */
export type MissingCounts = Map<string, number>;

/**
 * Applies the rows staged in a range. The net effect is tried on the whole; where that is refused (values that change
 * places between rows, foreign keys whose triggers fire, rows written in different layouts) the halves are applied one after
 * the other, down to single events, whose order is that of the source. So the end state is always the one of applying the
 * events one by one; an event that is refused alone is named.
 *
 * @throws SkytoolsError LONDISTE_EVENT_REFUSED
 */
export async function applyRange(
  client: Client,
  tables: ReadonlyMap<string, RealTable>,
  range: Range,
  options: ApplyOptions,
  missing: MissingCounts,
): Promise<void> {
  const { rows } = await client.query<{ events: number; first: bigint; middle: bigint | null }>(
    `select count(*)::int4 as events, min(ev_id) as first,
            percentile_disc(0.5) within group (order by ev_id) as middle
       from ${STAGING} where ev_id > $1 and ev_id < $2 and ev_extra1 = any ($3)`,
    [range.from, range.to, [...tables.keys()]],
  );
  const { events, first, middle } = rows[0]!;
  if (events === 0) return;
  const single = events === 1;
  if (single || !options.strict) {
    await client.query('savepoint londiste_range');
    const counts: MissingCounts = new Map();
    try {
      for (const found of await tablesIn(client, [...tables.keys()], range)) {
        const table = tables.get(found.table)!;
        const count = await applyNetEffect(client, table, found, range, options);
        if (count > 0) counts.set(table.name, count);
      }
      await client.query('release savepoint londiste_range');
      for (const [table, count] of counts) missing.set(table, (missing.get(table) ?? 0) + count);
      return;
    } catch (error) {
      if (!isOfTheRows(error)) throw error;
      await client.query('rollback to savepoint londiste_range; release savepoint londiste_range');
      if (single) {
        if (options.setAside === undefined) throw await refused(client, first, error);
        await options.setAside(first, error instanceof PostgresError ? error.report.sqlstate : 'LD001');
        return;
      }
    }
  }
  // Both halves are smaller: of two events the median is the first.
  await applyRange(client, tables, { from: range.from, to: middle! + 1n }, options, missing);
  await applyRange(client, tables, { from: middle!, to: range.to }, options, missing);
}

/** Whether fewer events at once may go where these together did not. */
function isOfTheRows(error: unknown): boolean {
  if (error instanceof MixedLayouts) return true;
  const known = toSkytoolsError(error);
  return known instanceof PostgresError
    ? /^2[23]/.test(known.report.sqlstate)
    : known.code === 'LONDISTE_ROW_MISSING';
}

async function refused(client: Client, id: bigint, cause: unknown): Promise<SkytoolsError> {
  const { rows } = await client.query<{ type: string; table: string }>(
    `select ev_type as type, ev_extra1 as table from ${STAGING} where ev_id = $1 limit 1`,
    [id],
  );
  const { type, table } = rows[0]!;
  const why = toSkytoolsError(cause);
  return new SkytoolsError(
    'LONDISTE_EVENT_REFUSED',
    `event ${id} (${type}) of ${table} is refused: ${why.message}`,
    {
      cause: why,
      subject: { table, event: String(id) },
      hint: 'correct the row or the table here; refusedEvents: set-aside puts such events into londiste.dead_event instead',
    },
  );
}

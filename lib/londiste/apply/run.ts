import type pg from 'pg';
import type { RealTable } from '../tables.ts';
import { type ApplyOptions, applyRange, type MissingCounts } from './apply.ts';
import { isTruncate } from './layout.ts';
import { STAGING } from './staging.ts';

/** An event that is not about one row. */
export interface SystemEvent {
  id: bigint;
  type: string;
  data: string;
  extra1: string | null;
  extra2: string | null;
  extra3: string | null;
}

export interface ApplyRun extends ApplyOptions {
  tables: ReadonlyMap<string, RealTable>;
  /** Called for each event that is neither of a row nor a TRUNCATE, in its place among the rows. */
  onSystemEvent: (event: SystemEvent) => Promise<void>;
}

/** Beyond every event id. */
const END = 2n ** 62n;

/**
 * Applies everything staged. Events that are not of a row (TRUNCATE, EXECUTE, changes of the set) split it: what comes
 * before them is applied before, what comes after, after.
 */
export async function applyStaged(target: pg.Client, run: ApplyRun): Promise<MissingCounts> {
  const missing: MissingCounts = new Map();
  const { rows } = await target.query<SystemEvent>(
    `select ev_id as id, ev_type as type, coalesce(ev_data, '') as data, ev_extra1 as extra1, ev_extra2 as extra2, ev_extra3 as extra3
       from ${STAGING}
      where not (ev_type like '_:%' or ev_type like '{"op":"%' and ev_type not like '{"op":"TRUNCATE"%')
      order by ev_id`,
  );
  let from = -1n;
  for (const event of rows) {
    await applyRange(target, run.tables, { from, to: event.id }, run, missing);
    from = event.id;
    if (isTruncate(event.type)) await truncate(target, run.tables.get(event.extra1 ?? ''), event);
    else await run.onSystemEvent(event);
  }
  await applyRange(target, run.tables, { from, to: END }, run, missing);
  return missing;
}

/** With CASCADE, as the original: a table that refers to this one cannot keep its rows. */
async function truncate(target: pg.Client, table: RealTable | undefined, event: SystemEvent): Promise<void> {
  if (table === undefined || table.ignoresTruncate) return;
  if (table.snapshot !== null) {
    const { rowCount } = await target.query(
      `select from ${STAGING} where ev_id = $1 and txid_visible_in_snapshot(ev_txid, $2::txid_snapshot)`,
      [event.id, table.snapshot],
    );
    if (rowCount !== 0) return;
  }
  await target.query(`truncate ${table.only}${table.quoted} cascade`);
}

import { SkytoolsError } from '../../platform/errors.ts';
import { logError, logger, MetricUnit, metrics } from '../../platform/logger.ts';
import type { Client } from '../../postgres/connect.ts';
import type { MissingCounts, RefusedEvent } from '../apply/apply.ts';
import { type TableFault, tableFaults } from '../drift.ts';
import type { SourceBatch } from '../source-batch.ts';
import { type RealTable, subscriptions } from '../tables.ts';

/** Adds to the counts of changes that found no row. */
export async function countMissing(target: Client, queue: string, counts: MissingCounts): Promise<void> {
  for (const [table, count] of counts) {
    await target.query(
      `insert into londiste.table_health as h (queue_name, table_name, missing_rows, last_missing)
       values ($1, $2, $3, now())
       on conflict on constraint table_health_pkey
       do update set missing_rows = h.missing_rows + excluded.missing_rows, last_missing = now()`,
      [queue, table, count],
    );
  }
}

/** Puts events aside that the tables here refuse: as they are in the provider's batch. */
export async function setAside(
  provider: Client,
  target: Client,
  queue: string,
  batch: SourceBatch,
  refused: readonly RefusedEvent[],
): Promise<void> {
  if (refused.length === 0) return;
  const { rows: sql } = await provider.query<{ sql: string }>('select pgq.batch_event_sql($1) as sql', [
    batch.batch_id,
  ]);
  for (const { event, sqlstate } of refused) {
    const { rows } = await provider.query<Record<string, unknown>>(
      `select ev_id, ev_time::text, ev_type, ev_data, ev_extra1 from (${sql[0]!.sql}) e where ev_id = $1`,
      [event],
    );
    const dead = rows[0]!;
    await target.query(
      `insert into londiste.dead_event (queue_name, tick_id, ev_id, ev_time, ev_type, ev_data, ev_extra1, sqlstate)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
      [queue, batch.cur_tick_id, event, dead.ev_time, dead.ev_type, dead.ev_data, dead.ev_extra1, sqlstate],
    );
  }
}

/**
 * Forgets the snapshots of copies that no coming event can be visible in: every transaction that it saw running had ended
 * when the batch began.
 */
export async function forgetSnapshots(
  provider: Client,
  target: Client,
  queue: string,
  previousTick: bigint,
  tables: ReadonlyMap<string, RealTable>,
): Promise<void> {
  const waiting = [...tables.values()].filter((table) => table.snapshot !== null);
  if (waiting.length === 0) return;
  const { rows } = await provider.query<{ name: string }>(
    `select w.name
       from pgq.tick t
       join pgq.queue q on q.queue_id = t.tick_queue and q.queue_name = $1
      cross join unnest($3::text[], $4::text[]) w (name, snapshot)
      where t.tick_id = $2
        and txid_snapshot_xmin(t.tick_snapshot) >= txid_snapshot_xmax(w.snapshot::txid_snapshot)`,
    [queue, previousTick, waiting.map((table) => table.name), waiting.map((table) => table.snapshot)],
  );
  if (rows.length === 0) return;
  await target.query(
    `update londiste.table_info set custom_snapshot = null
      where queue_name = $1 and table_name = any ($2) and merge_state = 'ok'`,
    [queue, rows.map((row) => row.name)],
  );
}

/** How a fault begins that mending does not make good: it stays with the table until it is copied again. */
const LOST = 'changes were lost';

/**
 * Looks for faults of the subscribed tables and keeps them with the tables, each with its next step; one that is mended goes,
 * unless changes were lost by it, or the table stands behind because of it. Sets the figure of the alarm. However many tables
 * there are, it takes the same few statements, and one more for each whose fault is another than before.
 */
export async function noteFaults(provider: Client, target: Client, queue: string): Promise<void> {
  const tables = await subscriptions(target, queue);
  const found = Map.groupBy(await tableFaults(provider, target, queue, tables), ({ table }) => table);
  const states = new Map(tables.map(({ name, state }) => [name, state]));
  const { rows } = await target.query<{ name: string; fault: string | null; held: boolean }>(
    `select t.table_name as name, h.fault,
            t.merge_state is not distinct from 'catching-up' and londiste.is_held(t.queue_name, t.table_name) as held
       from londiste.table_info t
       left join londiste.table_health h on h.queue_name = t.queue_name and h.table_name = t.table_name
      where t.queue_name = $1 and t.local`,
    [queue],
  );
  let faulty = 0;
  for (const { name, fault: before, held } of rows) {
    const now = found.get(name)?.map(described).join('; ');
    const kept =
      before?.startsWith(LOST) && (states.get(name) === 'ok' || held)
        ? `${LOST}: its trigger at the provider was missing or disabled; skytools londiste resync ${queue} ${name}`
        : held
          ? before
          : null;
    const fault = now ?? kept;
    if (fault !== null) faulty++;
    if (fault === before) continue;
    await storeFault(target, queue, name, fault);
    if (fault === null) logger.info('table is whole again', { queue, table: name });
    else logFault('LONDISTE_TABLE_FAULTY', 'table has a fault', queue, name, fault);
  }
  countFaulty(faulty);
}

/** @param fault as it is stored: with its next step */
export const logFault = (
  code: 'LONDISTE_TABLE_FAULTY' | 'LONDISTE_TABLE_HELD',
  message: string,
  queue: string,
  table: string,
  fault: string,
): void =>
  logError(
    message,
    new SkytoolsError(code, `${table}: ${fault}`, {
      subject: { queue, table },
      hint: `do what it says; skytools londiste status ${queue} shows it until then`,
    }),
  );

const described = ({ problem, hint, losesChanges }: TableFault) =>
  `${losesChanges ? `${LOST}: ` : ''}${problem}: ${hint}`;

/** A table that was held back takes its events again; what it has lost before that is lost still. */
export async function noteMended(target: Client, queue: string, table: string): Promise<void> {
  await target.query(
    `update londiste.table_health set fault = null, fault_noticed = null
      where queue_name = $1 and table_name = $2 and not starts_with(fault, $3)`,
    [queue, table, LOST],
  );
}

/** Tables that are marked because changes were lost, and since when each is (as text, to the microsecond). */
export async function lostMarks(target: Client, queue: string): Promise<Map<string, string>> {
  const { rows } = await target.query<{ table: string; noticed: string }>(
    `select table_name as "table", fault_noticed::text as noticed from londiste.table_health
      where queue_name = $1 and starts_with(fault, $2)`,
    [queue, LOST],
  );
  return new Map(rows.map(({ table, noticed }) => [table, noticed]));
}

/** Takes such a mark off a table that was found whole; not one that was made anew since it was looked at. */
export async function forgetLost(
  target: Client,
  queue: string,
  table: string,
  noticed: string,
): Promise<boolean> {
  const { rowCount } = await target.query(
    `update londiste.table_health set fault = null, fault_noticed = null
      where queue_name = $1 and table_name = $2 and starts_with(fault, $3) and fault_noticed::text = $4`,
    [queue, table, LOST, noticed],
  );
  return rowCount === 1;
}

/** The figure that the alarm on faulty tables watches. */
export const countFaulty = (tables: number): void => {
  metrics.addMetric('FaultyTables', MetricUnit.Count, tables);
};

/** Keeps a fault with its table. @param fault null: it has none */
export async function storeFault(
  target: Client,
  queue: string,
  table: string,
  fault: string | null,
): Promise<void> {
  await target.query(
    `insert into londiste.table_health as h (queue_name, table_name, fault, fault_noticed)
     values ($1, $2, $3, case when $3::text is not null then now() end)
     on conflict on constraint table_health_pkey
     do update set fault = excluded.fault, fault_noticed = excluded.fault_noticed`,
    [queue, table, fault],
  );
}

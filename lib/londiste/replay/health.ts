import { logger } from '../../platform/logger.ts';
import type { Client } from '../../postgres/connect.ts';
import type { MissingCounts, RefusedEvent } from '../apply/apply.ts';
import type { SourceBatch } from '../source-batch.ts';
import type { RealTable } from '../tables.ts';

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

/**
 * Asks the provider which of its subscribed tables would lose changes (a trigger that is missing or disabled, a key that is
 * gone) and keeps the answer with the tables subscribed here.
 */
export async function noteFaults(provider: Client, target: Client, queue: string): Promise<void> {
  const known = await provider.query<{ known: boolean }>(
    `select to_regprocedure('londiste.find_trigger_faults(text)') is not null as known`,
  );
  // The original as a provider cannot tell.
  if (!known.rows[0]!.known) return;
  const { rows } = await provider.query<{ table_name: string; fault: string }>(
    `select table_name, string_agg(fault, ', ' order by fault) as fault
       from londiste.find_trigger_faults($1) group by 1`,
    [queue],
  );
  const changed = await target.query<{ table_name: string; fault: string | null }>(
    `with found as (select * from unnest($2::text[], $3::text[]) f (table_name, fault)),
     cleared as (
       update londiste.table_health h set fault = null, fault_noticed = null
        where h.queue_name = $1 and h.fault is not null
          and not exists (select from found f where f.table_name = h.table_name)
       returning h.table_name, h.fault),
     noted as (
       insert into londiste.table_health as h (queue_name, table_name, fault, fault_noticed)
       select t.queue_name, t.table_name, f.fault, now()
         from found f join londiste.table_info t on t.queue_name = $1 and t.table_name = f.table_name and t.local
       on conflict on constraint table_health_pkey
       do update set fault = excluded.fault, fault_noticed = now() where h.fault is distinct from excluded.fault
       returning h.table_name, h.fault)
     select * from cleared union all select * from noted`,
    [queue, rows.map((row) => row.table_name), rows.map((row) => row.fault)],
  );
  for (const { table_name, fault } of changed.rows) {
    if (fault === null) logger.info('table is whole again on the provider', { queue, table: table_name });
    else logger.error('changes of a table do not reach the queue', { queue, table: table_name, fault });
  }
}

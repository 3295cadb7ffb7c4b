import type pg from 'pg';
import { BusyError, SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { NodeState } from '../node-state.ts';
import type { NodeScope } from '../place.ts';
import type { NodeSettings } from '../settings.ts';
import { realTable, type Subscription } from '../tables.ts';
import { type CopyJob, jobOfTable } from './job.ts';
import { crowded, refuseStrangers, siblings, takeOver, waitAgain } from './merge.ts';
import { blocksAreSafe, type Cut, cutByBlock, cutByKey } from './ranges.ts';
import { columnsOf, type SourceTable, sourceTable, TEXT_SETTINGS } from './source-table.ts';

export interface CopyPlan {
  chunks: number;
  sourceBytes: bigint;
}

/** How long the plan waits for the table here, in milliseconds; one that is in use longer is tried again by the next tick. */
const LOCK_TIMEOUT_MS = 10_000;

/** Name of a table's copy as a consumer. */
export const copyConsumer = (worker: string, table: string): string => `${worker}.copy.${table}`;

/**
 * Plans the copy of a subscribed table. The consumer that will catch up is registered at the source before the plan is
 * stored, and so before any row is read; registering again changes nothing, which makes every step here repeatable. Foreign
 * keys go first, each in a transaction of its own, as the original does. A table that other sets fill as well: merge.ts.
 *
 * @returns undefined where the provider is not ready, or as many tables of the node are being copied as may be
 * @throws SkytoolsError LONDISTE_COPY_MERGED; BusyError
 */
export async function planCopy(
  scope: NodeScope,
  source: pg.Client,
  sourceNode: string,
  target: pg.Client,
  queue: string,
  state: NodeState,
  table: Subscription,
  settings: NodeSettings,
  earlier: CopyJob | undefined,
): Promise<CopyPlan | undefined> {
  const listed = await source.query<{ merge_state: string | null; dest_table: string | null }>(
    'select merge_state, dest_table from londiste.get_table_list($1) where table_name = $2 and local',
    [queue, table.name],
  );
  if (listed.rows[0]?.merge_state !== 'ok') return undefined;
  if (!(await hasPlace(target, queue, settings))) return undefined;
  const sourceName = listed.rows[0].dest_table ?? table.name;
  if (await isBeingFilled(source, sourceName)) return undefined;
  await refuseStrangers(target, queue, table);
  const merged = (await siblings(target, queue, table.name)).length > 0;
  const consumer = copyConsumer(state.worker_name, table.name);
  const real = await realTable(target, table, settings);
  if (real.key.length === 0) throw keyless(queue, table);
  await source.query('select pgq.register_consumer($1, $2)', [queue, consumer]);
  const position = await source.query<{ tick: bigint }>(
    'select last_tick as tick from pgq.get_consumer_info($1, $2)',
    [queue, consumer],
  );
  const { tick } = position.rows[0]!;
  const keepRows = table.attributes.skip_truncate === '1';
  const { from, cut } = await transaction(
    source,
    async () => {
      await source.query(TEXT_SETTINGS);
      const from = await sourceTable(source, sourceName);
      // An EXECUTE came in the way of blocks once: rows that a script changed are no events.
      // Of rows that collide where sets are merged nobody knows whose they are.
      const newer =
        earlier?.ranges === 'key' || keepRows || merged || from.key.join('\0') !== real.key.join('\0')
          ? undefined
          : await blocksAreSafe(source, queue, from);
      const cut =
        newer === undefined
          ? await cutByKey(source, from, real.key, settings.chunkBytes)
          : cutByBlock(from, newer, settings.chunkBytes);
      return { from, cut };
    },
    { deadline: scope.deadline, subject: { queue, table: table.name } },
  );
  const keys = await target.query<{ from_table: string; fkey_name: string }>(
    'select from_table, fkey_name from londiste.find_table_fkeys($1)',
    [table.dest],
  );
  for (const { from_table, fkey_name } of keys.rows)
    await target.query('select londiste.drop_table_fkey($1, $2)', [from_table, fkey_name]);
  try {
    return await transaction(
      target,
      async () => {
        await target.query('select pg_advisory_xact_lock(hashtext($1))', [`londiste.merge ${table.dest}`]);
        const still = await target.query(
          `select from londiste.table_info where queue_name = $1 and table_name = $2 and local and merge_state is null for update nowait`,
          [queue, table.name],
        );
        if (still.rowCount === 0) return undefined;
        const others = await siblings(target, queue, table.name);
        const first = others.every((other) => other.state === null);
        if (merged !== others.length > 0 || crowded(others, table)) return undefined;
        // Its rows of an earlier plan are among theirs.
        if (!first && (await jobOfTable(target, queue, table.name))?.sourceColumns) {
          await waitAgain(target, others);
          return undefined;
        }
        await passBatches(target, [{ queue, worker: state.worker_name, consumer }, ...(first ? others : [])]);
        // Two plans of a node do not both take its last place.
        await target.query('select pg_advisory_xact_lock(hashtext($1))', [`londiste.plan ${queue}`]);
        if (!(await hasPlace(target, queue, settings))) return undefined;
        await target.query(`select londiste.set_session_replication_role('replica', true)`);
        const id = await storeJob(target, [
          queue,
          table.name,
          consumer,
          sourceNode,
          sourceName,
          table.dest,
          keepRows,
        ]);
        if (first) await takeOver(target, others, id);
        await target.query('select londiste.take_off_structure($1, false, $2)', [id, !first]);
        if (first && !keepRows) await target.query(`truncate ${real.only}${real.quoted}`);
        await storeCut(target, id, from, cut);
        await target.query('select * from pgq_node.register_consumer($1, $2, $3, $4)', [
          queue,
          consumer,
          state.provider_node,
          tick,
        ]);
        await target.query(
          `update londiste.table_info set merge_state = 'in-copy', custom_snapshot = null
            where queue_name = $1 and table_name = $2`,
          [queue, table.name],
        );
        return { chunks: cut.chunks.length, sourceBytes: from.bytes };
      },
      { deadline: scope.deadline, lockTimeoutMs: LOCK_TIMEOUT_MS, subject: { queue, table: table.name } },
    );
  } catch (error) {
    if (hasSqlState(error, '55P03', '40P01'))
      throw new BusyError(`copy of ${table.name}`, { subject: { queue, table: table.name } });
    throw error;
  }
}

/** Whether a node's table is itself being copied, by one of the sets that are merged there, and so is no source yet. */
async function isBeingFilled(source: pg.Client, sourceName: string): Promise<boolean> {
  const { rowCount } = await source.query(
    `select from londiste.table_info
      where local and coalesce(dest_table, table_name) = $1 and merge_state is distinct from 'ok'`,
    [sourceName],
  );
  return rowCount !== 0;
}

/**
 * Waits for the batches that consumers may be applying: they may have looked at the table before it was to be copied, and
 * would write rows of an earlier moment behind the TRUNCATE. Batches to come see the state. The locks themselves are given
 * back at once: replay goes on while the plan waits for the table.
 */
async function passBatches(
  target: pg.Client,
  of: readonly { queue: string; worker: string; consumer: string | null }[],
): Promise<void> {
  await target.query('savepoint londiste_batches');
  for (const { queue, worker, consumer } of of) {
    await target.query(
      'select from pgq_node.local_state where queue_name = $1 and consumer_name = any ($2) for update',
      [queue, [worker, consumer]],
    );
  }
  await target.query('rollback to savepoint londiste_batches');
}

/** A copy, and catching up, need the key: without it, changes could be applied twice. */
export const keyless = (queue: string, table: Subscription): SkytoolsError =>
  new SkytoolsError('LONDISTE_COPY_KEYLESS', `${table.dest} has no primary key here`, {
    subject: { queue, table: table.name },
    hint: 'give it the key of its source: without it, changes during the copy could be applied twice',
  });

/** The job's row. What an earlier one of the table has taken off, and not put back, stays with it. */
export async function storeJob(target: Client, values: unknown[]): Promise<bigint> {
  const { rows } = await target.query<{ id: bigint }>(
    `insert into londiste.copy_job as j (queue_name, table_name, consumer_name, source_node, source_table, dest_table, keep_rows)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict on constraint copy_job_table_key
     do update set consumer_name = excluded.consumer_name, source_node = excluded.source_node, started = now(),
                   source_table = excluded.source_table, dest_table = excluded.dest_table,
                   keep_rows = excluded.keep_rows, until_tick = null, until_snapshot = null, ranges = null,
                   analyzed = false
     returning job_id as id`,
    values,
  );
  const { id } = rows[0]!;
  // Waits for chunks of an earlier plan that are being written.
  await target.query('delete from londiste.copy_chunk where job_id = $1', [id]);
  await target.query('delete from londiste.copy_dropped where job_id = $1 and done is not null', [id]);
  return id;
}

/** Writes the chunks down. */
export async function storeCut(target: Client, id: bigint, from: SourceTable, cut: Cut): Promise<void> {
  await target.query(
    `update londiste.copy_job set source_bytes = $2, source_columns = $3, ranges = $4, source_file = $5, newer_than = $6
      where job_id = $1`,
    [id, from.bytes, columnsOf(from), cut.ranges, cut.sourceFile, cut.newerThan],
  );
  const text = (key: string[] | null) => (key === null ? null : JSON.stringify(key));
  await target.query(
    `insert into londiste.copy_chunk (job_id, nr, lower_key, upper_key, lower_block, upper_block)
     select $1, c.nr, (select array_agg(k) from json_array_elements_text(c.lower_key) k),
            (select array_agg(k) from json_array_elements_text(c.upper_key) k), c.lower_block, c.upper_block
       from rows from (unnest($2::json[], $3::json[], $4::int8[], $5::int8[]))
            with ordinality c (lower_key, upper_key, lower_block, upper_block, nr)`,
    [
      id,
      cut.chunks.map((chunk) => text(chunk.lowerKey)),
      cut.chunks.map((chunk) => text(chunk.upperKey)),
      cut.chunks.map((chunk) => chunk.lowerBlock),
      cut.chunks.map((chunk) => chunk.upperBlock),
    ],
  );
}

/** Whether the node may begin another copy. Tables that are held back by a fault take no place. */
async function hasPlace(target: Client, queue: string, settings: NodeSettings): Promise<boolean> {
  const { rows } = await target.query<{ copying: number }>(
    `select count(*)::int4 as copying from londiste.table_info where queue_name = $1 and local and merge_state <> 'ok'
        and not londiste.is_held(queue_name, table_name)`,
    [queue],
  );
  return rows[0]!.copying < settings.parallelCopies;
}

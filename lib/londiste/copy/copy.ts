import type pg from 'pg';
import { BusyError, SkytoolsError } from '../../platform/errors.ts';
import { logWarning } from '../../platform/logger.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { rowsAbove } from '../admin/provider.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { isOfItsShape } from '../replay/hold.ts';
import { makeRootTick } from '../root-tick.ts';
import { copyLimit, type NodeSettings, nodeSettings } from '../settings.ts';
import { realTable, type Subscription, subscriptions } from '../tables.ts';
import { catchUp } from './catch-up.ts';
import { copyChunks, SourceChanged } from './chunk.ts';
import { type CopyJob, jobOfTable } from './job.ts';
import { copyConsumer, planCopy } from './plan.ts';
import { restoreForeignKeys } from './structure.ts';

/** What one step of a table's copy did. */
export interface CopyStep {
  step:
    | 'planned'
    | 'chunk'
    | 'copied'
    | 'caught-up'
    | 'in-sync'
    | 'held'
    | 'begun-again'
    | 'ordered'
    | 'built'
    | 'finished'
    | 'nothing';
  rows?: number;
  bytes?: number;
  /** Steps that can go on side by side now. */
  chunks?: number;
}

export interface CopyStepResult {
  did: CopyStep;
  /** `replay`: the node's replay has to go on first. */
  next: 'again' | 'replay' | 'idle';
}

/**
 * One step of the first copy of a subscribed table: the plan, chunks, or as much of the catching up as fits before the
 * deadline. The state is `londiste.table_info.merge_state` and the rows of `londiste.copy_job` and `copy_chunk`; any
 * number of these may run at once.
 *
 * @param chunksForMs chunks follow each other for so many milliseconds; by default it is one
 */
export async function copyStep(
  scope: NodeScope,
  database: string,
  queue: string,
  tableName: string,
  chunksForMs = 0,
): Promise<CopyStepResult> {
  scope.deadline.check(`copy of ${tableName}`);
  return scope.database(database, async (target) => {
    const state = await nodeState(target, queue);
    const [table] = await subscriptions(target, queue, tableName);
    if (table === undefined || state.node_type === 'root' || state.paused) return NOTHING;
    const settings = nodeSettings(scope.config, database, queue);
    const job = await jobOfTable(target, queue, table.name);
    // A resync may name another source.
    const from = await sourceOf(
      scope,
      target,
      queue,
      state,
      table,
      table.state === null ? undefined : job?.sourceNode,
    );
    return atLocation(scope, from.location, (source) =>
      step(scope, {
        database,
        source,
        target,
        queue,
        state,
        table,
        settings,
        sourceNode: from.node,
        job,
        chunksForMs,
      }),
    ).catch(async (error) => {
      if (MAY_BE_LATE.has(error.code) && !(await standsAt(target, queue, table))) return NOTHING;
      throw error;
    });
  });
}

/** What an invocation runs into while another one ends the copy: its consumer and its job are gone. */
const MAY_BE_LATE = new Set(['LONDISTE_NODE_MISSING', 'LONDISTE_COPY_UNKNOWN', 'PGQ_NOT_SUBSCRIBED']);

/** Whether the table still is in the state in which it was found. */
async function standsAt(target: pg.Client, queue: string, { name, state }: Subscription): Promise<boolean> {
  const [now] = await subscriptions(target, queue, name);
  return now !== undefined && now.state === state;
}

const NOTHING: CopyStepResult = { did: { step: 'nothing' }, next: 'idle' };

interface StepContext {
  database: string;
  source: pg.Client;
  target: pg.Client;
  queue: string;
  state: NodeState;
  table: Subscription;
  settings: NodeSettings;
  sourceNode: string;
  job: CopyJob | undefined;
  chunksForMs: number;
}

async function step(scope: NodeScope, context: StepContext): Promise<CopyStepResult> {
  const { database, source, target, queue, state, table, settings, sourceNode, job, chunksForMs } = context;
  const consumer = copyConsumer(state.worker_name, table.name);
  const limit = copyLimit(scope.config, database);
  if (table.state === null) {
    const plan = await planCopy(scope, source, sourceNode, target, queue, state, table, settings, job);
    if (plan === undefined) return NOTHING;
    return { did: { step: 'planned', chunks: Math.min(limit, plan.chunks) }, next: 'again' };
  }
  if (table.state === 'ok') {
    if (job !== undefined) await conclude(source, target, queue, consumer, table);
    return NOTHING;
  }
  if (job === undefined) {
    throw new SkytoolsError('LONDISTE_COPY_UNKNOWN', `nothing is known of the copy of ${table.name}`, {
      subject: { queue, table: table.name },
      hint: 'the original began it: let the original finish it, or run `skytools londiste resync`',
    });
  }
  try {
    if (table.state === 'in-copy') {
      const describe = () => realTable(target, table, settings);
      const place = { source, target, limit, deadline: scope.deadline };
      const chunk = await copyChunks(place, job, describe, chunksForMs);
      if (chunk === 'collided') return { did: { step: 'chunk', rows: 0, bytes: 0 }, next: 'again' };
      if (chunk !== undefined)
        return { did: { step: 'chunk', rows: chunk.rows, bytes: chunk.bytes }, next: 'again' };
      const dropped = await endChunks(source, target, queue, table, job);
      return dropped === undefined
        ? NOTHING
        : { did: { step: 'copied', chunks: Math.max(1, Math.min(limit, dropped)) }, next: 'again' };
    }
    const worker = state.worker_name;
    const run = { scope, database, source, target, queue, consumer, worker, table, settings, limit, job };
    const caught = await catchUp(run);
    if (caught !== 'done') return { did: { step: 'caught-up' }, next: AFTER_CATCHING_UP[caught] };
  } catch (error) {
    // It is marked, and tried again at every tick until it is mended.
    if (table.state === 'catching-up' && job.untilTick === null && isOfItsShape(error))
      return { did: { step: 'held' }, next: 'idle' };
    if (!(error instanceof SourceChanged)) throw error;
    await beginAgain(target, queue, table, job, error);
    return { did: { step: 'begun-again' }, next: 'again' };
  }
  await conclude(source, target, queue, consumer, table);
  await restoreForeignKeys(target, queue);
  return { did: { step: 'in-sync' }, next: 'replay' };
}

const AFTER_CATCHING_UP = { again: 'again', wait: 'idle', behind: 'replay' } as const;

/**
 * Chunks of two different tables do not make one: what was copied is thrown away, and the next step plans anew. Not where
 * another plan has come already.
 */
async function beginAgain(
  target: pg.Client,
  queue: string,
  table: Subscription,
  job: CopyJob,
  reason: SourceChanged,
): Promise<void> {
  logWarning('a copy begins again', reason);
  await transaction(target, async () => {
    const { rowCount } = await target.query(
      `update londiste.copy_job set ranges = $2 where job_id = $1 and xmin = $3::xid`,
      [job.id, reason.ranges, job.version],
    );
    if (rowCount === 0) return;
    await target.query(
      `update londiste.table_info set merge_state = null where queue_name = $1 and table_name = $2
         and merge_state <> 'ok'`,
      [queue, table.name],
    );
  });
}

/**
 * After the last chunk: notes from which tick on the table is exact, and has the source make it. The next tick may be in the
 * making, with a snapshot older than the last rows; so what the source shows now is noted as well.
 *
 * @returns how many things are to be put back; undefined where chunks are open
 */
async function endChunks(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  table: Subscription,
  job: CopyJob,
): Promise<number | undefined> {
  try {
    return await transaction(target, async () => {
      const { rows } = await target.query<{ open: number; dropped: number }>(
        `select (select count(*)::int4 from londiste.copy_chunk c where c.job_id = $3 and c.done is null) as open,
                (select count(*)::int4 from londiste.copy_dropped d where d.job_id = $3 and d.done is null) as dropped
           from londiste.table_info t
          where t.queue_name = $1 and t.table_name = $2 and t.merge_state = 'in-copy' for update nowait`,
        [queue, table.name, job.id],
      );
      if (rows[0]?.open !== 0) return undefined;
      const newest = await source.query<{ tick: bigint; now: string }>(
        `select max(t.tick_id) as tick, txid_current_snapshot()::text as now
           from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = $1`,
        [queue],
      );
      const { tick, now } = newest.rows[0]!;
      await target.query(
        'update londiste.copy_job set until_tick = $2, until_snapshot = $3 where job_id = $1',
        [job.id, tick + 1n, now],
      );
      await target.query(
        `update londiste.table_info set merge_state = 'catching-up' where queue_name = $1 and table_name = $2`,
        [queue, table.name],
      );
      await makeRootTick(source, queue);
      return rows[0].dropped;
    });
  } catch (error) {
    if (hasSqlState(error, '55P03'))
      throw new BusyError(`copy of ${table.name}`, { subject: { queue, table: table.name } });
    throw error;
  }
}

/**
 * Unregisters the copy's consumer at the source, then forgets the job: a crash between leaves the job to be found. Not where a
 * resync has come between: the consumer and the job are those of the next copy then.
 */
async function conclude(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  consumer: string,
  table: Subscription,
): Promise<void> {
  await transaction(target, async () => {
    const { rowCount } = await target.query(
      `select from londiste.table_info where queue_name = $1 and table_name = $2 and merge_state = 'ok' for update`,
      [queue, table.name],
    );
    if (rowCount === 0) return;
    await source.query('select pgq.unregister_consumer($1, $2)', [queue, consumer]);
    await target.query('select * from pgq_node.unregister_consumer($1, $2)', [queue, consumer]);
    await target.query('delete from londiste.copy_job where queue_name = $1 and table_name = $2', [
      queue,
      table.name,
    ]);
  });
}

/**
 * The node that the rows come from: that of the plan, else `copy_node` (`?`: the nearest above that has the rows), else the
 * provider.
 */
async function sourceOf(
  scope: NodeScope,
  target: pg.Client,
  queue: string,
  state: NodeState,
  table: Subscription,
  planned: string | undefined,
): Promise<{ node: string; location: string }> {
  const provider = { node: state.provider_node, location: state.provider_location };
  const node = planned ?? table.attributes.copy_node ?? provider.node;
  if (node === '?') return (await rowsAbove(scope, target, queue, state, table.name, node)) ?? provider;
  if (node === provider.node) return provider;
  const { rows } = await target.query<{ location: string }>(
    'select node_location as location from pgq_node.node_location where queue_name = $1 and node_name = $2',
    [queue, node],
  );
  if (rows[0]) return { node, location: rows[0].location };
  throw new SkytoolsError(
    'LONDISTE_NODE_UNKNOWN',
    `table ${table.name} is to be copied from ${node}, which is no member`,
    {
      subject: { queue, table: table.name, node },
      hint: 'skytools londiste members lists the nodes; resync the table with another --copy-node',
    },
  );
}

import type pg from 'pg';
import { BusyError, SkytoolsError } from '../../platform/errors.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { noteFaults } from '../replay/health.ts';
import { type NodeSettings, nodeSettings } from '../settings.ts';
import { type Subscription, subscriptions } from '../tables.ts';
import { catchUp } from './catch-up.ts';
import { copyChunk } from './chunk.ts';
import { copyConsumer, planCopy } from './plan.ts';
import { restoreForeignKeys } from './structure.ts';

/** What one step of a table's copy did. */
export interface CopyStep {
  step: 'planned' | 'chunk' | 'copied' | 'caught-up' | 'in-sync' | 'nothing';
  rows?: number;
  bytes?: number;
  /** Chunks that others could copy at the same time. */
  chunks?: number;
}

export interface CopyStepResult {
  did: CopyStep;
  next: 'again' | 'idle';
}

interface CopyJob {
  source_node: string;
  until_tick: bigint | null;
}

/**
 * One step of the first copy of a subscribed table: the plan, a chunk, or as much of the catching up as fits before the
 * deadline. The state is `londiste.table_info.merge_state` and the rows of `londiste.copy_job` and `copy_chunk`; any
 * number of these may run at once.
 */
export async function copyStep(
  scope: NodeScope,
  database: string,
  queue: string,
  tableName: string,
): Promise<CopyStepResult> {
  scope.deadline.check(`copy of ${tableName}`);
  return scope.database(database, async (target) => {
    const state = await nodeState(target, queue);
    const table = (await subscriptions(target, queue)).find(({ name }) => name === tableName);
    if (table === undefined || state.node_type === 'root' || state.paused) return NOTHING;
    const settings = nodeSettings(scope.config, database, queue);
    const { rows } = await target.query<CopyJob>(
      'select source_node, until_tick from londiste.copy_job where queue_name = $1 and table_name = $2',
      [queue, table.name],
    );
    const from = await sourceOf(target, queue, state, table, rows[0]?.source_node);
    return atLocation(scope, from.location, (source) =>
      step(scope, { source, target, queue, state, table, settings, sourceNode: from.node, job: rows[0] }),
    );
  });
}

const NOTHING: CopyStepResult = { did: { step: 'nothing' }, next: 'idle' };

interface StepContext {
  source: pg.Client;
  target: pg.Client;
  queue: string;
  state: NodeState;
  table: Subscription;
  settings: NodeSettings;
  sourceNode: string;
  job: CopyJob | undefined;
}

async function step(scope: NodeScope, context: StepContext): Promise<CopyStepResult> {
  const { source, target, queue, state, table, settings, sourceNode, job } = context;
  const consumer = copyConsumer(state.worker_name, table.name);
  if (table.state === null) {
    const plan = await planCopy(scope, source, sourceNode, target, queue, state, table, settings);
    await noteFaults(source, target, queue);
    return plan === undefined ? NOTHING : { did: { step: 'planned', chunks: plan.chunks }, next: 'again' };
  }
  if (table.state === 'ok') {
    if (job !== undefined) await conclude(source, target, queue, consumer, table);
    return NOTHING;
  }
  if (table.state === 'in-copy') {
    const chunk = await copyChunk(source, target, queue, table, settings, scope.deadline);
    if (chunk !== undefined)
      return { did: { step: 'chunk', rows: chunk.rows, bytes: chunk.bytes }, next: 'again' };
    const whole = await endChunks(source, target, queue, table);
    return whole ? { did: { step: 'copied' }, next: 'again' } : NOTHING;
  }
  const worker = state.worker_name;
  const untilTick = job?.until_tick ?? 0n;
  const caught = await catchUp({
    source,
    target,
    queue,
    consumer,
    worker,
    table,
    settings,
    deadline: scope.deadline,
    untilTick,
  });
  if (caught !== 'done') return { did: { step: 'caught-up' }, next: caught === 'again' ? 'again' : 'idle' };
  await conclude(source, target, queue, consumer, table);
  await restoreForeignKeys(target, queue);
  return { did: { step: 'in-sync' }, next: 'idle' };
}

/** After the last chunk: notes the tick from which on the table is exact, and has the source make it soon. */
async function endChunks(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  table: Subscription,
): Promise<boolean> {
  try {
    return await transaction(target, async () => {
      const { rows } = await target.query<{ open: number }>(
        `select (select count(*)::int4 from londiste.copy_chunk c
                  where c.queue_name = t.queue_name and c.table_name = t.table_name and c.done is null) as open
           from londiste.table_info t
          where t.queue_name = $1 and t.table_name = $2 and t.merge_state = 'in-copy' for update nowait`,
        [queue, table.name],
      );
      if (rows[0]?.open !== 0) return false;
      const newest = await source.query<{ tick: bigint }>(
        `select max(t.tick_id) as tick from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = $1`,
        [queue],
      );
      await target.query(
        'update londiste.copy_job set until_tick = $3 where queue_name = $1 and table_name = $2',
        [queue, table.name, newest.rows[0]!.tick + 1n],
      );
      await target.query(
        `update londiste.table_info set merge_state = 'catching-up' where queue_name = $1 and table_name = $2`,
        [queue, table.name],
      );
      await target.query(`analyze ${quoteQualified(table.dest)}`);
      await source.query('select pgq.force_tick($1)', [queue]);
      return true;
    });
  } catch (error) {
    if (hasSqlState(error, '55P03'))
      throw new BusyError(`copy of ${table.name}`, { subject: { queue, table: table.name } });
    throw error;
  }
}

/** Unregisters the copy's consumer at the source, then forgets the job: a crash between leaves the job to be found. */
async function conclude(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  consumer: string,
  table: Subscription,
): Promise<void> {
  await source.query('select pgq.unregister_consumer($1, $2)', [queue, consumer]);
  await transaction(target, async () => {
    await target.query('select * from pgq_node.unregister_consumer($1, $2)', [queue, consumer]);
    await target.query('delete from londiste.copy_job where queue_name = $1 and table_name = $2', [
      queue,
      table.name,
    ]);
  });
}

/** The node that the rows come from: that of the plan, else `copy_node`, else the provider. */
async function sourceOf(
  target: pg.Client,
  queue: string,
  state: NodeState,
  table: Subscription,
  planned: string | undefined,
): Promise<{ node: string; location: string }> {
  const node = planned ?? table.attributes.copy_node ?? state.provider_node;
  if (node === state.provider_node || node === '?')
    return { node: state.provider_node, location: state.provider_location };
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

import type pg from 'pg';
import type { Deadline } from '../../platform/deadline.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { copyConsumer, storeJob } from '../copy/plan.ts';
import { columnFaults } from '../drift.ts';
import { hold, type NodeState } from '../node-state.ts';
import type { SourceBatch } from '../source-batch.ts';
import { subscriptions } from '../tables.ts';
import { countFaulty, logFault, storeFault } from './health.ts';

/** Errors that one table's shape is the reason of: the others can go on without it. */
const OF_ITS_SHAPE = new Set([
  'LONDISTE_TABLE_MISSING',
  'LONDISTE_COLUMN_MISSING',
  'LONDISTE_KEY_MISSING',
  'LONDISTE_COPY_KEYLESS',
]);

/** Whether the table here cannot take its events, whatever they say. */
export const isOfItsShape = (error: unknown): boolean =>
  error instanceof SkytoolsError && OF_ITS_SHAPE.has(error.code);

interface Held {
  provider: pg.Client;
  target: pg.Client;
  queue: string;
  state: NodeState;
  batch: SourceBatch;
  deadline: Deadline;
}

/**
 * Takes a table out of replay whose shape is the reason why the batch failed. It was exact where the batch begins: a
 * consumer of its own is registered there, as for a copy whose rows are all here, and the function `copy` catches up with
 * that one when the table is mended. So no event is lost, no row is copied again, and the other tables go on. A table that
 * is gone has lost its rows: it waits to be copied again.
 *
 * @returns false where the error has another reason
 */
export async function holdFaultyTable(held: Held, error: unknown): Promise<boolean> {
  const { provider, target, queue, state, batch, deadline } = held;
  if (!(error instanceof SkytoolsError) || error.subject.table === undefined) return false;
  const name = error.subject.table;
  const fault = await faultOf(held, name, error);
  if (fault === undefined) return false;
  const gone = error.code === 'LONDISTE_TABLE_MISSING';
  const worker = state.worker_name;
  const taken = await transaction(
    target,
    async () => {
      // Law 7: while the position is locked nobody else takes the table out, or applies to it.
      const { completed } = await hold(target, queue, worker);
      if (completed !== batch.prev_tick_id) return false;
      const { rows } = await target.query<{ dest: string }>(
        `update londiste.table_info set merge_state = $3::text, custom_snapshot = case when $3::text is not null then custom_snapshot end
          where queue_name = $1 and table_name = $2 and local and merge_state = 'ok'
         returning coalesce(dest_table, table_name) as dest`,
        [queue, name, gone ? null : 'catching-up'],
      );
      if (rows[0] === undefined) return false;
      if (!gone) {
        const consumer = copyConsumer(worker, name);
        await storeJob(target, [queue, name, consumer, state.provider_node, name, rows[0].dest, true]);
        await target.query('select * from pgq_node.register_consumer($1, $2, $3, $4)', [
          queue,
          consumer,
          state.provider_node,
          batch.prev_tick_id,
        ]);
        // On a leaf some of the batch's events may be in the table already.
        await target.query(
          `insert into londiste.replay_progress (queue_name, consumer_name, tick_id, done_event)
           select queue_name, $3, tick_id, done_event from londiste.replay_progress
            where queue_name = $1 and consumer_name = $2 and tick_id = $4`,
          [queue, worker, consumer, batch.cur_tick_id],
        );
        // Kept from here on. If this transaction is lost, the next attempt moves it to where that one begins.
        await provider.query('select pgq.register_consumer_at($1, $2, $3)', [
          queue,
          consumer,
          batch.prev_tick_id,
        ]);
      }
      await storeFault(target, queue, name, fault);
      return true;
    },
    { deadline, subject: { queue, table: name } },
  );
  if (taken) {
    logFault('LONDISTE_TABLE_HELD', 'table is held back by its fault, the others go on', queue, name, fault);
    countFaulty(1);
  }
  return taken;
}

/** What the mark says: the fault and the next step. */
async function faultOf(
  { provider, target, queue }: Held,
  name: string,
  error: SkytoolsError,
): Promise<string | undefined> {
  if (isOfItsShape(error)) return `${error.message}: ${error.hint}`;
  if (error.code !== 'LONDISTE_EVENT_REFUSED') return undefined;
  // A row that does not fit because the columns differ, or one that is wrong by itself?
  const tables = (await subscriptions(target, queue)).filter((table) => table.name === name);
  const faults = await columnFaults(provider, target, queue, tables);
  if (faults.length === 0) return undefined;
  return faults.map(({ problem, hint }) => `${problem}: ${hint}`).join('; ');
}

import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Subscription } from '../tables.ts';

/*
 * A table that several sets fill (partitions that are merged) is copied from each of them by a copy of its own, at the same
 * time. Each keeps to its own rows, which the keys tell apart; the table belongs to all of them:
 *
 * - The first to be planned, while all wait, empties it and takes its structure off. The others add their rows to it.
 * - Indexes come back when the rows of all are there, what has to be unique when all are exact: the structure stays with a
 *   copy that goes on until then (put_back). A copy without anything of it is handed over when it is ready itself.
 * - A copy that has to begin again has left rows behind that nobody can tell from those of the others: all begin again.
 * - One that comes when others have begun takes off what has to be unique, and nothing else: the table is in use.
 */

/** A subscription that fills the same table from another set. */
export interface Sibling {
  queue: string;
  table: string;
  state: string | null;
  worker: string;
  consumer: string | null;
  job: bigint | null;
}

/** The subscriptions that fill a table beside this one. */
export async function siblings(target: Client, queue: string, table: string): Promise<Sibling[]> {
  const { rows } = await target.query<Sibling>(
    `select queue_name as queue, table_name as "table", merge_state as state, worker_name as worker,
            consumer_name as consumer, job_id as job
       from londiste.merged_siblings($1, $2)`,
    [queue, table],
  );
  return rows;
}

/** How many copies fill a table at once, unless its attribute `max_parallel_copy` says another number: the original's. */
const PARALLEL_COPIES = 8;

/** Whether as many siblings are being copied as may be. */
export const crowded = (others: readonly Sibling[], { attributes }: Subscription): boolean =>
  others.filter(({ state }) => state === 'in-copy').length >=
  Number(attributes.max_parallel_copy ?? PARALLEL_COPIES);

/** Has all copies of a table begin again. */
export async function waitAgain(target: Client, others: readonly Sibling[]): Promise<void> {
  for (const { queue, table } of others)
    await target.query('select londiste.local_set_table_state($1, $2, null, null)', [queue, table]);
}

/** Before a copy empties the table: what the others have begun counts no more. What they have taken off is this one's. */
export async function takeOver(target: Client, others: readonly Sibling[], id: bigint): Promise<void> {
  const jobs = others.map(({ job }) => job).filter((job) => job !== null);
  // Waits for chunks that are being written.
  await target.query('delete from londiste.copy_chunk where job_id = any ($1)', [jobs]);
  await target.query('update londiste.copy_job set source_columns = null where job_id = any ($1)', [jobs]);
  await target.query('select londiste._hand_on_structure($1, $2)', [jobs, id]);
}

/**
 * A table must not be emptied under a subscription that this copy knows nothing of: one of another combined queue, a set
 * that this database provides, or the combined queue where it is that one which brings the rows (on its branch).
 *
 * @throws SkytoolsError LONDISTE_COPY_MERGED
 */
export async function refuseStrangers(target: Client, queue: string, table: Subscription): Promise<void> {
  const { rows } = await target.query<{ other: string }>(
    `select t.queue_name as other
       from londiste.table_info t
       join pgq_node.node_info own on own.queue_name = $1
       join pgq_node.node_info other on other.queue_name = t.queue_name
      where t.queue_name <> $1 and t.local and coalesce(t.dest_table, t.table_name) = $3
        and not (other.node_type = 'root' and t.queue_name is not distinct from own.combined_queue)
        and t.queue_name not in (select queue_name from londiste.merged_siblings($1, $2))`,
    [queue, table.name, table.dest],
  );
  if (rows[0] === undefined) return;
  throw new SkytoolsError(
    'LONDISTE_COPY_MERGED',
    `${table.dest} belongs to the set ${rows[0].other} as well: it cannot be emptied for a copy`,
    {
      subject: { queue, table: table.name },
      hint: 'load its rows by other means and subscribe it with --expect-sync',
    },
  );
}

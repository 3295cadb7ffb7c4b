import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';

/** Rows of one table on their way here, as `londiste.copy_job` has it. */
export interface CopyJob {
  id: bigint;
  /** Of a subscription; null for a copy on demand. */
  queue: string | null;
  /** Name in the queue. */
  table: string | null;
  /** The table is exact from this tick on, if that one sees all that `untilSnapshot` sees. Null before its last chunk. */
  untilTick: bigint | null;
  /** Of the source, after the last chunk; null where the tick says it all. */
  untilSnapshot: string | null;
  /** A node; for a copy on demand a configured database. */
  sourceNode: string;
  sourceTable: string;
  destTable: string;
  /** What its rows consisted of when it was planned. */
  sourceColumns: string | null;
  condition: string | null;
  keepRows: boolean;
  /** Null where it is not planned yet. */
  ranges: 'whole' | 'key' | 'block' | null;
  sourceFile: bigint | null;
  newerThan: bigint | null;
  analyzed: boolean;
  /** Another one after any change of these: chunks are copied by the plan that was read. */
  version: string;
}

const SELECT = `select job_id as id, queue_name as queue, table_name as "table", until_tick as "untilTick", until_snapshot::text as "untilSnapshot",
       source_node as "sourceNode", source_table as "sourceTable", dest_table as "destTable",
       source_columns as "sourceColumns", condition, keep_rows as "keepRows", ranges,
       source_file as "sourceFile", newer_than as "newerThan", analyzed, xmin::text as version
  from londiste.copy_job`;

/** The copy of a subscribed table. */
export async function jobOfTable(client: Client, queue: string, table: string): Promise<CopyJob | undefined> {
  const { rows } = await client.query<CopyJob>(`${SELECT} where queue_name = $1 and table_name = $2`, [
    queue,
    table,
  ]);
  return rows[0];
}

/** A copy by its number. */
export async function jobById(client: Client, id: bigint): Promise<CopyJob | undefined> {
  const { rows } = await client.query<CopyJob>(`${SELECT} where job_id = $1`, [id]);
  return rows[0];
}

/** Names a copy in errors. */
export const subjectOf = (job: Pick<CopyJob, 'id' | 'queue' | 'destTable'>) => ({
  table: job.destTable,
  ...(job.queue === null ? { job: String(job.id) } : { queue: job.queue }),
});

export const unknownCopy = (id: bigint) =>
  new SkytoolsError('COPY_UNKNOWN', `there is no copy on demand with the number ${id}`, {
    hint: '`skytools copy list` shows those of a database',
  });

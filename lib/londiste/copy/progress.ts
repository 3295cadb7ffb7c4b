import type { Client } from '../../postgres/connect.ts';
import { jobById, unknownCopy } from './job.ts';

/** How far a copy is. */
export interface CopyProgress {
  job: bigint;
  /** Of a subscription. */
  queue: string | null;
  table: string | null;
  /** Of a copy on demand. */
  order: string | null;
  dest: string;
  state: string | null;
  started: Date;
  chunks: number;
  chunksDone: number;
  /** Committed, and in chunks that are being written. */
  rows: bigint;
  bytes: bigint;
  /** Size of the table at the source, without indexes. */
  sourceBytes: bigint | null;
  /** 0 to 100, of the rows; null before the plan is made. */
  percent: number | null;
  /** Indexes, constraints and triggers that are off the table, and how many are made again. */
  dropped: number;
  droppedDone: number;
  /** One that is being built, and how far, 0 to 100. */
  index: string | null;
  indexPercent: number | null;
  /** Until the rows are there, at the pace so far. */
  secondsLeft: number | null;
  problem: string | null;
}

/** Every copy into this database, oldest first: subscriptions until they are in sync, and all copies on demand. */
export async function copyProgress(client: Client): Promise<CopyProgress[]> {
  const { rows } = await client.query<CopyProgress>(
    `select job_id as job, queue_name as queue, table_name as "table", order_name as "order", dest_table as dest, state, started,
            chunks, chunks_done as "chunksDone", rows, bytes, source_bytes as "sourceBytes",
            round((fraction * 100)::numeric, 1)::float8 as percent, dropped, dropped_done as "droppedDone",
            index_name as "index", round((index_fraction * 100)::numeric, 1)::float8 as "indexPercent",
            round(seconds_left)::float8 as "secondsLeft", problem
       from londiste.copy_progress()`,
  );
  return rows;
}

/** One copy, with what it is made of. */
export interface CopyDetails extends CopyProgress {
  /** A node; for a copy on demand a configured database. */
  source: string;
  sourceTable: string;
  condition: string | null;
  /** Names of what is off the table. */
  off: string[];
}

/** @throws SkytoolsError COPY_UNKNOWN */
export async function copyDetails(client: Client, id: bigint): Promise<CopyDetails> {
  const job = await jobById(client, id);
  const progress = (await copyProgress(client)).find((copy) => copy.job === id);
  if (job === undefined || progress === undefined) throw unknownCopy(id);
  const { rows } = await client.query<{ name: string }>(
    'select name from londiste.copy_dropped where job_id = $1 and done is null order by nr',
    [id],
  );
  const { sourceNode: source, sourceTable, condition } = job;
  return { ...progress, source, sourceTable, condition, off: rows.map((row) => row.name) };
}

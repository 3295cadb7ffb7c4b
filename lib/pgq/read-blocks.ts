import type pg from 'pg';
import type { Client } from '../postgres/connect.ts';
import { type EventRow, PgqEvent, type RetryRequests } from './event.ts';

/** Rows of the first block, before anything is known of their size. */
const FIRST_BLOCK = 100;
/** Most rows of a block. More does not read faster, it only takes memory. */
const LARGEST_BLOCK = 5_000;
/** Characters of event data that a block should hold. */
const BLOCK_CHARACTERS = 4 * 1024 * 1024;

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;

/** Where in a batch to begin and when to stop. */
export interface ReadOptions {
  /** Query of the batch (pgq.batch_event_sql). */
  sql: string;
  /** Begin behind this ev_id. */
  after?: bigint | undefined;
}

/** The batch's query, restricted to what an earlier run has left. */
export const batchQuery = ({ sql, after }: ReadOptions): string =>
  after === undefined ? sql : `select * from (${sql}) e where e.ev_id > ${after} order by e.ev_id`;

/**
 * Reads a batch block by block through a cursor, inside the caller's transaction. Between two blocks the connection is
 * free for other statements; memory holds one block.
 */
export async function* readBlocks(
  client: Client,
  options: ReadOptions,
  retries: RetryRequests,
): AsyncGenerator<PgqEvent[], void, void> {
  let wanted = FIRST_BLOCK;
  let text = `declare batch_walker no scroll cursor for ${batchQuery(options)}; fetch ${wanted} from batch_walker`;
  for (;;) {
    const answer = (await client.query({ text, rowMode: 'array', types: asText })) as unknown;
    const { rows } = (Array.isArray(answer) ? answer[1] : answer) as { rows: EventRow[] };
    if (rows.length > 0) yield rows.map((row) => new PgqEvent(row, retries));
    if (rows.length < wanted) break;
    wanted = nextBlock(rows);
    text = `fetch ${wanted} from batch_walker`;
  }
  await client.query('close batch_walker');
}

function nextBlock(rows: EventRow[]): number {
  let characters = 0;
  for (const row of rows) characters += (row[5]?.length ?? 0) + (row[7]?.length ?? 0) + 100;
  const average = characters / rows.length;
  return Math.max(1, Math.min(LARGEST_BLOCK, Math.floor(BLOCK_CHARACTERS / average)));
}

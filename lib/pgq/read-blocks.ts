import type { Client } from '../postgres/connect.ts';
import { type EventRow, PgqEvent, type RetryRequests } from './event.ts';
import { queryEvents, queryText } from './event-query.ts';

/** The cursor over a batch's events; it ends with the transaction. */
export const CURSOR = 'batch_walker';
/**
 * Rows of the first block, before anything is known of their size: a batch of a busy queue's default ticks (500 events) in
 * one round trip.
 */
export const FIRST_BLOCK = 512;
/** Most rows of a block. More does not read faster, it only takes memory. */
const LARGEST_BLOCK = 5_000;
/** Characters (where the server counts: bytes) of event data that a block should hold. */
export const BLOCK_CHARACTERS = 4 * 1024 * 1024;

/** Sizes taken at a time. */
const SIZES = 1_000;
/** Bytes of the fields of event `e`, known to the server without reading values that it stores out of line. */
export const EVENT_BYTES = ['ev_data', 'ev_extra1', 'ev_extra2', 'ev_extra3', 'ev_extra4']
  .map((column) => `coalesce(octet_length(e.${column}), 0)`)
  .join(' + ');

/** Where in a batch to begin. */
export interface ReadOptions {
  /** Query of the batch (pgq.batch_event_sql). */
  sql: string;
  /** Begin behind this ev_id. */
  after?: bigint | undefined;
}

/** The batch's query, restricted to what an earlier run has left. */
export const batchQuery = ({ sql, after }: ReadOptions): string =>
  after === undefined ? sql : `select * from (${sql}) e where e.ev_id > ${after} order by 1`;

/**
 * Reads a batch whose events may be large, inside the caller's transaction: their sizes come before them, so that a block
 * holds about 4 MB however large they are.
 */
export async function* readLarge(
  client: Client,
  options: ReadOptions,
  retries: RetryRequests,
): AsyncGenerator<PgqEvent[], void, void> {
  const query = batchQuery(options);
  await client.query(
    `declare batch_sizes no scroll cursor for select ${EVENT_BYTES} from (${query}) e order by e.ev_id;
     declare batch_events no scroll cursor for ${query}`,
  );
  for (;;) {
    const sizes = (await queryText(client, `fetch ${SIZES} from batch_sizes`))[0]!.rows;
    for (let first = 0, next = 0; next < sizes.length; first = next) {
      for (let bytes = 0; next < sizes.length && bytes < BLOCK_CHARACTERS; next++)
        bytes += Number(sizes[next]![0]);
      const rows = await queryEvents(client, `fetch ${next - first} from batch_events`);
      yield rows.map((row) => new PgqEvent(row, retries));
    }
    if (sizes.length < SIZES) return;
  }
}

/** Opens the cursor over a batch, inside the caller's transaction, and reads it block by block. */
export async function* readBlocks(
  client: Client,
  options: ReadOptions,
  retries: RetryRequests,
): AsyncGenerator<PgqEvent[], void, void> {
  const open = `declare ${CURSOR} no scroll cursor for ${batchQuery(options)}; fetch ${FIRST_BLOCK} from ${CURSOR}`;
  yield* readOnward(client, await queryEvents(client, open), retries);
}

/**
 * Reads a batch onward from its first block. Between two blocks the connection is free for other statements; memory holds
 * one block.
 */
export async function* readOnward(
  client: Client,
  first: EventRow[],
  retries: RetryRequests,
): AsyncGenerator<PgqEvent[], void, void> {
  let wanted = FIRST_BLOCK;
  for (let rows = first; ; rows = await queryEvents(client, `fetch ${wanted} from ${CURSOR}`)) {
    if (rows.length > 0) yield rows.map((row) => new PgqEvent(row, retries));
    if (rows.length < wanted) return;
    wanted = nextBlock(rows);
  }
}

function nextBlock(rows: EventRow[]): number {
  let characters = 0;
  for (const row of rows) characters += (row[5]?.length ?? 0) + (row[7]?.length ?? 0) + 100;
  const average = characters / rows.length;
  return Math.max(1, Math.min(LARGEST_BLOCK, Math.floor(BLOCK_CHARACTERS / average)));
}

import type { Deadline } from '../platform/deadline.ts';
import { BusyError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { transaction } from '../postgres/transaction.ts';
import { Batch, type BatchRow, newRetries, readBatchRow } from './batch.ts';
import {
  busy,
  type ConsumeResult,
  type ConsumerSpec,
  closeBatch,
  interval,
  mapped,
  openedBatch,
  openStatement,
  readOptions,
  storeRetries,
  subjectOf,
  type Unhandled,
} from './consumer.ts';
import { EVENT_COLUMNS, type EventRow, PgqEvent, type RetryRequests } from './event.ts';
import { queryText } from './event-query.ts';
import { type Handler, runHandler } from './handler.ts';
import { BLOCK_CHARACTERS, EVENT_BYTES, type ReadOptions } from './read-blocks.ts';
import type { Int8 } from './types.ts';

export interface LeasedConsumerSpec extends ConsumerSpec {
  /** How long the lease stands without a sign of life, in seconds. Default 60. */
  leaseSeconds?: number | undefined;
  /** Shown to the operator as the lease's holder. */
  holder?: string | undefined;
}

/** A dead function's consumer waits this long, in seconds; a living one renews three times in it. */
const DEFAULT_LEASE_SECONDS = 60;

/** Most events handled between two records of the position. */
const LEASED_BLOCK = 500;

/**
 * One batch of a consumer whose handler works outside any transaction (it calls other services, or takes long): at least
 * once, in blocks of 500 events or 4 MB whose position is recorded. A lease with a fence number keeps others away, and keeps a
 * worker that lost it from recording anything.
 *
 * @throws BusyError where the consumer is held by another, or the lease was lost on the way
 * @throws HandlerError, DeadlineError, SkytoolsError as consumeBatch
 */
export async function consumeLeasedBatch(
  client: Client,
  consumer: LeasedConsumerSpec,
  handler: Handler,
  deadline: Deadline,
): Promise<ConsumeResult> {
  const subject = subjectOf(consumer);
  deadline.check(`consumer ${consumer.consumer}`);
  return mapped(subject, async () => {
    const begin = async (statements: string) =>
      readBatchRow((await queryText(client, `${statements}; ${openStatement(consumer)}`)).at(-1)!);
    const opened = await transaction(client, (_client, row) => openWithLease(client, consumer, row), {
      deadline,
      subject,
      begin,
    });
    if (opened === undefined) return { did: undefined, next: 'idle' };
    const { row, fence } = opened;
    const lease = new Lease(client, consumer, fence);
    const retries = newRetries();
    const unhandled = { retried: 0, dead: 0 };
    const count = (stored: Unhandled) => {
      unhandled.retried += stored.retried;
      unhandled.dead += stored.dead;
    };
    const recordPosition = async (last: bigint) => {
      // What is to become of later events is not recorded before the position has come to them.
      const passed: RetryRequests = new Map([...retries].filter(([id]) => id <= last));
      const stored = await transaction(client, async () => {
        await lease.renew();
        const stored = await storeRetries(client, consumer, batch, passed);
        await client.query('select pgq.set_batch_progress($1, $2)', [batch.id, last]);
        return stored;
      });
      count(stored);
      for (const id of passed.keys()) retries.delete(id);
    };
    /** Set where the handler has recorded a position inside the block. */
    let inside: bigint | undefined;
    const endBlock = async (last: bigint, isLast: boolean) => {
      const recorded = inside;
      inside = undefined;
      if (recorded !== undefined || isLast) return recorded;
      await recordPosition(last);
      return last;
    };
    const batch: Batch = new Batch(
      consumer,
      row,
      () => readWithoutTransaction(client, row, retries, endBlock),
      deadline,
      true,
      async (last) => {
        await recordPosition(last);
        inside = last;
      },
    );
    try {
      await lease.whileRenewing(() =>
        runHandler(handler, batch, { client, deadline }, consumer.retries && 'catch'),
      );
      const result = await transaction(client, async () => {
        await lease.renew();
        await lease.release();
        return closeBatch(client, consumer, batch, retries);
      });
      if (result.did) {
        count(result.did);
        Object.assign(result.did, unhandled);
      }
      return result;
    } catch (error) {
      // Not waiting for the lease's end lets the batch come again as soon as the message does.
      if (!(error instanceof BusyError)) await lease.release().catch(() => {});
      throw error;
    }
  });
}

async function openWithLease(
  client: Client,
  consumer: LeasedConsumerSpec,
  opened: BatchRow,
): Promise<{ row: BatchRow; fence: Int8 } | undefined> {
  const row = openedBatch(consumer, opened);
  if (row === undefined) return undefined;
  const { rows } = await client.query<{ fence: Int8 | null }>(
    'select pgq.acquire_lease($1, $2, $3, $4) as fence',
    [
      consumer.queue,
      consumer.consumer,
      consumer.holder ?? 'skytools',
      interval(consumer.leaseSeconds ?? DEFAULT_LEASE_SECONDS),
    ],
  );
  const fence = rows[0]!.fence;
  if (fence === null) throw busy(consumer);
  return { row, fence };
}

class Lease {
  readonly #client: Client;
  readonly #consumer: LeasedConsumerSpec;
  readonly #fence: Int8;
  readonly #seconds: number;

  constructor(client: Client, consumer: LeasedConsumerSpec, fence: Int8) {
    this.#client = client;
    this.#consumer = consumer;
    this.#fence = fence;
    this.#seconds = consumer.leaseSeconds ?? DEFAULT_LEASE_SECONDS;
  }

  /** @throws BusyError if the lease has passed to another */
  async renew(): Promise<void> {
    const { queue, consumer } = this.#consumer;
    const { rows } = await this.#client.query<{ held: boolean }>(
      'select pgq.renew_lease($1, $2, $3, $4) as held',
      [queue, consumer, this.#fence, interval(this.#seconds)],
    );
    if (!rows[0]!.held) throw busy(this.#consumer);
  }

  async release(): Promise<void> {
    const { queue, consumer } = this.#consumer;
    await this.#client.query('select pgq.release_lease($1, $2, $3)', [queue, consumer, this.#fence]);
  }

  async whileRenewing<T>(body: () => Promise<T>): Promise<T> {
    const timer = setInterval(() => this.renew().catch(() => {}), (this.#seconds * 1000) / 3);
    try {
      return await body();
    } finally {
      clearInterval(timer);
    }
  }
}

/** What a block may hold, ending a batch's query; events with one id (an original and its retry) are never parted. */
const blockQuery = ({ sql, after }: ReadOptions): string => `
select ${EVENT_COLUMNS.map((column) => `e.${column}::text`).join(', ')}, e.candidates::text
  from (select e.*, count(*) over () as candidates,
               sum(${EVENT_BYTES}) over (order by e.ev_id groups between unbounded preceding and 1 preceding) as bytes_before
          from (select * from (${sql}) e ${after === undefined ? '' : `where e.ev_id > ${after}`}
                 order by ev_id fetch first ${LEASED_BLOCK} rows with ties) e) e
 where e.bytes_before is null or e.bytes_before < ${BLOCK_CHARACTERS}
 order by e.ev_id`;

/**
 * Each block is a statement of its own.
 *
 * @param endBlock called with the last event of a block that was handled: where the next one begins, undefined for nowhere
 */
async function* readWithoutTransaction(
  client: Client,
  row: BatchRow,
  retries: RetryRequests,
  endBlock: (last: bigint, isLast: boolean) => Promise<bigint | undefined>,
): AsyncGenerator<PgqEvent[], void, void> {
  let options = readOptions(row);
  for (;;) {
    const query = { text: blockQuery(options), rowMode: 'array' as const };
    const { rows } = (await client.query(query)) as unknown as { rows: [...EventRow, candidates: string][] };
    const block = rows.map((fields) => new PgqEvent(fields as unknown as EventRow, retries));
    const last = block.at(-1);
    if (!last) return;
    yield block;
    const candidates = Number(rows[0]!.at(-1));
    const after = await endBlock(last.id, block.length === candidates && candidates < LEASED_BLOCK);
    if (after === undefined) return;
    options = { ...options, after };
  }
}

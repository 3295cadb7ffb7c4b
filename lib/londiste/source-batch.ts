import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';

/** An open batch at the provider. */
export interface SourceBatch {
  batch_id: bigint;
  prev_tick_id: bigint;
  cur_tick_id: bigint;
  /** As text: a Date would lose microseconds that a branch must keep. */
  tick_time: string;
  prev_tick_event_seq: bigint;
  cur_tick_event_seq: bigint;
}

/** When a batch is worth opening. */
export interface BatchLimits {
  minLagSeconds?: number | undefined;
  minCount?: number | undefined;
  minIntervalSeconds?: number | undefined;
}

/** Opens the next batch, or returns the one that is open; undefined where there is none. */
export async function nextBatch(
  provider: Client,
  queue: string,
  consumer: string,
  limits: BatchLimits = {},
): Promise<SourceBatch | undefined> {
  const seconds = (value: number | undefined) => (value === undefined ? null : `${value} seconds`);
  const { rows } = await provider.query<SourceBatch & { batch_id: bigint | null }>(
    `select batch_id, prev_tick_id, cur_tick_id, cur_tick_time::text as tick_time, prev_tick_event_seq, cur_tick_event_seq
       from pgq.next_batch_custom($1, $2, $3, $4, $5)`,
    [
      queue,
      consumer,
      seconds(limits.minLagSeconds),
      limits.minCount ?? null,
      seconds(limits.minIntervalSeconds),
    ],
  );
  return rows[0]!.batch_id === null ? undefined : rows[0]!;
}

/**
 * Whether the batch is still to be applied by a consumer that has completed a tick.
 *
 * @throws SkytoolsError LONDISTE_POSITION_LOST where the batch does not continue the position
 */
export function isNext(batch: SourceBatch, completed: bigint, queue: string, consumer: string): boolean {
  if (batch.prev_tick_id === completed) return true;
  if (batch.cur_tick_id === completed) return false;
  throw new SkytoolsError(
    'LONDISTE_POSITION_LOST',
    `lost position: batch ${batch.prev_tick_id}..${batch.cur_tick_id}, here ${completed} is completed`,
    {
      subject: { queue, consumer },
      hint: 'move the provider to the tick completed here with `skytools consumer seek QUEUE CONSUMER --tick`, or copy the tables again',
    },
  );
}

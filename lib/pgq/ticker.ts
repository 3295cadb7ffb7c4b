import type { Deadline } from '../platform/deadline.ts';
import type { Client } from '../postgres/connect.ts';
import { transaction } from '../postgres/transaction.ts';
import { pgqError } from './errors.ts';
import type { Int8, UnitResult } from './types.ts';

export interface TickResult {
  /** Queues that got a tick. */
  ticked: number;
}

/**
 * One tick of a database: every queue whose thresholds are met. `pgq.ticker()` locks the rows of those queues before it
 * takes their snapshot, and leaves out what another ticker holds; that needs READ COMMITTED.
 *
 * @throws SkytoolsError PGQ_NOT_INSTALLED
 */
export async function tick(client: Client, deadline: Deadline): Promise<UnitResult<TickResult>> {
  try {
    const { rows } = await transaction(
      client,
      () => client.query<{ ticked: Int8 }>('select pgq.ticker() as ticked'),
      { isolation: 'read committed', deadline },
    );
    return { did: { ticked: Number(rows[0]!.ticked) }, next: 'idle' };
  } catch (error) {
    throw pgqError(error);
  }
}

/**
 * A tick of one queue whatever its thresholds.
 *
 * @throws SkytoolsError PGQ_NOT_INSTALLED, PGQ_QUEUE_MISSING; PostgresError on a queue that is paused or ticked from outside
 */
export async function forceTick(
  client: Client,
  queue: string,
  deadline: Deadline,
): Promise<UnitResult<TickResult>> {
  try {
    const { rows } = await transaction(
      client,
      () => client.query<{ tick: Int8 | null }>('select pgq.tick_now($1) as tick', [queue]),
      { isolation: 'read committed', deadline },
    );
    return { did: { ticked: rows[0]!.tick === null ? 0 : 1 }, next: 'idle' };
  } catch (error) {
    throw pgqError(error, { queue });
  }
}

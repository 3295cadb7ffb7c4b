import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { quoteQualified } from '../postgres/quote.ts';
import { pgqError } from './errors.ts';
import { type EventId, eventId, type Int8 } from './types.ts';

/** An event as it lies in its queue, delivered or not. */
export interface PeekedEvent {
  id: EventId;
  time: Date;
  txid: bigint;
  retry: number | null;
  type: string | null;
  data: string | null;
  extra1: string | null;
  extra2: string | null;
  extra3: string | null;
  extra4: string | null;
}

export interface PeekOptions {
  /** Only what this consumer has not finished, oldest first; without it the newest events, newest first. */
  consumer?: string;
  /** Most events returned. */
  limit: number;
}

const COLUMNS =
  'ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

/**
 * Looks at events without consuming them. Reads the event tables, so it needs the rights of pgq_reader; events that
 * rotation removed are gone.
 *
 * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_NOT_SUBSCRIBED
 */
export async function peekEvents(
  client: Client,
  queue: string,
  options: PeekOptions,
): Promise<PeekedEvent[]> {
  const { consumer, limit } = options;
  try {
    const position = await client.query<{ prefix: string; snapshot: string | null; owner: number | null }>(
      `select q.queue_data_pfx as prefix, t.tick_snapshot::text as snapshot, s.sub_id as owner
         from pgq.queue q
         left join pgq.consumer c on c.co_name = $2
         left join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
         left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
        where q.queue_name = $1`,
      [queue, consumer ?? null],
    );
    const found = position.rows[0];
    if (found === undefined) {
      throw new SkytoolsError('PGQ_QUEUE_MISSING', `no such queue: ${queue}`, {
        subject: { queue },
        hint: 'skytools queue list shows the queues; skytools queue create makes one',
      });
    }
    if (consumer !== undefined && found.owner === null) {
      throw new SkytoolsError('PGQ_NOT_SUBSCRIBED', `${consumer} is not registered on queue ${queue}`, {
        subject: { queue, consumer },
        hint: `register it: skytools consumer register ${queue} ${consumer}`,
      });
    }
    const table = quoteQualified(found.prefix);
    const { rows } =
      consumer === undefined
        ? await client.query<EventRow>(`select ${COLUMNS} from ${table} order by ev_id desc limit $1`, [
            limit,
          ])
        : await client.query<EventRow>(
            `select ${COLUMNS} from ${table}
              where ev_txid >= txid_snapshot_xmin($1::txid_snapshot)
                and not txid_visible_in_snapshot(ev_txid, $1::txid_snapshot)
                and (ev_owner is null or ev_owner = $2)
              order by ev_id limit $3`,
            [found.snapshot, found.owner, limit],
          );
    return rows.map(toEvent);
  } catch (error) {
    throw pgqError(error, { queue, ...(consumer === undefined ? {} : { consumer }) });
  }
}

interface EventRow {
  ev_id: Int8;
  ev_time: Date;
  ev_txid: Int8;
  ev_retry: number | null;
  ev_type: string | null;
  ev_data: string | null;
  ev_extra1: string | null;
  ev_extra2: string | null;
  ev_extra3: string | null;
  ev_extra4: string | null;
}

const toEvent = (row: EventRow): PeekedEvent => ({
  id: eventId(row.ev_id),
  time: row.ev_time,
  txid: BigInt(row.ev_txid),
  retry: row.ev_retry,
  type: row.ev_type,
  data: row.ev_data,
  extra1: row.ev_extra1,
  extra2: row.ev_extra2,
  extra3: row.ev_extra3,
  extra4: row.ev_extra4,
});

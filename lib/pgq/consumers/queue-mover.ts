import { copyBetween } from '../../postgres/copy.ts';
import { currentTable, Producer } from '../producer.ts';
import type { RemoteHandler } from '../remote-consumer.ts';

export interface QueueMoverOptions {
  /** Queue in the target database. */
  queue: string;
}

/**
 * Events that one COPY may move: some ten seconds. A larger batch goes through this process block by block, so that the
 * deadline finds a position to stop at.
 */
const LARGEST_COPY = 2_000_000;

const COLUMNS = 'ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

/**
 * Moves events to a queue of another database, in their order, with their time and payload; they get new ids there. For
 * consumeRemoteBatch, which makes it exactly once. Bytes pass from COPY to COPY unread where the role may write event
 * tables; else events go through `pgq.insert_event`, and their time is that of the move.
 */
export function queueMover(options: QueueMoverOptions): RemoteHandler {
  const producer = new Producer(options.queue);
  return {
    async handleBatch(batch, { client, source, eventSql }) {
      const target = await currentTable(client, options.queue);
      if (!target.copy || batch.estimatedEvents > LARGEST_COPY) {
        await producer.insertMany(client, batch.events());
        return;
      }
      const { rows } = await copyBetween(
        source,
        `copy (select ${COLUMNS} from (${eventSql}) e order by e.ev_id) to stdout`,
        client,
        `copy ${target.table} (${COLUMNS}) from stdin`,
      );
      batch.movedByCopy(rows);
    },
  };
}

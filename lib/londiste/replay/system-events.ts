import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import type { QueueEvent } from '../apply/event-type.ts';
import { call } from '../errors.ts';
import { executeScript } from './execute.ts';

/**
 * Obeys an event of the cascade or of the set, inside the transaction of its batch.
 *
 * @throws SkytoolsError LONDISTE_EVENT_UNKNOWN, LONDISTE_EVENT_MISPLACED
 */
export async function obey(client: Client, queue: string, event: QueueEvent): Promise<void> {
  if (event.type.startsWith('pgq.')) return obeyCascade(client, queue, event);
  switch (event.type) {
    case 'londiste.add-table':
      await call(client, 'londiste.global_add_table($1, $2)', [queue, event.data]);
      return;
    case 'londiste.remove-table':
      // It may never have been known here.
      await client.query('select * from londiste.global_remove_table($1, $2)', [queue, event.data]);
      return;
    case 'londiste.update-seq':
      await call(client, 'londiste.global_update_seq($1, $2, $3)', [queue, event.extra1, event.data]);
      return;
    case 'londiste.remove-seq':
      await client.query('select * from londiste.global_remove_seq($1, $2)', [queue, event.data]);
      return;
    case 'EXECUTE':
      await executeScript(client, queue, {
        file: event.extra1 ?? '',
        sql: event.data,
        attributes: event.extra2,
      });
      return;
    default:
      throw unknown(queue, event);
  }
}

async function obeyCascade(client: Client, queue: string, event: QueueEvent): Promise<void> {
  if (event.type === 'pgq.tick-id') {
    await call(client, 'pgq_node.set_partition_watermark($1, $2, $3)', [queue, event.extra1, event.data]);
    return;
  }
  if (event.extra1 !== queue) {
    throw new SkytoolsError(
      'LONDISTE_EVENT_MISPLACED',
      `event ${event.id} (${event.type}) is of another queue`,
      {
        subject: { queue },
        hint: 'somebody moved events between queues; remove the event at the root, or move the node beyond it',
      },
    );
  }
  switch (event.type) {
    case 'pgq.location-info':
      await call(client, 'pgq_node.register_location($1, $2, $3, $4)', [
        queue,
        event.data,
        event.extra2,
        event.extra3 === 'true',
      ]);
      return;
    case 'pgq.unregister-location':
      await call(client, 'pgq_node.unregister_location($1, $2)', [queue, event.data]);
      return;
    case 'pgq.global-watermark':
      await call(client, 'pgq_node.set_global_watermark($1, $2)', [queue, event.data]);
      return;
    default:
      throw unknown(queue, event);
  }
}

const unknown = (queue: string, event: QueueEvent) =>
  new SkytoolsError(
    'LONDISTE_EVENT_UNKNOWN',
    `event ${event.id} of type ${event.type} is none of a replicated set`,
    {
      subject: { queue },
      hint: 'a queue of a set takes events of its tables only: let the producer use another queue',
    },
  );

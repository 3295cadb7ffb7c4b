import type { ConsumerOfKind } from '../../platform/config.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Batch } from '../batch.ts';
import { decodeJsonRow } from '../codecs/json.ts';
import { decodeRowChange } from '../codecs/row-change.ts';
import { decodeUrlencoded, type TextRow } from '../codecs/urlencoded.ts';
import type { PgqEvent } from '../event.ts';
import { type LoadRule, TableLoad, typeMatches } from './table-load.ts';

export type TableDispatcherOptions = Pick<
  ConsumerOfKind<'table-dispatcher'>,
  'table' | 'fields' | 'partition' | 'ignoreTypes'
>;

/**
 * Appends every event of a queue as a row to one table or to its partitions, by COPY, whatever the event did: captured rows
 * as they are, other events by the fields of their data (a JSON object, or urlencoded). For consumeRemoteBatch, which makes
 * it exactly once.
 *
 * @throws SkytoolsError DISPATCH_UNREADABLE, APPLY_TABLE_MISSING, APPLY_COLUMN_MISSING, PARTITION_NO_TIME
 */
export function tableDispatcher({ table, fields, partition, ignoreTypes }: TableDispatcherOptions) {
  const rule: LoadRule = { into: table, rowMode: 'keep_all', fields, partition };
  return {
    async handleBatch(batch: Batch, { client }: { client: Client }): Promise<void> {
      const load = new TableLoad(client, batch);
      for await (const event of batch.events()) {
        if (typeMatches(ignoreTypes, event.type)) continue;
        const row = rowOf(event, batch);
        await load.add(rule, { operation: 'insert', table, keyColumns: [], row, whole: true }, event);
      }
      await load.flush();
    },
  };
}

function rowOf(event: PgqEvent, batch: Batch): TextRow {
  try {
    const data = event.data ?? '';
    return (
      decodeRowChange(event)?.row ??
      (data.trimStart().startsWith('{') ? decodeJsonRow(data) : decodeUrlencoded(data))
    );
  } catch (cause) {
    throw new SkytoolsError('DISPATCH_UNREADABLE', `the data of event ${event.id} holds no fields`, {
      cause,
      subject: { queue: batch.queue, consumer: batch.consumer, event: String(event.id) },
      hint: 'it has to be a JSON object or urlencoded; pass over its type with ignoreTypes, or correct the producer',
    });
  }
}

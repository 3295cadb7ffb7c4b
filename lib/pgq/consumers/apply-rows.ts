import { decodeRowChange, type RowChange } from '../codecs/row-change.ts';
import type { RemoteHandler } from '../remote-consumer.ts';
import { NetChanges } from './net-changes.ts';
import { TargetTables } from './target-tables.ts';

export interface ApplyRowsOptions {
  /** Source `schema.table` to target `schema.table`, where they differ. */
  tables?: Record<string, string> | undefined;
}

/** Changes gathered before they are written: bounds memory, and makes statements large enough to be quick. */
const CHANGES_AT_ONCE = 50_000;

/**
 * Applies rows captured by `logutriga`, `jsontriga` or `sqltriga` to tables of another database. For consumeRemoteBatch,
 * which makes it exactly once. Of all changes to one key only the net effect is written, in a few statements for each
 * table: deletions, then rows inserted or updated. Where a constraint forbids that order, the same changes are applied one by
 * one in the order in which they happened. Columns that the target lacks are an error, columns that the trigger left out
 * keep their value or default. Events of other kinds are passed over.
 *
 * The key of a row needs a unique index in the target.
 */
export function applyRows(options: ApplyRowsOptions = {}): RemoteHandler {
  const names = options.tables ?? {};
  return {
    async handleBatch(batch, { client }) {
      const tables = new TargetTables(client);
      let changes: RowChange[] = [];
      const flush = async () => {
        if (changes.length > 0) await new NetChanges(client, tables).apply(changes);
        changes = [];
      };
      for await (const event of batch.events()) {
        const change = decodeRowChange(event);
        if (!change) continue;
        changes.push({ ...change, table: names[change.table] ?? change.table });
        if (changes.length >= CHANGES_AT_ONCE) await flush();
      }
      await flush();
    },
  };
}

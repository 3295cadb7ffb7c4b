import type { ConsumerOfKind } from '../../platform/config.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Batch } from '../batch.ts';
import { decodeRowChange } from '../codecs/row-change.ts';
import { type LoadRule, TableLoad, typeMatches } from './table-load.ts';

export type QueueLoaderOptions = Pick<ConsumerOfKind<'queue-loader'>, 'tables' | 'ignoreTypes'>;

/** Stands in the map for every table that is not named. */
const ANY_OTHER = '*';

/**
 * Loads rows captured by `logutriga`, `jsontriga` or `sqltriga` into tables and partitions of another database, each table
 * as its rule says; tables without a rule and events of other kinds are passed over. For consumeRemoteBatch, which makes it
 * exactly once. What is gathered of a table is written by few statements and by COPY.
 *
 * @throws SkytoolsError APPLY_TABLE_MISSING, APPLY_COLUMN_MISSING, LOAD_ROW_PARTIAL, LOAD_KEY_NOT_MAPPED, PARTITION_NO_TIME
 */
export function queueLoader({ tables, ignoreTypes }: QueueLoaderOptions) {
  const rules = new Map<string, LoadRule | undefined>();
  const ruleOf = (table: string): LoadRule | undefined => {
    if (rules.has(table)) return rules.get(table);
    const own = Object.hasOwn(tables, table) ? tables[table] : tables[ANY_OTHER];
    const rule = own && { ...own, into: own.into ?? table };
    rules.set(table, rule);
    return rule;
  };
  return {
    async handleBatch(batch: Batch, { client }: { client: Client }): Promise<void> {
      const load = new TableLoad(client, batch);
      for await (const event of batch.events()) {
        if (typeMatches(ignoreTypes, event.type) || event.extra1 === null) continue;
        const rule = ruleOf(event.extra1);
        const change = rule && decodeRowChange(event);
        if (change) await load.add(rule, change, event);
      }
      await load.flush();
    },
  };
}

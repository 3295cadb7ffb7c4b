import type { Client } from '../../postgres/connect.ts';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import { type DemoTable, keyColumns } from './tables.ts';

/** Creates empty tables of the demonstration. */
export async function createTables(client: Client, tables: readonly DemoTable[]): Promise<void> {
  await client.query('create schema if not exists demo');
  for (const table of tables) {
    const columns = table.columns.map(
      ({ name, type, key }) => `${quoteIdent(name)} ${type}${key ? ' not null' : ''}`,
    );
    const key = quoteColumns(keyColumns(table).map(({ name }) => name));
    await client.query(
      `create table ${quoteQualified(table.name)} (${columns.join(', ')}, primary key (${key}))`,
    );
  }
}

import { logError } from '../../platform/logger.ts';
import type { Client } from '../../postgres/connect.ts';
import { quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { Subscription } from '../tables.ts';

/** Between the statements of `dropped_ddl`; together they are one script, as the original leaves it. */
const SEPARATOR = ';\n--\n';

/**
 * Takes the indexes and unique or exclusion constraints off a table, but for its primary key, in the caller's transaction:
 * two chunks are read at two moments, between which a unique value may have moved from a row of the one to a row of the
 * other. A partitioned table keeps what it has: its indexes cannot be put back one by one.
 *
 * @returns the statements that make them again, together with what an earlier copy had taken off; null if there is none
 */
export async function takeOff(target: Client, queue: string, table: Subscription): Promise<string | null> {
  const { rows } = await target.query<{ take: string; give: string }>(
    `select case when k.oid is null then format('drop index %s', i.indexrelid::regclass)
                 else format('alter table only %s drop constraint %I', i.indrelid::regclass, k.conname) end as take,
            case when k.oid is null then pg_get_indexdef(i.indexrelid)
                 else format('alter table only %s add constraint %I %s', i.indrelid::regclass, k.conname,
                             pg_get_constraintdef(k.oid)) end as give
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indrelid and c.relkind = 'r'
       left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('u', 'x')
      where i.indrelid = to_regclass($1) and not i.indisprimary
        and not exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid)
      order by i.indexrelid`,
    [quoteQualified(table.dest)],
  );
  for (const { take } of rows) await target.query(take);
  const before = await target.query<{ ddl: string | null }>(
    'select dropped_ddl as ddl from londiste.table_info where queue_name = $1 and table_name = $2',
    [queue, table.name],
  );
  const kept = before.rows[0]?.ddl ?? '';
  const all = [...kept.split(SEPARATOR), ...rows.map((row) => row.give)].filter(
    (statement) => statement.trim() !== '',
  );
  return all.length === 0 ? null : all.join(SEPARATOR);
}

/**
 * Runs the first statement that puts something back, and commits it with the rest of the list.
 *
 * @returns whether any is left
 */
export async function putBackOne(target: Client, queue: string, table: Subscription): Promise<boolean> {
  return transaction(target, async () => {
    const { rows } = await target.query<{ ddl: string | null }>(
      'select dropped_ddl as ddl from londiste.table_info where queue_name = $1 and table_name = $2 for update',
      [queue, table.name],
    );
    const [first, ...rest] = (rows[0]?.ddl ?? '').split(SEPARATOR);
    if (!first) return false;
    await target.query(first);
    await target.query(
      'update londiste.table_info set dropped_ddl = $3 where queue_name = $1 and table_name = $2',
      [queue, table.name, rest.length === 0 ? null : rest.join(SEPARATOR)],
    );
    return rest.length > 0;
  });
}

/**
 * Puts back the foreign keys whose subscribed tables are in sync (the other end may be a table that is not replicated), checking the rows under a lock that lets writers be. One that
 * is violated stays off, and is logged, until the rows are right.
 */
export async function restoreForeignKeys(target: Client, queue: string): Promise<void> {
  const { rows } = await target.query<{ from_table: string; fkey_name: string }>(
    `select from_table, fkey_name from londiste.get_valid_pending_fkeys($1)
     union select from_table, fkey_name from londiste.get_half_pending_fkeys($1)`,
    [queue],
  );
  for (const { from_table, fkey_name } of rows) {
    try {
      for (let more = true; more; ) {
        more = await transaction(target, async () => {
          const next = await target.query<{ sql: string }>(
            'select londiste.restore_table_fkey($1, $2, true) as sql',
            [from_table, fkey_name],
          );
          if (next.rows[0]!.sql === '') return false;
          await target.query(next.rows[0]!.sql);
          return true;
        });
      }
    } catch (error) {
      logError(`foreign key ${fkey_name} of ${from_table} cannot be put back`, error);
    }
  }
}

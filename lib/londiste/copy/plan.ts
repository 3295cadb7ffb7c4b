import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { NodeState } from '../node-state.ts';
import type { NodeScope } from '../place.ts';
import type { NodeSettings } from '../settings.ts';
import { type RealTable, realTable, type Subscription } from '../tables.ts';
import { takeOff } from './structure.ts';

/** More chunks than this cost more than they bring: each is a transaction and an index search. */
const MOST_CHUNKS = 10_000;

/** Rows of a sample for each boundary, so that chunks are of about one size. */
const SAMPLE_FOR_BOUNDARY = 100;

export interface CopyPlan {
  chunks: number;
  sourceBytes: bigint;
}

/** Name of a table's copy as a consumer. */
export const copyConsumer = (worker: string, table: string): string => `${worker}.copy.${table}`;

/**
 * Plans the copy of a table. The consumer that will catch up is registered at the source before the plan is stored, and so
 * before any row is read; registering again changes nothing, which makes every step here repeatable. Foreign keys go first,
 * each in a transaction of its own, as the original does.
 *
 * @returns undefined where the provider is not ready
 * @throws SkytoolsError LONDISTE_COPY_MERGED
 */
export async function planCopy(
  scope: NodeScope,
  source: pg.Client,
  sourceNode: string,
  target: pg.Client,
  queue: string,
  state: NodeState,
  table: Subscription,
  settings: NodeSettings,
): Promise<CopyPlan | undefined> {
  const listed = await source.query<{ merge_state: string | null; dest_table: string | null }>(
    'select merge_state, dest_table from londiste.get_table_list($1) where table_name = $2 and local',
    [queue, table.name],
  );
  if (listed.rows[0]?.merge_state !== 'ok') return undefined;
  await refuseMerge(target, queue, table);
  const from = quoteQualified(listed.rows[0].dest_table ?? table.name);
  const consumer = copyConsumer(state.worker_name, table.name);
  await source.query('select pgq.register_consumer($1, $2)', [queue, consumer]);
  const position = await source.query<{ tick: bigint }>(
    'select last_tick as tick from pgq.get_consumer_info($1, $2)',
    [queue, consumer],
  );
  const real = await realTable(target, table, settings);
  const { bounds, bytes } = await boundaries(source, from, real, settings.chunkBytes);
  const keys = await target.query<{ from_table: string; fkey_name: string }>(
    'select from_table, fkey_name from londiste.find_table_fkeys($1)',
    [table.dest],
  );
  for (const { from_table, fkey_name } of keys.rows)
    await target.query('select londiste.drop_table_fkey($1, $2)', [from_table, fkey_name]);
  return transaction(
    target,
    async () => {
      const still = await target.query(
        `select from londiste.table_info where queue_name = $1 and table_name = $2 and local and merge_state is null for update nowait`,
        [queue, table.name],
      );
      if (still.rowCount === 0) return undefined;
      await target.query(`select londiste.set_session_replication_role('replica', true)`);
      // Of an earlier plan: waits for chunks of it that are being written.
      await target.query('delete from londiste.copy_job where queue_name = $1 and table_name = $2', [
        queue,
        table.name,
      ]);
      const withdrawn = await takeOff(target, queue, table);
      if (table.attributes.skip_truncate !== '1') await target.query(`truncate ${real.only}${real.quoted}`);
      await target.query(
        `insert into londiste.copy_job (queue_name, table_name, consumer_name, source_node, source_bytes) values ($1, $2, $3, $4, $5)`,
        [queue, table.name, consumer, sourceNode, bytes],
      );
      await target.query(
        `insert into londiste.copy_chunk (queue_name, table_name, nr, lower_key, upper_key)
         select $1, $2, c.nr, nullif(array(select json_array_elements_text(c.lower)), '{}'),
                nullif(array(select json_array_elements_text(c.upper)), '{}')
           from rows from (unnest($3::json[], $4::json[])) with ordinality c (lower, upper, nr)`,
        [
          queue,
          table.name,
          [[], ...bounds].map((bound) => JSON.stringify(bound)),
          [...bounds, []].map((bound) => JSON.stringify(bound)),
        ],
      );
      await target.query('select * from pgq_node.register_consumer($1, $2, $3, $4)', [
        queue,
        consumer,
        state.provider_node,
        position.rows[0]!.tick,
      ]);
      await target.query(
        `update londiste.table_info set merge_state = 'in-copy', custom_snapshot = null, dropped_ddl = $3
          where queue_name = $1 and table_name = $2`,
        [queue, table.name, withdrawn],
      );
      return { chunks: bounds.length + 1, sourceBytes: bytes };
    },
    // A table that is in use here is tried again by the next tick.
    { deadline: scope.deadline, lockTimeoutMs: 10_000, subject: { queue, table: table.name } },
  );
}

async function refuseMerge(target: pg.Client, queue: string, table: Subscription): Promise<void> {
  const { rowCount } = await target.query(
    `select from londiste.table_info where queue_name <> $1 and local and coalesce(dest_table, table_name) = $2`,
    [queue, table.dest],
  );
  if (rowCount === 0) return;
  throw new SkytoolsError(
    'LONDISTE_COPY_MERGED',
    `${table.dest} is filled by several sets: it cannot be emptied for a copy`,
    {
      subject: { queue, table: table.name },
      hint: 'load its rows by other means and subscribe it with --expect-sync',
    },
  );
}

/** Keys that cut a table at the source into pieces of about one size; none for a small one, or one without the same key. */
async function boundaries(
  source: pg.Client,
  from: string,
  real: RealTable,
  chunkBytes: number,
): Promise<{ bounds: string[][]; bytes: bigint }> {
  const { rows } = await source.query<{ bytes: bigint; rows: number; key: string[] | null }>(
    `select pg_table_size(c.oid)::int8 as bytes, greatest(c.reltuples, 0)::float8 as rows,
            (select array_agg(a.attname::text order by o.n)
               from pg_catalog.pg_index i
              cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality o (attnum, n)
               join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = o.attnum
              where i.indrelid = c.oid and i.indisprimary) as key
       from pg_catalog.pg_class c where c.oid = to_regclass($1)`,
    [from],
  );
  const { bytes, key } = rows[0]!;
  const pieces = Math.min(MOST_CHUNKS, Math.ceil(Number(bytes) / chunkBytes));
  if (pieces <= 1 || key === null || key.join() !== real.key.join()) return { bounds: [], bytes };
  // Without statistics the estimate of the rows is zero: then all of them are the sample.
  const percent =
    rows[0]!.rows === 0 ? 100 : Math.min(100, (pieces * SAMPLE_FOR_BOUNDARY * 100) / rows[0]!.rows);
  const columns = quoteColumns(key);
  const texts = key.map((column) => `${quoteIdent(column)}::text`).join(', ');
  const found = await source.query<{ bound: string[] }>(
    `select array[${texts}] as bound
       from (select distinct on (tile) ${columns}, tile
               from (select ${columns}, ntile($1) over (order by ${columns}) as tile
                       from ${from} tablesample system (${percent})) s
              order by tile, ${columns}) b
      where tile > 1
      order by tile`,
    [pieces],
  );
  return { bounds: found.rows.map((row) => row.bound), bytes };
}

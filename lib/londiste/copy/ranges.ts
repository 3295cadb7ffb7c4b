import type { Client } from '../../postgres/connect.ts';
import { quoteColumns, quoteIdent } from '../../postgres/quote.ts';
import type { CopyJob } from './job.ts';
import type { SourceTable } from './source-table.ts';

/** Rows copied at a time: a range of keys or of blocks; null is open. */
export interface Range {
  lowerKey: string[] | null;
  upperKey: string[] | null;
  lowerBlock: bigint | null;
  upperBlock: bigint | null;
}

/** How a table is cut into chunks. */
export interface Cut extends Pick<CopyJob, 'sourceFile' | 'newerThan'> {
  ranges: 'whole' | 'key' | 'block';
  chunks: Range[];
}

/** More chunks than this cost more than they bring: each is a transaction and a search at the source. */
const MOST_CHUNKS = 10_000;

/** Blocks read for each boundary between keys, so that chunks are of about one size. */
const SAMPLED_BLOCKS = 20;

const EVERYTHING: Range = { lowerKey: null, upperKey: null, lowerBlock: null, upperBlock: null };

/** One chunk. */
export const whole: Cut = { ranges: 'whole', chunks: [EVERYTHING], sourceFile: null, newerThan: null };

/** Into how many chunks a table is cut, about. */
export const pieces = (source: SourceTable, chunkBytes: number): number =>
  Math.max(1, Math.min(MOST_CHUNKS, Math.ceil(Number(source.bytes) / chunkBytes)));

/**
 * Cuts by ranges of the primary key. One chunk for what is small, or has no key that is the key of the copy as well.
 *
 * @param key of the table that is written
 */
export async function cutByKey(
  client: Client,
  source: SourceTable,
  key: readonly string[],
  chunkBytes: number,
): Promise<Cut> {
  const count = pieces(source, chunkBytes);
  if (count <= 1 || source.key.length === 0 || source.key.join('\0') !== key.join('\0')) return whole;
  const blocks = Number(source.bytes) / 8192;
  const percent = Math.min(100, (count * SAMPLED_BLOCKS * 100) / blocks);
  const columns = quoteColumns(key);
  const texts = key.map((column) => `${quoteIdent(column)}::text`).join(', ');
  const { rows } = await client.query<{ bound: string[] }>(
    `select array[${texts}] as bound
       from (select distinct on (tile) ${columns}, tile
               from (select ${columns}, ntile($1) over (order by ${columns}) as tile
                       from ${source.only}${source.quoted} tablesample system (${percent})) s
              order by tile, ${columns}) b
      where tile > 1
      order by tile`,
    [count],
  );
  const bounds = [null, ...rows.map((row) => row.bound), null];
  return {
    ...whole,
    ranges: 'key',
    chunks: bounds.slice(1).map((upperKey, index) => ({ ...EVERYTHING, lowerKey: bounds[index]!, upperKey })),
  };
}

/** Cuts by ranges of physical blocks; the last one is open, for a table that grows. */
export function cutByBlock(source: SourceTable, newerThan: bigint, chunkBytes: number): Cut {
  const count = pieces(source, chunkBytes);
  if (count <= 1) return whole;
  const bounds = Array.from({ length: count - 1 }, (_, index) =>
    BigInt(Math.ceil((Number(source.blocks) * (index + 1)) / count)),
  );
  const all = [null, ...new Set(bounds), null];
  return {
    ranges: 'block',
    chunks: all.slice(1).map((upperBlock, index) => ({ ...EVERYTHING, lowerBlock: all[index]!, upperBlock })),
    sourceFile: source.file,
    newerThan,
  };
}

/**
 * Whether blocks may be cut at a source: every change of a row must be an event with the whole row (a row that moves between
 * two chunks is then told by its event), and transaction numbers must still be comparable. Only a root's triggers tell what
 * the events are like: below it, they came from other ones.
 *
 * @returns the first number of transactions that are yet to come, all of whose changes the triggers tell; undefined where
 *   keys must be cut
 */
export async function blocksAreSafe(
  client: Client,
  queue: string,
  source: SourceTable,
): Promise<bigint | undefined> {
  if (!source.heap || source.key.length === 0) return undefined;
  // Bits of tgtype: 4 insert, 8 delete, 16 update. An argument such as ignore= or when= leaves changes out.
  const { rows } = await client.query<{ newer: bigint }>(
    `select txid_snapshot_xmax(s.now) as newer
       from (select txid_current_snapshot() as now) s
      where txid_snapshot_xmax(s.now) < 2147483648
        and exists (select from pgq_node.node_info n where n.queue_name = $1 and n.node_type = 'root')
        and not exists (select from pgq_node.node_info n where n.combined_queue = $1)
        and (select bit_or(t.tgtype & 28) = 28
               from pg_catalog.pg_trigger t
               join pg_catalog.pg_proc p on p.oid = t.tgfoid
               join pg_catalog.pg_namespace n on n.oid = p.pronamespace
              cross join lateral (select string_to_array(encode(t.tgargs, 'escape'), '\\000') as list) a
              where t.tgrelid = to_regclass($2)
                and not t.tgisinternal and t.tgqual is null and t.tgenabled in ('O', 'A')
                and (n.nspname = 'pgq' and p.proname in ('logutriga', 'jsontriga')
                     or starts_with(p.proname::text, '_pgq_fast_'))
                and a.list[1] = $1
                and not exists (select from unnest(a.list[2:]) arg
                                 where arg not in ('', 'backup') and arg not like 'ev\\_extra1=%'))`,
    [queue, source.quoted],
  );
  return rows[0]?.newer;
}

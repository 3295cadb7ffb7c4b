import type pg from 'pg';
import { decodeRowChange } from '../../pgq/codecs/row-change.ts';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { copyBetween } from '../../postgres/copy.ts';
import { quoteLiteral } from '../../postgres/quote.ts';
import type { RealTable } from '../tables.ts';

/** The events of a batch on the subscriber; gone with the transaction, so a transaction pooler may lie between. */
export const STAGING = 'pg_temp.londiste_batch';

const COLUMNS = 'ev_id, ev_time, ev_txid, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

/**
 * For the transaction that applies: queues and the triggers of tables are silent, and the net effect is sorted and hashed in
 * memory. Compiling the statements would take longer than running them.
 */
export const APPLY_SETTINGS = `select londiste.set_session_replication_role('replica', true),
  set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`;

/** More events than this and the planner gets statistics of them. */
const ANALYZE_FROM = 2_000;

export interface StageOptions {
  batch: bigint;
  /** Only events of these tables, and all that are not of a table. Undefined: every event. */
  tables: readonly string[] | undefined;
  /** Begin behind this event, in the order of ids. */
  after?: bigint | undefined;
  /** At most so many. */
  limit?: number | undefined;
}

/**
 * Brings the events of an open batch to the subscriber, as bytes from COPY to COPY.
 *
 * @returns how many came
 */
export async function stage(provider: pg.Client, target: pg.Client, options: StageOptions): Promise<number> {
  const { rows } = await provider.query<{ sql: string }>('select pgq.batch_event_sql($1) as sql', [
    options.batch,
  ]);
  const wanted = [
    ...(options.after === undefined ? [] : [`ev_id > ${options.after}`]),
    ...(options.tables === undefined ? [] : [`(${ofTables(options.tables)} or ${NOT_OF_A_TABLE})`]),
  ];
  const where = wanted.length > 0 ? ` where ${wanted.join(' and ')}` : '';
  const limit = options.limit === undefined ? '' : ` order by ev_id limit ${options.limit}`;
  await target.query(
    `create temp table londiste_batch (ev_id int8, ev_time timestamptz, ev_txid int8, ev_type text, ev_data text,
       ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text) on commit drop`,
  );
  const copied = await copyBetween(
    provider,
    `copy (select ${COLUMNS} from (${rows[0]!.sql}) e${where}${limit}) to stdout (format binary)`,
    target,
    `copy ${STAGING} (${COLUMNS}) from stdin (format binary)`,
  );
  if (copied.rows >= ANALYZE_FROM) await target.query(`analyze ${STAGING} (ev_id, ev_type, ev_extra1)`);
  return copied.rows;
}

const ofTables = (tables: readonly string[]) =>
  tables.length === 0 ? 'false' : `ev_extra1 in (${tables.map(quoteLiteral).join(', ')})`;

/** Rows and TRUNCATE carry their table's name; what else there is has a type of its own. */
const NOT_OF_A_TABLE = `ev_type like 'pgq.%' or ev_type like 'londiste.%' or ev_type = 'EXECUTE'
  or not (ev_type in ('I', 'U', 'D', 'R') or ev_type like '_:%' or ev_type like '{"op":%')`;

/**
 * Rewrites the events of `sqltriga` among those staged: an insert and a delete into the form of `logutriga`, an update,
 * which names the changed columns only, into the same form with the letter `u`.
 */
export async function rewriteFragments(
  target: pg.Client,
  tables: ReadonlyMap<string, RealTable>,
): Promise<void> {
  const { rows } = await target.query<{ ev_id: bigint; ev_type: string; ev_data: string; ev_extra1: string }>(
    `select ev_id, ev_type, ev_data, ev_extra1 from ${STAGING} where ev_type in ('I', 'U', 'D')`,
  );
  const rewritten = rows.flatMap((row) => {
    const table = tables.get(row.ev_extra1);
    const change = decodeRowChange({ type: row.ev_type, data: row.ev_data, extra1: row.ev_extra1 });
    if (table === undefined || change === undefined) return [];
    const key = row.ev_type === 'I' ? table.key : change.keyColumns;
    const letter = row.ev_type === 'U' ? 'u' : row.ev_type;
    return [{ id: row.ev_id, type: `${letter}:${key.join(',')}`, data: encodeUrlencoded(change.row) }];
  });
  if (rewritten.length === 0) return;
  await target.query(
    `update ${STAGING} b set ev_type = n.type, ev_data = n.data
       from unnest($1::int8[], $2::text[], $3::text[]) n (id, type, data) where b.ev_id = n.id`,
    [rewritten.map((row) => row.id), rewritten.map((row) => row.type), rewritten.map((row) => row.data)],
  );
}

import type pg from 'pg';
import * as v from 'valibot';
import { BusyError, SkytoolsError, UsageError } from '../../platform/errors.ts';
import { logWarning } from '../../platform/logger.ts';
import { hasSqlState, toSkytoolsError } from '../../postgres/errors.ts';
import { quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import { createLike } from '../admin/create-table.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { copyLimit, DEFAULTS } from '../settings.ts';
import { type RealTable, realTable } from '../tables.ts';
import { copyChunks, SourceChanged } from './chunk.ts';
import type { CopyStepResult } from './copy.ts';
import { type CopyJob, jobById, subjectOf, unknownCopy } from './job.ts';
import { storeCut } from './plan.ts';
import { cutByKey, pieces, whole } from './ranges.ts';
import { type SourceTable, sourceTable, TEXT_SETTINGS } from './source-table.ts';
import { analyzeOnce, putBackNext } from './structure.ts';

/*
 * Copies on demand: the machinery of the first copy, without a set. Each chunk is read under a snapshot of its own, and no
 * event repairs what changed between two of them: of a table that is being changed, every chunk is right as of its own
 * moment; a row that moves to another key between two chunks may come twice or not at all. One chunk gives one moment.
 */

const name = v.pipe(v.string(), v.minLength(1));

const schema = v.strictObject({
  /** Asking again under the same name asks nothing new. */
  name,
  /** Where the rows are: a configured database. */
  from: name,
  tables: v.pipe(v.array(name), v.minLength(1)),
  /** Real name here, for one table. */
  dest: v.optional(name),
  /** WHERE at the source. */
  where: v.optional(name),
  /** Make the table where it is missing: `plain` columns and key, `full` as it is at the source. */
  create: v.optional(v.picklist(['plain', 'full'])),
  /** What becomes of rows that are here. */
  existing: v.optional(v.picklist(['refuse', 'truncate', 'keep']), 'refuse'),
  oneSnapshot: v.optional(v.boolean(), false),
  /** Bytes of the table at the source that one chunk should hold. */
  chunkBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(8192)), DEFAULTS.chunkBytes),
});

/** A wish for copies, as the command line or a message has it. */
export type CopyOrder = v.InferOutput<typeof schema>;

/** @throws UsageError COPY_ORDER_INVALID */
export function parseOrder(value: unknown): CopyOrder {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? '(top)'}: ${issue.message}`);
  throw new UsageError('COPY_ORDER_INVALID', `not an order for copies: ${problems.join('; ')}`, {
    hint: 'docs/reference/messages.md shows its form',
  });
}

/** A table of an order, before anything is done. */
export interface OrderedTable {
  source: string;
  dest: string;
  /** Of the table at the source, without indexes. */
  bytes: bigint;
  /** About so many. */
  chunks: number;
  /** Whether it will be made. */
  make: boolean;
}

const qualified = (table: string) => (table.includes('.') ? table : `public.${table}`);

/**
 * Looks whether an order can be carried out.
 *
 * @throws UsageError, SkytoolsError COPY_…, LONDISTE_TABLE_MISSING
 */
export async function checkOrder(
  scope: NodeScope,
  target: pg.Client,
  order: CopyOrder,
): Promise<OrderedTable[]> {
  if (order.dest !== undefined && order.tables.length > 1) {
    throw new UsageError('COPY_ONE_TABLE', 'another name goes with one table', {
      hint: 'ask for the tables one by one',
    });
  }
  return atLocation(scope, order.from, async (source) => {
    const tables: OrderedTable[] = [];
    for (const table of order.tables.map(qualified)) {
      const dest = qualified(order.dest ?? table);
      const from = await transaction(source, () => sourceTable(source, table), { readOnly: true });
      if (order.where !== undefined) await checkCondition(source, from, order.where, table);
      const { rows } = await target.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
        quoteQualified(dest),
      ]);
      const make = !rows[0]!.there && order.create !== undefined;
      if (!make) {
        const real = await writableTable(target, dest);
        checkColumns(from, real);
        if (order.existing === 'refuse') await refuseRows(target, real);
      }
      const chunks = order.oneSnapshot || from.key.length === 0 ? 1 : pieces(from, order.chunkBytes);
      tables.push({ source: table, dest, bytes: from.bytes, chunks, make });
    }
    return tables;
  });
}

const writableTable = (target: pg.Client, dest: string): Promise<RealTable> =>
  realTable(target, { name: dest, dest, state: null, snapshot: null, attributes: {} }, DEFAULTS);

async function checkCondition(
  source: pg.Client,
  from: SourceTable,
  where: string,
  table: string,
): Promise<void> {
  try {
    await transaction(
      source,
      () => source.query(`select from ${from.only}${from.quoted} where (${where}) limit 0`),
      {
        readOnly: true,
      },
    );
  } catch (error) {
    throw new UsageError('COPY_CONDITION_INVALID', `the condition does not fit ${table}`, {
      cause: error,
      subject: { table },
      hint: `${toSkytoolsError(error).message}: give an expression over its columns, as behind WHERE`,
    });
  }
}

function checkColumns(from: SourceTable, real: RealTable): void {
  const unknown = from.columns.find(({ column, generated }) => !generated && !real.columns.has(column));
  if (unknown === undefined) return;
  throw new SkytoolsError(
    'COPY_COLUMN_MISSING',
    `table ${real.dest} lacks the column ${unknown.column} of its source`,
    {
      subject: { table: real.dest, column: unknown.column },
      hint: 'add the column here, or copy from a view that leaves it out',
    },
  );
}

async function refuseRows(target: pg.Client, real: RealTable): Promise<void> {
  const { rowCount } = await target.query(`select from ${real.only}${real.quoted} limit 1`);
  if (rowCount === 0) return;
  throw new SkytoolsError('COPY_TARGET_NOT_EMPTY', `table ${real.dest} holds rows`, {
    subject: { table: real.dest },
    hint: 'empty it first with --truncate, or let the rows of the source overwrite those of the same key with --keep',
  });
}

/**
 * Writes an order down; what is to be done is then in the tables of the database that the rows go to.
 *
 * @returns the numbers of its copies; those of the first time where the name has been used
 */
export async function placeOrder(scope: NodeScope, target: pg.Client, order: CopyOrder): Promise<bigint[]> {
  const known = await jobsOfOrder(target, order.name);
  if (known.length > 0) return known;
  const tables = await checkOrder(scope, target, order);
  if (tables.some(({ make }) => make)) {
    await atLocation(scope, order.from, async (source) => {
      for (const { source: from, dest, make } of tables)
        if (make) await createLike(source, target, from, dest, order.create!);
    });
  }
  return transaction(target, async () => {
    await target.query('select pg_advisory_xact_lock(hashtext($1))', [`londiste.order ${order.name}`]);
    const meanwhile = await jobsOfOrder(target, order.name);
    if (meanwhile.length > 0) return meanwhile;
    for (const { source, dest, bytes } of tables) {
      await target.query(
        `with j as (
           insert into londiste.copy_job (source_node, source_table, dest_table, source_bytes, condition, keep_rows)
           values ($2, $3, $4, $5, $6, $7) returning job_id)
         insert into londiste.copy_order (job_id, order_name, existing, one_snapshot, chunk_bytes)
         select job_id, $1, $8, $9, $10 from j`,
        [
          order.name,
          order.from,
          source,
          dest,
          bytes,
          order.where ?? null,
          order.existing === 'keep',
          order.existing,
          order.oneSnapshot,
          order.chunkBytes,
        ],
      );
    }
    return jobsOfOrder(target, order.name);
  });
}

/** The copies that were asked for under a name. */
export async function jobsOfOrder(target: pg.Client, order: string): Promise<bigint[]> {
  const { rows } = await target.query<{ id: bigint }>(
    'select job_id as id from londiste.copy_order where order_name = $1 order by 1',
    [order],
  );
  return rows.map((row) => row.id);
}

interface OrderRow {
  state: 'waiting' | 'in-copy' | 'building' | 'done' | 'cancelled';
  existing: CopyOrder['existing'];
  oneSnapshot: boolean;
  chunkBytes: number;
}

interface OrderRun {
  scope: NodeScope;
  database: string;
  target: pg.Client;
  job: CopyJob;
  order: OrderRow;
  limit: number;
  chunksForMs: number;
}

/**
 * One step of a copy on demand: its plan, chunks, or an index. Any number of these may run at once.
 *
 * @param chunksForMs as for {@link copyStep}
 * @throws BusyError; SkytoolsError COPY_UNKNOWN, and whatever is noted as the copy's problem
 */
export async function orderStep(
  scope: NodeScope,
  database: string,
  id: bigint,
  chunksForMs = 0,
): Promise<CopyStepResult> {
  scope.deadline.check(`copy ${id}`);
  return scope.database(database, async (target) => {
    const job = await jobById(target, id);
    const order = await target.query<OrderRow>(
      'select state, existing, one_snapshot as "oneSnapshot", chunk_bytes::float8 as "chunkBytes" from londiste.copy_order where job_id = $1',
      [id],
    );
    if (job === undefined || order.rows[0] === undefined) throw unknownCopy(id);
    const run = {
      scope,
      database,
      target,
      job,
      order: order.rows[0],
      limit: copyLimit(scope.config, database),
      chunksForMs,
    };
    try {
      return await step(run);
    } catch (error) {
      if (error instanceof BusyError) throw error;
      const { code, message } = toSkytoolsError(error);
      await target
        .query('update londiste.copy_order set problem = $2 where job_id = $1', [id, `${code}: ${message}`])
        .catch(() => {});
      throw error;
    }
  });
}

const IDLE: CopyStepResult = { did: { step: 'nothing' }, next: 'idle' };

async function step(run: OrderRun): Promise<CopyStepResult> {
  const { scope, database, target, job, order, limit } = run;
  switch (order.state) {
    case 'waiting':
      return planOrder(run);
    case 'in-copy':
      return atLocation(scope, job.sourceNode, (source) => chunkOfOrder(run, source));
    case 'building': {
      const kinds = ['index', 'unique', 'foreign key', 'trigger'] as const;
      const put = await putBackNext(scope, database, target, job, kinds, limit);
      if (put !== 'none') return { did: { step: 'built' }, next: put === 'done' ? 'again' : 'idle' };
      await analyzeOnce(target, job, quoteQualified(job.destTable));
      await target.query(
        `update londiste.copy_order set state = 'done', finished = now(), problem = null where job_id = $1 and state = 'building'`,
        [job.id],
      );
      return { did: { step: 'finished' }, next: 'idle' };
    }
    default:
      return IDLE;
  }
}

/** How long the plan waits for the table, in milliseconds. */
const LOCK_TIMEOUT_MS = 10_000;

async function planOrder({ scope, target, job, order, limit }: OrderRun): Promise<CopyStepResult> {
  const real = await writableTable(target, job.destTable);
  const { from, cut } = await atLocation(scope, job.sourceNode, (source) =>
    transaction(
      source,
      async () => {
        await source.query(TEXT_SETTINGS);
        const from = await sourceTable(source, job.sourceTable);
        const cut = order.oneSnapshot ? whole : await cutByKey(source, from, real.key, order.chunkBytes);
        return { from, cut };
      },
      { deadline: scope.deadline, readOnly: true },
    ),
  );
  const subject = subjectOf(job);
  try {
    return await transaction(
      target,
      async () => {
        const still = await target.query(
          `select from londiste.copy_order where job_id = $1 and state = 'waiting' for update nowait`,
          [job.id],
        );
        if (still.rowCount === 0) return IDLE;
        // Rows that are kept are in use: what guards them stays on, and triggers fire.
        if (!job.keepRows) {
          // Planned before: what is here are rows of its own.
          if (order.existing === 'truncate' || job.sourceColumns !== null) {
            await target.query('select londiste.take_off_structure($1, true, false)', [job.id]);
            await target.query(`truncate ${real.only}${real.quoted}`);
          } else {
            await target.query(`lock table ${real.quoted} in share row exclusive mode`);
            await refuseRows(target, real);
            await target.query('select londiste.take_off_structure($1, true, false)', [job.id]);
          }
        }
        await target.query('delete from londiste.copy_chunk where job_id = $1', [job.id]);
        await storeCut(target, job.id, from, cut);
        await target.query(
          `update londiste.copy_order set state = 'in-copy', problem = null where job_id = $1`,
          [job.id],
        );
        return { did: { step: 'planned', chunks: Math.min(limit, cut.chunks.length) }, next: 'again' };
      },
      { deadline: scope.deadline, lockTimeoutMs: LOCK_TIMEOUT_MS, subject },
    );
  } catch (error) {
    if (hasSqlState(error, '55P03', '40P01')) throw new BusyError(`table ${job.destTable}`, { subject });
    throw error;
  }
}

async function chunkOfOrder(
  { scope, target, job, limit, chunksForMs }: OrderRun,
  source: pg.Client,
): Promise<CopyStepResult> {
  try {
    const describe = () => writableTable(target, job.destTable);
    const place = { source, target, limit, deadline: scope.deadline };
    const chunk = await copyChunks(place, job, describe, chunksForMs);
    if (chunk !== undefined && chunk !== 'collided')
      return { did: { step: 'chunk', rows: chunk.rows, bytes: chunk.bytes }, next: 'again' };
  } catch (error) {
    if (!(error instanceof SourceChanged)) throw error;
    logWarning('a copy begins again', error);
    await target.query(
      `update londiste.copy_order set state = 'waiting' where job_id = $1 and state = 'in-copy'`,
      [job.id],
    );
    return { did: { step: 'begun-again' }, next: 'again' };
  }
  const { rows } = await target.query<{ dropped: number }>(
    `with o as (update londiste.copy_order set state = 'building', problem = null
                 where job_id = $1 and state = 'in-copy'
                   and not exists (select from londiste.copy_chunk where job_id = $1 and done is null) returning 1)
     select (select count(*)::int4 from londiste.copy_dropped where job_id = $1 and done is null) as dropped from o`,
    [job.id],
  );
  return rows[0] === undefined
    ? IDLE
    : { did: { step: 'copied', chunks: Math.max(1, Math.min(limit, rows[0].dropped)) }, next: 'again' };
}

/** How long a cancellation waits for chunks that are being written, in milliseconds. */
const CANCEL_TIMEOUT_MS = 60_000;

/**
 * Ends a copy on demand. No chunk begins any more; the table, unless its rows were to be kept, is emptied and gets back
 * what was taken off. May be called again after a failure.
 *
 * @returns false where it had ended before
 */
export async function cancelOrder(target: pg.Client, id: bigint): Promise<boolean> {
  const { rowCount: cancelled } = await target.query(
    `update londiste.copy_order set state = 'cancelled', finished = now() where job_id = $1 and state <> 'done'`,
    [id],
  );
  // Read behind the update, which waits for a plan that is being made.
  const job = await jobById(target, id);
  if (job === undefined || job.queue !== null) throw unknownCopy(id);
  if (cancelled === 0) return false;
  if (job.sourceColumns === null || job.keepRows) return true;
  const quoted = quoteQualified(job.destTable);
  await transaction(
    target,
    async () => {
      const { rowCount } = await target.query(
        'select from londiste.copy_chunk where job_id = $1 for update limit 1',
        [id],
      );
      if (rowCount === 0) return;
      const { rows: kind } = await target.query<{ kind: string }>(
        'select relkind as kind from pg_catalog.pg_class where oid = to_regclass($1)',
        [quoted],
      );
      if (kind[0] !== undefined) {
        await target.query(`truncate ${kind[0].kind === 'p' ? '' : 'only '}${quoted}`);
        const { rows: put } = await target.query<{ result: string }>(
          `select londiste.put_back(job_id, nr, null) as result from londiste.copy_dropped
            where job_id = $1 and done is null
            order by array_position('{index,unique,foreign key,trigger}', kind), nr`,
          [id],
        );
        // Somebody who is at it waits for the table, which this transaction holds.
        if (put.some(({ result }) => result === 'busy'))
          throw new BusyError(`what the copy took off ${job.destTable}`, { subject: subjectOf(job) });
      }
      // Without chunks a second cancellation finds nothing to do.
      await target.query('delete from londiste.copy_chunk where job_id = $1', [id]);
    },
    { lockTimeoutMs: CANCEL_TIMEOUT_MS, subject: subjectOf(job) },
  );
  return true;
}

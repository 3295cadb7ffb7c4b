import type pg from 'pg';
import { keepingAlive } from '../../pgq/keep-alive.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { BusyError, SkytoolsError } from '../../platform/errors.ts';
import { type CopyResult, copyBetween } from '../../postgres/copy.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteColumns, quoteIdent, quoteLiteral } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { RealTable } from '../tables.ts';
import { type CopyJob, subjectOf } from './job.ts';
import type { Range } from './ranges.ts';
import { takeSlot } from './slots.ts';
import { columnsOf, type SourceTable, sourceTable, TEXT_SETTINGS } from './source-table.ts';

/** A chunk that was copied. */
export interface CopiedChunk extends CopyResult {
  nr: number;
}

/** What the chunks were cut from is not there any more: a column came or went, the table was written anew. */
export class SourceChanged extends SkytoolsError {
  override name = 'SourceChanged';

  constructor(job: CopyJob) {
    super('COPY_SOURCE_CHANGED', `${job.sourceTable} was altered during its copy`, {
      subject: subjectOf(job),
      retryable: true,
      hint: 'the copy begins again by itself',
    });
  }
}

/** Where a chunk goes to and comes from. */
export interface ChunkPlace {
  source: pg.Client;
  target: pg.Client;
  /** Copies side by side in the target's database. */
  limit: number;
  deadline: Deadline;
}

/** A chunk takes as long as there is time for, which the deadline says: on the command line it may be a day. In milliseconds. */
const LONGEST_CHUNK_MS = 24 * 3_600_000;

interface Chunk extends Range {
  nr: number;
  /** A key of it stood here when it came. */
  collided: boolean;
}

/**
 * Copies the next chunk that nobody else is at; its rows and its mark commit together.
 *
 * @returns undefined where no chunk is to be had; `collided` where its rows have to be written with care, the next time
 * @throws SourceChanged; BusyError where as many copies are at work as may be
 */
export async function copyChunk(
  { source, target, limit, deadline }: ChunkPlace,
  job: CopyJob,
  real: RealTable,
): Promise<CopiedChunk | 'collided' | undefined> {
  const subject = subjectOf(job);
  let claimed: Chunk | undefined;
  try {
    return await transaction(
      target,
      async () => {
        const { rows } = await target.query<Chunk>(
          `select c.nr, c.lower_key as "lowerKey", c.upper_key as "upperKey", c.lower_block as "lowerBlock",
                  c.upper_block as "upperBlock", c.collided
             from londiste.copy_chunk c
            where c.job_id = $1 and c.done is null
            order by c.nr for no key update skip locked limit 1`,
          [job.id],
        );
        claimed = rows[0];
        if (claimed === undefined) return undefined;
        const chunk = claimed;
        await takeSlot(target, limit);
        // Rows added to those that somebody uses go in like anybody's: foreign keys and triggers are at work.
        if (job.queue !== null || !job.keepRows)
          await target.query(`select londiste.set_session_replication_role('replica', true)`);
        await target.query(TEXT_SETTINGS);
        const copied = await transaction(
          source,
          () => keepingAlive(target, () => pass(source, target, job, real, chunk)),
          { readOnly: true, deadline, statementTimeoutMs: LONGEST_CHUNK_MS, subject },
        );
        // With the rows: a chunk is copied once, whatever happens.
        await target.query(
          'update londiste.copy_chunk set done = clock_timestamp(), rows = $3, bytes = $4 where job_id = $1 and nr = $2',
          [job.id, chunk.nr, copied.rows, copied.bytes],
        );
        return { ...copied, nr: chunk.nr };
      },
      { deadline, statementTimeoutMs: LONGEST_CHUNK_MS, subject },
    );
  } catch (error) {
    if (hasSqlState(error, '40P01')) throw new BusyError(`copy of ${job.destTable}`, { subject });
    if (!hasSqlState(error, '23505') || job.ranges !== 'block' || !claimed || claimed.collided) throw error;
    await target.query('update londiste.copy_chunk set collided = true where job_id = $1 and nr = $2', [
      job.id,
      claimed.nr,
    ]);
    return 'collided';
  }
}

async function pass(
  source: pg.Client,
  target: pg.Client,
  job: CopyJob,
  real: RealTable,
  chunk: Chunk,
): Promise<CopyResult> {
  await source.query(TEXT_SETTINGS);
  const from = await sourceTable(source, job.sourceTable);
  if (columnsOf(from) !== job.sourceColumns || (job.ranges === 'block' && from.file !== job.sourceFile))
    throw new SourceChanged(job);
  const columns = from.columns.filter(
    ({ column, generated }) => !generated && !real.columns.get(column)?.generated,
  );
  const unknown = columns.find(({ column }) => !real.columns.has(column));
  if (unknown !== undefined) {
    throw new SkytoolsError(
      'LONDISTE_COLUMN_MISSING',
      `table ${job.destTable} lacks the column ${unknown.column} of its source`,
      {
        subject: { ...subjectOf(job), column: unknown.column },
        hint: 'add the column here; the copy goes on by itself',
      },
    );
  }
  const binary = columns.every(
    ({ column, type, portable }) => portable && real.columns.get(column)!.type === type,
  );
  const names = columns.map(({ column }) => column);
  const list = quoteColumns(names);
  const format = binary ? ' (format binary)' : '';
  const wanted = conditions(job, from, real, chunk);
  const where = wanted.length > 0 ? ` where ${wanted.join(' and ')}` : '';
  const out = `copy (select ${list} from ${from.only}${from.quoted}${where}) to stdout${format}`;
  if (!job.keepRows && !chunk.collided)
    return copyBetween(source, out, target, `copy ${real.quoted} (${list}) from stdin${format}`);
  await target.query(
    `create temp table londiste_chunk on commit drop as select ${list} from ${real.quoted} where false`,
  );
  const copied = await copyBetween(
    source,
    out,
    target,
    `copy pg_temp.londiste_chunk (${list}) from stdin${format}`,
  );
  // A key that two chunks saw was changed meanwhile, and comes as an event. Of rows that were here before, the source's wins.
  const action = job.keepRows ? overwrite(names, real) : 'do nothing';
  const conflict = real.key.length === 0 ? '' : `on conflict (${quoteColumns(real.key)}) ${action}`;
  await target.query(
    `insert into ${real.quoted} (${list}) overriding system value select ${list} from pg_temp.londiste_chunk ${conflict}`,
  );
  return copied;
}

function overwrite(columns: readonly string[], real: RealTable): string {
  const others = columns
    .filter((column) => !real.key.includes(column) && real.columns.get(column)!.identity !== 'a')
    .map(quoteIdent);
  return others.length === 0
    ? 'do nothing'
    : `do update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}

function conditions(job: CopyJob, from: SourceTable, real: RealTable, chunk: Range): string[] {
  const typeOf = (column: string) => from.columns.find((other) => other.column === column)!.type;
  const key = `(${quoteColumns(real.key)})`;
  const bound = (values: string[]) =>
    `(${values.map((value, index) => `${quoteLiteral(value)}::${typeOf(real.key[index]!)}`).join(', ')})`;
  return [
    ...(chunk.lowerKey === null ? [] : [`${key} >= ${bound(chunk.lowerKey)}`]),
    ...(chunk.upperKey === null ? [] : [`${key} < ${bound(chunk.upperKey)}`]),
    ...(chunk.lowerBlock === null ? [] : [`ctid >= '(${chunk.lowerBlock},0)'`]),
    ...(chunk.upperBlock === null ? [] : [`ctid < '(${chunk.upperBlock},0)'`]),
    ...(job.newerThan === null ? [] : [`age(xmin) > age('${job.newerThan}'::xid)`]),
    ...(job.condition === null ? [] : [`(${job.condition})`]),
  ];
}

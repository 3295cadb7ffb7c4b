import type pg from 'pg';
import { keepingAlive } from '../../pgq/keep-alive.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { BusyError, SkytoolsError } from '../../platform/errors.ts';
import { type CopyResult, copyBetween } from '../../postgres/copy.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteColumns, quoteIdent, quoteLiteral, quoteQualified } from '../../postgres/quote.ts';
import { Closing, transaction } from '../../postgres/transaction.ts';
import type { RealTable } from '../tables.ts';
import { type CopyJob, subjectOf } from './job.ts';
import type { Range } from './ranges.ts';
import { takeSlot } from './slots.ts';
import { columnsOf, type SourceTable, sourceTable, TEXT_SETTINGS } from './source-table.ts';

/** What the copy was made from is not there any more: a column came or went, the table was written anew, events are gone. */
export class SourceChanged extends SkytoolsError {
  override name = 'SourceChanged';
  /** Set where blocks of the source will not do the next time. */
  readonly ranges: 'key' | null;

  constructor(job: CopyJob, what = 'was altered during its copy', ranges: 'key' | null = null) {
    super('COPY_SOURCE_CHANGED', `${job.sourceTable} ${what}`, {
      subject: subjectOf(job),
      retryable: true,
      hint: 'the copy begins again by itself',
    });
    this.ranges = ranges;
  }
}

/** Whoever wrote a row of the same key here, it was not this copy. */
class KeyTaken extends SkytoolsError {
  override name = 'KeyTaken';

  constructor(job: CopyJob, cause: unknown) {
    super('COPY_KEY_TAKEN', `a key of ${job.sourceTable} is in ${job.destTable} already`, {
      subject: subjectOf(job),
      cause,
      hint: 'sets that are merged, and rows that are kept, need keys of their own: mend them and run `skytools londiste resync`, which copies all sets of the table again; or let the rows that are copied overwrite (add-table --skip-truncate, copy --keep)',
    });
  }
}

/** Where chunks go to and come from. */
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
  /** Of the table here: another one after any change of its columns or its key. */
  shape: string;
}

/** The next chunk follows only if one that takes this many times as long as the longest so far would fit. */
const SAFETY = 3;

/**
 * Copies chunks that nobody else is at, one after the other; each one's rows and its mark commit together. Meanwhile the
 * source's table is kept as it is by a transaction there, in which each chunk has a snapshot of its own.
 *
 * @param describe reads the table here; anew where somebody has altered it between two chunks
 * @param forMs no chunk begins after so many milliseconds; the first one does in any case
 * @returns undefined where no chunk is to be had; `collided` where its rows have to be written with care, the next time
 * @throws SourceChanged; BusyError where as many copies are at work as may be
 */
export async function copyChunks(
  place: ChunkPlace,
  job: CopyJob,
  describe: () => Promise<RealTable>,
  forMs: number,
): Promise<CopyResult | 'collided' | undefined> {
  const { source, target, deadline } = place;
  const subject = subjectOf(job);
  const begun = performance.now();
  const sum = { rows: 0, bytes: 0 };
  let chunks = 0;
  let at: Chunk | undefined;
  try {
    return await transaction(
      source,
      async (_source, from: SourceTable) => {
        let known: { shape: string; real: Promise<RealTable> } | undefined;
        const real = ({ shape }: Chunk) => {
          if (known?.shape !== shape) known = { shape, real: describe() };
          return known.real;
        };
        for (let longest = 0, last = begun; ; ) {
          const copied = await copyChunk(place, from, job, real, (chunk) => (at = chunk));
          if (copied === undefined) return chunks === 0 ? undefined : sum;
          chunks++;
          sum.rows += copied.rows;
          sum.bytes += copied.bytes;
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
          if (now - begun >= forMs || !deadline.allows(SAFETY * longest)) return sum;
        }
      },
      {
        begin: (statements) => sourceTable(source, job.sourceTable, `${statements}; ${TEXT_SETTINGS}`),
        readOnly: true,
        deadline,
        statementTimeoutMs: LONGEST_CHUNK_MS,
        subject,
      },
    );
  } catch (error) {
    if (error instanceof BusyError && chunks > 0) return sum;
    if (hasSqlState(error, '40P01')) throw new BusyError(`copy of ${job.destTable}`, { subject });
    if (!hasSqlState(error, '23505')) throw error;
    if (job.ranges !== 'block' || !at || at.collided) throw new KeyTaken(job, error);
    await target.query('update londiste.copy_chunk set collided = true where job_id = $1 and nr = $2', [
      job.id,
      at.nr,
    ]);
    return chunks > 0 ? sum : 'collided';
  }
}

/** @param claimed is told of the chunk before anything is written; @returns undefined where no chunk is to be had */
async function copyChunk(
  { source, target, limit, deadline }: ChunkPlace,
  from: SourceTable,
  job: CopyJob,
  real: (chunk: Chunk) => Promise<RealTable>,
  claimed: (chunk: Chunk) => void,
): Promise<CopyResult | undefined> {
  return transaction(
    target,
    async (_target, chunk: Chunk | undefined): Promise<CopyResult | Closing<CopyResult> | undefined> => {
      if (chunk === undefined) return undefined;
      if (columnsOf(from) !== job.sourceColumns || (job.ranges === 'block' && from.file !== job.sourceFile))
        throw new SourceChanged(job);
      claimed(chunk);
      const copied = await pass(source, from, target, job, await real(chunk), chunk);
      // With the rows: a chunk is copied once, whatever happens.
      return new Closing(
        `update londiste.copy_chunk set done = clock_timestamp(), rows = ${copied.rows}, bytes = ${copied.bytes}
          where job_id = ${job.id} and nr = ${chunk.nr}`,
        () => copied,
      );
    },
    {
      begin: (statements) => claim(target, job, limit, statements),
      deadline,
      statementTimeoutMs: LONGEST_CHUNK_MS,
      subject: subjectOf(job),
    },
  );
}

/**
 * Begins a chunk's transaction in one round trip and locks the chunk: of the plan that the caller knows (another one has
 * another version), and only while the copy goes on.
 *
 * The commit need not wait for the disk: a server that crashes loses rows and mark together, and the chunk is copied again.
 * Nothing elsewhere follows from a chunk before the commit that ends them all, which does wait, and with it all before it.
 *
 * @throws BusyError
 */
async function claim(
  target: pg.Client,
  job: CopyJob,
  limit: number,
  begin: string,
): Promise<Chunk | undefined> {
  const answers = (await target.query(`${begin}; ${TEXT_SETTINGS};
    select set_config('synchronous_commit', 'off', true);
    ${
      // Rows added to those that somebody uses go in like anybody's: foreign keys and triggers are at work.
      job.queue !== null || !job.keepRows
        ? `select londiste.set_session_replication_role('replica', true);`
        : ''
    }
    ${takeSlot(limit)};
    select c.nr, c.lower_key as "lowerKey", c.upper_key as "upperKey", c.lower_block as "lowerBlock",
           c.upper_block as "upperBlock", c.collided,
           concat_ws(' ',
             (select string_agg(format('%s.%s', a.attnum, a.xmin), ' ' order by a.attnum)
                from pg_catalog.pg_attribute a where a.attrelid = r.oid and a.attnum > 0),
             (select i.indexrelid from pg_catalog.pg_index i where i.indrelid = r.oid and i.indisprimary)) as shape
      from londiste.copy_chunk c
      join londiste.copy_job j on j.job_id = c.job_id
      left join londiste.copy_order o on o.job_id = j.job_id
      left join londiste.table_info t on t.queue_name = j.queue_name and t.table_name = j.table_name
      left join pg_catalog.pg_class r on r.oid = to_regclass(${quoteLiteral(quoteQualified(job.destTable))})
     where c.job_id = ${job.id} and c.done is null and j.xmin = ${quoteLiteral(job.version)}::xid
       and coalesce(o.state, t.merge_state) = 'in-copy'
     order by c.nr for no key update of c skip locked limit 1`)) as unknown as pg.QueryResult[];
  const [slot, chunk] = answers.slice(-2) as [pg.QueryResult, pg.QueryResult<Chunk>];
  if (chunk.rows[0] !== undefined && slot.rowCount === 0)
    throw new BusyError('each of the places for copies in this database');
  return chunk.rows[0];
}

async function pass(
  source: pg.Client,
  from: SourceTable,
  target: pg.Client,
  job: CopyJob,
  real: RealTable,
  chunk: Chunk,
): Promise<CopyResult> {
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
  const insert = `insert into ${real.quoted} (${list}) overriding system value select ${list} from pg_temp.londiste_chunk ${conflict}`;
  await keepingAlive(source, () => target.query(insert));
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
    ...(job.newerThan === null ? [] : [`age(xmin) > (select age('${job.newerThan}'::xid))`]),
    ...(job.condition === null ? [] : [`(${job.condition})`]),
  ];
}

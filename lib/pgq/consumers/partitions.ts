import type { ConsumerOfKind } from '../../platform/config.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { fillTemplate } from '../../platform/template.ts';
import type { Client } from '../../postgres/connect.ts';
import {
  quoteColumns,
  quoteIdent,
  quoteLiteral,
  quoteQualified,
  splitQualified,
} from '../../postgres/quote.ts';
import type { TargetTable, TargetTables } from './target-tables.ts';

export type PartitionOptions = NonNullable<ConsumerOfKind<'table-dispatcher'>['partition']>;

/** As many parts as tell one partition from the next. */
const NAMES: Record<PartitionOptions['every'], string> = {
  hour: '{table}_{year}_{month}_{day}_{hour}',
  day: '{table}_{year}_{month}_{day}',
  month: '{table}_{year}_{month}',
  year: '{table}_{year}',
};

/** PostgreSQL cuts longer names without a word (NAMEDATALEN - 1), in bytes. */
const LONGEST_NAME = 63;

interface Period {
  year: string;
  month: string;
  day: string;
  hour: string;
  /** First moment, as the partition key's type writes it. */
  from: string;
  /** First moment after it. */
  to: string;
}

/** The partitions of one table, by time in UTC, each made in the caller's transaction when it is first asked for. */
export class Partitions {
  readonly #client: Client;
  readonly #parent: TargetTable;
  readonly #options: PartitionOptions;
  /** Type of the times that decide. */
  readonly #type: string;
  readonly #present = new Set<string>();

  private constructor(client: Client, parent: TargetTable, options: PartitionOptions) {
    this.#client = client;
    this.#parent = parent;
    this.#options = options;
    this.#type = options.field === undefined ? 'timestamp with time zone' : parent.types.get(options.field)!;
  }

  /** @throws SkytoolsError APPLY_TABLE_MISSING, APPLY_COLUMN_MISSING */
  static async of(
    client: Client,
    tables: TargetTables,
    parent: string,
    options: PartitionOptions,
  ): Promise<Partitions> {
    const columns = options.field === undefined ? [] : [options.field];
    return new Partitions(client, await tables.find(parent, columns), options);
  }

  /**
   * Name (`schema.table`) of the partition for each time.
   *
   * @throws SkytoolsError PARTITION_NO_TIME, PARTITION_NAME_TOO_LONG
   */
  async forTimes(times: readonly (string | null | undefined)[]): Promise<string[]> {
    const distinct = [...new Set(times)].map((time) => {
      if (time === null || time === undefined) throw this.#noTime();
      return time;
    });
    const periods = await this.#periods(distinct);
    const names = new Map<string, string>();
    for (const [index, time] of distinct.entries()) {
      const period = periods[index]!;
      const name = this.#nameOf(period);
      await this.#ensure(name, period);
      names.set(time, name);
    }
    return times.map((time) => names.get(time!)!);
  }

  /** Periods are those of UTC, so that a partition does not depend on who writes it. */
  async #periods(times: readonly string[]): Promise<Period[]> {
    const zoned = this.#type === 'timestamp with time zone';
    const local = zoned ? `v.time::timestamptz at time zone 'UTC'` : 'v.time::timestamp';
    const bound = (expression: string) =>
      zoned ? `((${expression}) at time zone 'UTC')::text` : `(${expression})::text`;
    const { every } = this.#options;
    const { rows } = await this.#client.query<Period>(
      `select to_char(p.start, 'YYYY') as year, to_char(p.start, 'MM') as month, to_char(p.start, 'DD') as day,
              to_char(p.start, 'HH24') as hour,
              ${bound('p.start')} as "from", ${bound(`p.start + interval '1 ${every}'`)} as "to"
         from unnest($1::text[]) with ordinality as v (time, place),
              lateral (select date_trunc('${every}', ${local}) as start) p
        order by v.place`,
      [times],
    );
    return rows;
  }

  #nameOf(period: Period): string {
    const { schema, name: table } = splitQualified(this.#parent.name);
    const name = fillTemplate(this.#options.name ?? NAMES[this.#options.every], { ...period, table });
    if (Buffer.byteLength(name) > LONGEST_NAME) {
      throw new SkytoolsError('PARTITION_NAME_TOO_LONG', `the name of partition ${name} is too long`, {
        subject: { table: this.#parent.name },
        hint: `choose a shorter one with "name" under "partition": PostgreSQL keeps ${LONGEST_NAME} bytes`,
      });
    }
    return `${schema}.${name}`;
  }

  async #ensure(name: string, period: Period): Promise<void> {
    if (this.#present.has(name)) return;
    if (!(await this.#exists(name))) {
      // Two loaders of one table: whoever comes second waits here, and sees what the first one made.
      await this.#client.query(`select pg_advisory_xact_lock(hashtext('skytools.partition'), hashtext($1))`, [
        name,
      ]);
      if (!(await this.#exists(name))) await this.#client.query(await this.#creation(name, period));
    }
    this.#present.add(name);
  }

  async #exists(name: string): Promise<boolean> {
    const { rows } = await this.#client.query<{ found: boolean }>(
      'select to_regclass($1) is not null as found',
      [quoteQualified(name)],
    );
    return rows[0]!.found;
  }

  /** Statements that make a partition: the configuration's, or the parent's way (partitioned by range, or inherited). */
  async #creation(name: string, { from, to }: Period): Promise<string> {
    const part = quoteQualified(name);
    const { quoted: parent, key, partitioned } = this.#parent;
    if (this.#options.template !== undefined) {
      const pkey = quoteColumns(key);
      return fillTemplate(this.#options.template, {
        part,
        parent,
        pkey,
        from: quoteLiteral(from),
        to: quoteLiteral(to),
      });
    }
    if (partitioned) {
      // Attaching asks for a weaker lock on the parent than CREATE … PARTITION OF: readers and writers go on. Identity
      // belongs to the parent.
      return `create table ${part} (like ${parent} including all excluding identity);
        alter table ${parent} attach partition ${part} for values from (${quoteLiteral(from)}) to (${quoteLiteral(to)})`;
    }
    const { field } = this.#options;
    const check =
      field === undefined
        ? ''
        : `, check (${quoteIdent(field)} >= ${quoteLiteral(from)} and ${quoteIdent(field)} < ${quoteLiteral(to)})`;
    return `create table ${part} (like ${parent} including all${check}); alter table ${part} inherit ${parent}`;
  }

  #noTime(): SkytoolsError {
    const { field } = this.#options;
    return new SkytoolsError(
      'PARTITION_NO_TIME',
      `a row of ${this.#parent.name} has no time to choose its partition by`,
      {
        subject: { table: this.#parent.name, ...(field === undefined ? {} : { column: field }) },
        hint: 'give the column a value at the source, or partition by time: event',
      },
    );
  }
}

import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteLiteral, quoteQualified } from '../../postgres/quote.ts';

export interface SourceColumn {
  column: string;
  /** Without a length. */
  type: string;
  /** Its binary form means the same in another database: no object ids in it. */
  portable: boolean;
  generated: boolean;
}

/** A table, or anything with rows, as its own database describes it. */
export interface SourceTable {
  /** Quoted and qualified. */
  quoted: string;
  /** `only ` where its rows are its own: not for partitioned tables and views. */
  only: string;
  /** An ordinary table, whose rows lie in numbered blocks. */
  heap: boolean;
  columns: SourceColumn[];
  /** Columns of the primary key in its order; empty without one. */
  key: string[];
  /** Without indexes; of a partitioned table, all its partitions. Zero for a view. */
  bytes: bigint;
  blocks: bigint;
  /** Number of the file: another one after a rewrite (VACUUM FULL, CLUSTER, some ALTER TABLE, TRUNCATE). */
  file: bigint | null;
}

/** The settings under which values become text, and text values: those of the two databases may differ. */
export const TEXT_SETTINGS = `select set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'postgres', true),
  set_config('extra_float_digits', '3', true), set_config('bytea_output', 'hex', true), set_config('timezone', 'UTC', true)`;

const describe = (quoted: string): string => `select c.relkind as kind,
            coalesce((select sum(pg_table_size(p.relid)) from pg_partition_tree(c.oid) p
                       where c.relkind = 'p'), pg_table_size(c.oid))::int8 as bytes,
            (pg_relation_size(c.oid) / current_setting('block_size')::int8) as blocks,
            pg_relation_filenode(c.oid)::int8 as file,
            (select json_agg(json_build_object(
                      'column', a.attname, 'type', format_type(a.atttypid, -1), 'generated', a.attgenerated <> '',
                      'portable', (t.typtype = 'e' or coalesce(nullif(t.typbasetype, 0), t.oid) < 16384)
                        and t.typsend <> 0 and t.typreceive <> 0 and format_type(t.oid, null) !~ '^reg') order by a.attnum)
               from pg_catalog.pg_attribute a
               join pg_catalog.pg_type t on t.oid = a.atttypid
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
            (select array_agg(a.attname::text order by o.n)
               from pg_catalog.pg_index i
              cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality o (attnum, n)
               join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = o.attnum
              where i.indrelid = c.oid and i.indisprimary and i.indisvalid) as key
       from pg_catalog.pg_class c where c.oid = to_regclass(${quoteLiteral(quoted)})`;

interface Described extends Pick<SourceTable, 'bytes' | 'blocks' | 'file' | 'columns'> {
  kind: string;
  key: string[] | null;
}

/**
 * Describes a table, view or partitioned table and keeps it as it is until the transaction ends. One round trip.
 *
 * @param begin statements to send before
 * @throws SkytoolsError COPY_SOURCE_MISSING
 */
export async function sourceTable(client: Client, name: string, begin?: string): Promise<SourceTable> {
  const quoted = quoteQualified(name);
  let answers: pg.QueryResult[];
  try {
    // A query without rows locks whatever it names, against a rewrite between the description and the rows.
    const statements = [...(begin === undefined ? [] : [begin]), `select from ${quoted} where false`];
    answers = [await client.query([...statements, describe(quoted)].join('; '))].flat();
  } catch (error) {
    if (!hasSqlState(error, '42P01', '3F000')) throw error;
    throw new SkytoolsError('COPY_SOURCE_MISSING', `there is no table ${name} at the source`, {
      cause: error,
      subject: { table: name },
      hint: 'check the name and its schema; without a dot it is in public',
    });
  }
  const { kind, key, ...found } = (answers.at(-1) as pg.QueryResult<Described>).rows[0]!;
  return { ...found, quoted, only: kind === 'r' ? 'only ' : '', heap: kind === 'r', key: key ?? [] };
}

/** Names and types of the columns: what must not change between two chunks. */
export const columnsOf = (table: SourceTable): string =>
  JSON.stringify(table.columns.map(({ column, type }) => [column, type]));

import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { quoteColumns, quoteIdent, quoteQualified, splitQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';

/**
 * Makes a table here like the provider's: its columns (name, type, collation, NOT NULL, generation) and its primary key. One
 * that is there already is left alone.
 *
 * @throws SkytoolsError LONDISTE_TABLE_MISSING where the provider has no such table
 */
export async function createLikeProvider(
  provider: pg.Client,
  client: pg.Client,
  source: string,
  dest: string,
): Promise<boolean> {
  const there = await client.query('select from pg_catalog.pg_class where oid = to_regclass($1)', [
    quoteQualified(dest),
  ]);
  if (there.rowCount !== 0) return false;
  const { rows } = await provider.query<{ definition: string; key: string[] | null }>(
    `select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
            || coalesce(' collate ' || (select quote_ident(n.nspname) || '.' || quote_ident(l.collname)
                                          from pg_catalog.pg_collation l
                                          join pg_catalog.pg_namespace n on n.oid = l.collnamespace
                                         where l.oid = a.attcollation and l.collname <> 'default'
                                           and a.attcollation <> t.typcollation), '')
            || case a.attgenerated when 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
                                   else '' end
            || case when a.attnotnull then ' not null' else '' end as definition,
            (select array_agg(k.attname::text order by o.n)
               from pg_catalog.pg_index i
              cross join lateral unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality o (attnum, n)
               join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = o.attnum
              where i.indrelid = a.attrelid and i.indisprimary) as key
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_type t on t.oid = a.atttypid
       left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
      order by a.attnum`,
    [quoteQualified(source)],
  );
  if (rows.length === 0) {
    throw new SkytoolsError('LONDISTE_TABLE_MISSING', `the provider has no table ${source}`, {
      subject: { table: source },
      hint: 'create it there, or take it out of the set there',
    });
  }
  const key = rows[0]!.key;
  const parts = [
    ...rows.map((row) => row.definition),
    ...(key ? [`primary key (${quoteColumns(key)})`] : []),
  ];
  await transaction(client, async () => {
    const { schema } = splitQualified(dest);
    await client.query(`create schema if not exists ${quoteIdent(schema)}`);
    await client.query(`create table ${quoteQualified(dest)} (${parts.join(', ')})`);
  });
  return true;
}

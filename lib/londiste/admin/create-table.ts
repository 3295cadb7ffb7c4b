import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { toSkytoolsError } from '../../postgres/errors.ts';
import { quoteIdent, quoteLiteral, quoteQualified, splitQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import { typeStatements } from './create-types.ts';

/** `plain`: columns and primary key, with the types they need; `full`: everything that belongs to the table but triggers. */
export type Likeness = 'plain' | 'full';

/** What was made, and what could not be. */
export interface Created {
  created: boolean;
  /** Grants, owners and foreign keys that this database has no role, right or table for. */
  left: string[];
}

interface Relation {
  oid: number;
  kind: string;
  /** Qualified, as the server prints it. */
  name: string;
  owner: string;
  partitionBy: string | null;
  options: string | null;
  comment: string | null;
}

/** Statements, and those that may fail: roles, rights and other tables are not the same everywhere. */
interface Script {
  must: string[];
  may: string[];
}

/**
 * Makes a table here like one elsewhere. One that is there already is left alone. `full` makes columns, defaults, identity
 * and generated columns, sequences of defaults, constraints, indexes, partitions, comments, grants and the owner.
 *
 * @param source name there
 * @param dest name here
 * @throws SkytoolsError LONDISTE_TABLE_MISSING where there is no such table
 */
export async function createLike(
  provider: pg.Client,
  client: pg.Client,
  source: string,
  dest: string,
  likeness: Likeness,
): Promise<Created> {
  const there = await client.query('select from pg_catalog.pg_class where oid = to_regclass($1)', [
    quoteQualified(dest),
  ]);
  if (there.rowCount !== 0) return { created: false, left: [] };
  const script = await transaction(
    provider,
    async () => {
      // Every name that the server prints is qualified then.
      await provider.query(`select set_config('search_path', 'pg_catalog', true)`);
      return new Description(provider, source, dest, likeness).script();
    },
    { isolation: 'repeatable read', readOnly: true },
  );
  const left: string[] = [];
  await transaction(client, async () => {
    for (const { name, schema, statement } of script.types) {
      const known = await client.query('select where to_regtype($1) is not null', [name]);
      if (known.rowCount !== 0) continue;
      await client.query(`create schema if not exists ${quoteIdent(schema)}`);
      await client.query(statement);
    }
    for (const schema of script.schemas)
      await client.query(`create schema if not exists ${quoteIdent(schema)}`);
    for (const statement of script.must) await client.query(statement);
    left.push(...(await tryEach(client, script.may)));
  });
  return { created: true, left };
}

/**
 * Runs, within a transaction, statements that may fail: roles and rights are not the same everywhere.
 *
 * @returns those that failed, and why
 */
export async function tryEach(client: Client, statements: readonly string[]): Promise<string[]> {
  const failed: string[] = [];
  for (const statement of statements) {
    await client.query('savepoint optional');
    try {
      await client.query(statement);
    } catch (error) {
      await client.query('rollback to savepoint optional');
      failed.push(`${statement}: ${toSkytoolsError(error).message}`);
    }
    await client.query('release savepoint optional');
  }
  return failed;
}

/**
 * The grants that others than the owner have on a table or sequence and its columns.
 *
 * @param dest quoted name that the statements are for
 */
export async function grantsOf(client: Client, oid: number, dest: string): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('grant %s%s on %s to %s%s', g.privilege_type, g.columns, $2::text,
                   case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                   case when g.is_grantable then ' with grant option' else '' end) as statement
       from (select x.*, '' as columns from pg_class c, aclexplode(c.relacl) x where c.oid = $1 and x.grantee <> c.relowner
             union all
             select x.*, ' (' || quote_ident(a.attname) || ')' from pg_attribute a, aclexplode(a.attacl) x
              where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped) g
      order by 1`,
    [oid, dest],
  );
  return rows.map((row) => row.statement);
}

class Description {
  readonly #client: Client;
  readonly #source: string;
  readonly #dest: string;
  readonly #full: boolean;
  /** Under another name its indexes and constraints cannot have their names: the server finds some. */
  readonly #renamed: boolean;

  constructor(client: Client, source: string, dest: string, likeness: Likeness) {
    this.#client = client;
    this.#source = source;
    this.#dest = quoteQualified(dest);
    this.#full = likeness === 'full';
    this.#renamed = source !== dest;
  }

  async script(): Promise<Script & { types: Awaited<ReturnType<typeof typeStatements>>; schemas: string[] }> {
    const relation = await this.#relation(quoteQualified(this.#source));
    if (relation === undefined) {
      throw new SkytoolsError('LONDISTE_TABLE_MISSING', `the provider has no table ${this.#source}`, {
        subject: { table: this.#source },
        hint: 'create it there, or take it out of the set there',
      });
    }
    const used = await this.#client.query<{ oid: number }>(
      'select distinct atttypid::int8::int4 as oid from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped',
      [relation.oid],
    );
    const script: Script = { must: [], may: [] };
    const schemas = new Set([splitUnquoted(this.#dest)]);
    if (this.#full) {
      for (const { schema, statement } of await this.#sequences(relation)) {
        schemas.add(schema);
        script.must.push(statement);
      }
    }
    const partitioned = this.#full && relation.partitionBy !== null;
    const columns = await this.#columns(relation);
    script.must.push(
      `create table ${this.#dest} (${columns.join(', ')})${partitioned ? ` partition by ${relation.partitionBy}` : ''}${this.#full ? (relation.options ?? '') : ''}`,
    );
    if (partitioned) script.must.push(...(await this.#partitions(relation, this.#dest)));
    await this.#constraints(relation, script);
    if (this.#full) {
      await this.#indexes(relation, script);
      await this.#comments(relation, script);
      await this.#rights(relation, script);
    }
    return {
      ...script,
      types: await typeStatements(
        this.#client,
        used.rows.map((row) => row.oid),
      ),
      schemas: [...schemas],
    };
  }

  async #relation(quoted: string): Promise<Relation | undefined> {
    const { rows } = await this.#client.query<Relation>(
      `select c.oid::int8::int4 as oid, c.relkind as kind, c.oid::regclass::text as name, pg_get_userbyid(c.relowner) as owner,
              pg_get_partkeydef(c.oid) as "partitionBy",
              ' with (' || array_to_string(c.reloptions, ', ') || ')' as options, obj_description(c.oid, 'pg_class') as comment
         from pg_class c where c.oid = to_regclass($1)`,
      [quoted],
    );
    return rows[0];
  }

  async #columns(relation: Relation): Promise<string[]> {
    const { rows } = await this.#client.query<{
      definition: string;
      default: string | null;
      identity: string | null;
    }>(
      `select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
              || coalesce(' collate ' || (select a.attcollation::regcollation::text where a.attcollation <> t.typcollation), '')
              || case a.attgenerated when 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
                                     when 'v' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ')'
                                     else '' end
              || case when a.attnotnull then ' not null' else '' end as definition,
              case when a.attgenerated = '' then ' default ' || pg_get_expr(d.adbin, d.adrelid) end as default,
              case when a.attidentity <> '' then format(
                ' generated %s as identity (start with %s increment by %s minvalue %s maxvalue %s cache %s%s)',
                case a.attidentity when 'a' then 'always' else 'by default' end, q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
                q.seqcache, case when q.seqcycle then ' cycle' else '' end) end as identity
         from pg_attribute a
         join pg_type t on t.oid = a.atttypid
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         left join pg_depend p on p.classid = 'pg_class'::regclass and p.refclassid = 'pg_class'::regclass
          and p.refobjid = a.attrelid and p.refobjsubid = a.attnum and p.deptype = 'i' and a.attidentity <> ''
         left join pg_sequence q on q.seqrelid = p.objid
        where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
        order by a.attnum`,
      [relation.oid],
    );
    return rows.map((row) =>
      this.#full ? `${row.definition}${row.identity ?? row.default ?? ''}` : row.definition,
    );
  }

  /** Sequences that defaults call. */
  async #sequences(relation: Relation): Promise<{ schema: string; statement: string }[]> {
    const { rows } = await this.#client.query<{ schema: string; statement: string }>(
      `select distinct n.nspname as schema, format(
                'create sequence if not exists %s as %s start with %s increment by %s minvalue %s maxvalue %s cache %s%s',
                s.oid::regclass, format_type(q.seqtypid, null), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
                case when q.seqcycle then ' cycle' else '' end) as statement
         from pg_attrdef d
         join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_class'::regclass
         join pg_class s on s.oid = p.refobjid and s.relkind = 'S'
         join pg_namespace n on n.oid = s.relnamespace
         join pg_sequence q on q.seqrelid = s.oid
        where d.adrelid = $1`,
      [relation.oid],
    );
    return rows;
  }

  /** Partitions under their own names, of whatever depth. */
  async #partitions(parent: Relation, parentName: string): Promise<string[]> {
    const { rows } = await this.#client.query<{ name: string; bound: string }>(
      `select c.oid::regclass::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
         from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = $1 order by c.oid`,
      [parent.oid],
    );
    const statements: string[] = [];
    for (const { name, bound } of rows) {
      const relation = (await this.#relation(name))!;
      const by = relation.partitionBy === null ? '' : ` partition by ${relation.partitionBy}`;
      statements.push(
        `create table ${name} partition of ${parentName} ${bound}${by}${relation.options ?? ''}`,
        ...(await this.#partitions(relation, name)),
      );
    }
    return statements;
  }

  async #constraints(relation: Relation, script: Script): Promise<void> {
    const { rows } = await this.#client.query<{
      name: string;
      kind: string;
      definition: string;
      comment: string | null;
    }>(
      `select quote_ident(k.conname) as name, k.contype as kind, pg_get_constraintdef(k.oid) as definition,
              obj_description(k.oid, 'pg_constraint') as comment
         from pg_constraint k
        where k.conrelid = $1 and k.contype = any ($2) and k.conislocal
        order by k.contype <> 'p', k.contype = 'f', k.oid`,
      [relation.oid, this.#full ? ['p', 'u', 'x', 'c', 'f'] : ['p']],
    );
    for (const { name, kind, definition, comment } of rows) {
      const named = !this.#full || (this.#renamed && kind !== 'c') ? '' : `constraint ${name} `;
      (kind === 'f' ? script.may : script.must).push(`alter table ${this.#dest} add ${named}${definition}`);
      if (comment !== null && named !== '' && this.#full && kind !== 'f')
        script.must.push(`comment on constraint ${name} on ${this.#dest} is ${quoteLiteral(comment)}`);
    }
  }

  /** Indexes of the table, and those that a partition has for itself. */
  async #indexes(relation: Relation, script: Script): Promise<void> {
    const { rows } = await this.#client.query<{
      name: string;
      qualified: string;
      table: string;
      own: boolean;
      definition: string;
      comment: string | null;
    }>(
      `select quote_ident(c.relname) as name, c.oid::regclass::text as qualified, i.indrelid::regclass::text as table,
              i.indrelid = $1 as own, pg_get_indexdef(c.oid) as definition, obj_description(c.oid, 'pg_class') as comment
         from pg_index i
         join pg_class c on c.oid = i.indexrelid
        where (i.indrelid = $1 or i.indrelid in (select relid from pg_partition_tree($1)))
          and not exists (select from pg_constraint k where k.conindid = c.oid and k.contype in ('p', 'u', 'x'))
          and not c.relispartition
        order by c.oid`,
      [relation.oid],
    );
    for (const { name, qualified, table, own, definition, comment } of rows) {
      const place = ` ON ${definition.includes(` ON ONLY ${table} `) ? 'ONLY ' : ''}${table} `;
      const renamed = own && this.#renamed;
      const named = renamed ? definition.replace(`INDEX ${name} ON`, 'INDEX ON') : definition;
      // Without ONLY an index of a partitioned table is made on its partitions as well.
      script.must.push(
        renamed
          ? named.replace(place, ` ON ${this.#dest} `)
          : named.replace(place, ` ON ${own ? this.#dest : table} `),
      );
      if (comment !== null && !renamed)
        script.must.push(`comment on index ${qualified} is ${quoteLiteral(comment)}`);
    }
  }

  async #comments(relation: Relation, script: Script): Promise<void> {
    if (relation.comment !== null)
      script.must.push(`comment on table ${this.#dest} is ${quoteLiteral(relation.comment)}`);
    const { rows } = await this.#client.query<{ name: string; comment: string }>(
      `select quote_ident(a.attname) as name, d.description as comment
         from pg_attribute a join pg_description d on d.objoid = a.attrelid and d.objsubid = a.attnum
          and d.classoid = 'pg_class'::regclass
        where a.attrelid = $1 and a.attnum > 0 order by a.attnum`,
      [relation.oid],
    );
    for (const { name, comment } of rows)
      script.must.push(`comment on column ${this.#dest}.${name} is ${quoteLiteral(comment)}`);
  }

  async #rights(relation: Relation, script: Script): Promise<void> {
    script.may.push(...(await grantsOf(this.#client, relation.oid, this.#dest)));
    const owned = await this.#client.query<{ statement: string }>(
      `select format('alter sequence %s owned by %s.%I', s.oid::regclass, $2::text, a.attname) as statement
         from pg_depend p
         join pg_class s on s.oid = p.objid and s.relkind = 'S'
         join pg_attribute a on a.attrelid = p.refobjid and a.attnum = p.refobjsubid
        where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_class'::regclass and p.refobjid = $1 and p.deptype = 'a'`,
      [relation.oid, this.#dest],
    );
    script.may.push(...owned.rows.map((row) => row.statement));
    // Last: its new owner may not let us change it.
    script.may.push(`alter table ${this.#dest} owner to ${quoteIdent(relation.owner)}`);
  }
}

/** The schema of a name that quoteQualified has made. */
const splitUnquoted = (quoted: string) =>
  splitQualified(quoted).schema.replace(/^"|"$/g, '').replaceAll('""', '"');

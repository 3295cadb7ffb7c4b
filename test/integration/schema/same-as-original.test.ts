import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { install } from '../../../lib/schema/install.ts';
import { ClassicPgq, missingClassicParts } from '../../support/classic-pgq.ts';

const missing = missingClassicParts();
if (missing.length > 0)
  console.error(`LEFT OUT: comparison with the original's pgq, pgq_node and londiste: ${missing.join(', ')}`);

/** Calls as administrators, workers and mistaken people make them. */
const CALLS = path.join(import.meta.dirname, 'original');

/** Oids above are of this database's own types. */
const FIRST_OWN_OID = 16_384;

const SCHEMAS = `any (array['pgq', 'pgq_node', 'londiste']::regnamespace[])`;

/** Functions with their arguments, defaults and results; what they do with NULL, and with whose rights. */
const FUNCTIONS = `
  select concat_ws(' ', p.oid::regprocedure, pg_get_function_arguments(p.oid), '->', pg_get_function_result(p.oid),
                   case when p.proisstrict then 'strict' end, case when p.prosecdef then 'security definer' end) as line
    from pg_proc p where p.pronamespace = ${SCHEMAS} and p.prokind = 'f' order by 1`;

const COLUMNS = `
  select a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
         || case when a.attnotnull then ' not null' else '' end || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
    from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where c.relnamespace = ${SCHEMAS} and a.attnum > 0 and not a.attisdropped
   order by c.relname, a.attnum`;

/** A condition may be written in several ways. */
const CONSTRAINTS = `
  select k.conrelid::regclass || ' ' || k.conname || ' '
         || case k.contype when 'c' then 'check' else pg_get_constraintdef(k.oid) end as line
    from pg_constraint k where k.connamespace = ${SCHEMAS}
     and k.contype <> 'n' order by 1`;

const INDEXES = `
  select pg_get_indexdef(i.indexrelid) as line from pg_index i join pg_class c on c.oid = i.indexrelid
   where c.relnamespace = ${SCHEMAS} order by 1`;

const SEQUENCES = `
  select s.seqrelid::regclass || ' ' || s.seqtypid::regtype || ' ' || s.seqstart || ' ' || s.seqincrement as line
    from pg_sequence s join pg_class c on c.oid = s.seqrelid where c.relnamespace = ${SCHEMAS} order by 1`;

/** Which role may do what. */
const GRANTS = `
  select o.object || ' ' || o.privilege || ' ' || r.rolname as line
    from (select p.oid::regprocedure::text as object, x.privilege_type as privilege, x.grantee
            from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
           where p.pronamespace = ${SCHEMAS}
          union all
          select c.oid::regclass::text, x.privilege_type, x.grantee from pg_class c, aclexplode(c.relacl) x
           where c.relnamespace = ${SCHEMAS} and c.relkind = 'r') o
    cross join lateral (select rolname from pg_roles where oid = o.grantee
                        union all select 'public' where o.grantee = 0) r
   where r.rolname <> 'postgres' order by 1`;

/** Lines of the original's catalogue that are left out on purpose. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'londiste.local_change_handler(text,text,text[],text) EXECUTE public':
    'forgotten by the original, which gives its siblings to londiste_writer only',
  'londiste.set_session_replication_role(text,boolean) val text, is_local boolean -> void security definer':
    "tries with the caller's rights before the owner's",
};

/**
 * Everything that calls leave behind, but for generated numbers, times, definitions of keys and functions of TRUNCATE triggers,
 * which the calls show.
 */
const STATE = `
  with own as (select oid from pg_namespace where nspname ~ '^(pg_|pgq|londiste$|information_schema$|skytools$|walmgr$)')
  select 'location' as kind, to_jsonb(l)::text as line from pgq_node.node_location l
  union all select 'node', to_jsonb(n)::text from pgq_node.node_info n
  union all select 'consumer of a node', to_jsonb(s)::text from pgq_node.local_state s
  union all select 'subscriber', to_jsonb(s)::text from pgq_node.subscriber_info s
  union all select 'table', (to_jsonb(t) || jsonb_build_object('nr', rank() over (order by t.nr)))::text from londiste.table_info t
  union all select 'sequence', (to_jsonb(s) || jsonb_build_object('nr', rank() over (order by s.nr)))::text from londiste.seq_info s
  union all select 'script', (to_jsonb(e) - 'execute_time')::text from londiste.applied_execute e
  union all select 'pending key', (to_jsonb(f) - 'fkey_def')::text from londiste.pending_fkeys f
  union all select 'queue', concat_ws(' ', queue_name, queue_external_ticker, queue_disable_insert) from pgq.queue
  union all select 'subscription', concat_ws(' ', queue_name, co_name, sub_last_tick, sub_batch)
    from pgq.subscription join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer
  union all select 'consumer', co_name from pgq.consumer
  union all select 'tick', concat_ws(' ', queue_name, tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue
  union all select 'event', concat_ws(' | ', tableoid::regclass, ev_type, ev_retry, coalesce(ev_data, 'NULL'), coalesce(ev_extra1, 'NULL'),
                                      coalesce(ev_extra2, 'NULL'), coalesce(ev_extra3, 'NULL'), coalesce(ev_extra4, 'NULL'))
    from pgq.event_template
  union all select 'relation', concat_ws(' ', c.oid::regclass, c.relkind, pg_get_userbyid(c.relowner))
    from pg_class c where c.relnamespace not in (select oid from own)
  union all select 'grant', concat_ws(' ', c.oid::regclass, x.grantee::regrole, x.privilege_type, x.is_grantable)
    from pg_class c, aclexplode(c.relacl) x where c.relnamespace not in (select oid from own) and x.grantee <> c.relowner
  union all select 'trigger', concat_ws(' ', case when t.tgtype & 32 = 0 then pg_get_triggerdef(t.oid) else t.tgrelid::regclass::text end,
                                        t.tgname, t.tgenabled)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace not in (select oid from own) and not t.tgisinternal
  union all select 'constraint', concat_ws(' ', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
    from pg_constraint k where k.connamespace not in (select oid from own) and k.contype <> 'n'
  union all select 'rule', pg_get_ruledef(r.oid)
    from pg_rewrite r join pg_class c on c.oid = r.ev_class where c.relnamespace not in (select oid from own)
  order by 1, 2`;

interface Call {
  query: string;
  /** Why the answer differs from the original's on purpose. Such a call is undone at once, on both sides. */
  better: string | undefined;
  /** The test of taking over does so before this call. */
  takeOver: boolean;
}

/** The calls of a file, one to a line. Comments `better: reason` and `take over` are of the call that follows. */
function callsOf(file: string): Call[] {
  const calls: Call[] = [];
  let remarks: string[] = [];
  for (const line of readFileSync(path.join(CALLS, file), 'utf8').split('\n')) {
    if (line.startsWith('--')) remarks.push(line.slice(3));
    else if (line !== '') {
      const better = remarks.find((remark) => remark.startsWith('better: '));
      calls.push({ query: line, better, takeOver: remarks.includes('take over') });
      remarks = [];
    }
  }
  return calls;
}

const TIMESTAMPTZ = 1184;

/** Columns that hold a time, a transaction id or what is made of them: no two calls agree on these. */
const varies = ({ name, dataTypeID }: pg.FieldDef) =>
  dataTypeID === TIMESTAMPTZ ||
  /^(lag|last_seen|ticker_lag|ev_per_sec)$|txid|snapshot|switch_step/.test(name);

/** A message without the transaction ids in it. */
const withoutIds = (message = '') => message.replaceAll(/=\d+/g, '=*');

/**
 * Names and types of the columns with the rows; or the error; and the warnings. What the original's C functions raise has no
 * code of its own.
 */
async function answer(client: pg.Client, query: string): Promise<unknown> {
  const warnings: string[] = [];
  const warned = ({ severity, message }: { severity?: string | undefined; message?: string | undefined }) => {
    if (severity === 'WARNING') warnings.push(withoutIds(message));
  };
  client.on('notice', warned);
  try {
    const results = [await client.query<unknown[]>({ text: query, rowMode: 'array' })].flat();
    return results.map(({ fields, rows }) => ({
      columns: fields.map(
        ({ name, dataTypeID }) => `${name} ${dataTypeID < FIRST_OWN_OID ? dataTypeID : ''}`,
      ),
      rows: rows.map((row) =>
        row.map((value, i) => (value !== null && varies(fields[i]!) ? 'varies' : value)),
      ),
      warnings,
    }));
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    return `${code === 'XX000' ? 'P0001' : code} ${withoutIds(message)}`;
  } finally {
    client.off('notice', warned);
  }
}

async function answerAndUndo(client: pg.Client, query: string): Promise<unknown> {
  await client.query('begin');
  const given = await answer(client, query);
  await client.query('rollback');
  return given;
}

describe.skipIf(missing.length > 0)('pgq, pgq_node and londiste beside the original of Debian', () => {
  let classic: ClassicPgq;
  let original: pg.Client;
  let ours: pg.Client;

  beforeAll(async () => {
    classic = await ClassicPgq.start();
    const theirs = await classic.database('original');
    for (const name of ['pgq', 'pgq_node', 'londiste']) await theirs.query(`create extension ${name}`);
    const own = await classic.database('ours');
    await install(own, { version: 'test' });
    await Promise.all([theirs.end(), own.end()]);
    [original, ours] = await bothSides('catalogue');
  });
  afterAll(() => classic?.stop());

  const bothSides = async (name: string): Promise<[original: pg.Client, ours: pg.Client]> => [
    await classic.database(`original_${name}`, 'original'),
    await classic.database(`ours_${name}`, 'ours'),
  ];

  const lines = async (client: pg.Client, query: string) =>
    (await client.query<{ line: string }>(query)).rows.map(({ line }) => line);

  test.each([
    ['function', FUNCTIONS],
    ['column', COLUMNS],
    ['constraint', CONSTRAINTS],
    ['index', INDEXES],
    ['sequence', SEQUENCES],
    ['grant', GRANTS],
  ])('every %s of the original is here', async (_what, query) => {
    const here = new Set(await lines(ours, query));
    const lacking = (await lines(original, query)).filter((line) => !here.has(line));
    expect(lacking.filter((line) => !(line in LEFT_OUT))).toEqual([]);
  });

  test('nobody may do more than in the original', async () => {
    const theirs = new Set(await lines(original, GRANTS));
    const objects = new Set([...theirs].map((line) => line.split(' ')[0]));
    const more = (await lines(ours, GRANTS)).filter(
      (line) => objects.has(line.split(' ')[0]!) && !theirs.has(line),
    );
    // Everybody, in the original.
    expect(more).toEqual(['londiste.local_change_handler(text,text,text[],text) EXECUTE londiste_writer']);
  });

  test.each(readdirSync(CALLS))(
    'every call of %s is answered as by the original, and leaves the same behind',
    async (file) => {
      const [theirs, own] = await bothSides(file.replace(/\W/g, '_'));
      const differences: unknown[] = [];
      for (const { query, better } of callsOf(file)) {
        const ask = better === undefined ? answer : answerAndUndo;
        // one after the other: ticks and rotation look at the transactions of the whole server
        const theirAnswer = await ask(theirs, query);
        const ourAnswer = await ask(own, query);
        if (isDeepStrictEqual(theirAnswer, ourAnswer) === (better === undefined)) continue;
        differences.push({ query, better, theirAnswer, ourAnswer });
      }
      expect.soft(differences).toEqual([]);
      expect.soft((await own.query(STATE)).rows).toEqual((await theirs.query(STATE)).rows);
    },
  );

  const sayWhereToTakeOver = readdirSync(CALLS).filter((file) => callsOf(file).some((call) => call.takeOver));

  test.runIf(process.env.SKYTOOLS_TEST_LONG === '1').each(sayWhereToTakeOver)(
    'an installation of the original that is taken over amid %s goes on as before',
    async (file) => {
      const name = file.replace(/\W/g, '_');
      const theirs = await classic.database(`kept_${name}`, 'original');
      const own = await classic.database(`taken_${name}`, 'original');
      const differences: unknown[] = [];
      for (const { query, better, takeOver } of callsOf(file)) {
        if (takeOver) await install(own, { version: 'test' });
        if (better !== undefined) continue;
        const theirAnswer = await answer(theirs, query);
        const ourAnswer = await answer(own, query);
        if (!isDeepStrictEqual(theirAnswer, ourAnswer)) differences.push({ query, theirAnswer, ourAnswer });
      }
      expect.soft(differences).toEqual([]);
      expect.soft((await own.query(STATE)).rows).toEqual((await theirs.query(STATE)).rows);
    },
  );
});

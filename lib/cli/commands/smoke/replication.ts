import type pg from 'pg';
import type { JobMessage } from '../../../jobs/messages.ts';
import { createNode, members } from '../../../londiste/admin/create-node.ts';
import { dropNode } from '../../../londiste/admin/node.ts';
import { addTable, removeTable, tableStatus } from '../../../londiste/admin/tables.ts';
import { configureQueue } from '../../../pgq/queues.ts';
import { SkytoolsError } from '../../../platform/errors.ts';
import { type SmokeScope, seconds } from './scope.ts';

const SET = 'skytools_smoke_set';
const SCHEMA = 'skytools_smoke';
const TABLE = `${SCHEMA}.item`;
const ROOT = 'skytools_smoke_root';
const LEAF = 'skytools_smoke_leaf';
const ROWS = 1000;

/**
 * A table is copied from one database to another by the deployed copy function, and changes of every kind are replayed by the
 * replay function until both sides are equal.
 *
 * @throws SkytoolsError SMOKE_TIMEOUT, SMOKE_WRONG
 */
export async function checkReplication(scope: SmokeScope, from: string, to: string): Promise<string> {
  const [provider, subscriber] = [await scope.database(from), await scope.database(to)];
  const wake: JobMessage[] = [from, to].map((database) => ({ v: 1, kind: 'tick', database }));
  await clean(scope, from, to);
  try {
    await provider.query(`create schema ${SCHEMA}`);
    await subscriber.query(`create schema ${SCHEMA}`);
    await provider.query(`create table ${TABLE} (id int4 primary key, label text, at timestamptz not null)`);
    await provider.query(
      `insert into ${TABLE} select n, 'row ' || n, now() from generate_series(1, ${ROWS}) n`,
    );
    await createNode(scope.nodes, provider, { queue: SET, type: 'root', name: ROOT, location: from });
    await configureQueue(provider, SET, { tickerMaxLagSeconds: 0.5 });
    const leaf = { queue: SET, type: 'leaf', name: LEAF, location: to, provider: from } as const;
    await createNode(scope.nodes, subscriber, leaf);
    await addTable(scope.nodes, provider, { queue: SET, table: TABLE });
    scope.step(`set ${SET} with table ${TABLE}, ${ROWS} rows, from ${from} to ${to}`);

    const started = performance.now();
    await scope.until('the leaf hears of the table', wake, async () => {
      const { rows } = await subscriber.query('select 1 from londiste.table_info where queue_name = $1', [
        SET,
      ]);
      return rows.length > 0 ? true : undefined;
    });
    await addTable(scope.nodes, subscriber, { queue: SET, table: TABLE, create: 'plain' });
    await change(provider, 0);
    await scope.until('the deployed copy function copies the table', wake, async () => {
      const tables = await tableStatus(subscriber, SET);
      return tables.length > 0 && tables.every(({ state }) => state === 'ok') ? true : undefined;
    });
    scope.step(`copied by the copy function, and in sync, after ${seconds(started)}`);

    const changed = performance.now();
    await change(provider, ROWS);
    const wanted = await content(provider);
    await scope
      .until('the deployed replay function applies the changes', wake, async () =>
        (await content(subscriber)) === wanted ? true : undefined,
      )
      .catch(async (error: unknown) => {
        if (!(error instanceof SkytoolsError) || error.code !== 'SMOKE_TIMEOUT') throw error;
        throw new SkytoolsError('SMOKE_WRONG', `the table differs between ${from} and ${to}`, {
          cause: error,
          subject: { queue: SET, table: TABLE },
          hint: 'look at the logs of the replay function, and at `skytools londiste status`',
        });
      });
    scope.step(`inserts, updates and deletes replayed by the replay function after ${seconds(changed)}`);
    return `${ROWS} rows copied and ${CHANGES} changes replayed, both sides equal, in ${seconds(started)}`;
  } finally {
    await clean(scope, from, to);
  }
}

/** Rows inserted, updated and deleted by {@link change}. */
const CHANGES = 30;

/** Ten inserts, ten updates and ten deletes. @param offset makes the keys of one call other than another's */
async function change(client: pg.Client, offset: number): Promise<void> {
  const at = offset / 10;
  await client.query(
    `insert into ${TABLE} select n, null, now() from generate_series($1::int, $1::int + 9) n`,
    [ROWS + 1 + offset],
  );
  await client.query(`update ${TABLE} set label = 'changed' where id between $1 and $1 + 9`, [at + 1]);
  await client.query(`delete from ${TABLE} where id between $1 and $1 + 9`, [at + 11]);
}

/** The whole table in one text. */
async function content(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ digest: string | null }>(
    `select md5(string_agg(row(i.*)::text, ';' order by i.id)) as digest from ${TABLE} i`,
  );
  return rows[0]!.digest ?? '';
}

/** Removes what this run, or one that was cut short, has made: leaf first, then root, then tables. */
async function clean(scope: SmokeScope, from: string, to: string): Promise<void> {
  for (const [name, node] of [
    [to, LEAF],
    [from, ROOT],
  ] as const) {
    const client = await scope.database(name);
    const installed = await client.query("select 1 where to_regclass('pgq_node.node_info') is not null");
    if (installed.rowCount === 0) continue;
    const nodes = await client.query('select 1 from pgq_node.node_info where queue_name = $1', [SET]);
    if (nodes.rowCount) {
      for (const { table } of await tableStatus(client, SET))
        await removeTable(scope.nodes, client, SET, table);
      const known = (await members(client, SET)).some(({ node_name }) => node_name === node);
      if (known) await dropNode(scope.nodes, client, SET, node);
    }
    await client.query(`drop schema if exists ${SCHEMA} cascade`);
  }
}

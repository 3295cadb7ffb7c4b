import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { copyBetween } from '../../../lib/postgres/copy.ts';
import { CommitUnknownError, ConnectionError, PostgresError } from '../../../lib/postgres/errors.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { transaction } from '../../../lib/postgres/transaction.ts';
import { WarmConnections } from '../../../lib/postgres/warm.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { type FaultyProxy, startProxy } from '../../support/proxy.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase({ from: 'empty' });
  await database.query('create table item (id int primary key, name text not null)');
});
beforeEach(() => database.query('truncate item'));
afterAll(() => database.drop());

const open = () => connect(database.url);
const count = async () => (await database.query<{ n: number }>('select count(*)::int as n from item'))[0]!.n;

describe('a transaction', () => {
  it('commits what its body did, and rolls back when the body fails', async () => {
    const client = await open();
    await transaction(client, () => client.query(`insert into item values (1, 'a')`));
    await expect(
      transaction(client, async () => {
        await client.query(`insert into item values (2, 'b')`);
        throw new Error('no');
      }),
    ).rejects.toThrow();
    expect(await count()).toBe(1);
    await disconnect(client);
  });

  it('leaves no setting behind on a connection that a pooler lends to others', async () => {
    const client = await open();
    const settings = async () =>
      (
        await client.query(
          `select current_setting('statement_timeout') as s, current_setting('idle_in_transaction_session_timeout') as i`,
        )
      ).rows[0];
    const before = await settings();
    await transaction(client, () => client.query('select 1'), {
      statementTimeoutMs: 1234,
      lockTimeoutMs: 99,
    });
    expect(await settings()).toEqual(before);
    await disconnect(client);
  });

  it('has the server look after its client within a minute: no time-out ends a COPY from one that is gone', async () => {
    const client = await connect(database.directUrl);
    const settings = async () =>
      (
        await client.query(
          `select name, setting::int from pg_settings where name like 'tcp_keepalives%' order by name`,
        )
      ).rows;
    const before = await settings();
    expect(await transaction(client, settings)).toEqual([
      { name: 'tcp_keepalives_count', setting: 4 },
      { name: 'tcp_keepalives_idle', setting: 20 },
      { name: 'tcp_keepalives_interval', setting: 10 },
    ]);
    expect(await settings()).toEqual(before);
    await disconnect(client);
  });

  it('is ended by the server when its statement would run past the deadline', async () => {
    const client = await open();
    const soon = Object.assign(Deadline.after(60_000), { statementTimeoutMs: () => 200 });
    await expect(
      transaction(client, () => client.query('select pg_sleep(300)'), { deadline: soon }),
    ).rejects.toMatchObject({ code: 'PG_57014', retryable: true });
    await disconnect(client);
  });

  it('whose body swallowed an error is not reported as committed', async () => {
    const client = await open();
    const swallowing = transaction(client, async () => {
      await client.query(`insert into item values (1, 'a')`);
      await client.query('select 1/0').catch(() => {});
    });
    await expect(swallowing).rejects.toThrow();
    expect(await count()).toBe(0);
    await disconnect(client);
  });

  it('is run again after a serialization failure where that was asked for', async () => {
    const client = await open();
    let runs = 0;
    await transaction(
      client,
      async () => {
        runs++;
        if (runs < 3)
          await client.query(
            `do $$ begin raise exception using errcode = '40001', message = 'again'; end $$`,
          );
        await client.query(`insert into item values (7, 'g')`);
      },
      { retries: 5 },
    );
    expect([runs, await count()]).toEqual([3, 1]);
    await disconnect(client);
  });
});

describe('an error of PostgreSQL', () => {
  it('keeps every field and shows no row data', async () => {
    const client = await open();
    await client.query(`insert into item values (1, 'secret-value')`);
    const error: PostgresError = await transaction(client, () =>
      client.query(`insert into item values (1, 'secret-value')`),
    ).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(PostgresError);
    expect(error.report).toMatchObject({
      sqlstate: '23505',
      constraint: 'item_pkey',
      table: 'item',
      detail: expect.stringContaining('already exists'),
    });
    expect(error.code).toBe('PG_23505');
    const broken: PostgresError = await transaction(client, () =>
      client.query(`insert into item values (2, null), (3, 'secret-value')`),
    ).catch((thrown) => thrown);
    const bad: PostgresError = await transaction(client, () =>
      client.query(`select 'secret-value'::int`),
    ).catch((thrown) => thrown);
    for (const each of [error, broken, bad]) {
      expect(JSON.stringify(each) + each.message + String(each)).not.toContain('secret-value');
    }
    await disconnect(client);
  });

  it('names a refused connection and what to do about it, never the password', async () => {
    // Nobody listens on the port of tcpmux.
    const error: ConnectionError = await connect('postgres://me:hush@127.0.0.1:1/x').catch(
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.hint).toBeDefined();
    expect(JSON.stringify(error)).not.toContain('hush');
    // A pooler holds the client back and tries again instead.
    await expect(connect(database.directUrl.replace(/\/t_[^?]*/, '/nowhere'))).rejects.toMatchObject({
      code: 'PG_3D000',
    });
  });
});

describe('int8', () => {
  it('arrives exactly, as bigint', async () => {
    const client = await open();
    const { rows } = await client.query('select 9223372036854775807::int8 as big, array[1]::int8[] as list');
    expect(rows[0].big).toBe(9223372036854775807n);
    await disconnect(client);
  });
});

describe('over a network that fails', () => {
  let proxy: FaultyProxy;
  beforeEach(async () => {
    const { host, port } = parseTarget(inject('postgresUrl'));
    proxy = await startProxy({ host, port });
    return () => proxy.close();
  });
  const throughProxy = () => ({ ...parseTarget(database.url), port: proxy.port });

  it('a lost answer to COMMIT is told apart from a failure: the caller must look at its checkpoint', async () => {
    const client = await connect(throughProxy());
    const sent = proxy.dropAnswersAfter('commit\0');
    const lost = transaction(client, () => client.query(`insert into item values (1, 'a')`));
    lost.catch(() => {});
    await sent;
    await expect.poll(count).toBe(1);
    proxy.reset();
    await expect(lost).rejects.toBeInstanceOf(CommitUnknownError);
    await disconnect(client);
  });

  it('a connection that died while the function was frozen is noticed and replaced before it is used', async () => {
    const warm = new WarmConnections();
    const pid = () =>
      warm.use(
        'db',
        throughProxy(),
        async (client) => (await client.query('select pg_backend_pid() as pid')).rows[0].pid,
      );
    const first = await pid();
    expect(await pid()).toBe(first);
    await new Promise((resolve) => setTimeout(resolve, 600));
    proxy.reset();
    expect(await pid()).not.toBe(first);
    await warm.close();
  });

  it('a connection that swallows everything without closing is given up after two seconds', async () => {
    const warm = new WarmConnections();
    const use = () => warm.use('db', throughProxy(), (client) => client.query('select 1'));
    await use();
    await new Promise((resolve) => setTimeout(resolve, 600));
    proxy.blackHole();
    await use();
    await warm.close();
  });
});

describe('COPY from one database to another', () => {
  it('moves rows as bytes, both ways quoted right, in one transaction of the target', async () => {
    const [source, target] = await Promise.all([open(), open()]);
    await source.query(`create table "Odd ""name""" (a int, "b c" text)`);
    await source.query(
      `insert into "Odd ""name""" select i, case when i % 7 = 0 then null else repeat('é', i % 50) end from generate_series(1, 20000) i`,
    );
    await target.query('create table copied (a int, b text)');
    await target.query('begin');
    const result = await copyBetween(
      source,
      'copy "Odd ""name""" to stdout (format binary)',
      target,
      'copy copied from stdin (format binary)',
    );
    await target.query('commit');
    expect(result.rows).toBe(20_000);
    const { rows } = await target.query(
      `select count(*)::int as n from (select * from copied except all select * from "Odd ""name""") x`,
    );
    expect(rows[0].n).toBe(0);
    await Promise.all([disconnect(source), disconnect(target)]);
  });

  it('that fails on the target says so and leaves nothing', async () => {
    const [source, target] = await Promise.all([open(), open()]);
    await expect(
      transaction(target, () =>
        copyBetween(
          source,
          `copy (select 1, 'a' union all select 1, 'b') to stdout`,
          target,
          'copy item from stdin',
        ),
      ),
    ).rejects.toMatchObject({ code: 'PG_23505' });
    expect(await count()).toBe(0);
    await Promise.all([disconnect(source), disconnect(target)]);
  });
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { queueMover } from '../../../lib/pgq/consumers/queue-mover.ts';
import {
  type Batch,
  consumeRemoteBatch,
  consumeSerialBatch,
  createQueue,
  type RemoteContext,
  registerConsumer,
  rewindConsumer,
  seekConsumer,
} from '../../../lib/pgq/index.ts';
import { endSilentHolder, lockInTarget } from '../../../lib/pgq/lock-in-target.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { sever } from '../../../lib/postgres/connect.ts';
import { copyIn } from '../../../lib/postgres/copy.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { startProxy } from '../../support/proxy.ts';
import { deadlineByHand, fill, minute, ourClient } from '../pgq-ts/support.ts';

async function values(db: TestDatabase, ...expressions: string[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const expression of expressions)
    answers.push(((await db.query(`select (${expression})::text as v`))[0] as { v: unknown }).v);
  return answers;
}

describe('pgq_ext', () => {
  it('remembers batches, events and ticks as its contract says', async () => {
    const db = await testDatabase();
    const batch = (id: number) => [`pgq_ext.is_batch_done('c', ${id})`, `pgq_ext.set_batch_done('c', ${id})`];
    expect(await values(db, ...batch(1), ...batch(1))).toEqual(['false', 'true', 'true', 'false']);
    expect(await values(db, ...batch(2))).toEqual(['false', 'true']);
    expect(await values(db, `pgq_ext.set_batch_done('c', null)`, `pgq_ext.set_batch_done('c', 0)`)).toEqual([
      'true',
      'true',
    ]);
    const event = [`pgq_ext.is_event_done('c', 1, 7)`, `pgq_ext.set_event_done('c', 1, 7)`];
    expect(await values(db, ...event, ...event)).toEqual(['false', 'true', 'true', 'false']);
    await db.query(`select pgq_ext.set_batch_done('c', 1)`);
    expect(await db.query('select * from pgq_ext.completed_event')).toEqual([
      { consumer_id: 'c', subconsumer_id: '', batch_id: '1', event_id: '7' },
    ]);
    await db.query(`select pgq_ext.set_event_done('c', 2, 1)`);
    expect(await values(db, 'select count(*) from pgq_ext.completed_event')).toEqual(['1']);
    const tick = (id: string) => [`pgq_ext.set_last_tick('c', ${id})`, `pgq_ext.get_last_tick('c')`];
    expect(
      await values(db, `pgq_ext.get_last_tick('c')`, ...tick('1'), ...tick('2'), ...tick('null')),
    ).toEqual([null, '1', '1', '1', '2', '1', null]);
    expect(await values(db, `pgq_ext.get_last_tick('c', 'other')`, 'pgq_ext.upgrade_schema()')).toEqual([
      null,
      '0',
    ]);
  });

  it('lets two first calls in parallel both in, one of them first', async () => {
    const db = await testDatabase();
    const [a, b] = [await db.connect(), await db.connect()];
    await a.query('begin');
    await a.query(`select pgq_ext.set_batch_done('c', 5)`);
    const second = b.query(`select pgq_ext.set_batch_done('c', 5) as first`);
    await a.query('commit');
    expect((await second).rows).toEqual([{ first: false }]);
  });

  it('takes over tables of the earliest layout', async () => {
    const db = await testDatabase();
    await db.query(`
      drop table pgq_ext.completed_tick, pgq_ext.completed_batch, pgq_ext.completed_event, pgq_ext.partial_batch;
      create table pgq_ext.completed_tick (consumer_id text primary key, last_tick_id int8 not null);
      create table pgq_ext.completed_batch (consumer_id text primary key, last_batch_id int8 not null);
      create table pgq_ext.completed_event (consumer_id text, batch_id int8, event_id int8,
        primary key (consumer_id, batch_id, event_id));
      create table pgq_ext.partial_batch (consumer_id text primary key, cur_batch_id int8 not null);
      insert into pgq_ext.completed_tick values ('c', 9);`);
    expect(await values(db, 'pgq_ext.upgrade_schema()', 'pgq_ext.upgrade_schema()')).toEqual(['8', '0']);
    expect(await values(db, `pgq_ext.get_last_tick('c')`, `pgq_ext.set_event_done('c', 's', 1, 1)`)).toEqual([
      '9',
      'true',
    ]);
    const install = path.resolve('sql/pgq_ext');
    expect(readFileSync(path.join(install, 'install.txt'), 'utf8')).toContain('structure/upgrade.sql');
  });
});

async function twoDatabases() {
  const sourceDb = await testDatabase();
  const targetDb = await testDatabase();
  const source = await ourClient(sourceDb.url);
  const target = await ourClient(targetDb.url);
  await createQueue(source, 'q');
  await registerConsumer(source, 'q', 'c');
  await targetDb.query('create table effect (id bigint primary key)');
  return { sourceDb, targetDb, source, target };
}

const SILENT_COPIES = `select from pg_stat_activity
  where datname = current_database() and wait_event = 'ClientRead' and query like 'copy %'`;

const spec = { queue: 'q', consumer: 'c' };
const store = {
  async handleBatch(batch: Batch, { client }: RemoteContext) {
    for await (const block of batch.blocks())
      await client.query('insert into effect select unnest($1::int8[])', [block.map((event) => event.id)]);
  },
};
const count = async (db: TestDatabase) => (await db.query('select count(*)::int as n from effect'))[0]!.n;

describe('consumers with their effect in another database', () => {
  it('apply a batch once when the answer to the target commit is lost', async () => {
    const { sourceDb, targetDb, source, target } = await twoDatabases();
    await fill(sourceDb, 50);
    const url = new URL(targetDb.url);
    const proxy = await startProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    const shaky = await ourClient(url.href);
    const sent = proxy.dropAnswersAfter('commit\0');
    const failing = consumeRemoteBatch(source, shaky, spec, store, minute());
    failing.catch(() => {});
    await sent;
    await expect.poll(() => count(targetDb)).toBe(50);
    proxy.reset();
    await expect(failing).rejects.toMatchObject({ code: 'PG_COMMIT_UNKNOWN' });
    await proxy.close();
    const again = await consumeRemoteBatch(source, target, spec, store, minute());
    expect(again.did).toMatchObject({ skipped: true, finished: true });
    expect(await count(targetDb)).toBe(50);
    await fill(sourceDb, 5, 51);
    expect((await consumeRemoteBatch(source, target, spec, store, minute())).did?.skipped).toBe(false);
    expect(await count(targetDb)).toBe(55);
  });

  it('apply a batch once when the connection to the queue breaks behind the target commit', async () => {
    const { sourceDb, targetDb, source, target } = await twoDatabases();
    await fill(sourceDb, 20);
    const victim = await ourClient(sourceDb.url);
    const killing = {
      async handleBatch(batch: Batch, context: RemoteContext) {
        await store.handleBatch(batch, context);
        const { rows } = await victim.query('select pg_backend_pid() as pid');
        await source.query('select pg_terminate_backend($1, 10000)', [rows[0].pid]);
      },
    };
    await expect(consumeRemoteBatch(victim, target, spec, killing, minute())).rejects.toThrow();
    expect(await count(targetDb)).toBe(20);
    expect((await consumeRemoteBatch(source, target, spec, store, minute())).did?.skipped).toBe(true);
    expect(await count(targetDb)).toBe(20);
  });

  it('go on inside a batch that did not fit before the deadline', async () => {
    const { sourceDb, targetDb, source, target } = await twoDatabases();
    await fill(sourceDb, 30);
    const { deadline, pass } = deadlineByHand();
    const slow = {
      async handleBatch(batch: Batch, { client }: RemoteContext) {
        for await (const event of batch.events()) {
          await client.query('insert into effect values ($1)', [event.id]);
          if (event.id === 11n) pass();
        }
      },
    };
    const first = await consumeRemoteBatch(source, target, spec, slow, deadline);
    expect(first).toMatchObject({ did: { finished: false, events: 11 }, next: 'again' });
    expect((await consumeRemoteBatch(source, target, spec, slow, minute())).did).toMatchObject({
      finished: true,
      events: 19,
    });
    expect(await count(targetDb)).toBe(30);
  });

  it('end the session of a worker that went silent in its COPY, which nothing else ends, and no other', async () => {
    const { targetDb, target } = await twoDatabases();
    const lock = (name: string) => `select pg_advisory_xact_lock(hashtext('pgq_ext'), hashtext('${name}'))`;
    const holders = async () =>
      (
        await targetDb.query(
          `select from pg_locks join pg_database d on d.oid = database
            where d.datname = current_database() and locktype = 'advisory' and granted`,
        )
      ).length;
    const url = new URL(targetDb.url);
    const proxy = await startProxy({ host: url.hostname, port: Number(url.port) });
    onTestFinished(() => proxy.close());
    url.port = String(proxy.port);
    for (const [client, name] of [
      [await ourClient(url.href), 'c'],
      [await ourClient(targetDb.url), 'other'],
    ] as const) {
      await client.query(`begin; set local statement_timeout = '200ms'; ${lock(name)}`);
      copyIn(client, 'copy effect from stdin').on('error', () => {});
    }
    await expect.poll(() => targetDb.query(SILENT_COPIES)).toHaveLength(2);
    proxy.blackHole();
    await endSilentHolder(target, 'c');
    expect(await holders()).toBe(2);
    await expect
      .poll(() => targetDb.query(`${SILENT_COPIES} and now() - state_change > '1 s'`))
      .toHaveLength(2);
    await endSilentHolder(target, 'c', 1);
    await expect.poll(holders).toBe(1);
    await expect(lockInTarget(target, 'other', Deadline.after(300))).rejects.toMatchObject({
      code: 'DEADLINE_NEAR',
    });
    await lockInTarget(target, 'c', minute());
  });

  it.runIf(process.env.SKYTOOLS_TEST_LONG)(
    'are taken over from a worker that went silent in the middle of its COPY',
    async () => {
      const { sourceDb, targetDb, source, target } = await twoDatabases();
      await createQueue(target, 'far');
      await fill(sourceDb, 50);
      const url = new URL(targetDb.url);
      const proxy = await startProxy({ host: url.hostname, port: Number(url.port) });
      onTestFinished(() => proxy.close());
      url.port = String(proxy.port);
      const [lostSource, lostTarget] = [await ourClient(sourceDb.url), await ourClient(url.href)];
      const dying = {
        async handleBatch(_batch: Batch, { client }: RemoteContext) {
          copyIn(client as never, 'copy effect from stdin').on('error', () => {});
          await expect.poll(() => targetDb.query(SILENT_COPIES)).toHaveLength(1);
          proxy.blackHole();
          sever(lostSource);
          await new Promise(() => {});
        },
      };
      void consumeRemoteBatch(lostSource, lostTarget, spec, dying, minute()).catch(() => {});
      await expect.poll(() => targetDb.query(SILENT_COPIES)).toHaveLength(1);
      const mover = queueMover({ queue: 'far' });
      const next = async () =>
        (await consumeRemoteBatch(source, target, spec, mover, minute()).catch(() => undefined))?.did?.events;
      await expect.poll(next).toBe(50);
    },
  );

  it('refuse a retry, which a crash could lose', async () => {
    const { sourceDb, targetDb, source, target } = await twoDatabases();
    await fill(sourceDb, 3);
    const retrying = {
      async handleBatch(batch: Batch, context: RemoteContext) {
        await batch.deliver((event) => event.retry(1));
        await context.client.query('insert into effect values (1)');
      },
    };
    await expect(consumeRemoteBatch(source, target, spec, retrying, minute())).rejects.toMatchObject({
      code: 'PGQ_RETRY_REMOTE',
    });
    expect(await count(targetDb)).toBe(0);
  });

  it('by tick: notice a queue that was moved, and can be moved to the target', async () => {
    const { sourceDb, targetDb, source, target } = await twoDatabases();
    for (const from of [1, 11, 21]) {
      await fill(sourceDb, 10, from);
      expect((await consumeSerialBatch(source, target, spec, store, minute())).did?.events).toBe(10);
    }
    await seekConsumer(source, 'q', 'c', { tick: 2n });
    await expect(consumeSerialBatch(source, target, spec, store, minute())).rejects.toMatchObject({
      code: 'PGQ_POSITION_LOST',
    });
    expect(await rewindConsumer(source, target, spec)).toBe(4n);
    await fill(sourceDb, 1, 31);
    expect((await consumeSerialBatch(source, target, spec, store, minute())).did?.events).toBe(1);
    expect(await count(targetDb)).toBe(31);
  });
});

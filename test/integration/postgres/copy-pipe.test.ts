import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { connect, disconnect, isSevered } from '../../../lib/postgres/connect.ts';
import { copyBetween } from '../../../lib/postgres/copy.ts';
import { runDetached } from '../../../lib/postgres/detached.ts';
import { testDatabase } from '../../support/postgres.ts';

/** Bytes that somebody still holds: what only waits to be collected does not count. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('rows passed from COPY to COPY', () => {
  it('that the target refuses do not leave the source sending for ever', async () => {
    const database = await testDatabase();
    // Past a pooler: PgBouncer lets go of the server when it has refused, and what is still being sent then breaks the connection,
    // now and then before the reason has come.
    const [source, target] = [await connect(database.directUrl), await connect(database.directUrl)];
    await target.query('create table few (id int primary key check (id < 10), t text)');
    const copying = copyBetween(
      source,
      `copy (select i, repeat('x', 1000) from generate_series(1, 1000000) i) to stdout`,
      target,
      'copy few from stdin',
    );
    await expect(copying).rejects.toMatchObject({ code: 'PG_23514' });
    expect(isSevered(source)).toBe(true);
    await expect(source.query('rollback')).rejects.toThrow();
    expect((await target.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await disconnect(target);
  });

  it('take bounded memory, whatever the size of a value', async () => {
    const database = await testDatabase();
    const [source, target] = [await connect(database.url), await connect(database.url)];
    const bytes = 100 * 2 ** 20;
    await source.query('create table wide (t text); alter table wide alter t set storage external');
    await source.query(`insert into wide select repeat('x', ${bytes})`);
    await target.query('create table copied (t text); alter table copied alter t set storage external');
    const before = heldBytes();
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, heldBytes() - before);
    }, 100);
    const copied = await copyBetween(
      source,
      'copy wide to stdout (format binary)',
      target,
      'copy copied from stdin (format binary)',
    );
    clearInterval(timer);
    expect(copied).toMatchObject({ rows: 1 });
    expect((await target.query('select length(t) as n from copied')).rows).toEqual([{ n: bytes }]);
    expect(most).toBeLessThan(bytes * 0.4);
    await Promise.all([disconnect(source), disconnect(target)]);
  });
});

describe('a statement that may outlive its process', () => {
  it('goes on in the server and commits when its deadline has come', async () => {
    const database = await testDatabase();
    await database.query('create table done (n int)');
    await database.query(
      `create function slow() returns void language sql as 'select pg_advisory_xact_lock(1); insert into done values (1)'`,
    );
    const holder = await database.connect();
    await holder.query('begin; select pg_advisory_xact_lock(1)');
    const client = await connect(database.url);
    expect(await runDetached(client, 'select slow()', Deadline.after(1_000))).toBeUndefined();
    expect(await database.query('select * from done')).toEqual([]);
    await holder.query('commit');
    await expect.poll(() => database.query('select n from done')).toEqual([{ n: 1 }]);
    await disconnect(client);
  });
});

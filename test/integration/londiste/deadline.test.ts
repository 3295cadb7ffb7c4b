import { expect, it } from 'vitest';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

async function withItem(type: 'branch' | 'leaf'): Promise<Cascade> {
  const set = await cascade([type]);
  for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
  await set.add('item', { expectSync: true });
  return set;
}

const same = async (set: Cascade) =>
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));

it('a branch whose batch does not fit tries it three times, says so, and leaves it to an invocation with more time', async () => {
  const set = await withItem('branch');
  // A sequence counts attempts that are rolled back, too.
  await set.leaf.query(`create sequence attempts; create function slow() returns trigger language plpgsql as
      $$ begin perform nextval('attempts'); perform pg_sleep(60); return new; end $$;
    create trigger slow before insert on item for each row execute function slow();
    alter table item enable always trigger slow`);
  await set.root.query(`insert into item values (1, 'a')`);
  await set.tick();
  const short = () => {
    const real = Deadline.after(4_000);
    // Each invocation has the same time as the last one, however long it took to come to its batch.
    const deadline = Object.assign(Deadline.after(4_000), {
      remainingMs: () => (real.allows(0) ? 4_000 : 0),
    });
    return replayBatch({ ...set.scope, deadline }, set.leaf.name, QUEUE).catch((error) => error);
  };
  for (const attempt of [1, 2, 3, 3]) {
    expect(await short()).toMatchObject({
      code: 'LONDISTE_BATCH_TOO_LONG',
      message: expect.stringContaining(`attempt ${attempt} of 3`),
      hint: expect.stringContaining(`skytools londiste replay ${QUEUE}`),
    });
    const [state] = await set.leaf.query<{ cur_error: string }>(
      'select cur_error from pgq_node.local_state where cur_error is not null',
    );
    expect(state!.cur_error).toContain(`attempt ${attempt} of 3 (LONDISTE_BATCH_TOO_LONG)`);
  }
  const [counted] = await set.leaf.query<{ n: number }>('select last_value::int4 as n from attempts');
  expect(counted!.n).toBeLessThanOrEqual(3);
  await set.leaf.query(
    `create or replace function slow() returns trigger language plpgsql as 'begin return new; end'`,
  );
  await set.replay();
  await same(set);
  expect(await set.leaf.query('select from pgq_node.local_state where cur_error is not null')).toEqual([]);
});

it('a leaf whose batch does not fit goes on inside it, also after being killed there', async () => {
  const set = await withItem('leaf');
  await set.root.query(`insert into item select i, 'new' from generate_series(1, 1500) i;
    update item set name = 'changed' where id <= 1000; delete from item where id % 10 = 0`);
  await set.tick();
  // Time for one part of a thousand events, and no other.
  const brief = Object.assign(Deadline.after(60_000), {
    remainingMs: () => 100,
    allows: () => false,
    check: () => {},
    statementTimeoutMs: () => 60_000,
  });
  const scope: NodeScope = { ...set.scope, deadline: brief };
  const part = (within: NodeScope) => replayBatch(within, set.leaf.name, QUEUE);
  expect((await part(scope)).did).toMatchObject({ events: 1000, finished: false });
  const before = await rowsOf(set.leaf, 'item');
  // Among the first thousand events are some of the cascade.
  expect(before.length).toBeGreaterThan(900);
  expect(before.length).toBeLessThanOrEqual(1000);
  const killed: NodeScope = {
    ...scope,
    database: (name, body) =>
      scope.database(name, (client) => {
        const query = client.query.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
        // A COPY is no promise: only what is to fail is touched.
        client.query = ((...parameters: unknown[]) =>
          String(parameters[0]).includes('into londiste.replay_progress')
            ? query('select pg_terminate_backend(pg_backend_pid())')
            : query(...parameters)) as typeof client.query;
        return body(client);
      }),
  };
  await expect(part(killed)).rejects.toThrow();
  expect(await rowsOf(set.leaf, 'item')).toEqual(before);
  let parts = 1;
  for (let finished = false; !finished; parts++) finished = (await part(scope)).did!.finished;
  expect(parts).toBe(3);
  await same(set);
  expect(await set.leaf.query('select * from londiste.replay_progress')).toEqual([]);
  expect(await set.leaf.query('select * from londiste.table_health where missing_rows > 0')).toEqual([]);
});

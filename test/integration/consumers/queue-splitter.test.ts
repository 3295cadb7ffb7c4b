import { expect, it } from 'vitest';
import type { TestDatabase } from '../../support/postgres.ts';
import { consumerStack, emulatedServices, killAtRow } from './stack.ts';

emulatedServices();

/** What the queues of a database hold: type and data in the order of ids. */
async function contents(database: TestDatabase, ...queues: string[]): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const queue of queues) {
    const rows = await database.query<{ event: string }>(
      `select ev_type || ' ' || ev_data as event
         from pgq.event_template e, pgq.queue q
        where q.queue_name = $1 and e.tableoid::regclass::text like q.queue_data_pfx || '\\_%'
        order by ev_id`,
      [queue],
    );
    found[queue] = rows.map(({ event }) => event);
  }
  return found;
}

const create = (database: TestDatabase, ...queues: string[]) =>
  database.query('select pgq.create_queue(q) from unnest($1::text[]) q', [queues]);

it('splits by extra1, whose value is the name of the queue, into the same database and once', async () => {
  const stack = await consumerStack(() => ({ kind: 'queue-splitter' }));
  await create(stack.source, 'red', 'blue');
  await stack.produce(['a', '1', 'red'], ['b', '2', 'blue'], ['c', '3', 'red']);
  expect(await stack.consume()).toBe(true);
  expect(await stack.consume()).toBe(true);
  expect(await contents(stack.source, 'red', 'blue')).toEqual({ red: ['a 1', 'c 3'], blue: ['b 2'] });
  const [times] = await stack.source.query(
    'select count(distinct ev_time)::int as times, count(*)::int as events from pgq.event_template',
  );
  expect(times).toEqual({ times: 3, events: 6 });
});

it('splits by type into another database, with a queue for all other types', async () => {
  const stack = await consumerStack(({ target }) => ({
    kind: 'queue-splitter',
    target,
    by: 'type',
    queues: { placed: 'orders', '*': 'rest' },
  }));
  await create(stack.target, 'orders', 'rest');
  await stack.produce(['placed', '1'], ['paid', '2'], [null, null]);
  expect(await stack.consume()).toBe(true);
  expect(await contents(stack.target, 'orders')).toEqual({ orders: ['placed 1'] });
  const [rest] = await stack.target.query(
    `select count(*)::int as events from pgq.event_template where ev_type is distinct from 'placed'`,
  );
  expect(rest).toEqual({ events: 2 });
});

it('splits by an SQL expression over the columns of the event', async () => {
  const stack = await consumerStack(() => ({
    kind: 'queue-splitter',
    expression: `case when (ev_data::json ->> 'amount')::numeric >= 100 then 'large' else 'small' end`,
  }));
  await create(stack.source, 'large', 'small');
  await stack.produce(['o', '{"amount": 250}'], ['o', '{"amount": 5}']);
  expect(await stack.consume()).toBe(true);
  expect(await contents(stack.source, 'large', 'small')).toEqual({
    large: ['o {"amount": 250}'],
    small: ['o {"amount": 5}'],
  });
});

it.each([
  ['same', 'exactly once although its connection was cut in the middle, in the same database'],
  ['other', 'exactly once although its connection was cut in the middle, in another database'],
])('%s: %s', async (where) => {
  const stack = await consumerStack(({ source, target }) => ({
    kind: 'queue-splitter',
    target: where === 'same' ? source : target,
    queues: { red: 'crimson', '*': 'other' },
  }));
  const database = where === 'same' ? stack.source : stack.target;
  await create(database, 'crimson', 'other');
  const [table] = await database.query<{ name: string }>(`select pgq.current_event_table('other') as name`);
  await stack.produce(['a', '1', 'red'], ['b', '2', 'x'], ['c', '3', 'y']);
  await killAtRow(database, table!.name, 2);
  expect(await stack.consume()).toBe(false);
  expect(await contents(database, 'crimson', 'other')).toEqual({ crimson: [], other: [] });
  await stack.catchUp();
  expect(await stack.consume()).toBe(true);
  expect(await contents(database, 'crimson', 'other')).toEqual({ crimson: ['a 1'], other: ['b 2', 'c 3'] });
});

it('stops at an event without a queue, and passes over it where told to', async () => {
  const stopping = await consumerStack(() => ({ kind: 'queue-splitter' }));
  await stopping.produce(['a', '1']);
  expect(await stopping.consume()).toBe(false);
  const skipping = await consumerStack(() => ({ kind: 'queue-splitter', unmatched: 'skip' }));
  await create(skipping.source, 'red');
  await skipping.produce(['a', '1'], ['b', '2', 'red']);
  expect(await skipping.consume()).toBe(true);
  expect(await contents(skipping.source, 'red')).toEqual({ red: ['b 2'] });
});

it('stops at a queue that is missing, and goes on once it is there', async () => {
  const stack = await consumerStack(({ target }) => ({ kind: 'queue-splitter', target }));
  await stack.produce(['a', '1', 'late']);
  expect(await stack.consume()).toBe(false);
  await create(stack.target, 'late');
  expect(await stack.consume()).toBe(true);
  expect(await contents(stack.target, 'late')).toEqual({ late: ['a 1'] });
});

it('never splits a queue into itself', async () => {
  const stack = await consumerStack(() => ({ kind: 'queue-splitter' }));
  await stack.produce(['a', '1', 'q']);
  expect(await stack.consume()).toBe(false);
});

it('queue-mover: stops at a queue that is missing as well, of the same name as its own', async () => {
  const stack = await consumerStack(({ target }) => ({ kind: 'queue-mover', target, targetQueue: 'q' }));
  await stack.produce(['a', '1']);
  expect(await stack.consume()).toBe(false);
  await create(stack.target, 'q');
  expect(await stack.consume()).toBe(true);
  expect(await contents(stack.target, 'q')).toEqual({ q: ['a 1'] });
});

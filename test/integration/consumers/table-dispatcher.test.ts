import { expect, it } from 'vitest';
import { consumerStack, emulatedServices, killAtRow } from './stack.ts';

emulatedServices();

it('appends JSON, urlencoded and captured rows to one table, with the event around them', async () => {
  const stack = await consumerStack(({ target }) => ({
    kind: 'table-dispatcher',
    target,
    table: 'public.seen',
    fields: { id: 'id', page: 'url', 'pgq.ev_type': 'type', 'pgq.ev_id': 'event' },
    ignoreTypes: ['noise.*'],
  }));
  await stack.target.query('create table seen (event bigint, type text, id int, url text)');
  await stack.produce(
    ['view', '{"id": 1, "page": "/a\\tb", "other": true}'],
    ['noise.x', 'garbage%%'],
    ['view', 'id=2&page=%2fc'],
    ['D:id', 'id=3&page', 'public.item'],
  );
  expect(await stack.consume()).toBe(true);
  expect(await stack.target.query('select type, id, url from seen order by event')).toEqual([
    { type: 'view', id: 1, url: '/a\tb' },
    { type: 'view', id: 2, url: '/c' },
    { type: 'D:id', id: 3, url: null },
  ]);
});

it('appends to daily partitions of the time of the event, once, although it was cut off and repeated', async () => {
  const stack = await consumerStack(({ target }) => ({
    kind: 'table-dispatcher',
    target,
    table: 'hits',
    partition: { time: 'event' },
  }));
  await stack.target.query('create table hits (id int)');
  await stack.produce(...Array.from({ length: 30 }, (_, id) => ['hit', JSON.stringify({ id })] as const));
  await stack.consume();
  const [made] = await stack.target.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'hits'::regclass`,
  );
  expect(made!.name).toMatch(/^hits_\d{4}_\d\d_\d\d$/);
  await killAtRow(stack.target, made!.name, 7);
  await stack.produce(
    ...Array.from({ length: 20 }, (_, id) => ['hit', JSON.stringify({ id: id + 30 })] as const),
  );
  expect(await stack.consume()).toBe(false);
  await stack.catchUp();
  expect(await stack.consume()).toBe(true);
  expect(await stack.target.query('select count(*)::int as rows, max(id) as last from hits')).toEqual([
    { rows: 50, last: 49 },
  ]);
});

it('stops at an event whose data has no fields, and at a column that the table lacks', async () => {
  const stack = await consumerStack(({ target }) => ({ kind: 'table-dispatcher', target, table: 'hits' }));
  await stack.target.query('create table hits (id int)');
  await stack.produce(['hit', '{broken']);
  expect(await stack.consume()).toBe(false);
  const lacking = await consumerStack(({ target }) => ({ kind: 'table-dispatcher', target, table: 'hits' }));
  await lacking.target.query('create table hits (id int)');
  await lacking.produce(['hit', '{"id": 1, "more": 2}']);
  expect(await lacking.consume()).toBe(false);
  await lacking.target.query('alter table hits add column more text');
  expect(await lacking.consume()).toBe(true);
});

import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { HOSTILE, TRACE, UNENCODABLE } from './hostile.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query('create table public.victim (id int); insert into public.victim values (1)');
});
afterAll(() => database.drop());

const run = (...argv: string[]) => skytools(['--url', database.url, '--json', ...argv]);

describe.each(HOSTILE)('the name %j', (name) => {
  afterAll(async () => {
    expect(await database.query('select id from public.victim')).toEqual([{ id: 1 }]);
    expect(existsSync(TRACE)).toBe(false);
  });

  it('is a queue, a consumer and an event like any other on the command line', async () => {
    const done = async (...argv: string[]) => {
      const result = await run(...argv);
      expect(result.code, result.stderr).toBe(0);
      return result;
    };
    await done('queue', 'create', '--', name);
    await done('consumer', 'register', '--', name, name);
    await done('event', 'insert', '--', name, name, name);
    const listed = (await done('consumer', 'list', '--', name)).json<{ queue: string; consumer: string }[]>();
    expect(listed).toMatchObject([{ queue: name, consumer: name }]);
    const [queue] = await database.query<{ events: string }>(
      'select queue_data_pfx as events from pgq.queue where queue_name = $1',
      [name],
    );
    expect(await database.query(`select ev_type, ev_data from ${queue!.events}`)).toEqual([
      { ev_type: name, ev_data: name },
    ]);
    await done('consumer', 'unregister', '--yes', '--', name, name);
    await done('queue', 'drop', '--yes', '--', name);
  });

  it('is refused, not run, where nothing has it', async () => {
    for (const argv of [
      ['queue', 'show', '--', name],
      ['queue', 'config', '--', name, name],
      ['consumer', 'show', '--', name, name],
      ['trigger', 'add', '--', name, name],
      ['londiste', 'tables', '--', name],
      ['londiste', 'status', '--', name],
    ])
      expect((await run(...argv)).code, argv.join(' ')).not.toBe(0);
    expect((await skytools(['--database', name, 'status'])).code).not.toBe(0);
  });

  it('is a captured table, quoted, whose rows arrive under it', async () => {
    const table = name.replace(/\./g, '').slice(0, 60);
    const quoted = `"${table.replaceAll('"', '""')}"`;
    const [cut] = await database.query<{ name: string }>('select $1::name::text as name', [table]);
    await database.query(`create table ${quoted} (id int primary key, ${quoted} text)`);
    await database.query(
      `select pgq.create_queue('captured'), pgq.create_fast_trigger($1::regclass, 'captured')`,
      [quoted],
    );
    await database.query(`insert into ${quoted} values (1, $1)`, [name]);
    const [queue] = await database.query<{ events: string }>(
      `select queue_data_pfx as events from pgq.queue where queue_name = 'captured'`,
    );
    const rows = await database.query(`select ev_extra1 from ${queue!.events} order by ev_id desc limit 1`);
    expect(rows).toEqual([{ ev_extra1: `public.${cut!.name}` }]);
    await database.query(`drop table ${quoted}`);
  });
});

it.each(UNENCODABLE)('the name %j is refused and does nothing', async (name) => {
  for (const argv of [
    ['queue', 'create', '--', name],
    ['queue', 'show', '--', name],
    ['londiste', 'create-root', '--location', 'postgres://localhost/x', '--no-check', '--', name, 'node'],
  ])
    expect((await run(...argv)).code, argv.join(' ')).not.toBe(0);
  expect(await database.query(`select from pgq.queue where queue_name <> 'captured'`)).toEqual([]);
});

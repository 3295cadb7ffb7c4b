import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (...argv: string[]) => skytools([...argv, '--url', database.url]);
const json = async <T>(...argv: string[]) => (await run(...argv, '--json')).json<T>();

describe('queue', () => {
  it('create is repeatable, takes settings, and config shows and changes them', async () => {
    expect(await json('queue', 'create', 'made', 'ticker-max-lag=500ms')).toEqual({
      queue: 'made',
      created: true,
    });
    expect(await json('queue', 'create', 'made')).toEqual({ queue: 'made', created: false });
    const dry = await json('queue', 'config', 'made', 'ticker-max-count=7', '--dry-run');
    expect(dry).toMatchObject({ tickerMaxLagSeconds: 0.5, tickerMaxCount: 500 });
    const set = await json('queue', 'config', 'made', 'ticker_max_count=7', 'rotation-period=1h 30m');
    expect(set).toMatchObject({ tickerMaxCount: 7, rotationPeriodSeconds: 5400 });
  });

  it('ends with 2 and says how for a setting or a value that does not exist, and changes nothing', async () => {
    const unknown = await run('queue', 'config', 'made', 'ticker-max-cuont=7');
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('hint: settings are ticker-max-count'),
    });
    expect(await run('queue', 'config', 'made', 'rotation-period=soon')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('rotation-period takes a time such as'),
    });
    expect(await run('queue', 'show', 'none')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('PGQ_QUEUE_MISSING'),
    });
  });

  it('pause stops the ticks and resume starts them', async () => {
    await run('queue', 'create', 'paused');
    await run('queue', 'pause', 'paused');
    expect((await run('queue', 'show', 'paused')).stdout).toMatch(/state +paused/);
    expect(await run('queue', 'tick', 'paused')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('hint: skytools queue resume paused'),
    });
    await run('queue', 'resume', 'paused');
    expect((await run('queue', 'show', 'paused')).stdout).toMatch(/state +ok/);
  });

  it('drop says what would be lost, asks, refuses consumers without --force', async () => {
    await run('queue', 'create', 'doomed');
    await run('consumer', 'register', 'doomed', 'reader');
    const dry = await run('queue', 'drop', 'doomed', '--dry-run');
    expect(dry.stderr).toContain('1 consumers (reader)');
    expect(await run('queue', 'drop', 'doomed')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('CLI_NEEDS_YES'),
    });
    expect(await run('queue', 'drop', 'doomed', '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('PGQ_QUEUE_IN_USE'),
    });
    expect(await json('queue', 'drop', 'doomed', '--yes', '--force')).toEqual({
      queue: 'doomed',
      dropped: true,
    });
  });

  it('list and status print one line for each queue and consumer, and the same as JSON', async () => {
    const lines = (await run('queue', 'list')).stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^QUEUE +STATE +LAST TICK/);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['QUEUE', 'made', 'paused']);
    const status = await json<{ queues: unknown[]; consumers: unknown[] }>('status', '--check');
    expect(status.queues).toHaveLength(2);
  });
});

describe('consumer and event', () => {
  it('insert, tick, peek, lag, seek: what a consumer has yet to do can be seen and moved', async () => {
    await run('queue', 'create', 'q');
    await run('consumer', 'register', 'q', 'c');
    const single = await run('event', 'insert', 'q', 'placed', '{"id": 1}', '--extra1', 'public.orders');
    expect(single).toMatchObject({ code: 0, stdout: '1\n' });
    const many = await skytools(['event', 'insert', 'q', 'line', '-', '--json', '--url', database.url], {
      stdin: 'one\ntwo\n\nthree\n',
    });
    expect(many.json()).toEqual({ inserted: 3 });
    expect(await json('queue', 'tick', 'q')).toEqual({ ticked: 1 });

    const newest = await json<{ id: string; data: string }[]>('event', 'peek', 'q', '--limit', '2');
    expect(newest).toMatchObject([
      { data: 'three', type: 'line' },
      { data: 'two', type: 'line' },
    ]);
    const first = await json('event', 'peek', 'q', '--consumer', 'c', '--limit', '1');
    expect(first).toMatchObject([{ id: '1', data: '{"id": 1}', extra1: 'public.orders' }]);
    const [lag] = await json<{ pendingEvents: number }[]>('consumer', 'lag', 'q');
    expect(lag?.pendingEvents).toBe(4);
    expect((await run('consumer', 'lag', 'q', '--max', '0')).code).toBe(3);

    const [before] = await json<{ lastTick: string }[]>('consumer', 'list', 'q');
    expect((await run('consumer', 'seek', 'q', 'c')).code).toBe(2);
    expect(await json('consumer', 'seek', 'q', 'c', '--end', '--dry-run')).toMatchObject({ moved: false });
    expect(await json('consumer', 'seek', 'q', 'c', '--end', '--yes')).toMatchObject({ moved: true });
    expect(await json('event', 'peek', 'q', '--consumer', 'c')).toEqual([]);
    await run('consumer', 'seek', 'q', 'c', '--tick', before!.lastTick, '--yes');
    expect(await json('event', 'peek', 'q', '--consumer', 'c')).toHaveLength(4);
    expect((await run('consumer', 'show', 'q', 'c')).stdout).toMatch(/open batch +none/);

    await database.query(`update pgq.tick set tick_time = '2026-01-01 12:00:00.00012Z' where tick_id = 1;
                          update pgq.tick set tick_time = '2026-01-01 12:00:00.000345Z' where tick_id = 2`);
    for (const [time, tick] of [
      ['2026-01-01T12:00:00.000345Z', '2'],
      ['2026-01-01T14:00:00.000344+02:00', '1'],
    ] as const) {
      expect(await json('consumer', 'seek', 'q', 'c', '--time', time, '--yes')).toMatchObject({ tick });
    }
    expect(await json('consumer', 'unregister', 'q', 'c', '--yes')).toMatchObject({ removed: 1 });
    expect((await run('event', 'peek', 'q', '--consumer', 'c')).stderr).toContain('PGQ_NOT_SUBSCRIBED');
  });

  it('registers the members of a cooperative consumer', async () => {
    await run('queue', 'create', 'coop');
    expect(await json('consumer', 'register', 'coop', 'group', '--subconsumer', '1')).toEqual({
      queue: 'coop',
      consumer: 'group.1',
      registered: true,
    });
    const consumers = await json<{ consumer: string }[]>('consumer', 'list', 'coop');
    expect(consumers.map(({ consumer }) => consumer)).toEqual(['group', 'group.1']);
  });
});

describe('trigger', () => {
  it('captures a table with odd names, lists and removes; --dry-run leaves nothing', async () => {
    await run('queue', 'create', 'captured');
    await database.query('create table "My Table" (id int primary key, note text, hidden text)');
    const add = [
      'trigger',
      'add',
      'public.My Table',
      'captured',
      '--format',
      'json',
      '--arg',
      'ignore=hidden',
    ];
    await run(...add, '--dry-run');
    expect(await json('trigger', 'list', 'public.My Table')).toEqual([]);
    expect(await json(...add)).toMatchObject({ triggers: ['capture_captured', 'capture_captured_truncate'] });
    expect((await run(...add)).stderr).toContain('PGQ_TRIGGER_EXISTS');
    await database.query(`insert into "My Table" values (1, 'seen', 'not seen'); truncate "My Table"`);
    const events = await json<{ type: string; data: string }[]>('event', 'peek', 'captured');
    expect(events.map(({ data }) => data)).toEqual(['{}', '{"id":1,"note":"seen"}']);
    expect(await json('trigger', 'list', '--queue', 'captured')).toMatchObject([
      { table: 'public.My Table', queue: 'captured', function: 'pgq.jsontriga', enabled: true },
      { name: 'capture_captured_truncate' },
    ]);
    expect(await json('trigger', 'remove', 'public.My Table', 'captured', '--yes')).toMatchObject({
      removed: true,
    });
    expect(await json('trigger', 'list')).toEqual([]);
  });

  it.each(['row', 'statement'])(
    'generated for each %s: captures, is refreshed when its table changes, removed whole',
    async (level) => {
      const table = `fast_${level}`;
      await run('queue', 'create', table);
      await database.query(`create table ${table} (id int primary key, note text)`);
      const added = await json<{ triggers: string[] }>('trigger', 'add', table, table, '--generated', level);
      expect(added.triggers).toContain(`capture_${table}`);
      await database.query(`insert into ${table} values (1, 'seen')`);
      await database.query(`alter table ${table} add column more int`);
      expect((await run('doctor')).stdout).toContain(
        `trigger capture_${table} does not fit table ${table} any more`,
      );
      expect(await json('trigger', 'refresh', `public.${table}`)).toEqual({ refreshed: 1 });
      expect((await run('doctor')).stdout).not.toContain('trigger-stale');
      const events = await json<{ data: string }[]>('event', 'peek', table);
      expect(events.map(({ data }) => data)).toEqual(['id=1&note=seen']);
      await run('trigger', 'remove', table, table, '--yes');
      expect(await json('trigger', 'list', table)).toEqual([]);
      expect(await database.query(`select proname from pg_proc where proname like '\\_pgq\\_fast%'`)).toEqual(
        [],
      );
    },
  );

  it('refuses a queue that does not exist: every change of the table would fail', async () => {
    await database.query('create table plain (id int primary key)');
    const result = await run('trigger', 'add', 'plain', 'nowhere');
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('PGQ_QUEUE_MISSING') });
  });

  it.each([[], ['--generated', 'row']])(
    'refuses an argument that the function would refuse at every change %j',
    async (...flags) => {
      await database.query('create table if not exists argued (id int primary key)');
      await run('queue', 'create', 'q');
      const result = await run('trigger', 'add', 'argued', 'q', '--arg', 'frob=1', ...flags);
      expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('PGQ_TRIGGER_ARGUMENT') });
      await database.query('insert into argued select coalesce(max(id), 0) + 1 from argued');
    },
  );
});

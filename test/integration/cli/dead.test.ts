import { expect, it } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { testDatabase } from '../../support/postgres.ts';

it('dead letters are counted, listed with their reason, replayed and purged; doctor and uninstall name them', async () => {
  const database = await testDatabase();
  const run = (...argv: string[]) => skytools([...argv, '--url', database.url]);
  const json = async <T>(...argv: string[]) => (await run(...argv, '--json')).json<T>();
  const batch = async () => {
    await database.query(`select pgq.force_tick('q')`);
    await database.query('select pgq.ticker()');
    const [row] = await database.query<{ id: string }>(`select pgq.next_batch('q', 'c') as id`);
    return row!.id;
  };
  await run('queue', 'create', 'q');
  await run('consumer', 'register', 'q', 'c');
  await run('event', 'insert', 'q', 't', 'first');
  await run('event', 'insert', 'q', 't', 'second');
  await run('event', 'insert', 'q', 't', 'third');
  const id = await batch();
  for (const event of [1, 2, 3])
    await database.query('select pgq.event_failed($1, $2, $3)', [id, event, 'no such mailbox']);
  await database.query('select pgq.finish_batch($1)', [id]);

  expect(await json('dead', 'list')).toEqual([{ queue: 'q', consumer: 'c', events: 3 }]);
  expect(await json('dead', 'list', 'q', 'c')).toMatchObject([
    { id: '1', reason: 'no such mailbox', data: 'first', retries: 0 },
    { id: '2' },
    { id: '3' },
  ]);
  expect((await run('doctor')).stdout).toContain(
    'dead-letters: consumer "c" of queue "q" has given up 3 events',
  );
  expect((await run('consumer', 'unregister', 'q', 'c', '--dry-run')).stderr).toContain('3 dead letters');
  expect((await run('uninstall', '--dry-run')).stderr).toContain('lost: 3 dead letters');

  expect((await run('dead', 'replay', 'q', 'c')).code).toBe(2);
  expect(await json('dead', 'replay', 'q', 'c', '--all', '--dry-run')).toMatchObject({
    replayed: 0,
    events: 3,
  });
  expect((await run('dead', 'replay', 'q', 'c', '1', '99')).stderr).toContain('PGQ_EVENT_MISSING');
  expect(await json('dead', 'list')).toMatchObject([{ events: 3 }]);
  expect(await json('dead', 'replay', 'q', 'c', '1')).toMatchObject({ replayed: 1 });
  const events = await database.query('select ev_data from pgq.get_batch_events($1)', [await batch()]);
  expect(events).toEqual([{ ev_data: 'first' }]);

  expect((await run('dead', 'purge', 'q', 'c', '2')).stderr).toContain('CLI_NEEDS_YES');
  for (const verb of ['replay', 'purge']) {
    expect((await run('dead', verb, 'q', 'c', '99', '--dry-run')).stderr).toContain('PGQ_EVENT_MISSING');
    expect(await run('dead', verb, 'q', 'c', 'abc')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('CLI_BAD_ID'),
    });
  }
  expect(await json('dead', 'purge', 'q', 'c', '2', '--yes')).toMatchObject({ purged: 1 });
  expect(await json('dead', 'purge', 'q', 'c', '--all', '--yes')).toMatchObject({ purged: 1 });
  expect(await json('dead', 'list')).toEqual([]);
  expect(await json('dead', 'purge', 'q', 'c', '--all')).toMatchObject({ purged: 0 });
  expect((await run('dead', 'list', 'q', 'nobody')).stderr).toContain('PGQ_NOT_SUBSCRIBED');
  expect((await run('dead', 'list', 'none')).stderr).toContain('PGQ_QUEUE_MISSING');

  const set = await json('dead', 'policy', 'q', 'c', '--retries', '8', '--base', '5s', '--maximum', '30m');
  expect(set).toMatchObject({ policy: { maxRetries: 8, baseSeconds: 5, maximumSeconds: 1800, jitter: 0.2 } });
  const changed = await json('dead', 'policy', 'q', 'c', '--jitter', '0.5');
  expect(changed).toMatchObject({ policy: { maxRetries: 8, baseSeconds: 5, jitter: 0.5 } });
  expect((await run('dead', 'policy', 'q', 'c', '--jitter', '2')).code).toBe(2);
  expect((await run('dead', 'policy', 'q', 'c', '--off', '--base', '5s')).stderr).toContain('CLI_POLICY_OFF');
  expect(await json('dead', 'policy', 'q', 'c', '--off')).toMatchObject({ policy: null });
  expect((await run('dead', 'policy', 'q', 'c', '--base', '5s')).stderr).toContain('CLI_POLICY_RETRIES');
  expect((await run('dead', 'policy', 'q', 'nobody')).stderr).toContain('PGQ_NOT_SUBSCRIBED');
});

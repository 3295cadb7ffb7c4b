import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

const MAIN = path.resolve(import.meta.dirname, '../../../lib/cli/main.ts');

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`select pgq.create_queue('q')`);
});
afterAll(() => database.drop());

function start(argv: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [MAIN, ...argv], { env: { PATH: process.env.PATH, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended, output: () => stdout };
}

it("honours libpq's variables, and prints data on stdout and messages on stderr", async () => {
  const url = new URL(database.url);
  const env = { PGHOST: url.hostname, PGPORT: url.port, PGUSER: url.username, PGDATABASE: database.name };
  const { code, stdout, stderr } = await start(['queue', 'list'], env).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^QUEUE[^\n]*\nq /);
});

it('ends quietly when its reader has seen enough', async () => {
  await database.query(`select pgq.insert_event('q', 't', repeat('x', 10000)) from generate_series(1, 300)`);
  const { child, ended } = start(['event', 'peek', 'q', '--limit', '300', '--url', database.url]);
  child.stdout.destroy();
  const { code, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

it('Ctrl-C ends a command with 130 where it waits, and top with 0', async () => {
  const blocker = await database.connect();
  await blocker.query('begin');
  await blocker.query('lock table pgq.queue in access exclusive mode');
  const waiting = start(['queue', 'create', 'other', '--url', database.url]);
  await expect
    .poll(async () => {
      const { rows } = await blocker.query(
        `select from pg_locks where not granted and relation = 'pgq.queue'::regclass
            and database = (select oid from pg_database where datname = current_database())`,
      );
      return rows.length;
    })
    .toBe(1);
  waiting.child.kill('SIGINT');
  expect((await waiting.ended).code).toBe(130);
  await blocker.query('rollback');

  const top = start(['top', '--interval', '0.25', '--url', database.url]);
  await expect.poll(() => top.output().split('QUEUE').length).toBeGreaterThanOrEqual(4);
  top.child.kill('SIGINT');
  const ended = await top.ended;
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('consumers, worst lag');
});

it('top keeps within the terminal, and ends at q', async () => {
  const { code, stdout } = await skytools(['top', '--url', database.url], {
    stdin: 'q',
    terminal: { columns: 20, rows: 5 },
  });
  expect(code).toBe(0);
  const lines = stdout.replaceAll(/\u001b\[[?\d]*[a-zA-Z]/g, '').split('\n');
  expect(lines).toHaveLength(4);
  expect(lines).toContain('QUEUE  STATE  LAST T');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(20);
});

it('top draws on a terminal that says it has no columns', async () => {
  const terminal = { columns: 0, rows: 0 };
  const { stdout } = await skytools(['top', '--url', database.url], { stdin: 'q', terminal });
  expect(stdout).toContain('QUEUE  STATE  LAST TICK');
});

it('reads the configuration, chooses its only database, and says which there are where there are several', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-config-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const one = path.join(directory, 'one.json');
  const two = path.join(directory, 'two.json');
  await writeFile(one, JSON.stringify({ databases: { shop: { url: database.url } } }));
  await writeFile(
    two,
    JSON.stringify({ databases: { shop: { url: database.url }, target: { url: 'env:T' } } }),
  );
  expect((await skytools(['queue', 'list', '--config', one])).code).toBe(0);
  expect((await skytools(['queue', 'list', '--config', two, '--database', 'shop'])).code).toBe(0);
  expect(await skytools(['queue', 'list', '--config', two])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('hint: choose one with --database shop | target'),
  });
});

it('invoke runs a handler from its source, where nothing is built, and says why it cannot', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-handler-test-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const config = path.join(directory, 'config.json');
  const mailer = { kind: 'handler', database: 'shop', queue: 'letters', handler: './mailer.ts' };
  await writeFile(
    config,
    JSON.stringify({ databases: { shop: { url: database.url } }, consumers: { mailer } }),
  );
  await database.query('create table sent (data text)');
  await database.query(`select pgq.create_queue('letters')`);
  await database.query(`select pgq.register_consumer('letters', 'mailer')`);
  await database.query(`select pgq.insert_event('letters', 'placed', 'a letter')`);
  await database.query(`select pgq.tick_now('letters')`);
  const event = path.join(directory, 'event.json');
  await writeFile(
    event,
    JSON.stringify({ v: 1, kind: 'consume', database: 'shop', consumer: 'mailer', queue: 'letters' }),
  );
  const missing = await start(['invoke', 'consume', '--event', event, '--config', config]).ended;
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('PGQ_HANDLER_UNREADABLE');

  await writeFile(
    path.join(directory, 'mailer.ts'),
    `export async function handleEvent(event: { data: string }, { client }: { client: any }): Promise<void> {
       await client.query('insert into sent values ($1)', [event.data]);
     }`,
  );
  const ran = await start(['invoke', 'consume', '--event', event, '--config', config]).ended;
  expect(ran.code, ran.stderr).toBe(0);
  expect(await database.query('select data from sent')).toEqual([{ data: 'a letter' }]);
});

it('invoke runs a function once with a job message, and answers 1 when the message failed', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-invoke-test-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const config = path.join(directory, 'config.json');
  await writeFile(config, JSON.stringify({ databases: { shop: { url: database.url } } }));
  const event = path.join(directory, 'event.json');
  await writeFile(event, JSON.stringify({ v: 1, kind: 'maintain', database: 'shop' }));
  const ran = await start(['invoke', 'maintain', '--event', event, '--config', config]).ended;
  expect(ran.code, ran.stderr).toBe(0);
  expect(JSON.parse(ran.stdout)).toEqual({ batchItemFailures: [] });
  await writeFile(event, JSON.stringify({ v: 1, kind: 'maintain', database: 'unknown' }));
  const failed = await start(['invoke', 'maintain', '--event', event, '--config', config]).ended;
  expect(failed.code).toBe(1);
  expect(JSON.parse(failed.stdout).batchItemFailures).toHaveLength(1);
  expect((await skytools(['invoke', 'none', '--config', config])).stderr).toContain('CLI_UNKNOWN_FUNCTION');

  // An error of a built function, whose classes are not this program's, keeps its code.
  const refused = await start(['invoke', 'sweep', '--config', config]).ended;
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('no queue is configured for tick messages');
  expect(refused.stderr).not.toContain('UNEXPECTED');
});

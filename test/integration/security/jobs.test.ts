import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Context, SQSBatchResponse } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '../../../infra/functions.ts';
import type { JobKind } from '../../../lib/jobs/messages.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { signUpload } from '../../../lib/walmgr/upload/request.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { skytools } from '../../support/cli.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { HOSTILE, TRACE, UNENCODABLE } from './hostile.ts';

/* What comes to the functions in messages, requests and their configuration, and what the WAL commands are given. */

const UPLOAD_KEY = 'sesame';

/** Every field of each kind of message that holds a name. */
const FIELDS: Readonly<Record<JobKind, readonly string[]>> = {
  tick: ['database'],
  maintain: ['database'],
  consume: ['database', 'consumer'],
  replay: ['database', 'queue'],
  copy: ['database', 'queue', 'table', 'job'],
  'wal-archive': ['cluster', 'key'],
  backup: ['cluster', 'job'],
};

/** What the other fields of a message hold. */
const KNOWN: Readonly<Record<string, string>> = {
  database: 'root',
  consumer: 'none',
  queue: 'none',
  table: 'none',
  cluster: 'main',
};

let s3: TestArchive;
let root: TestDatabase;
let leaf: TestDatabase;
let directory: string;
let configFile: string;
const environment = { ...process.env };

beforeAll(async () => {
  s3 = await startArchive();
  directory = mkdtempSync('/tmp/skytools-hostile-');
  configFile = path.join(directory, 'config.json');
  [root, leaf] = [await createDatabase(), await createDatabase()];
  for (const database of [root, leaf])
    await database.query('create table public.victim (id int); insert into public.victim values (1)');
  configure();
  Object.assign(process.env, s3.env, {
    AWS_ENDPOINT_URL: s3.emulator.endpoint,
    SKYTOOLS_CONFIG_FILE: configFile,
    SKYTOOLS_UPLOAD_KEY: UPLOAD_KEY,
    // Nobody is woken here: the queues do not exist.
    ...Object.fromEntries(
      Object.keys(FIELDS).map((kind) => [
        queueVariable(kind as JobKind),
        `${s3.emulator.endpoint}/0/${kind}`,
      ]),
    ),
  });
});

afterAll(async () => {
  process.env = environment;
  await root.drop();
  await leaf.drop();
  await s3.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Writes the configuration that the functions and the commands read. */
function configure(more: Record<string, unknown> = {}): void {
  const config = parseConfig({
    databases: { root: { url: root.url }, leaf: { url: leaf.url } },
    walmgr: { main: { archive: s3.url('main'), database: 'root', uploadKey: 'env:SKYTOOLS_UPLOAD_KEY' } },
    ...more,
  });
  writeFileSync(configFile, JSON.stringify(config));
}

const context = { getRemainingTimeInMillis: () => 60_000 } as Context;

/** Whether a function took a message for done. */
async function handled(kind: JobKind, message: object): Promise<boolean> {
  const name = functions.find(({ triggers }) => triggers.some((t) => 'queue' in t && t.queue === kind))!.name;
  const { handler } = await import(`../../../functions/${name}.ts`);
  const body = JSON.stringify({ v: 1, kind, ...message });
  const record = { messageId: 'm', receiptHandle: 'r', body, attributes: { ApproximateReceiveCount: '1' } };
  const answer: SQSBatchResponse = await handler({ Records: [record] }, context);
  return answer.batchItemFailures.length === 0;
}

async function nothingHappened(): Promise<void> {
  for (const database of [root, leaf])
    expect(await database.query('select id from public.victim')).toEqual([{ id: 1 }]);
  expect(existsSync(TRACE)).toBe(false);
  expect(readdirSync(directory)).toEqual(['config.json']);
}

const cases = Object.entries(FIELDS).flatMap(([kind, fields]) =>
  fields.map((field) => [kind as JobKind, field] as const),
);

it.each(cases)('a %s message with a hostile %s does nothing', async (kind, field) => {
  for (const name of [...HOSTILE, ...UNENCODABLE]) {
    const others = Object.fromEntries(FIELDS[kind].filter((f) => f in KNOWN).map((f) => [f, KNOWN[f]]));
    const done = await handled(kind, { ...others, [field]: name });
    // Taken for done only where it names something that may have been dropped since.
    if (field === 'database' || field === 'cluster' || field === 'consumer' || field === 'job')
      expect(done, name).toBe(false);
  }
  await nothingHappened();
});

it('a message that is none is refused by every function', async () => {
  for (const kind of Object.keys(FIELDS) as JobKind[])
    for (const body of [{ v: 2 }, { kind: 'other' }, { database: 1, cluster: [] }, { database: null }])
      expect(await handled(kind, body), `${kind} ${JSON.stringify(body)}`).toBe(false);
  await nothingHappened();
});

it.each(['wal-upload', 'wal-restore'])('%s gives no URL for a name that is none of WAL', async (name) => {
  const { handler } = await import(`../../../functions/${name}.ts`);
  const time = Math.floor(Date.now() / 1000);
  const names = [...HOSTILE, ...UNENCODABLE, '../archive.json', '00000001.history/../../archive.json'];
  for (const hostile of names) {
    for (const [cluster, file] of [
      ['main', hostile],
      [hostile, '000000010000000000000001'],
    ]) {
      const body = `cluster=${cluster}\nname=${file}\ntime=${time}\n`;
      const headers = { 'x-skytools-signature': signUpload(body, UPLOAD_KEY) };
      const { statusCode } = await handler({ body, isBase64Encoded: false, headers });
      expect([403, 422, 503], `${cluster} ${file}`).toContain(statusCode);
    }
  }
  await nothingHappened();
});

/** Names in sentences of SQL of all kinds: a set, its nodes, its tables with their columns, and its sequences. */
const NAMES = HOSTILE.filter((name) => !/long|null|constructor|\//.test(name)).map((name) =>
  // A dot ends the schema in a table's full name, and PostgreSQL cuts names at 63 bytes.
  name.replaceAll('.', '').slice(0, 50),
);

describe('a set, nodes, tables, columns and sequences', () => {
  const at = async (database: string, ...argv: string[]) => {
    const result = await skytools(['--config', configFile, '--database', database, 'londiste', ...argv], {
      env: process.env,
    });
    expect(result.code, `${argv.join(' ')}: ${result.stderr}`).toBe(0);
    return result;
  };

  it.each(NAMES)('may be called %j: copied and replayed, and nothing else', async (name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    configure({ londiste: { nodes: { [`leaf ${name}`]: { database: 'leaf', queue: name } } } });
    await root.query(`create table ${quoted} (${quoted} text primary key, "value" text)`);
    await root.query(`create sequence "seq ${name.replaceAll('"', '""')}"`);
    await root.query(`insert into ${quoted} values ($1, 'copied')`, [name]);
    await at('root', 'create-root', '--', name, `root ${name}`);
    await at('leaf', 'create-leaf', '--provider', 'root', '--', name, `leaf ${name}`);
    await root.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
    await at('root', 'add-table', '--', name, `public.${name}`);
    await at('root', 'add-seq', '--', name, `public.seq ${name}`);
    const round = async () => {
      await root.query('select pgq.ticker($1)', [name]);
      expect(await handled('replay', { database: 'leaf', queue: name })).toBe(true);
      await handled('copy', { database: 'leaf', queue: name, table: `public.${name}` });
    };
    // The leaf hears of the table before it can subscribe to it.
    await round();
    await at('leaf', 'add-table', '--create', '--', name, `public.${name}`);
    await at('leaf', 'add-seq', '--create', '--', name, `public.seq ${name}`);
    await root.query(`insert into ${quoted} values ($1, 'replayed')`, [`${name} 2`]);
    await root.query(`select setval($1::regclass, 4711)`, [`"seq ${name.replaceAll('"', '""')}"`]);
    await expect
      .poll(
        async () => {
          await round();
          const rows = await leaf.query<{ row: string }>(`select "value" as row from ${quoted} order by 1`);
          return rows.map(({ row }) => row);
        },
        { timeout: 50_000 },
      )
      .toEqual(['copied', 'replayed']);
    const told = (await at('leaf', 'tables', '--json', '--', name)).json<{ table: string }[]>();
    expect(JSON.stringify(told)).toContain(JSON.stringify(`public.${name}`).slice(1, -1));
    await at('leaf', 'remove-table', '--', name, `public.${name}`);
    await nothingHappened();
  });
});

describe('the commands of WAL', () => {
  const wal = (...argv: string[]) => skytools(['--config', configFile, 'wal', ...argv], { env: process.env });

  // Some of them are good names for a slot.
  const names = [...HOSTILE, ...UNENCODABLE].filter((name) => !/^[a-z_]+$/.test(name));

  it.each(names)('are given %j: refused, and no file is written', async (name) => {
    const archive = ['--archive', s3.url('main')];
    const inside = path.join(directory, 'made');
    for (const argv of [
      ['show', '--archive', name],
      ['show', '--archive', `s3://archive/${name}`],
      ['show', '--cluster', name],
      ['backups', '--cluster', name],
      ['verify', '--from', name, '--cluster', name],
      ['expire', '--yes', '--keep', name, ...archive],
      ['push', ...archive, '--', name],
      ['fetch', ...archive, '--', name, inside],
      ['restore', '--to', inside, '--backup', name, ...archive],
      ['restore', '--to', inside, '--target-time', name, ...archive],
      ['restore', '--to', inside, '--timeline', name, ...archive],
      ['setup', '--yes', '--slot', name, '--by', 'pull', '--source', root.superuserUrl, ...archive],
      ['pull', '--slot', name, '--source', root.superuserUrl, ...archive],
      ['stop', '--yes', '--by', 'pull', '--slot', name, '--source', root.superuserUrl, ...archive],
    ])
      expect((await wal(...argv)).code, argv.join(' ')).not.toBe(0);
    expect(await root.query('select from pg_replication_slots')).toEqual([]);
    await nothingHappened();
  });
});

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { sha256 } from '../../../lib/walmgr/archive/codec.ts';
import { answerDownload, answerUpload } from '../../../lib/walmgr/upload/answer.ts';
import { verifyUpload } from '../../../lib/walmgr/upload/register.ts';
import { signUpload } from '../../../lib/walmgr/upload/request.ts';
import { neighbour } from '../../../lib/walmgr/wal/name.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { MADE_UP, makeSegment } from '../../support/wal-files.ts';

const run = promisify(execFile);
const FIRST = '000000010000000000000005';

let s3: TestArchive;
let counter = 0;
const stores: { close(): void }[] = [];

beforeAll(async () => {
  s3 = await startArchive();
});
afterEach(() => s3.emulator.faults.clear());
afterAll(async () => {
  for (const store of stores) store.close();
  await s3.close();
});

/** `idleTimeoutMs`: where S3 is silent; a slow machine is silent for a while, too. */
async function emptyArchive(idleTimeoutMs = 20_000): Promise<{ archive: WalArchive; prefix: string }> {
  const prefix = `a${++counter}`;
  const store = s3.store({ idleTimeoutMs });
  stores.push(store);
  return { archive: await WalArchive.claim(s3.location(prefix), MADE_UP, { store }), prefix };
}

/** A data directory with `pg_wal`, in which the command is run as PostgreSQL runs it. */
async function dataDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(s3.directory, 'data-'));
  await mkdir(path.join(directory, 'pg_wal', 'archive_status'), { recursive: true });
  return directory;
}

async function wal(directory: string, ...words: string[]): Promise<{ code: number; message: string }> {
  try {
    await run(s3.command, ['wal', ...words], { cwd: directory });
    return { code: 0, message: '' };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, message: stderr };
  }
}

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => neighbour(FIRST, index, MADE_UP.segmentSize));

async function writeReady(directory: string, name: string, bytes = makeSegment(name)): Promise<Buffer> {
  await writeFile(path.join(directory, 'pg_wal', name), bytes);
  await writeFile(path.join(directory, 'pg_wal', 'archive_status', `${name}.ready`), '');
  return bytes;
}

test('the same file pushed twice is success, a changed one under its name is refused and overwrites nothing', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  const bytes = await writeReady(directory, FIRST);
  const push = () => wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${FIRST}`);
  expect(await push()).toMatchObject({ code: 0 });
  expect(await push()).toMatchObject({ code: 0 });
  await writeReady(directory, FIRST);
  const refused = await push();
  expect(refused.code).toBe(3);
  expect(refused.message).toContain('WAL_CONFLICT');
  expect((await archive.readFile(FIRST))?.equals(bytes)).toBe(true);
});

test.each([
  ['a segment of another cluster', { systemIdentifier: 42n }, 'WAL_FOREIGN_CLUSTER'],
  ['a segment of another size', { segmentSize: 2 << 20 }, 'WAL_SEGMENT_INVALID'],
  ['a segment of a later timeline', { timeline: 2 }, 'WAL_SEGMENT_INVALID'],
])('%s is refused', async (_what, options, code) => {
  const { archive } = await emptyArchive();
  await expect(archive.storeFile(FIRST, makeSegment(FIRST, options), '/tmp')).rejects.toMatchObject({ code });
});

test('a recycled file, which still holds older wal, is refused', async () => {
  const { archive } = await emptyArchive();
  const [, second] = names(2);
  await expect(archive.storeFile(second!, makeSegment(FIRST), '/tmp')).rejects.toMatchObject({
    code: 'WAL_SEGMENT_INVALID',
  });
});

test('one call sends the backlog, and the shell answers for the rest without asking the store', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  const all = names(6);
  for (const name of all) await writeReady(directory, name);
  const push = (name: string) => wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${name}`);
  expect(await push(all[0]!)).toMatchObject({ code: 0 });
  for (const name of all)
    expect(await archive.store.head(archive.keys.file({ kind: 'segment', name } as never))).toBeDefined();
  s3.emulator.faults.add({ operation: '*', fault: { kind: 'status', status: 500, code: 'InternalError' } });
  for (const name of all.slice(1)) expect(await push(name)).toMatchObject({ code: 0 });
});

test('a note about a file does not count for another file of its name, nor for another archive', async () => {
  const { prefix } = await emptyArchive();
  const other = await emptyArchive();
  const directory = await dataDirectory();
  const [first, second] = names(2) as [string, string];
  await writeReady(directory, first);
  await writeReady(directory, second);
  expect(await wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${first}`)).toMatchObject({
    code: 0,
  });
  // The other archive is asked, and gets the file.
  expect(await wal(directory, 'push', '--archive', s3.url(other.prefix), `pg_wal/${second}`)).toMatchObject({
    code: 0,
  });
  expect(await other.archive.readFile(second)).toBeDefined();
  await writeReady(directory, second);
  await utimes(path.join(directory, 'pg_wal', second), 1, 1);
  expect((await wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${second}`)).code).toBe(3);
});

test('a store that is down fails the push with a code PostgreSQL counts, and later everything arrives', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  await writeReady(directory, FIRST);
  const file = path.join(directory, 'pg_wal', FIRST);
  const down = s3.emulator.faults.add({
    operation: 'PutObject',
    fault: { kind: 'status', status: 403, code: 'AccessDenied' },
  });
  const failed = await wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${FIRST}`);
  expect(failed.code).toBe(1);
  expect(down()).toBeGreaterThan(0);
  expect(await wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${FIRST}`)).toMatchObject({
    code: 0,
  });
  expect((await archive.readFile(FIRST))?.equals(await readFile(file))).toBe(true);
});

test.each([
  ['503 SlowDown', { kind: 'status', status: 503, code: 'SlowDown' }],
  ['409 of a concurrent write', { kind: 'status', status: 409, code: 'ConditionalRequestConflict' }],
  ['a connection cut before the work', { kind: 'reset' }],
  ['an answer lost after the work', { kind: 'reset', afterSuccess: true }],
  ['silence after the work', { kind: 'silence' }],
] as const)('a write survives %s', async (_what, fault) => {
  const { archive } = await emptyArchive(500);
  const bytes = makeSegment(FIRST);
  s3.emulator.faults.add({ operation: 'PutObject', fault, count: 2 });
  await archive.storeFile(FIRST, bytes, '/tmp');
  expect((await archive.readFile(FIRST))?.equals(bytes)).toBe(true);
});

test('two archivers of one segment: one stores it, the other finds it done', async () => {
  const { archive } = await emptyArchive();
  const bytes = makeSegment(FIRST);
  const results = await Promise.all([1, 2, 3].map(() => archive.storeFile(FIRST, bytes, '/tmp')));
  expect(results.map((result) => result.outcome).sort()).toEqual(['already', 'already', 'stored']);
});

test('fetch says 1 only when the store says that there is no such file', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  await archive.storeFile(FIRST, makeSegment(FIRST), '/tmp');
  const [, second] = names(2) as [string, string];
  const fetch = (name: string, url = s3.url(prefix)) =>
    wal(directory, 'fetch', '--archive', url, '--no-ahead', name, 'pg_wal/RECOVERYXLOG');
  expect(await fetch(second)).toMatchObject({ code: 1 });
  expect(await fetch('00000002.history')).toMatchObject({ code: 1 });
  expect(await fetch(FIRST)).toMatchObject({ code: 0 });

  expect((await fetch(FIRST, s3.url('nothing/here'))).code).toBe(255);
  expect((await fetch(FIRST, 's3://no-such-bucket/x')).code).toBe(255);
  expect((await fetch('../../etc/passwd')).code).toBe(255);
  const cases = [{ kind: 'status', status: 403, code: 'AccessDenied' }, { kind: 'corrupt' }] as const;
  for (const fault of cases) {
    await rm(path.join(directory, 'pg_wal', 'RECOVERYXLOG'), { force: true });
    const lift = s3.emulator.faults.add({ operation: 'GetObject', resource: /wal\//, fault });
    expect((await fetch(FIRST)).code).toBe(255);
    lift();
    expect(await readdir(path.join(directory, 'pg_wal'))).not.toContain('RECOVERYXLOG');
  }
});

test('a transfer that breaks off is taken up again, and nothing half is ever delivered', async () => {
  const { archive } = await emptyArchive();
  const bytes = makeSegment(FIRST);
  await archive.storeFile(FIRST, bytes, '/tmp');
  s3.emulator.faults.add({ operation: 'GetObject', fault: { kind: 'truncate' }, count: 2 });
  expect((await archive.readFile(FIRST))?.equals(bytes)).toBe(true);
});

test('recovery finds the following segments laid ready, whole, and in the right order', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  const all = names(12);
  const contents = new Map(all.map((name) => [name, makeSegment(name)]));
  for (const [name, bytes] of contents) await archive.storeFile(name, bytes, '/tmp');
  for (const name of all) {
    const target = path.join(directory, 'pg_wal', 'RECOVERYXLOG');
    expect(
      await wal(directory, 'fetch', '--archive', s3.url(prefix), name, 'pg_wal/RECOVERYXLOG'),
    ).toMatchObject({ code: 0 });
    expect((await readFile(target)).equals(contents.get(name)!)).toBe(true);
    await rm(target);
  }
  expect(
    (
      await wal(
        directory,
        'fetch',
        '--archive',
        s3.url(prefix),
        neighbour(all.at(-1)!, 1, MADE_UP.segmentSize),
        'x',
      )
    ).code,
  ).toBe(1);
});

test('segments too large for memory go through a file, and come back the same', async () => {
  const segmentSize = 64 << 20;
  const prefix = `a${++counter}`;
  const store = s3.store();
  stores.push(store);
  const archive = await WalArchive.claim(s3.location(prefix), { ...MADE_UP, segmentSize }, { store });
  const bytes = makeSegment(FIRST, { segmentSize });
  const file = path.join(s3.directory, FIRST);
  await writeFile(file, bytes);
  await archive.storeFile(FIRST, file, s3.directory);
  await archive.fetchFile(FIRST, `${file}.back`);
  expect((await readFile(`${file}.back`)).equals(bytes)).toBe(true);
  await rm(file);
});

test.each([1, 16, 64])(
  'every kind of file that PostgreSQL archives comes back as it was, with segments of %i MB',
  async (megabytes) => {
    const segmentSize = megabytes << 20;
    const prefix = `a${++counter}`;
    const store = s3.store();
    stores.push(store);
    const archive = await WalArchive.claim(s3.location(prefix), { ...MADE_UP, segmentSize }, { store });
    const files = new Map([
      [FIRST, makeSegment(FIRST, { segmentSize })],
      [`${FIRST}.partial`, makeSegment(`${FIRST}.partial`, { segmentSize })],
      [`${FIRST}.00000028.backup`, Buffer.from('START WAL LOCATION: 0/5000028\n')],
      ['00000002.history', Buffer.from('1\t0/5000028\tno recovery target specified\n')],
    ]);
    const file = path.join(s3.directory, 'kind');
    for (const [name, bytes] of files) {
      await writeFile(file, bytes);
      expect(await archive.storeFile(name, file, s3.directory)).toMatchObject({ outcome: 'stored' });
      expect(await archive.fetchFile(name, `${file}.back`)).toBe(true);
      expect((await readFile(`${file}.back`)).equals(bytes)).toBe(true);
    }
    await expect(
      archive.storeFile('00000002.history', Buffer.from('1\t0/6000028\tanother copy chose it too\n'), ''),
    ).rejects.toMatchObject({ code: 'WAL_CONFLICT' });
    await rm(file);
    await rm(`${file}.back`);
  },
);

test('a Node.js that cannot run is neither the end of the archive nor a failure that PostgreSQL does not count', async () => {
  const directory = await dataDirectory();
  await writeReady(directory, FIRST);
  const script = path.join(s3.directory, 'bin', 'skytools');
  const exit = (node: string, ...words: string[]) =>
    run(script, ['wal', ...words], { cwd: directory, env: { ...process.env, SKYTOOLS_NODE: node } }).then(
      () => 0,
      (error: { code: number }) => error.code,
    );
  for (const node of ['/no/such/node', '/bin/false']) {
    expect(await exit(node, 'push', '--archive', s3.url('x'), `pg_wal/${FIRST}`)).toBe(1);
    expect(await exit(node, 'fetch', '--archive', s3.url('x'), FIRST, 'pg_wal/RECOVERYXLOG')).toBe(255);
  }
});

test('a spool that is torn, emptied or gone costs a comparison with the archive, and loses nothing', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  const all = names(4) as [string, string, string, string];
  for (const name of all) await writeReady(directory, name);
  const push = (name: string) => wal(directory, 'push', '--archive', s3.url(prefix), `pg_wal/${name}`);
  expect(await push(all[0])).toMatchObject({ code: 0 });
  const spool = path.join(directory, 'pg_wal/.skytools');
  await writeFile(path.join(spool, 'sent', all[1]), '');
  await writeFile(path.join(spool, 'archive'), 'half a li');
  expect(await push(all[1])).toMatchObject({ code: 0 });
  await rm(spool, { recursive: true });
  await writeReady(directory, all[2]);
  expect((await push(all[2])).code).toBe(3);
  expect(await push(all[3])).toMatchObject({ code: 0 });
  for (const name of all) expect(await archive.readFile(name)).toBeDefined();
});

test('a host with a shell and curl archives and recovers through the functions, and can do nothing else', async () => {
  const { archive, prefix } = await emptyArchive();
  const directory = await dataDirectory();
  const bytes = await writeReady(directory, FIRST);
  const config = {
    databases: {},
    consumers: {},
    londiste: {},
    walmgr: { main: { archive: s3.url(prefix), uploadKey: 'env:UPLOAD_KEY', restoreKey: 'env:RESTORE_KEY' } },
  };
  Object.assign(process.env, s3.env, { UPLOAD_KEY: 'sesame', RESTORE_KEY: 'open' });
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', async () => {
      const answer = request.url === '/upload' ? answerUpload : answerDownload;
      const { status, body: text } = await answer(
        config,
        body,
        String(request.headers['x-skytools-signature']),
      );
      response.writeHead(status).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const env = {
    PATH: process.env.PATH,
    SKYTOOLS_CLUSTER: 'main',
    SKYTOOLS_UPLOAD_URL: `http://127.0.0.1:${port}/upload`,
    SKYTOOLS_RESTORE_URL: `http://127.0.0.1:${port}/restore`,
    SKYTOOLS_UPLOAD_KEY: 'sesame',
    SKYTOOLS_RESTORE_KEY: 'open',
  };
  const shell = async (script: string, words: string[], more = {}) =>
    run(`lib/walmgr/shell/${script}`, words, { env: { ...env, ...more } }).then(
      () => 0,
      (error: { code: number }) => error.code,
    );
  const file = path.join(directory, 'pg_wal', FIRST);
  expect(await shell('wal-upload.sh', [file])).toBe(0);
  expect(await shell('wal-upload.sh', [file])).toBe(0);
  expect((await archive.readFile(FIRST))?.equals(bytes)).toBe(true);
  expect(
    (await verifyUpload(archive, archive.keys.file({ kind: 'segment', name: FIRST } as never)))?.state,
  ).toBe('verified');

  expect(await shell('wal-upload.sh', [file], { SKYTOOLS_UPLOAD_KEY: 'wrong' })).toBe(1);
  await writeReady(directory, FIRST);
  expect(await shell('wal-upload.sh', [file])).toBe(1);

  const target = path.join(directory, 'pg_wal', 'RECOVERYXLOG');
  expect(await shell('wal-restore.sh', [FIRST, target])).toBe(0);
  expect((await readFile(target)).equals(bytes)).toBe(true);
  expect(await shell('wal-restore.sh', ['00000009.history', target])).toBe(1);
  expect(await shell('wal-restore.sh', [FIRST, target], { SKYTOOLS_RESTORE_KEY: 'sesame' })).toBe(255);

  // A granted URL puts exactly the announced bytes: others, and a second time, are refused by S3 itself.
  const [, second] = names(2) as [string, string];
  const small = makeSegment(second);
  const lines = [
    'cluster=main',
    `name=${second}`,
    `size=${small.length}`,
    `sha256=${'a'.repeat(64)}`,
    'object_size=5',
    `object_sha256=${'b'.repeat(64)}`,
    'codec=none',
    `header=${small.subarray(0, 40).toString('hex')}`,
    `time=${Math.floor(Date.now() / 1000)}`,
  ].join('\n');
  const { status, body } = await answerUpload(config, lines, signUpload(lines, 'sesame'));
  expect(status).toBe(200);
  const [first, ...headers] = body.trim().split('\n');
  const granted = first!.replace('put ', '');
  const sent = Object.fromEntries(headers.map((line) => line.split(': ') as [string, string]));
  expect((await fetch(granted, { method: 'PUT', body: 'other', headers: sent })).ok).toBe(false);
  expect((await fetch(granted)).status).toBe(403);
  expect((await fetch(granted, { method: 'DELETE' })).status).toBe(403);
  const listing = granted.replace(/\/archive\/[^?]*/, '/archive/');
  expect((await fetch(listing)).status).toBe(403);
  server.close();
});

test('a granted upload is taken once, and a second one of the same URL overwrites nothing', async () => {
  const { archive, prefix } = await emptyArchive();
  process.env.UPLOAD_KEY = 'sesame';
  Object.assign(process.env, s3.env);
  const bytes = makeSegment(FIRST);
  const { body } = await askUpload(prefix, { bytes });
  const [first, ...headers] = body.trim().split('\n');
  const put = () =>
    fetch(first!.replace('put ', ''), {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: Object.fromEntries(headers.map((line) => line.split(': ') as [string, string])),
    });
  expect((await put()).status).toBe(200);
  expect((await put()).status).toBe(412);
  expect((await archive.readFile(FIRST))?.equals(bytes)).toBe(true);
});

test.each([
  ['a name that leaves the archive', { name: '..%2F..%2Fother' }, 422],
  ['a name that is no WAL file', { name: 'backup.json' }, 422],
  ['another place than its first page says', { name: neighbour(FIRST, 1, MADE_UP.segmentSize) }, 422],
  ['half a segment', { size: MADE_UP.segmentSize / 2 }, 422],
  ['an object larger than its file', { objectSize: MADE_UP.segmentSize * 2 }, 422],
  ['a history of a gigabyte', { name: '00000002.history', size: 1 << 30 }, 422],
  ['another cluster', { bytes: makeSegment(FIRST, { systemIdentifier: 42n }) }, 409],
  ['another key', { key: 'open' }, 403],
])('an upload of %s is refused before a byte is sent', async (_what, options, status) => {
  const { archive, prefix } = await emptyArchive();
  process.env.UPLOAD_KEY = 'sesame';
  Object.assign(process.env, s3.env);
  const answer = await askUpload(prefix, options);
  expect(answer.status).toBe(status);
  expect(answer.body).toMatch(/^error /);
  for await (const { key } of archive.store.list(`${prefix}/${MADE_UP.systemIdentifier}/`))
    throw new Error(key);
});

/** Asks for an upload as the shell script does; what `options` name is other than it should be. */
function askUpload(
  prefix: string,
  options: { bytes?: Buffer; name?: string; size?: number; objectSize?: number; key?: string },
) {
  const bytes = options.bytes ?? makeSegment(FIRST);
  const lines = [
    'cluster=main',
    `name=${options.name ?? FIRST}`,
    `size=${options.size ?? bytes.length}`,
    `sha256=${sha256(bytes)}`,
    `object_size=${options.objectSize ?? bytes.length}`,
    `object_sha256=${sha256(bytes)}`,
    'codec=none',
    `header=${bytes.subarray(0, 40).toString('hex')}`,
    `time=${Math.floor(Date.now() / 1000)}`,
  ].join('\n');
  const config = {
    databases: {},
    consumers: {},
    londiste: {},
    walmgr: { main: { archive: s3.url(prefix), uploadKey: 'env:UPLOAD_KEY' } },
  };
  return answerUpload(config, lines, signUpload(lines, options.key ?? 'sesame'));
}

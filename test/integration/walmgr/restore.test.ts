// Each option of `skytools wal restore`, by the built command line in a process of its own, on one archive.

import { type ExecFileException, execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import {
  archived,
  type Cluster,
  giveToPostgres,
  recovered,
  startCluster,
  startRestored,
  stopAll,
  until,
} from '../../support/cluster.ts';

/** Run with SKYTOOLS_TEST_LONG=1, as CI does. */
const longTest = test.skipIf(!process.env.SKYTOOLS_TEST_LONG);
/** util-linux's `script` gives a command a terminal. */
const terminalTest = test.skipIf(!existsSync('/usr/bin/script') || process.platform !== 'linux');

const ENTRY = 'dist/cli/main.mjs';
/** 24 digits that no segment of this test has. */
const SEGMENT = /[0-9A-F]{24}/;

let s3: TestArchive;
let home: string;
/** Where the primary's tablespace lay, by its map. */
let space: string;
let places = 0;
const backups: string[] = [];
/** What can be named of the history below. */
const at = { time: '', lsn: '', xid: '' };

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

function run(program: string, args: string[]): Promise<Outcome> {
  const env = { ...process.env, ...s3.env, SKYTOOLS_WAL_ARCHIVE: s3.url('main'), NO_COLOR: '1' };
  return new Promise((resolve) =>
    execFile(program, args, { env }, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  );
}

const wal = (...words: string[]) => run(process.execPath, [ENTRY, 'wal', ...words]);

/** A place below which the server's account may read. */
const place = () => `${home}/${places++}`;

/** Where the tablespace goes: its old place may not be empty. */
const elsewhere = () => ['--tablespace-map', `${space}=${place()}`];

/** Restores by the command line and starts a server on it. */
async function restored(...words: string[]): Promise<Cluster> {
  const to = place();
  // Without waiting for the disk: hundreds of files to flush take a minute where it is busy.
  const result = await wal('restore', '--no-sync', '--to', to, '--fetch-command', s3.command, ...words);
  expect(result).toMatchObject({ code: 0, stderr: expect.stringContaining('all of them verified') });
  giveToPostgres(home);
  return startRestored(to);
}

/** The numbers that the server has once its recovery is over. */
async function content(cluster: Cluster): Promise<number[]> {
  await recovered(cluster);
  const rows = await cluster.query<{ n: number }>('select n from step order by n');
  expect(await cluster.query('select n from spaced order by n')).toEqual(rows);
  return rows.map(({ n }) => n);
}

/** What a restore with these words ends in. */
async function contentAt(...words: string[]): Promise<number[]> {
  const cluster = await restored(...elsewhere(), ...words);
  try {
    return await content(cluster);
  } finally {
    await cluster.stop();
  }
}

async function backup(cluster: Cluster): Promise<string> {
  const result = await wal('backup', '--json', '--source', cluster.server.url());
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return (JSON.parse(result.stdout) as { name: string }).name;
}

/*
 * The history, one row in each of two tables at a time, one of them in a tablespace:
 *   0 | backup | 1 | backup | 2 | restore point `two` | 3, a transaction whose id, commit time and commit record are known | 4
 */
beforeAll(async () => {
  s3 = await startArchive();
  home = mkdtempSync('/tmp/skytools-restore-');
  chmodSync(home, 0o755);
  space = place();
  mkdirSync(space);
  giveToPostgres(home);
  const primary = await startCluster({
    archiveCommand: `${s3.command} wal push --archive ${s3.url('main')} %p`,
    initdb: ['--wal-segsize=1'],
    settings: { track_commit_timestamp: 'on', autovacuum: 'off' },
  });
  const step = (n: number) => `insert into step values (${n}); insert into spaced values (${n});`;
  await primary.query(`create tablespace space location '${space}'`);
  await primary.query('create table step (n int)');
  await primary.query('create table spaced (n int) tablespace space');
  await primary.query(step(0));
  backups.push(await backup(primary));
  await primary.query(step(1));
  // Names of backups have seconds.
  await primary.query('select pg_sleep(1)');
  backups.push(await backup(primary));
  await primary.query(step(2));
  await primary.query("select pg_create_restore_point('two')");
  // In one go, so that nothing is written between the position and the commit record, which is there.
  const results = (await primary.client.query(
    `begin; ${step(3)} select pg_current_xact_id()::text as xid, pg_current_wal_insert_lsn()::text as lsn; commit`,
  )) as unknown as { rows: { xid: string; lsn: string }[] }[];
  const { xid, lsn } = results.find(({ rows }) => rows.length > 0)!.rows[0]!;
  const [commit] = await primary.query<{ time: string }>(
    `select pg_xact_commit_timestamp('${xid}'::xid)::text as time`,
  );
  Object.assign(at, { xid, lsn, time: commit!.time });
  await primary.query(step(4));
  await archived(primary);
  await primary.stop('immediate');
});

afterAll(async () => {
  await stopAll();
  await s3.close();
  rmSync(home, { recursive: true, force: true });
});

test('--target-xid with --exclusive stops just before the transaction, and its tablespace comes back elsewhere', async () => {
  expect(await contentAt('--target-xid', at.xid, '--exclusive')).toEqual([0, 1, 2]);
});

test('--json tells what was restored and what is next, and nothing else goes to stdout', async () => {
  const to = place();
  const result = await wal('restore', '--json', '--to', to, ...elsewhere());
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(result.stdout)).toMatchObject({
    backup: backups[1],
    directory: to,
    timeline: 1,
    tablespaces: [{ from: space, to: expect.stringContaining(home) }],
    files: expect.any(Number),
    wal: { missing: [] },
    next: [expect.stringContaining(`pg_ctl -D ${to} start`), expect.anything(), expect.anything()],
  });
});

test('wrong options are refused with a hint, and the place of the restore stays as it was', async () => {
  const empty = place();
  mkdirSync(empty, { mode: 0o755 });
  const before = statSync(empty);
  const full = place();
  mkdirSync(full);
  writeFileSync(`${full}/precious`, '');
  const absent = place();
  const to = ['--to', empty];
  const map = elsewhere();
  const refusals: [string, number, RegExp, string[]][] = [
    ['WAL_TARGET_INVALID', 2, /give one of/, [...to, '--target-xid', '7', '--immediate']],
    ['WAL_TARGET_INVALID', 2, /give one of/, [...to, '--target-time', at.time, '--target-name', 'two']],
    ['WAL_TARGET_INVALID', 2, /with its zone/, [...to, '--target-time', 'noon']],
    ['WAL_TARGET_INVALID', 2, /add Z for UTC/, [...to, '--target-time', '2026-11-22 20:15:00']],
    ['WAL_LSN_INVALID', 2, /as postgresql prints it/, [...to, '--target-lsn', '16B374D848']],
    ['WAL_TARGET_INVALID', 2, /1 to 63 bytes/, [...to, '--target-name', '']],
    ['WAL_TARGET_INVALID', 2, /pg_current_xact_id/, [...to, '--target-xid', '0']],
    ['WAL_TARGET_INVALID', 2, /--exclusive goes with/, [...to, '--exclusive']],
    ['WAL_TARGET_INVALID', 2, /--exclusive goes with/, [...to, '--exclusive', '--target-name', 'two']],
    ['WAL_TARGET_INVALID', 2, /from 1, or latest/, [...to, '--timeline', '0']],
    ['WAL_TIMELINE_MISSING', 1, /wal show/, [...to, '--timeline', '7']],
    ['WAL_BACKUP_NAME_INVALID', 2, /wal backups/, [...to, '--backup', 'yesterday']],
    ['WAL_BACKUP_MISSING', 1, /wal backups/, [...to, '--backup', `20000101T000000Z-${'0'.repeat(24)}`]],
    ['WAL_NO_BACKUP_FOR_TARGET', 1, /a later target/, [...to, '--target-time', '2000-01-01T00:00:00Z']],
    ['WAL_NO_BACKUP_FOR_TARGET', 1, /a later target/, [...to, '--target-lsn', '0/100']],
    ['WAL_TABLESPACE_UNKNOWN', 2, new RegExp(space), [...to, '--tablespace-map', `/nowhere=${place()}`]],
    ['WAL_TABLESPACE_PLACE', 2, /directory of its own/, [...to, '--tablespace-map', `${space}=${empty}/in`]],
    ['WAL_RESTORE_NOT_EMPTY', 2, /--tablespace-map/, [...to]],
    [
      'WAL_RESTORE_NOT_EMPTY',
      2,
      /--tablespace-map/,
      ['--to', absent, '--tablespace-map', `${space}=${full}`],
    ],
    ['WAL_RESTORE_NOT_EMPTY', 2, /overwrites nothing/, ['--to', full, ...map]],
    ['WAL_RESTORE_DIRECTORY', 2, /can write to/, ['--to', `${full}/precious`, ...map]],
    ['WAL_TARGET_INVALID', 2, /either --standby or/, [...to, '--standby', '--target-xid', at.xid]],
    ['WAL_TARGET_INVALID', 2, /either --standby or/, [...to, '--standby', '--timeline', '1']],
    ['WAL_TARGET_INVALID', 2, /add --standby/, [...to, '--primary', 'host=db']],
    ['at least 1', 2, /--help/, [...to, '--parallel', '0']],
    ['not a whole number', 2, /--help/, [...to, '--timeline', 'newest']],
    ["'--to <directory>' not specified", 2, /--help/, []],
  ];
  await Promise.all(
    refusals.map(async ([code, exit, hint, words]) => {
      const result = await wal('restore', ...words);
      expect({ words, ...result }).toMatchObject({ words, code: exit, stdout: '' });
      expect(result.stderr).toContain(code);
      expect(result.stderr).toMatch(hint);
    }),
  );
  const after = statSync(empty);
  expect([readdirSync(empty), after.mode, after.mtimeMs]).toEqual([[], before.mode, before.mtimeMs]);
  expect(readdirSync(full)).toEqual(['precious']);
  expect(existsSync(absent)).toBe(false);
});

test('--dry-run tells what would be fetched, and writes nothing', async () => {
  const to = place();
  const map = elsewhere();
  const words = ['restore', '--dry-run', '--to', to, ...map, '--target-lsn', at.lsn];
  const listing = async () => (await wal('show', '--json')).stdout;
  const before = await listing();
  const [text, json] = await Promise.all([wal(...words), wal(...words, '--json')]);
  expect(text).toMatchObject({ code: 0, stderr: 'nothing was written\n' });
  for (const part of [
    backups[1]!,
    to,
    `${space} in ${map[1]!.split('=')[1]}`,
    `to ${at.lsn}`,
    'MiB',
    'nothing',
  ])
    expect(text.stdout).toContain(part);
  expect(json).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(json.stdout)).toMatchObject({
    dryRun: true,
    backup: backups[1],
    files: expect.any(Number),
    plainSize: expect.any(Number),
    objectSize: expect.any(Number),
    directory: to,
    tablespaces: [{ from: space, to: map[1]!.split('=')[1] }],
    timeline: 1,
    wal: {
      to: at.lsn,
      first: expect.stringMatching(SEGMENT),
      last: expect.stringMatching(SEGMENT),
      segments: expect.any(Number),
      bytes: expect.any(Number),
      missing: [],
    },
  });
  expect([existsSync(to), existsSync(map[1]!.split('=')[1]!)]).toEqual([false, false]);
  expect(await listing()).toBe(before);
});

test('--dry-run names the WAL that is not there, and exits with 3', async () => {
  const words = ['restore', '--dry-run', '--json', '--to', place(), ...elsewhere()];
  const beyond = await wal(...words, '--target-lsn', '1/0');
  expect(beyond).toMatchObject({ code: 3, stderr: expect.stringContaining('the archive lacks WAL') });
  const { wal: path } = JSON.parse(beyond.stdout) as { wal: { missing: { last: string; count: number }[] } };
  expect(path.missing).toMatchObject([{ last: `${'0'.repeat(7)}1${'0'.repeat(7)}1${'0'.repeat(8)}` }]);

  const store = s3.store();
  const keys: string[] = [];
  for await (const { key } of store.list('main/')) if (key.includes('/wal/')) keys.push(key);
  const segments = keys.filter((key) => /\/[0-9A-F]{24}$/.test(key));
  const gap = segments.at(-2)!;
  const kept = (await store.get(gap, 1 << 22))!;
  await store.delete(gap);
  try {
    const holed = await wal(...words, '--backup', backups[0]!);
    const name = gap.slice(-24);
    expect(holed.code).toBe(3);
    expect(JSON.parse(holed.stdout)).toMatchObject({
      wal: { missing: [{ first: name, last: name, count: 1 }] },
    });
    expect(holed.stderr).toContain(name);
  } finally {
    await store.put(gap, kept.body, kept.info.metadata['object-sha256']!, { metadata: kept.info.metadata });
    store.close();
  }
});

terminalTest('a terminal sees a bar, a pipe does not', async () => {
  const words = (to: string) => ['restore', '--no-sync', '--to', to, ...elsewhere()];
  const command = [process.execPath, ENTRY, 'wal', ...words(place())].map((word) => `'${word}'`).join(' ');
  const seen = await run('script', ['-qec', command, '/dev/null']);
  expect(seen.code).toBe(0);
  expect(seen.stdout).toMatch(/restoring .*\d+% \d+\/\d+ MiB/);
  expect(seen.stdout).toContain('all of them verified');
  const piped = await wal(...words(place()));
  expect(piped).toMatchObject({ code: 0, stdout: '' });
  expect(piped.stderr).toMatch(/^restored [^\r\x1b]*$/);
});

longTest.each([
  ['--target-xid', () => ['--target-xid', at.xid], [0, 1, 2, 3]],
  ['--target-lsn, a commit record', () => ['--target-lsn', at.lsn], [0, 1, 2, 3]],
  ['--target-lsn with --exclusive', () => ['--target-lsn', at.lsn, '--exclusive'], [0, 1, 2]],
  ['--target-time, that of a commit', () => ['--target-time', at.time], [0, 1, 2, 3]],
  ['--target-time with --exclusive', () => ['--target-time', at.time, '--exclusive'], [0, 1, 2]],
  ['--target-name', () => ['--target-name', 'two'], [0, 1, 2]],
  ['--immediate, of the newest backup', () => ['--immediate'], [0, 1]],
  ['--immediate of an older --backup', () => ['--immediate', '--backup', backups[0]!], [0]],
  [
    '--timeline, before there is another, and --parallel',
    () => ['--timeline', '1', '--parallel', '1'],
    [0, 1, 2, 3, 4],
  ],
  ['no target at all', () => [], [0, 1, 2, 3, 4]],
])('%s ends in a server with exactly what it promises', async (_what, words, wanted) => {
  expect(await contentAt(...words())).toEqual(wanted);
});

longTest('--timeline chooses between a cluster and the copy that went its own way', async () => {
  const copy = await restored(...elsewhere(), '--target-xid', at.xid, '--exclusive');
  await recovered(copy);
  await copy.query('insert into step values (33); insert into spaced values (33)');
  expect(await wal('pull', '--source', copy.server.url())).toMatchObject({ code: 0 });
  await copy.stop('immediate');
  expect(await contentAt()).toEqual([0, 1, 2, 33]);
  expect(await contentAt('--timeline', '2')).toEqual([0, 1, 2, 33]);
  expect(await contentAt('--timeline', '1')).toEqual([0, 1, 2, 3, 4]);
  const plan = await wal('restore', '--dry-run', '--json', '--to', place(), ...elsewhere());
  expect(JSON.parse(plan.stdout)).toMatchObject({
    timeline: 2,
    wal: { missing: [], unfinished: expect.stringMatching(/^00000002/) },
  });
});

longTest('--standby goes on following the archive', async () => {
  const standby = await restored(...elsewhere(), '--standby', '--backup', backups[0]!);
  await until('the rows of the newest timeline', async () => {
    const rows = await standby.query<{ n: number }>('select n from spaced order by n');
    return rows.map(({ n }) => n).join() === '0,1,2,33';
  });
  expect(await standby.query('select pg_is_in_recovery() as yes')).toEqual([{ yes: true }]);
  await standby.stop();
});

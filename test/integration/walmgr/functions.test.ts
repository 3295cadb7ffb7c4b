import { execFile } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { functions } from '../../../infra/functions.ts';
import { localManifest } from '../../../lib/local/demo/manifest.ts';
import type { Manifest } from '../../../lib/local/runner/manifest.ts';
import { type Runner, startRunner } from '../../../lib/local/runner/runner.ts';
import type { LogLine } from '../../../lib/local/runner/sandbox.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { sha256 } from '../../../lib/walmgr/archive/codec.ts';
import { parseManifest } from '../../../lib/walmgr/backup/manifest.ts';
import { listBackups, MANIFEST_FILE, missingWal } from '../../../lib/walmgr/backup/record.ts';
import { takeBackup } from '../../../lib/walmgr/backup/take.ts';
import { checkArchive } from '../../../lib/walmgr/verify.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import {
  archived,
  type Cluster,
  checksum,
  giveToPostgres,
  recover,
  startCluster,
  stopAll,
  until,
} from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { mayDo, s3Rights } from '../../support/rights.ts';

/*
 * The built functions in processes of their own, as Lambda runs them: woken by the schedule, by each other's messages, by
 * S3's notifications and through their URLs.
 */

const shell = promisify(execFile);
const KEYS = { SKYTOOLS_UPLOAD_KEY: 'sesame', SKYTOOLS_RESTORE_KEY: 'open' };
/** Short, so that a test sees a pull stop before its deadline and the chain go on. */
const PULL_SECONDS = 8;
const MEMORY_GOAL_MB = 256;

let s3: TestArchive;
let state: TestDatabase;
let pulled: Cluster;
let runner: Runner;
let directory: string;
const log: LogLine[] = [];
/** What the functions did in S3 and SQS, and what they would have done beyond their roles, as `FUNCTION ACTION`. */
const did = new Set<string>();
const refused = new Set<string>();

beforeAll(async () => {
  s3 = await startArchive({
    authorize: (name, action, resource) => {
      const allowed = mayDo(name, action, resource);
      (allowed ? did : refused).add(`${name} ${action}`);
      return allowed;
    },
  });
  directory = mkdtempSync('/tmp/skytools-wal-functions-');
  state = await createDatabase();
  pulled = await startCluster({ initdb: ['--wal-segsize=1'] });
  const config = parseConfig({
    databases: { state: { url: state.url } },
    walmgr: {
      pulled: {
        archive: s3.url('pulled'),
        source: pulled.server.url(),
        database: 'state',
        level: 3,
        pull: { slot: 'functions', follow: true },
        backup: { keep: 1, keepDays: 0, manifestChecksums: 'CRC32C' },
      },
      uploaded: {
        archive: s3.url('uploaded'),
        database: 'state',
        uploadKey: 'env:SKYTOOLS_UPLOAD_KEY',
        restoreKey: 'env:SKYTOOLS_RESTORE_KEY',
      },
    },
  });
  const file = path.join(directory, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  await s3.createBucket('hints');
  runner = await startRunner(withRoles(shortPulls(localManifest('dist/functions'))), {
    endpoint: s3.emulator.endpoint,
    region: s3.emulator.region,
    accessKeyId: s3.env.AWS_ACCESS_KEY_ID!,
    secretAccessKey: s3.env.AWS_SECRET_ACCESS_KEY!,
    environment: { ...KEYS, SKYTOOLS_CONFIG_FILE: file, POWERTOOLS_METRICS_DISABLED: 'true' },
    log: (line) => void log.push(line),
  });
  await s3.notify(runner.queues.get('wal-archive')!.arn, 'uploaded/');
});

afterAll(async () => {
  await runner?.close(0);
  await stopAll();
  await state.drop();
  await s3.close();
  rmSync(directory, { recursive: true, force: true });
});

function shortPulls(manifest: Manifest): Manifest {
  return {
    ...manifest,
    functions: manifest.functions.map((each) =>
      each.name === 'wal-archive' ? { ...each, timeoutSeconds: PULL_SECONDS } : each,
    ),
  };
}

/** Each function with a session token of its own, as a role gives it: the emulator lets it do what its role allows. */
function withRoles(manifest: Manifest): Manifest {
  return {
    ...manifest,
    functions: manifest.functions.map((each) => ({
      ...each,
      environment: { ...each.environment, AWS_SESSION_TOKEN: each.name },
    })),
  };
}

const open = (prefix: string) => WalArchive.open(s3.location(prefix), s3.store());
const logOf = (name: string) => log.filter((line) => line.functionName === name).map((line) => line.text);

test('the schedule wakes pull and backup, pull calls for its own next run, and the host may burn', async () => {
  await pulled.query('create table t (x text)');
  await runner.fire('sweep');
  await until('a usable backup', async () => {
    const archive = await open('pulled').catch(() => undefined);
    const [backup] = archive ? await listBackups(archive) : [];
    return backup !== undefined && (await missingWal(archive!, backup)).length === 0;
  });
  // Longer than one invocation lives: what comes later is archived by the next of the chain.
  const pulls = () => runner.counts().functions['wal-archive']!.invocations;
  const begun = pulls();
  await until('a later pull', async () => {
    await pulled.query('insert into t select md5(g::text) from generate_series(1, 500) g');
    return pulls() >= begun + 2;
  });
  const archive = await open('pulled');
  const [taken] = await listBackups(archive);
  const manifest = await archive.store.get(archive.keys.backup(taken!.name) + MANIFEST_FILE, 1 << 20);
  expect(parseManifest(manifest!.body).algorithm).toBe('CRC32C');
  // A second backup, and the first one goes.
  const backups = async () => (await listBackups(await open('pulled'))).map(({ name }) => name);
  const [first] = await backups();
  const backUp = (job?: string) =>
    runner.invoke('backup', {
      Records: [{ messageId: '1', body: JSON.stringify({ v: 1, kind: 'backup', cluster: 'pulled', job }) }],
    });
  await backUp();
  await until('the expiry of the first backup', async () => {
    await pulled.query('select pg_switch_wal()');
    await backUp('expire');
    const left = await backups();
    return left.length === 1 && left[0] !== first;
  });
  const [at] = await pulled.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  await until('the last commit in the archive', async () => {
    const [slot] = await pulled.query<{ done: boolean }>(
      'select restart_lsn >= $1::pg_lsn as done from pg_replication_slots',
      [at!.lsn],
    );
    return slot?.done === true;
  });
  const before = await checksum(pulled, 't');
  await pulled.stop('immediate');
  expect((await checkArchive(await open('pulled'))).gaps).toEqual([]);
  const copy = await recover(s3, 'pulled');
  expect(await checksum(copy, 't')).toBe(before);
  await copy.stop();
  const [info] = await state.query("select * from walmgr.get_cluster_info() where cluster_name = 'pulled'");
  expect(info).toMatchObject({ gaps: '0', damaged: '0', usable_backups: '1' });
});

/** Lays the newest backup out with curl, zstd and tar, as docs/guides/wal-upload.md says; a new data directory. */
async function layOut(archive: WalArchive, restoreCommand: string): Promise<string> {
  const home = mkdtempSync(path.join(directory, 'by-shell-'));
  const data = path.join(home, 'data');
  mkdirSync(data, { mode: 0o700 });
  const { name, volumes } = (await listBackups(archive)).at(-1)!;
  for (const { file } of volumes) {
    const url = await archive.store.client.presign('GET', archive.keys.backup(name) + file, 300);
    await shell('sh', ['-c', `curl -sSf '${url}' | zstd -dc | tar -x -C '${data}'`]);
  }
  appendFileSync(
    path.join(data, 'postgresql.auto.conf'),
    `restore_command = '${restoreCommand}'\narchive_mode = 'off'\n`,
  );
  writeFileSync(path.join(data, 'recovery.signal'), '');
  chmodSync(directory, 0o755);
  chmodSync(home, 0o755);
  giveToPostgres(data);
  return data;
}

test('a host with a shell archives by wal-upload, S3 tells wal-archive, and wal-restore brings it back', async () => {
  const environment = {
    ...KEYS,
    SKYTOOLS_CLUSTER: 'uploaded',
    SKYTOOLS_UPLOAD_URL: runner.urls.get('wal-upload')!,
    SKYTOOLS_RESTORE_URL: runner.urls.get('wal-restore')!,
  };
  const upload = s3.script('wal-upload.sh', environment);
  const restore = s3.script('wal-restore.sh', environment);
  const cluster = await startCluster({ archiveCommand: `${upload} %p`, initdb: ['--wal-segsize=1'] });
  await cluster.query('create table t (x text)');
  await archived(cluster);
  const source = await cluster.source();
  const archive = await open('uploaded');
  const { missing } = await takeBackup(archive, source, { fast: true, waitForWalMs: 60_000 });
  expect(missing).toEqual([]);
  await source.close();
  await cluster.query('insert into t select md5(g::text) from generate_series(1, 20000) g');
  await archived(cluster);
  const before = await checksum(cluster, 't');
  const segments = (await checkArchive(archive)).segments;
  await until('the registration of every file', async () => {
    const [row] = await state.query<{ n: number }>(
      `select count(*)::int as n from walmgr.segment
        where cluster_name = 'uploaded' and state = 'verified' and source = 'upload' and file_name ~ '^[0-9A-F]{24}$'`,
    );
    return row!.n === segments;
  });
  await cluster.stop('immediate');

  const copy = await startCluster({ dataDirectory: await layOut(archive, `${restore} %f %p`) });
  await until('the end of recovery', async () => {
    const [row] = await copy.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering');
    return row?.recovering === false;
  });
  expect(await checksum(copy, 't')).toBe(before);
  await copy.stop();
  // What a stranger asks for is refused by the functions.
  await expect(
    shell(s3.script('wal-restore.sh', { ...environment, SKYTOOLS_RESTORE_KEY: 'no' }), ['x', 'y']),
  ).rejects.toMatchObject({ code: 255 });
});

test('an uploaded object that is not what it says is registered as damaged', async () => {
  const archive = await open('uploaded');
  const name = '00000001000000000000007F';
  const junk = Buffer.alloc(1 << 20, 1);
  await archive.store.put(archive.keys.file({ kind: 'segment', name } as never), junk, sha256(junk), {
    metadata: {
      codec: 'none',
      'plain-size': String(junk.length),
      'plain-sha256': sha256(junk),
      'object-sha256': sha256(junk),
    },
  });
  await until('its registration', async () => {
    const rows = await state.query('select 1 from walmgr.segment where file_name = $1 and state = $2', [
      name,
      'damaged',
    ]);
    return rows.length === 1;
  });
});

test('none of the functions was killed, failed, or held more than 256 MB', () => {
  for (const name of ['wal-archive', 'wal-upload', 'wal-restore', 'backup']) {
    const { invocations, timeouts, errors, maximumMemoryMb } = runner.counts().functions[name]!;
    expect({ name, used: invocations > 0, timeouts, errors, log: errors ? logOf(name) : [] }).toEqual({
      name,
      used: true,
      timeouts: 0,
      errors: 0,
      log: [],
    });
    expect(maximumMemoryMb).toBeLessThan(MEMORY_GOAL_MB);
  }
});

/** Used only where an upload fails half-way. */
const ON_FAILURE = 's3:AbortMultipartUpload';

test('each function did in S3 and SQS what its role allows, and nothing is allowed in the archive that it did not do', () => {
  expect([...refused]).toEqual([]);
  for (const spec of functions.filter(({ archive }) => archive !== undefined)) {
    const allowed = s3Rights(spec).archive.filter((action) => action !== ON_FAILURE);
    expect(
      allowed.filter((action) => !did.has(`${spec.name} ${action}`)),
      spec.name,
    ).toEqual([]);
  }
});

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { WalArchive } from '../../walmgr/archive/archive.ts';
import { sha256 } from '../../walmgr/archive/codec.ts';
import { listBackups, missingWal } from '../../walmgr/backup/record.ts';
import { takeBackup, waitForWal } from '../../walmgr/backup/take.ts';
import { APPLICATION_NAME } from '../../walmgr/pull/pull.ts';
import { ReplicationSource } from '../../walmgr/replication/source.ts';
import { restore } from '../../walmgr/restore/restore.ts';
import type { RecoveryTarget } from '../../walmgr/restore/target.ts';
import { ObjectStore } from '../../walmgr/s3/store.ts';
import { checkArchive } from '../../walmgr/verify.ts';
import { startEmulator } from '../emulator/server.ts';
import { type EmbeddedPostgres, embeddedBinaries, startPostgres } from '../postgres.ts';
import { HINTS_BUCKET } from './manifest.ts';
import { WalFunctions } from './wal-functions.ts';

// `npm run demo:wal`: a cluster under load is archived by push, by signed upload and by pull, backed up, destroyed, and
// brought back to the moment before a fatal DELETE; then the same across a fork of timelines. Pull, upload and the backup
// of the pulled archive are the functions themselves, as they are deployed.

const BUCKET = 'backups';
const WRITERS = 4;
const ACCOUNTS = 1000;
const SETTINGS = {
  wal_level: 'replica',
  full_page_writes: true,
  synchronous_commit: 'on',
  max_wal_senders: 10,
};
const major = Number(process.env.SKYTOOLS_TEST_PG ?? 18);

const startedAt = performance.now();
const say = (text: string) =>
  process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);

function prove(what: string, expected: string, found: string): void {
  if (expected !== found) {
    throw new SkytoolsError('DEMO_FAILED', `${what}: expected ${expected}, found ${found}`, {
      hint: 'please report this',
    });
  }
  say(`proved: ${what} (${found})`);
}

/** Transfers between accounts, written down in a ledger: money is neither made nor lost, and every transfer counts. */
class Load {
  #running = true;
  #held: Promise<void> | undefined;
  #release: () => void = () => {};
  #idle = 0;
  readonly #workers: Promise<void>[];
  transfers = 0;

  constructor(url: string) {
    this.#workers = Array.from({ length: WRITERS }, () => this.#work(url));
  }

  async #work(url: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    const pick = () => 1 + Math.floor(Math.random() * ACCOUNTS);
    while (this.#running) {
      if (this.#held) {
        this.#idle++;
        await this.#held;
        this.#idle--;
      }
      const amount = Math.floor(Math.random() * 100);
      try {
        await client.query(
          `with paid as (update account set balance = balance - ${amount} where id = ${pick()}),
                got as (update account set balance = balance + ${amount} where id = ${pick()})
           insert into ledger (amount, note) values (${amount}, repeat(md5(random()::text), 8))`,
        );
        this.transfers++;
      } catch (error) {
        if ((error as { code?: string }).code !== '40P01') return;
      }
    }
    await client.end();
  }

  /** Runs `body` while no transfer is on its way. */
  async pause<T>(body: () => Promise<T>): Promise<T> {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
    while (this.#idle < WRITERS) await sleep(5);
    const result = await body();
    this.#held = undefined;
    this.#release();
    return result;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.allSettled(this.#workers);
  }
}

const home = mkdtempSync('/tmp/skytools-demo-');
chmodSync(home, 0o755);
const servers = new Set<EmbeddedPostgres>();

const credentials = { accessKeyId: 'demo', secretAccessKey: 'demo-secret' };
mkdirSync(path.join(home, 's3'));
const emulator = await startEmulator({ directory: path.join(home, 's3'), ...credentials });
const store = new ObjectStore({
  bucket: BUCKET,
  region: emulator.region,
  endpoint: emulator.endpoint,
  credentials: async () => credentials,
});
(await store.client.call({ method: 'PUT', key: '' })).resume();
mkdirSync(path.join(home, 's3', HINTS_BUCKET));
const functions = await WalFunctions.start({ emulator, credentials, bucket: BUCKET, home });
await tellOfUploads();

/** Has S3 tell wal-archive of every file that is uploaded. */
async function tellOfUploads(): Promise<void> {
  const body = Buffer.from(
    `<NotificationConfiguration><QueueConfiguration><Queue>${functions.notificationQueue}</Queue>` +
      '<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>upload/</Value>' +
      '</FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>',
  );
  const query = { notification: '' };
  (await store.client.call({ method: 'PUT', key: '', query, body, bodySha256: sha256(body) })).resume();
}

// The server's account may not be able to read where this program was checked out.
const programs = path.join(home, 'programs');
for (const part of ['cli/skytools', 'cli/wal.mjs', 'shell']) {
  cpSync(path.resolve('dist', part), path.join(programs, part), { recursive: true });
}
cpSync(process.execPath, path.join(programs, 'node'));

/** A program as the server's account runs it, with an environment of its own. */
function wrap(name: string, program: string, env: Record<string, string>): string {
  const wrapper = path.join(home, name);
  const lines = Object.entries(env).map(([key, value]) => `export ${key}='${value}'\n`);
  writeFileSync(wrapper, `#!/bin/sh\n${lines.join('')}exec '${program}' "$@"\n`, { mode: 0o755 });
  return wrapper;
}
const skytools = wrap('skytools', path.join(programs, 'cli/skytools'), {
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  AWS_REGION: emulator.region,
  AWS_ENDPOINT_URL_S3: emulator.endpoint,
  SKYTOOLS_NODE: path.join(programs, 'node'),
});
const recipe = (name: string) => wrap(name, path.join(programs, 'shell', name), functions.shellEnvironment);
const walUpload = recipe('wal-upload.sh');
const walRestore = recipe('wal-restore.sh');

/** How PostgreSQL gets WAL back from each archive. */
const fetchCommand = (prefix: string) =>
  prefix === 'upload'
    ? `${walRestore} %f %p`
    : `${skytools} wal fetch --archive s3://${BUCKET}/${prefix} --unfinished %f %p`;

async function startServer(dataDirectory: string, settings: Record<string, string | number | boolean> = {}) {
  const server = await startPostgres({
    binaries: embeddedBinaries(major),
    dataDirectory,
    settings: { ...SETTINGS, ...settings },
  });
  servers.add(server);
  return server;
}

async function ask<Row extends pg.QueryResultRow>(server: EmbeddedPostgres, text: string): Promise<Row> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows[0]!;
  } finally {
    await client.end();
  }
}

/** Content of both tables as one line. */
async function checksum(server: EmbeddedPostgres): Promise<string> {
  const { sum } = await ask<{ sum: string }>(
    server,
    `select (select count(*) || '/' || coalesce(sum(hashtextextended(l::text, 0)), 0) from ledger l) || ' ' ||
            (select count(*) || '/' || coalesce(sum(hashtextextended(a::text, 0)), 0) from account a) as sum`,
  );
  return sum;
}

async function archiveOf(
  server: EmbeddedPostgres,
  prefix: string,
  body: (archive: WalArchive, source: ReplicationSource) => Promise<void>,
) {
  const source = await ReplicationSource.connect(server.url(), APPLICATION_NAME);
  try {
    await body(
      await WalArchive.claim({ bucket: BUCKET, prefix }, await source.identity(), { store }),
      source,
    );
  } finally {
    await source.close();
  }
}

async function destroy(server: EmbeddedPostgres): Promise<void> {
  await server.halt('immediate');
  servers.delete(server);
  rmSync(server.dataDirectory, { recursive: true, force: true });
}

let copies = 0;

/** Restores from one archive and waits until recovery is over. */
async function bringBack(prefix: string, target: RecoveryTarget): Promise<EmbeddedPostgres> {
  const to = path.join(home, `copy${++copies}`, 'data');
  mkdirSync(path.dirname(to));
  const archive = await WalArchive.open({ bucket: BUCKET, prefix }, store);
  const { did, files } = await restore(archive, {
    to,
    target,
    fetchCommand: fetchCommand(prefix),
    sync: false,
  });
  say(`restored ${files} verified files of backup ${did.backup.name} from s3://${BUCKET}/${prefix}`);
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', path.dirname(to)]);
  const server = await startServer(to);
  while ((await ask<{ busy: boolean }>(server, 'select pg_is_in_recovery() as busy')).busy) await sleep(20);
  return server;
}

async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(50);
}

/** Waits until the archive of pull has everything that is committed now. */
async function untilPulled(server: EmbeddedPostgres): Promise<void> {
  const { lsn } = await ask<{ lsn: string }>(server, 'select pg_current_wal_flush_lsn()::text as lsn');
  await until(async () => {
    const { done } = await ask<{ done: boolean }>(
      server,
      `select coalesce(bool_or(restart_lsn >= '${lsn}'), false) as done from pg_replication_slots`,
    );
    return done;
  });
}

/** The backup that the function takes of the pulled cluster. */
async function backupByFunction(): Promise<string> {
  let name = '';
  await until(async () => {
    const archive = await WalArchive.open({ bucket: BUCKET, prefix: 'pull' }, store).catch(() => undefined);
    const record = archive && (await listBackups(archive))[0];
    if (!record || (await missingWal(archive, record)).length > 0) return false;
    name = record.name;
    return true;
  });
  return name;
}

async function demo(): Promise<void> {
  const ways = `by push to s3://${BUCKET}/push, by upload to /upload and by pull to /pull`;
  say(`PostgreSQL ${major} under load, archived ${ways}`);
  const main = await startServer(path.join(home, 'main', 'data'), {
    archive_mode: 'on',
    archive_timeout: 5,
    archive_command: `${skytools} wal push --archive s3://${BUCKET}/push %p && ${walUpload} %p`,
  });
  functions.configure(main.url());
  await ask(main, 'create table account as select g as id, 1000 as balance from generate_series(1, 1000) g');
  await ask(main, 'alter table account add primary key (id)');
  await ask(main, 'create table ledger (id bigserial primary key, amount int, note text)');
  const load = new Load(main.url());
  await functions.sweep();
  say('the schedule fired: functions sweep, tick, wal-archive and backup are at work');
  for (const prefix of ['push', 'upload']) {
    await archiveOf(main, prefix, async (archive, source) => {
      const { did } = await takeBackup(archive, source, { fast: true });
      // A segment is forced out so that nobody waits for the next one to fill up.
      await ask(main, 'select pg_switch_wal()');
      const missing = await waitForWal(archive, did, 60_000);
      prove(`backup ${did.name} in /${prefix} has all the WAL it needs`, '', missing.join());
    });
  }
  say(`function backup has taken ${await backupByFunction()} in /pull, and pull has brought its WAL`);
  await sleep(2000);
  const [moment, before] = await load.pause(async () => [
    (
      await ask<{ t: string }>(
        main,
        "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as t",
      )
    ).t,
    await checksum(main),
  ]);
  await sleep(1000);
  await ask(main, 'delete from ledger where id % 3 = 0');
  say(`${load.transfers} transfers; the moment is ${moment}Z; then somebody ran a fatal DELETE`);
  await sleep(1000);
  const { name } = await ask<{ name: string }>(main, 'select pg_walfile_name(pg_switch_wal()) as name');
  await until(async () => {
    const { last } = await ask<{ last: string | null }>(
      main,
      'select last_archived_wal as last from pg_stat_archiver',
    );
    return (last ?? '') >= name;
  });
  await load.stop();
  await untilPulled(main);
  await destroy(main);
  say('the data directory is gone');
  const uploaded = await checkArchive(await WalArchive.open({ bucket: BUCKET, prefix: 'upload' }, store));
  await until(async () => (await functions.registered('upload')) >= uploaded.segments);
  say(
    `S3 told function wal-archive of ${uploaded.segments} uploaded segments, and it has read each of them back`,
  );

  for (const prefix of ['push', 'upload', 'pull']) {
    const copy = await bringBack(prefix, { time: `${moment}Z` });
    prove(
      `exactly the transactions before the moment are back from /${prefix}`,
      before,
      await checksum(copy),
    );
    if (prefix === 'pull') await fork(copy, moment);
    else await destroy(copy);
  }
  const memory = Object.entries(functions.memory()).map(([each, mb]) => `${each} ${mb} MB`);
  say(`memory that the functions held at most: ${memory.join(', ')}`);
}

/** The copy becomes the cluster, on timeline 2, and is lost as well. */
async function fork(copy: EmbeddedPostgres, moment: string): Promise<void> {
  const old = await checksum(copy);
  const load = new Load(copy.url());
  functions.configure(copy.url());
  await functions.wake({ v: 1, kind: 'wal-archive', cluster: 'pull' });
  await sleep(3000);
  await load.stop();
  const young = await checksum(copy);
  await untilPulled(copy);
  await destroy(copy);
  say('the copy went on along timeline 2, was pulled, and burned too');
  const latest = await bringBack('pull', {});
  prove('timeline 2 came back to its last transaction', young, await checksum(latest));
  await destroy(latest);
  const first = await bringBack('pull', { time: `${moment}Z`, timeline: 1 });
  prove('timeline 1 can still be gone back to', old, await checksum(first));
  await destroy(first);
  const archive = await WalArchive.open({ bucket: BUCKET, prefix: 'pull' }, store);
  prove('the archive has no gap on either timeline', '0', String((await checkArchive(archive)).gaps.length));
}

try {
  await demo();
  say('done');
} finally {
  await functions.close();
  for (const server of servers) await server.halt('immediate');
  store.close();
  await emulator.close();
  rmSync(home, { recursive: true, force: true });
}

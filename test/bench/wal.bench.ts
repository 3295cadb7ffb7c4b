// Speed of the WAL archive beside pgBackRest, pg_receivewal and pg_basebackup, all against one S3 emulator (over TLS, which
// pgBackRest insists on) and with WAL of pgbench. Needs Debian's PostgreSQL 15 with pgbench, pgBackRest, zstd.
//
//   node test/bench/wal.bench.ts [push] [call] [fetch] [pull] [backup]
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { buildProgram } from '../../infra/build/program.ts';
import { startEmulator } from '../../lib/local/emulator/server.ts';
import { type EmbeddedPostgres, startPostgres, systemBinaries } from '../../lib/local/postgres.ts';
import { ObjectStore } from '../../lib/walmgr/s3/store.ts';

const run = promisify(execFile);
const SEGMENTS = Number(process.env.SEGMENTS ?? 64);
const SCALE = Number(process.env.SCALE ?? 70);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const PROCESSES = 4;
const SECTIONS =
  process.argv.length > 2 ? process.argv.slice(2) : ['push', 'call', 'fetch', 'pull', 'backup'];

const binaries = systemBinaries(15);
if (!binaries) throw new Error('needs PostgreSQL 15 of Debian');
const home = mkdtempSync('/tmp/skytools-walbench-');
chmodSync(home, 0o755);
const at = (...parts: string[]) => path.join(home, ...parts);
for (const directory of ['s3', 'spool', 'log', 'lock']) mkdirSync(at(directory), { mode: 0o777 });
execFileSync('chmod', ['-R', '0777', at('spool'), at('log'), at('lock')]);

const report = (name: string, value: string) => process.stdout.write(`${name.padEnd(58)} ${value}\n`);
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const seconds = (value: number) => `${value.toFixed(2)} s`;

// The store.
execFileSync(
  'openssl',
  [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=127.0.0.1',
    '-keyout',
    at('key'),
    '-out',
    at('cert'),
  ],
  { stdio: 'ignore' },
);
const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench-secret' };
const emulator = await startEmulator({
  directory: at('s3'),
  tls: { key: readFileSync(at('key'), 'utf8'), cert: readFileSync(at('cert'), 'utf8') },
  ...credentials,
});
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');
const store = new ObjectStore({
  bucket: 'bench',
  region: emulator.region,
  endpoint: emulator.endpoint,
  credentials: async () => credentials,
});
(await store.client.call({ method: 'PUT', key: '' })).resume();

// The command, as it is installed.
await buildProgram(at('dist'));
execFileSync('ln', ['-s', path.resolve('node_modules'), at('node_modules')]);
writeFileSync(at('package.json'), readFileSync('package.json'));
const env = {
  PATH: process.env.PATH,
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  AWS_REGION: emulator.region,
  AWS_ENDPOINT_URL_S3: emulator.endpoint,
  NODE_TLS_REJECT_UNAUTHORIZED: '0',
  NODE_NO_WARNINGS: '1',
  SKYTOOLS_NODE: process.execPath,
};
const skytools = at('skytools');
writeFileSync(
  skytools,
  `#!/bin/sh\n${Object.entries(env)
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('')}exec '${at('dist/cli/skytools')}' "$@"\n`,
  { mode: 0o755 },
);

function pgbackrest(stanza: string, data: string, options: Record<string, string | number> = {}): string {
  const config = at(`${stanza}.conf`);
  const url = new URL(emulator.endpoint);
  const lines: Record<string, string | number> = {
    'repo1-type': 's3',
    'repo1-path': `/${stanza}`,
    'repo1-s3-bucket': 'bench',
    'repo1-s3-endpoint': url.hostname,
    'repo1-storage-port': url.port,
    'repo1-s3-region': emulator.region,
    'repo1-s3-key': credentials.accessKeyId,
    'repo1-s3-key-secret': credentials.secretAccessKey,
    'repo1-s3-uri-style': 'path',
    'repo1-storage-verify-tls': 'n',
    'log-path': at('log'),
    'lock-path': at('lock'),
    'spool-path': at('spool'),
    'log-level-console': 'error',
    'compress-type': 'zst',
    'process-max': PROCESSES,
    ...options,
  };
  const text = Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
  writeFileSync(config, `[global]\n${text}\n[${stanza}]\npg1-path=${data}\n${options.socket ?? ''}`, {
    mode: 0o644,
  });
  return `pgbackrest --config=${config} --stanza=${stanza}`;
}

async function ask(server: EmbeddedPostgres, text: string): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    return (await client.query(text)).rows[0];
  } finally {
    await client.end();
  }
}

const SETTINGS = {
  wal_level: 'replica',
  wal_keep_size: '4GB',
  max_wal_size: '8GB',
  full_page_writes: true,
  checkpoint_timeout: '30min',
  synchronous_commit: 'off',
};
const start = (dataDirectory: string, settings = {}) =>
  startPostgres({ binaries: binaries!, dataDirectory, settings: { ...SETTINGS, ...settings } });

/** A loop that does what the archiver does; prints wall, user and system seconds of its children. */
async function archiveLoop(data: string, command: string): Promise<{ wall: number; cpu: number }> {
  const status = path.join(data, 'pg_wal/archive_status');
  rmSync(status, { recursive: true, force: true });
  mkdirSync(status);
  for (const name of segments) writeFileSync(path.join(status, `${name}.ready`), '');
  const script = `cd ${data}; TIMEFORMAT='%R %U %S'; time for s in ${segments.join(' ')}; do
    /bin/sh -c "${command.replace('%p', 'pg_wal/$s')}" || exit 1; mv pg_wal/archive_status/$s.ready pg_wal/archive_status/$s.done; done`;
  const { stderr } = await run('bash', ['-c', script], { env: { PATH: process.env.PATH } });
  const [wall, user, system] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number) as [
    number,
    number,
    number,
  ];
  return { wall, cpu: user + system };
}

report(
  'machine',
  `${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, Node.js ${process.version}, ${execFileSync('pgbackrest', ['version'])}`.trim(),
);

// A cluster, a cold copy of it, and then the WAL.
const data = at('data', 'pg');
mkdirSync(at('data'));
let server = await start(data);
const url = server.url();
await run('/usr/lib/postgresql/15/bin/pgbench', ['-q', '-i', '-s', String(SCALE), url], {
  maxBuffer: 1 << 26,
});
await ask(server, 'checkpoint');
await server.halt('fast');
cpSync(data, at('cold'), { recursive: true });
server = await start(data);
await ask(
  server,
  "select pg_create_physical_replication_slot('ours', true), pg_create_physical_replication_slot('theirs', true)",
);
const count = async () =>
  Number(
    (
      await ask(
        server,
        "select pg_walfile_name_offset(pg_current_wal_lsn()), (pg_current_wal_lsn() - '0/0') / 16777216 as n",
      )
    ).n,
  );
const first = Math.floor(await count());
while ((await count()) < first + SEGMENTS + 1) {
  // Pages are written whole after a checkpoint, as on a server that makes them often.
  await ask(server, 'checkpoint');
  await run('/usr/lib/postgresql/15/bin/pgbench', ['-n', '-c', '8', '-T', '3', server.url()], {
    maxBuffer: 1 << 26,
  });
}
const endLsn = (await ask(server, 'select pg_switch_wal()::text as lsn')).lsn!;
await server.halt('fast');
const segments = readdirSync(path.join(data, 'pg_wal'))
  .filter((name) => /^[0-9A-F]{24}$/.test(name))
  .sort()
  .filter(
    (name) => Number.parseInt(name.slice(16), 16) + 256 * Number.parseInt(name.slice(8, 16), 16) >= first,
  )
  .slice(0, SEGMENTS);
report('wal', `${segments.length} segments of pgbench -s ${SCALE}, to ${endLsn}`);

if (SECTIONS.includes('push')) {
  const ours: number[] = [];
  const theirs: number[] = [];
  const cpu: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const one = await archiveLoop(data, `${skytools} wal push --archive s3://bench/push${round} %p`);
    ours.push(one.wall);
    cpu.ours.push(one.cpu / segments.length);
    rmSync(path.join(data, 'pg_wal/.skytools'), { recursive: true, force: true });
    const command = pgbackrest(`push${round}`, data, { 'archive-async': 'y' });
    await run('sh', ['-c', `${command} stanza-create --no-online`]);
    theirs.push((await archiveLoop(data, `${command} archive-push %p`)).wall);
    const sync = pgbackrest(`sync${round}`, data, { 'archive-async': 'n' });
    await run('sh', ['-c', `${sync} stanza-create --no-online`]);
    cpu.theirs.push((await archiveLoop(data, `${sync} archive-push %p`)).cpu / segments.length);
  }
  report(`push of ${segments.length} segments: skytools, zstd -1`, seconds(median(ours)));
  report('                 pgBackRest async, zst', seconds(median(theirs)));
  report('                 ratio (goal 1.0)', (median(ours) / median(theirs)).toFixed(2));
  report('push, CPU per segment: skytools', seconds(median(cpu.ours)));
  report('                 pgBackRest zst, synchronous', seconds(median(cpu.theirs)));
  report('                 ratio (goal 1.3)', (median(cpu.ours) / median(cpu.theirs)).toFixed(2));
}

if (SECTIONS.includes('call')) {
  const name = segments[1]!;
  const status = path.join(data, 'pg_wal/archive_status');
  for (const segment of segments.slice(0, 2)) writeFileSync(path.join(status, `${segment}.ready`), '');
  await run('sh', [
    '-c',
    `cd ${data} && ${skytools} wal push --archive s3://bench/call pg_wal/${segments[0]}`,
  ]);
  const many = async (command: string) => {
    const script = `cd ${data}; TIMEFORMAT=%R; time for i in $(seq 200); do /bin/sh -c "${command}"; done`;
    return (Number((await run('bash', ['-c', script])).stderr.trim().split('\n').at(-1)) / 200) * 1000;
  };
  // The command itself, without the wrapper that sets the environment for this benchmark.
  const plain = `${at('dist/cli/skytools')} wal push --archive s3://bench/call pg_wal/${name}`;
  const fast: number[] = [];
  const nothing: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    nothing.push(await many('/bin/true'));
    fast.push(await many(plain));
  }
  report(
    'one call, sent already: skytools over /bin/true (goal 10 ms)',
    `${(median(fast) - median(nothing)).toFixed(1)} ms (${median(fast).toFixed(1)} against ${median(nothing).toFixed(1)})`,
  );
}

/** Recovers the cold copy from an archive; seconds until it accepts writes. */
async function recovery(command: string): Promise<number> {
  const copy = at('recovery', 'pg');
  rmSync(at('recovery'), { recursive: true, force: true });
  mkdirSync(at('recovery'));
  cpSync(at('cold'), copy, { recursive: true });
  writeFileSync(path.join(copy, 'recovery.signal'), '');
  writeFileSync(
    path.join(copy, 'postgresql.auto.conf'),
    `restore_command = '${command}'\narchive_mode = off\n`,
  );
  execFileSync('chown', ['-R', 'postgres', at('recovery')]);
  execFileSync('chmod', ['700', copy]);
  const begun = performance.now();
  const recovered = await start(copy);
  while ((await ask(recovered, 'select pg_is_in_recovery()::text as yes')).yes === 'true')
    await new Promise((resolve) => setTimeout(resolve, 20));
  const took = (performance.now() - begun) / 1000;
  await recovered.halt('immediate');
  return took;
}

if (SECTIONS.includes('fetch')) {
  await archiveLoop(data, `${skytools} wal push --archive s3://bench/fetch %p`);
  const command = pgbackrest('fetch', data, { 'archive-async': 'y' });
  await run('sh', ['-c', `${command} stanza-create --no-online`]);
  await archiveLoop(data, `${command} archive-push %p`);
  execFileSync('chmod', ['-R', '0777', at('spool'), at('log'), at('lock')]);
  const get = pgbackrest('fetch', at('recovery', 'pg'), { 'archive-async': 'y' });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await recovery(`${skytools} wal fetch --archive s3://bench/fetch %f %p`));
    execFileSync('sh', [
      '-c',
      `rm -rf ${at('spool')}/* ; chmod 777 ${at('spool')} ${at('log')} ${at('lock')}; chmod -R a+rwX ${at('log')} ${at('lock')}`,
    ]);
    theirs.push(await recovery(`${get} archive-get %f %p`));
  }
  report(`recovery over ${segments.length} segments: skytools wal fetch`, seconds(median(ours)));
  report('                 pgBackRest archive-get async', seconds(median(theirs)));
  report('                 ratio (goal 1.0)', (median(ours) / median(theirs)).toFixed(2));
}

if (SECTIONS.includes('pull')) {
  server = await start(data);
  const ours: number[] = [];
  const theirs: number[] = [];
  let memory = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await ask(server, `select pg_drop_replication_slot(slot_name) from pg_replication_slots`).catch(
      () => undefined,
    );
    rmSync(at('received'), { recursive: true, force: true });
    mkdirSync(at('received'));
    let begun = 0;
    // Both begin with the oldest WAL that is there.
    const from = segments[0]!;
    const receive = `/usr/lib/postgresql/15/bin/pg_receivewal -n -D ${at('received')} -d '${server.url()}' -S theirs`;
    writeFileSync(at('received', before(from)), readFileSync(path.join(data, 'pg_wal', from)));
    await run('bash', ['-c', `${receive} --create-slot`]);
    begun = performance.now();
    await run('bash', [
      '-c',
      `${receive} -E ${endLsn}; rm ${at('received', before(from))}; zstd -q -1 --rm -T2 ${at('received')}/*`,
    ]);
    theirs.push((performance.now() - begun) / 1000);
    const received = readdirSync(at('received')).filter(
      (name) => name.endsWith('.zst') && !name.includes('partial'),
    ).length;
    // The archive ends just before the first of them.
    await seed(`pull${round}`, from);
    begun = performance.now();
    const { stderr } = await run('bash', [
      '-c',
      `/usr/bin/env time -f 'rss %M' ${skytools} wal pull --json --archive s3://bench/pull${round} --source '${server.url()}' --slot ours 2>&1 1>/dev/null || true`,
    ]).then((out) => ({ stderr: out.stdout }));
    ours.push((performance.now() - begun) / 1000);
    memory = Math.max(memory, Number(/rss (\d+)/.exec(stderr)?.[1] ?? 0) / 1024);
    if (round === 0) report('pull', `pg_receivewal got ${received} segments`);
  }
  report('pull over a slot: skytools wal pull into S3', seconds(median(ours)));
  report('                 pg_receivewal to disk, then zstd -1 -T2', seconds(median(theirs)));
  report('                 ratio (goal 1.3)', (median(ours) / median(theirs)).toFixed(2));
  report('                 resident memory of pull (goal 256 MB)', `${memory.toFixed(0)} MB`);
  await server.halt('fast');
}

/** The name of the segment before. */
function before(name: string): string {
  const number = BigInt(`0x${name.slice(16)}`) + 256n * BigInt(`0x${name.slice(8, 16)}`) - 1n;
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  return name.slice(0, 8) + hex(number / 256n) + hex(number % 256n);
}

/** Makes an archive that ends before a segment, so that a pull begins with it. */
async function seed(prefix: string, next: string): Promise<void> {
  const name = before(next);
  const number = BigInt(`0x${name.slice(16)}`) + 256n * BigInt(`0x${name.slice(8, 16)}`);
  const bytes = readFileSync(path.join(data, 'pg_wal', next));
  bytes.writeBigUInt64LE(number * 16777216n, 8);
  const file = at(name);
  writeFileSync(file, bytes);
  await run(skytools, ['wal', 'push', '--archive', `s3://bench/${prefix}`, file]);
  rmSync(file);
}

if (SECTIONS.includes('backup')) {
  server = await start(data, { archive_mode: 'off' });
  const socket = execFileSync('sh', ['-c', `sed -n 5p ${data}/postmaster.pid`])
    .toString()
    .trim();
  execFileSync('chmod', ['755', socket]);
  const command = pgbackrest('whole', data, { 'archive-async': 'n', 'pg-dummy': 0, socket: '' }).replace(
    'pg-dummy',
    '',
  );
  const config = at('whole.conf');
  writeFileSync(
    config,
    `${readFileSync(config, 'utf8').replace(/^(pg-dummy|socket)=.*\n/gm, '')}pg1-socket-path=${socket}\npg1-port=${server.port}\npg1-user=postgres\n`,
  );
  const times = {
    ours: [] as number[],
    oursSha: [] as number[],
    rest: [] as number[],
    base: [] as number[],
    baseSha: [] as number[],
    oursBack: [] as number[],
    restBack: [] as number[],
  };
  const timed = async (script: string) => {
    const begun = performance.now();
    await run('bash', ['-c', script], { maxBuffer: 1 << 26 });
    return (performance.now() - begun) / 1000;
  };
  let rss = 0;
  await run('sh', ['-c', `${command} stanza-create --no-online`]);
  for (let round = 0; round < ROUNDS; round++) {
    const backup = async (archive: string, options: string) => {
      const begun = performance.now();
      const { stderr } = await run('bash', [
        '-c',
        `/usr/bin/env time -f 'rss %M' ${skytools} wal backup ${options} --wait 0 --archive s3://bench/${archive} --source '${server.url()}' || true`,
      ]);
      rss = Math.max(rss, Number(/rss (\d+)/.exec(stderr)?.[1] ?? 0) / 1024);
      return (performance.now() - begun) / 1000;
    };
    times.ours.push(await backup(`whole${round}`, '--manifest-checksums CRC32C'));
    times.rest.push(await timed(`${command} --type=full --no-online --force backup`));
    times.base.push(
      await timed(
        `rm -rf ${at('base')}; /usr/lib/postgresql/15/bin/pg_basebackup -c fast -X none -Ft --compress=client-zstd:level=1 -D ${at('base')} -d '${server.url()}'`,
      ),
    );
    times.oursSha.push(await backup(`sha${round}`, ''));
    times.baseSha.push(
      await timed(
        `rm -rf ${at('base')}; /usr/lib/postgresql/15/bin/pg_basebackup -c fast -X none -Ft --manifest-checksums=SHA256 --compress=client-zstd:level=1 -D ${at('base')} -d '${server.url()}'`,
      ),
    );
    times.restBack.push(
      await timed(
        `rm -rf ${at('back')}; mkdir -m 700 ${at('back')}; ${command} --pg1-path=${at('back')} --type=none restore`,
      ),
    );
    const wal = readdirSync(path.join(data, 'pg_wal'))
      .filter((name) => /^[0-9A-F]{24}$/.test(name))
      .sort()
      .slice(-40);
    await run('bash', [
      '-c',
      `cd ${data}; for s in ${wal.join(' ')}; do ${skytools} wal push --archive s3://bench/whole${round} pg_wal/$s 2>/dev/null; done; true`,
    ]);
    times.oursBack.push(
      await timed(
        `rm -rf ${at('back2')}; ${skytools} wal restore --quiet --archive s3://bench/whole${round} --to ${at('back2')}`,
      ),
    );
  }
  report('base backup: skytools', seconds(median(times.ours)));
  report(
    '                 pgBackRest zst, 4 processes (offline: no checkpoint)',
    seconds(median(times.rest)),
  );
  report('                 pg_basebackup to disk, client zstd -1', seconds(median(times.base)));
  report('                 both with SHA-256 in the manifest: skytools', seconds(median(times.oursSha)));
  report('                                  pg_basebackup', seconds(median(times.baseSha)));
  report(
    '                 ratio to pgBackRest, pg_basebackup, both with SHA-256 (goal 1.1)',
    (
      [
        [times.ours, times.rest],
        [times.ours, times.base],
        [times.oursSha, times.baseSha],
      ] as const
    )
      .map(([ours, theirs]) => (median(ours) / median(theirs)).toFixed(2))
      .join(', '),
  );
  report('                 resident memory (goal 256 MB)', `${rss.toFixed(0)} MB`);
  report('restore: skytools', seconds(median(times.oursBack)));
  report('                 pgBackRest, 4 processes', seconds(median(times.restBack)));
  report('                 ratio (goal 1.1)', (median(times.oursBack) / median(times.restBack)).toFixed(2));
  await server.halt('fast');
}

store.close();
await emulator.close();
rmSync(home, { recursive: true, force: true });

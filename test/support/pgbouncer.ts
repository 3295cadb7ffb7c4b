import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A PgBouncer in transaction mode before a test server. */
export interface PgBouncer {
  readonly port: number;
  stop(): Promise<void>;
}

/** The program that Debian's package installs, or undefined where it is not. */
export const pgbouncerProgram = (): string | undefined =>
  [
    '/usr/sbin/pgbouncer',
    '/usr/bin/pgbouncer',
    '/usr/local/bin/pgbouncer',
    '/opt/homebrew/bin/pgbouncer',
  ].find(existsSync);

/**
 * Starts PgBouncer before the server at `port` of 127.0.0.1, as unforgiving as it can be: servers are used in turn
 * (`server_round_robin`) and nothing is reset between two transactions, so whatever one leaves in its session is missed by
 * the next and met by a stranger; start-up parameters that a pooler cannot keep are refused, not ignored.
 *
 * @throws Error with PgBouncer's log when it does not come up
 */
export async function startPgBouncer(server: { port: number; user: string }): Promise<PgBouncer> {
  const program = pgbouncerProgram();
  if (!program) throw new Error('pgbouncer is not installed: apt-get install pgbouncer');
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(program, server, await freePort());
    } catch (error) {
      // Somebody else has taken the port that was free a moment ago.
      if (!/Address already in use/.test(String(error)) || attempt === 5) throw error;
    }
  }
}

async function launch(
  program: string,
  server: { port: number; user: string },
  port: number,
): Promise<PgBouncer> {
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-pgbouncer-'));
  chmodSync(directory, 0o755);
  const users = path.join(directory, 'users.txt');
  writeFileSync(users, `"${server.user}" ""\n`);
  const config = path.join(directory, 'pgbouncer.ini');
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    pool_mode: 'transaction',
    server_round_robin: 1,
    // More than one server from the start, so that there is a stranger to meet.
    min_pool_size: 3,
    default_pool_size: 30,
    max_client_conn: 500,
    // Roles that tests create are known to the server alone.
    auth_type: 'trust',
    auth_file: users,
    auth_user: server.user,
    auth_query: 'select rolname, null::text from pg_catalog.pg_roles where rolname = $1 and rolcanlogin',
    // Test databases are dropped by the hundred.
    autodb_idle_timeout: 5,
    log_connections: 0,
    log_disconnections: 0,
    log_stats: 0,
  };
  writeFileSync(
    config,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  );
  const asRoot = process.getuid?.() === 0;
  const bouncer = spawn(program, [...(asRoot ? ['-u', unprivileged()] : []), config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  bouncer.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000);
  });
  const kill = () => bouncer.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    await ended(bouncer, () => kill());
    rmSync(directory, { recursive: true, force: true });
  };
  const startedAt = performance.now();
  while (!/process up/.test(log)) {
    if (bouncer.exitCode !== null || performance.now() - startedAt > 60_000) {
      await stop();
      throw new Error(`pgbouncer did not start: ${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { port, stop };
}

async function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  end();
  await exit;
}

function unprivileged(): string {
  for (const user of ['postgres', 'nobody']) {
    try {
      execFileSync('id', [user], { stdio: 'ignore' });
      return user;
    } catch {
      // The next one.
    }
  }
  throw new Error('pgbouncer refuses to run as root, and there is neither an account postgres nor nobody');
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installLocalStack } from './python.ts';

/** The services that the stack uses, less Lambda, which needs Docker. */
const SERVICES = 's3,sqs,events,iam,sts,cloudformation,logs,sns,cloudwatch,secretsmanager,ssm';

const START_TIMEOUT_MS = 120_000;
const LOOK_MS = 200;

export interface LocalStack {
  readonly endpoint: string;
  readonly region: string;
  /** Directory of its Python programs, cfn-lint among them. */
  readonly programs: string;
  /** What every client needs to reach it, as environment variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its log so far. */
  log(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Starts LocalStack without Docker, installed from PyPI, on a free port. It keeps nothing, and ends with this process.
 *
 * @throws Error where it cannot be installed or does not get ready, with the end of its log
 */
export async function startLocalStack(): Promise<LocalStack> {
  const programs = await installLocalStack();
  const port = await freePort();
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-localstack-'));
  const logFile = path.join(directory, 'log');
  const log = createWriteStream(logFile);
  const child = spawn(path.join(programs, 'python'), ['-m', 'localstack.runtime.main'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      TMPDIR: directory,
      LOCALSTACK_VOLUME_DIR: path.join(directory, 'volume'),
      SERVICES,
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      LOCALSTACK_HOST: `127.0.0.1:${port}`,
      // Queue URLs that need no name service.
      SQS_ENDPOINT_STRATEGY: 'path',
      SKIP_SSL_CERT_DOWNLOAD: '1',
      DNS_ADDRESS: '0',
      DISABLE_EVENTS: '1',
    },
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const close = async () => {
    process.off('exit', kill);
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await ended;
    await rm(directory, { recursive: true, force: true });
  };

  const endpoint = `http://127.0.0.1:${port}`;
  const until = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(endpoint))) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < until) {
      await sleep(LOOK_MS);
      continue;
    }
    const tail = (await readFile(logFile, 'utf8')).split('\n').slice(-20).join('\n');
    await close();
    throw new Error(`LocalStack did not get ready:\n${tail}`);
  }
  const region = 'us-east-1';
  return {
    endpoint,
    region,
    programs,
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
    log: () => readFile(logFile, 'utf8'),
    close,
  };
}

const answers = (endpoint: string): Promise<boolean> =>
  fetch(`${endpoint}/_localstack/health`, { signal: AbortSignal.timeout(2000) }).then(
    (response) => response.ok,
    () => false,
  );

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

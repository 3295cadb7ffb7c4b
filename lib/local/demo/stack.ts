import { createWriteStream, existsSync, rmSync, statSync, type WriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import type { NodeScope } from '../../londiste/place.ts';
import { parseConfig } from '../../platform/config-file.ts';
import { Deadline } from '../../platform/deadline.ts';
import { UsageError } from '../../platform/errors.ts';
import { connect, disconnect } from '../../postgres/connect.ts';
import { install } from '../../schema/install.ts';
import { type Emulator, startEmulator } from '../emulator/server.ts';
import { type EmbeddedPostgres, startPostgres } from '../postgres.ts';
import { type Runner, startRunner } from '../runner/runner.ts';
import { FAULT_RULES, fastClock, QUEUE_CHAOS, runnerChaos } from './disturb.ts';
import { FunctionLog } from './function-log.ts';
import { HINTS_BUCKET, localManifest } from './manifest.ts';

/** Owner of both databases: no superuser, may create roles, as the master user of a managed service. */
const OWNER = 'demo';

/** Known to the emulator alone. */
const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local-only' };

export interface StackOptions {
  /** `dist/functions`. */
  functions: string;
  /** Version recorded with the installed SQL. */
  version: string;
  /** Keeps the data and the logs here; default: a temporary directory that is removed. */
  keep?: string | undefined;
  /** Given: random faults, chosen by this seed. */
  chaosSeed?: number | undefined;
}

/** All that the demonstration runs on. */
export interface Stack {
  readonly postgres: EmbeddedPostgres;
  readonly emulator: Emulator;
  readonly directory: string;
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly log: FunctionLog;
  /** Starts the functions; the schedules begin to run. */
  startFunctions(): Promise<Runner>;
  /** A connection that is closed with the stack. */
  connect(url: string): Promise<pg.Client>;
  /** Way to both databases as the nodes of a set, on connections of its own. */
  nodes(): Promise<NodeScope>;
  /** Stops everything that was started, and removes what is not to be kept. */
  close(): Promise<void>;
}

/** Starts PostgreSQL with the two databases, with the SQL installed, and the emulator of S3 and SQS. */
export async function startStack(options: StackOptions): Promise<Stack> {
  if (options.keep !== undefined) requireUsable(path.resolve(options.keep));
  const directory = path.resolve(options.keep ?? (await mkdtemp(path.join(tmpdir(), 'skytools-local-'))));
  const undo: (() => Promise<unknown>)[] = [];
  if (options.keep === undefined) {
    const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    process.once('exit', remove);
    undo.push(async () => {
      process.off('exit', remove);
      await rm(directory, { recursive: true, force: true });
    });
  }
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    await mkdir(path.join(directory, 's3', HINTS_BUCKET), { recursive: true });
    // PostgreSQL may run under another account than ours.
    await chmod(directory, 0o755);
    const stream: WriteStream | undefined = options.keep
      ? createWriteStream(path.join(directory, 'functions.log'))
      : undefined;
    undo.push(async () => stream?.end());
    const log = new FunctionLog(stream);

    const postgres = await startPostgres({
      dataDirectory: path.join(directory, 'postgres'),
      // Commits survive a killed server; only the machine's own crash may lose them.
      settings: { synchronous_commit: true, track_commit_timestamp: true },
    });
    undo.push(() => postgres.stop());
    const clients: pg.Client[] = [];
    undo.push(() => Promise.all(clients.map(disconnect)));
    const open = async (url: string) => {
      const client = await connect(url, { applicationName: 'demo' });
      clients.push(client);
      return client;
    };
    const sourceUrl = postgres.url('source', OWNER);
    const targetUrl = postgres.url('target', OWNER);
    const admin = await open(postgres.url());
    await admin.query(`create role ${OWNER} login createrole`);
    for (const [name, url] of [
      ['source', sourceUrl],
      ['target', targetUrl],
    ] as const) {
      await admin.query(`create database ${name} owner ${OWNER}`);
      await install(await open(url), { version: options.version });
    }

    const chaos = options.chaosSeed;
    const emulator = await startEmulator({
      ...CREDENTIALS,
      directory: path.join(directory, 's3'),
      ...(chaos === undefined ? {} : { seed: chaos }),
    });
    undo.push(() => emulator.close());

    return {
      postgres,
      emulator,
      directory,
      sourceUrl,
      targetUrl,
      log,
      connect: open,
      async nodes() {
        const clients: Record<string, pg.Client> = {
          source: await open(sourceUrl),
          target: await open(targetUrl),
        };
        return {
          config: parseConfig({ databases: { source: { url: sourceUrl }, target: { url: targetUrl } } }),
          deadline: Deadline.never(),
          database: (name, body) => body(clients[name]!),
        };
      },
      close,
      async startFunctions() {
        const runner = await startRunner(localManifest(options.functions), {
          ...CREDENTIALS,
          endpoint: emulator.endpoint,
          region: emulator.region,
          environment: {
            SKYTOOLS_SOURCE_URL: sourceUrl,
            SKYTOOLS_TARGET_URL: targetUrl,
            POWERTOOLS_SERVICE_NAME: 'skytools',
            POWERTOOLS_METRICS_NAMESPACE: 'skytools',
            NODE_COMPILE_CACHE: path.join(directory, 'compile-cache'),
          },
          log: (line) => log.write(line),
          ...(chaos === undefined ? {} : { chaos: runnerChaos(chaos), clock: fastClock() }),
        });
        undo.push(() => runner.close());
        if (chaos !== undefined) {
          emulator.sqs.chaos = QUEUE_CHAOS;
          for (const rule of FAULT_RULES) emulator.faults.add(rule);
        }
        return runner;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Others may enter a directory. */
const MAY_ENTER = 0o001;

/** @throws UsageError LOCAL_KEEP_USED, LOCAL_KEEP_CLOSED */
function requireUsable(directory: string): void {
  if (existsSync(path.join(directory, 'postgres'))) {
    throw new UsageError('LOCAL_KEEP_USED', 'the directory holds the data of an earlier run', {
      subject: { file: directory },
      hint: 'name another directory, or remove this one',
    });
  }
  if (process.getuid?.() !== 0) return;
  for (let above = path.dirname(directory); ; above = path.dirname(above)) {
    if (existsSync(above) && (statSync(above).mode & MAY_ENTER) === 0) {
      throw new UsageError(
        'LOCAL_KEEP_CLOSED',
        'postgresql, which does not run as root, cannot enter the directory',
        {
          subject: { file: above },
          hint: 'name a directory below one that everybody may enter, such as /tmp, or do not run as root',
        },
      );
    }
    if (above === path.dirname(above)) return;
  }
}

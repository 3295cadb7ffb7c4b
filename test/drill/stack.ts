import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { buildFunctions } from '../../infra/build/functions.ts';
import { HINTS_BUCKET, localManifest } from '../../lib/local/demo/manifest.ts';
import { systemClock } from '../../lib/local/runner/clock.ts';
import type { Manifest } from '../../lib/local/runner/manifest.ts';
import { type Runner, startRunner } from '../../lib/local/runner/runner.ts';
import { loadConfigFile } from '../../lib/platform/config-file.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { install } from '../../lib/schema/install.ts';
import { startArchive, type TestArchive } from '../support/archive.ts';
import { type FaultyProxy, startProxy } from '../support/proxy.ts';
import { DrillCluster } from './cluster.ts';
import { FAULT_RULES, QUEUE_CHAOS, runnerChaos } from './faults.ts';

export const ARCHIVE_PREFIX = 'provider';
export const CONFIG_FILE = path.resolve(import.meta.dirname, 'skytools.config.ts');

/** Owner of both databases: no superuser, as the master user of a managed service. */
const OWNER = 'drill';

/** Clocks of functions are wrong by up to so much, in milliseconds; AWS refuses a signature only after five minutes. */
const SKEW_MS = 90_000;

/** How much faster the schedules' time passes, so that minutes see many sweeps missed, doubled and killed. */
const SPEED = 10;

/**
 * Time-outs of functions, in seconds: so short that a drill of two minutes sees functions that wait for a silent connection
 * killed, and their work taken over.
 */
const LONGEST_FUNCTION_SECONDS = 25;

const SETTINGS = {
  wal_level: 'replica',
  synchronous_commit: 'on',
  full_page_writes: true,
  wal_keep_size: '512MB',
  shared_buffers: '32MB',
  // Sessions whose client went silent end, as docs/operations/drill.md advises.
  idle_in_transaction_session_timeout: '10s',
  idle_session_timeout: '45s',
};

/** All that a drill runs on. */
export interface DrillStack {
  readonly directory: string;
  readonly deliveries: string;
  readonly archive: TestArchive;
  readonly provider: DrillCluster;
  readonly subscriber: DrillCluster;
  readonly proxies: { readonly provider: FaultyProxy; readonly subscriber: FaultyProxy };
  /** Through the proxies, as functions and writers connect. */
  url(database: 'provider' | 'subscriber'): string;
  /** Starts the functions; with a seed, they and their queues are disturbed from now on. */
  startFunctions(chaosSeed?: number): Promise<Runner>;
  close(): Promise<void>;
}

export async function startStack(): Promise<DrillStack> {
  const directory = mkdtempSync('/tmp/skytools-drill-');
  chmodSync(directory, 0o755);
  const undo: (() => Promise<unknown>)[] = [async () => rmSync(directory, { recursive: true, force: true })];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const functions = path.join(directory, 'functions');
    await buildFunctions(CONFIG_FILE, functions);
    const archive = await startArchive();
    undo.push(() => archive.close());
    await archive.createBucket(HINTS_BUCKET);

    const start = async (name: string, settings: Record<string, string | number | boolean>) => {
      await mkdir(path.join(directory, name), { mode: 0o755 });
      const cluster = await DrillCluster.start(path.join(directory, name), { ...SETTINGS, ...settings });
      undo.push(() => cluster.stop());
      await cluster.query(`create role ${OWNER} login createrole`);
      await cluster.query(`create database ${name} owner ${OWNER}`);
      const proxy = await startProxy(cluster.address);
      undo.push(() => proxy.close());
      return { cluster, proxy };
    };
    const provider = await start('provider', {
      archive_mode: 'always',
      archive_command: `${archive.command} wal push --archive ${archive.url(ARCHIVE_PREFIX)} %p`,
    });
    const subscriber = await start('subscriber', {});
    const proxies = { provider: provider.proxy, subscriber: subscriber.proxy };
    const url = (database: 'provider' | 'subscriber') =>
      `postgres://${OWNER}@127.0.0.1:${proxies[database].port}/${database}?sslmode=disable`;
    for (const database of ['provider', 'subscriber'] as const) {
      const client = await connect(url(database));
      await install(client, { version: '0.0.0' });
      await disconnect(client);
    }
    const deliveries = path.join(directory, 'deliveries');
    writeFileSync(deliveries, '');
    const log = path.join(directory, 'functions.log');

    return {
      directory,
      deliveries,
      archive,
      provider: provider.cluster,
      subscriber: subscriber.cluster,
      proxies,
      url,
      async startFunctions(chaosSeed) {
        const { emulator, env } = archive;
        const runner = await startRunner(shortened(localManifest(functions)), {
          accessKeyId: env.AWS_ACCESS_KEY_ID!,
          secretAccessKey: env.AWS_SECRET_ACCESS_KEY!,
          endpoint: emulator.endpoint,
          region: emulator.region,
          freeze: true,
          environment: {
            DRILL_PROVIDER_URL: url('provider'),
            DRILL_SUBSCRIBER_URL: url('subscriber'),
            DRILL_DELIVERIES: deliveries,
            ...(chaosSeed === undefined
              ? {}
              : {
                  DRILL_SKEW_MS: String(SKEW_MS),
                  NODE_OPTIONS: `--import ${path.resolve(import.meta.dirname, 'skewed-clock.mjs')}`,
                }),
            NODE_COMPILE_CACHE: path.join(directory, 'compile-cache'),
          },
          log: ({ functionName, text }) => appendFileSync(log, `${functionName} ${text}\n`),
          clock: fastClock(),
          ...(chaosSeed === undefined ? {} : { chaos: runnerChaos(chaosSeed) }),
        });
        // Closed by whoever started it; if that did not come to pass, with the rest.
        undo.push(() => runner.close(0));
        if (chaosSeed !== undefined) {
          emulator.sqs.chaos = QUEUE_CHAOS;
          for (const rule of FAULT_RULES) emulator.faults.add(rule);
        }
        return runner;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The configuration that the functions run with. */
export const drillConfig = () => loadConfigFile(CONFIG_FILE);

function shortened(manifest: Manifest): Manifest {
  return {
    ...manifest,
    functions: manifest.functions.map((each) => ({
      ...each,
      timeoutSeconds: Math.min(each.timeoutSeconds, LONGEST_FUNCTION_SECONDS),
    })),
  };
}

function fastClock() {
  const start = systemClock.now();
  return {
    now: () => start + (systemClock.now() - start) * SPEED,
    after: (milliseconds: number, callback: () => void) => systemClock.after(milliseconds / SPEED, callback),
  };
}

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { JobMessage } from '../../jobs/messages.ts';
import { parseConfig } from '../../platform/config-file.ts';
import { connect, disconnect } from '../../postgres/connect.ts';
import { install } from '../../schema/install.ts';
import type { Emulator } from '../emulator/server.ts';
import { type EmbeddedPostgres, startPostgres } from '../postgres.ts';
import { type Runner, startRunner } from '../runner/runner.ts';
import { FunctionLog } from './function-log.ts';
import { localManifest } from './manifest.ts';

/** Keys that a shell signs its requests with. */
const KEYS = { SKYTOOLS_UPLOAD_KEY: 'demo-upload-key', SKYTOOLS_RESTORE_KEY: 'demo-restore-key' };

/** The deployed functions on this machine, with a database for schema walmgr on a server of its own. */
export class WalFunctions {
  readonly log: FunctionLog;
  readonly #runner: Runner;
  readonly #state: EmbeddedPostgres;
  readonly #configFile: string;
  readonly #bucket: string;
  readonly #sqs: SQSClient;

  private constructor(
    log: FunctionLog,
    runner: Runner,
    state: EmbeddedPostgres,
    configFile: string,
    bucket: string,
    sqs: SQSClient,
  ) {
    this.log = log;
    this.#runner = runner;
    this.#state = state;
    this.#configFile = configFile;
    this.#bucket = bucket;
    this.#sqs = sqs;
  }

  static async start(options: {
    emulator: Emulator;
    credentials: { accessKeyId: string; secretAccessKey: string };
    bucket: string;
    home: string;
  }): Promise<WalFunctions> {
    const { emulator, credentials, bucket, home } = options;
    const state = await startPostgres();
    const client = await connect(state.url(), { applicationName: 'demo' });
    await install(client, { version: 'demo' });
    await disconnect(client);
    const configFile = path.join(home, 'skytools.config.json');
    const log = new FunctionLog();
    const runner = await startRunner(localManifest(path.resolve('dist/functions')), {
      ...credentials,
      endpoint: emulator.endpoint,
      region: emulator.region,
      environment: {
        ...KEYS,
        SKYTOOLS_CONFIG_FILE: configFile,
        POWERTOOLS_METRICS_DISABLED: 'true',
        NODE_COMPILE_CACHE: path.join(home, 'compile-cache'),
      },
      log: (line) => log.write(line),
    });
    const sqs = new SQSClient({ endpoint: emulator.endpoint, region: emulator.region, credentials });
    return new WalFunctions(log, runner, state, configFile, bucket, sqs);
  }

  /** Says which server cluster `pull` is; functions read their configuration anew at each invocation. */
  configure(pulledUrl: string): void {
    const config = parseConfig({
      databases: { state: { url: this.#state.url() } },
      walmgr: {
        pull: {
          archive: `s3://${this.#bucket}/pull`,
          source: pulledUrl,
          database: 'state',
          pull: { follow: true },
          backup: { keep: 1 },
        },
        upload: {
          archive: `s3://${this.#bucket}/upload`,
          database: 'state',
          uploadKey: 'env:SKYTOOLS_UPLOAD_KEY',
          restoreKey: 'env:SKYTOOLS_RESTORE_KEY',
        },
      },
    });
    writeFileSync(this.#configFile, JSON.stringify(config));
  }

  /** What the shell recipes need to find their functions. */
  get shellEnvironment(): Record<string, string> {
    return {
      ...KEYS,
      SKYTOOLS_CLUSTER: 'upload',
      SKYTOOLS_UPLOAD_URL: this.#runner.urls.get('wal-upload')!,
      SKYTOOLS_RESTORE_URL: this.#runner.urls.get('wal-restore')!,
    };
  }

  /** ARN of the queue that S3 tells of uploaded files. */
  get notificationQueue(): string {
    return this.#runner.queues.get('wal-archive')!.arn;
  }

  /** What the sweep would do within a minute. */
  async sweep(): Promise<void> {
    await this.#runner.fire('sweep');
  }

  /** Wakes one job by its message. */
  async wake(job: JobMessage): Promise<void> {
    await this.#sqs.send(
      new SendMessageCommand({
        QueueUrl: this.#runner.queues.get(job.kind)!.url,
        MessageBody: JSON.stringify(job),
      }),
    );
  }

  /** Files that S3's notifications have led to the registration of. */
  async registered(cluster: string): Promise<number> {
    const client = await connect(this.#state.url(), { applicationName: 'demo' });
    try {
      const { rows } = await client.query<{ n: number }>(
        "select count(*)::int as n from walmgr.segment where cluster_name = $1 and state = 'verified'",
        [cluster],
      );
      return rows[0]!.n;
    } finally {
      await disconnect(client);
    }
  }

  /** The most memory that any process of a function has held, in MB. */
  memory(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.#runner.counts().functions)
        .filter(([, counts]) => counts.invocations > 0)
        .map(([name, counts]) => [name, counts.maximumMemoryMb]),
    );
  }

  async close(): Promise<void> {
    this.#sqs.destroy();
    await this.#runner.close(0);
    await this.#state.stop('immediate');
  }
}

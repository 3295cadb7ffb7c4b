import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildWalCommand } from '../../infra/build/wal-command.ts';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../lib/local/emulator/server.ts';
import type { S3Call, S3ClientOptions } from '../../lib/platform/s3/client.ts';
import { sha256 } from '../../lib/walmgr/archive/codec.ts';
import { type ArchiveLocation, clientOptions } from '../../lib/walmgr/archive/location.ts';
import { ObjectStore } from '../../lib/walmgr/s3/store.ts';

/** An S3 emulator with a bucket, and the `skytools` command set up for it, for one test file. */
export interface TestArchive {
  readonly emulator: Emulator;
  readonly bucket: string;
  /** A directory that the account of embedded PostgreSQL can read. */
  readonly directory: string;
  /** Environment that leads to the emulator. */
  readonly env: Record<string, string>;
  /** A shell command line for archive_command and restore_command: `… wal push` and so on can follow. */
  readonly command: string;
  location(prefix: string): ArchiveLocation;
  url(prefix: string): string;
  store(options?: Partial<S3ClientOptions>): ObjectStore;
  createBucket(name: string): Promise<void>;
  /** Has S3 tell a queue of every object made below a prefix. */
  notify(queueArn: string, prefix: string): Promise<void>;
  /** A copy of one of the shell recipes that anybody may run, set up with this environment. */
  script(name: string, environment: Record<string, string>): string;
  close(): Promise<void>;
}

/** @param options `authorize`: what the bearers of session tokens may do */
export async function startArchive(options: Pick<EmulatorOptions, 'authorize'> = {}): Promise<TestArchive> {
  const directory = await mkdtemp('/tmp/skytools-wal-');
  await chmod(directory, 0o755);
  const credentials = { accessKeyId: 'testaccess', secretAccessKey: 'testsecret' };
  await mkdir(path.join(directory, 's3'));
  const emulator = await startEmulator({ directory: path.join(directory, 's3'), ...credentials, ...options });
  let scripts = 0;
  const bucket = 'archive';
  const env = {
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_REGION: emulator.region,
    AWS_ENDPOINT_URL_S3: emulator.endpoint,
    AWS_EC2_METADATA_DISABLED: 'true',
    SKYTOOLS_NODE: process.execPath,
  };
  const script = await buildWalCommand(path.join(directory, 'bin'));
  const command = path.join(directory, 'bin', 'wal-command');
  const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
  await writeFile(command, `#!/bin/sh\n${exports.join('')}exec '${script}' "$@"\n`);
  await chmod(command, 0o755);
  const location = (prefix: string) => ({ bucket, prefix });
  const store = (options: Partial<S3ClientOptions> = {}) =>
    new ObjectStore({
      ...clientOptions(location(''), env),
      credentials: async () => credentials,
      ...options,
    });
  const call = async (name: string, call: Partial<S3Call>) => {
    const admin = store({ bucket: name });
    (await admin.client.call({ method: 'PUT', key: '', ...call })).resume();
    admin.close();
  };
  await call(bucket, {});
  return {
    emulator,
    bucket,
    directory,
    env,
    command,
    location,
    url: (prefix) => `s3://${bucket}/${prefix}`,
    store,
    createBucket: (name) => call(name, {}),
    notify: async (queueArn, prefix) => {
      const body = Buffer.from(
        `<NotificationConfiguration><QueueConfiguration><Queue>${queueArn}</Queue><Event>s3:ObjectCreated:*</Event>` +
          `<Filter><S3Key><FilterRule><Name>prefix</Name><Value>${prefix}</Value></FilterRule></S3Key></Filter>` +
          '</QueueConfiguration></NotificationConfiguration>',
      );
      await call(bucket, { query: { notification: '' }, body, bodySha256: sha256(body) });
    },
    script: (name, environment) => {
      const file = path.join(directory, 'bin', `${scripts++}-${name}`);
      const source = path.resolve(import.meta.dirname, '../../lib/walmgr/shell', name);
      copyFileSync(source, `${file}.sh`);
      // Not the settings that this machine may have for a cluster of its own.
      const settings = { SKYTOOLS_WAL_ENV: '/dev/null', ...environment };
      const lines = Object.entries(settings).map(([key, value]) => `export ${key}='${value}'\n`);
      writeFileSync(file, `#!/bin/sh\n${lines.join('')}exec sh '${file}.sh' "$@"\n`, { mode: 0o755 });
      chmodSync(`${file}.sh`, 0o755);
      return file;
    },
    close: async () => {
      await emulator.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Gives a directory to the account that embedded PostgreSQL runs as (only root can and needs to). */
export async function giveToPostgres(directory: string, like: { uid: number; gid: number }): Promise<void> {
  if (process.getuid?.() === 0) await chown(directory, like.uid, like.gid);
}

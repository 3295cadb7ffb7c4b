import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildWalCommand } from '../../infra/build/wal-command.ts';
import { type Emulator, startEmulator } from '../../lib/local/emulator/server.ts';
import type { S3ClientOptions } from '../../lib/platform/s3/client.ts';
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
  close(): Promise<void>;
}

export async function startArchive(): Promise<TestArchive> {
  const directory = await mkdtemp('/tmp/skytools-wal-');
  await chmod(directory, 0o755);
  const credentials = { accessKeyId: 'testaccess', secretAccessKey: 'testsecret' };
  await mkdir(path.join(directory, 's3'));
  const emulator = await startEmulator({ directory: path.join(directory, 's3'), ...credentials });
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
  const admin = store();
  (await admin.client.call({ method: 'PUT', key: '' })).resume();
  admin.close();
  return {
    emulator,
    bucket,
    directory,
    env,
    command,
    location,
    url: (prefix) => `s3://${bucket}/${prefix}`,
    store,
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

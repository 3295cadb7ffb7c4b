import type { Config } from '../../platform/config.ts';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { resolveSecret } from '../../platform/secrets.ts';
import { WalArchive } from '../archive/archive.ts';
import { clientOptions } from '../archive/location.ts';
import { clusterConfig } from '../config.ts';
import { ObjectStore } from '../s3/store.ts';
import { parseWalName } from '../wal/name.ts';
import { formatGrant, grantUpload } from './grant.ts';
import { clusterOfBody, readDownloadRequest, readUploadRequest } from './request.ts';

/** An answer over HTTP, as text for a shell. */
export interface TextAnswer {
  status: number;
  body: string;
  /** Why it is not what was asked for. */
  problem?: SkytoolsError;
}

/** How long a URL to read one segment lasts, in seconds. */
const READ_SECONDS = 300;

/** Answers a host that wants to upload a file. */
export async function answerUpload(config: Config, body: string, signature: string): Promise<TextAnswer> {
  return answering(async () => {
    const name = clusterOfBody(body);
    const { location, uploadKey } = clusterConfig(config, name);
    const key = await secretOf(uploadKey, name, 'uploadKey');
    const request = readUploadRequest(body, signature, key, new Date());
    const store = new ObjectStore(clientOptions(location));
    try {
      return { status: 200, body: formatGrant(await grantUpload(store, location, request)) };
    } finally {
      store.close();
    }
  });
}

/** Answers a host that recovers and wants one file: where to get it, or that there is none (404, and only then). */
export async function answerDownload(config: Config, body: string, signature: string): Promise<TextAnswer> {
  return answering(async () => {
    const name = clusterOfBody(body);
    const { location, restoreKey } = clusterConfig(config, name);
    const key = await secretOf(restoreKey, name, 'restoreKey');
    const request = readDownloadRequest(body, signature, key, new Date());
    const store = new ObjectStore(clientOptions(location));
    try {
      const archive = await WalArchive.open(location, store);
      const object = archive.keys.file(parseWalName(request.name));
      const info = await store.head(object);
      if (!info) return { status: 404, body: 'absent\n' };
      const { codec, 'plain-sha256': sha256 } = info.metadata;
      const url = await store.client.presign('GET', object, READ_SECONDS);
      return { status: 200, body: `get ${url}\ncodec ${codec}\nsha256 ${sha256}\n` };
    } finally {
      store.close();
    }
  });
}

async function secretOf(reference: string | undefined, cluster: string, field: string): Promise<string> {
  if (reference !== undefined) return resolveSecret(reference);
  throw new UsageError('WAL_NO_KEY', `cluster "${cluster}" has no ${field}`, {
    hint: `set ${field} of the cluster in skytools.config.ts to a secret reference`,
  });
}

const STATUS: Readonly<Record<string, number>> = {
  WAL_UPLOAD_FORBIDDEN: 403,
  CONFIG_UNKNOWN_CLUSTER: 403,
  WAL_CONFLICT: 409,
  WAL_FOREIGN_CLUSTER: 409,
  WAL_SEGMENT_INVALID: 422,
  WAL_NAME_INVALID: 422,
  WAL_UPLOAD_INVALID: 422,
};

async function answering(body: () => Promise<TextAnswer>): Promise<TextAnswer> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof SkytoolsError)) throw error;
    // 5xx, never 404: a fault must not look like "there is no such file".
    return {
      status: STATUS[error.code] ?? 503,
      body: `error ${error.code} ${error.message}\n`,
      problem: error,
    };
  }
}

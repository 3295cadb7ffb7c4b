import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { ConsumerOfKind } from '../../platform/config.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { DeadlineError, SkytoolsError } from '../../platform/errors.ts';
import { S3Client } from '../../platform/s3/client.ts';
import { fillTemplate } from '../../platform/template.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Batch } from '../batch.ts';
import {
  busy,
  type ConsumeResult,
  type ConsumerSpec,
  consumeBatch,
  mapped,
  openCommitted,
  subjectOf,
} from '../consumer.ts';
import type { PgqEvent } from '../event.ts';
import { batchId } from '../types.ts';
import { keptClients } from './forward/aws.ts';
import { EventRefused } from './forward/destination.ts';
import { type DataForm, eventJson } from './forward/event-json.ts';

type ArchiveOptions = ConsumerOfKind<'s3-archive'>;

/** A batch's transaction is open meanwhile: longer trouble is the next invocation's, in milliseconds. */
const RETRY_FOR_MS = 20_000;

const COMPRESSIONS = {
  zstd: { compress: promisify(zstdCompress), suffix: '.zst', type: 'application/zstd' },
  gzip: { compress: promisify(gzip), suffix: '.gz', type: 'application/gzip' },
} as const;

/** SHA-256 of the events before compression, which another version of the compressor does not change. */
const CONTENT_HASH = 'x-amz-meta-content-sha256';

const clientOf = keptClients((place: string) => {
  const [bucket, region] = place.split(' ') as [string, string];
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  return new S3Client({ bucket, region, retryForMs: RETRY_FOR_MS, ...(endpoint ? { endpoint } : {}) });
});

/**
 * One batch of a queue into S3, or as much of it as one object holds.
 *
 * @param client connection to the queue's database
 * @throws what `s3Archive` and consumeBatch throw
 */
export async function archiveBatch(
  client: Client,
  consumer: ConsumerSpec,
  options: ArchiveOptions,
  deadline: Deadline,
): Promise<ConsumeResult> {
  // Objects are named after the batch: one that a killed worker wrote must be found again under its name.
  const opened = await mapped(subjectOf(consumer), () => openCommitted(client, consumer));
  if (opened === undefined) return { did: undefined, next: 'idle' };
  const archive = s3Archive(options);
  const handler = {
    async handleBatch(batch: Batch): Promise<void> {
      // Another worker has ended it meanwhile, and this is the one behind it, opened by this transaction only.
      if (batch.id !== batchId(opened.batch_id)) throw busy(consumer);
      await archive.handleBatch(batch);
    },
  };
  return consumeBatch(client, consumer, handler, deadline);
}

/**
 * Keeps the events of a queue as compressed NDJSON objects in S3, each once: an object's name and content follow from the
 * batch alone, it is written only where there is none, and the position moves after it. One run writes one object, so that
 * memory and the transaction's length are bounded.
 *
 * @throws SkytoolsError ARCHIVE_CONFLICT where the object is there with other content; S3_*; DeadlineError
 */
function s3Archive(options: ArchiveOptions) {
  const region = options.region ?? process.env.AWS_REGION ?? 'us-east-1';
  const client = clientOf(`${options.bucket} ${region}`);
  return {
    async handleBatch(batch: Batch): Promise<void> {
      const lines: string[] = [];
      let bytes = 0;
      let first: PgqEvent | undefined;
      let last: PgqEvent | undefined;
      let more = false;
      for await (const event of batch.events()) {
        // Where an object ends depends on its events alone; two with one id are never parted.
        more = bytes >= options.objectBytes && event.id !== last?.id;
        if (more) break;
        const line = `${archivedJson(event, options.data)}\n`;
        lines.push(line);
        bytes += Buffer.byteLength(line);
        first ??= event;
        last = event;
      }
      if (first === undefined) return;
      if (batch.stopped) throw tooSlow(batch);
      await writeOnce(client, options, keyOf(options, batch, first), lines.join(''));
      if (more) batch.stopAfter(last, lines.length);
    },
  };
}

/** Nothing is left out of an archive: data that shall be JSON and is not is kept as text. */
function archivedJson(event: PgqEvent, form: DataForm): string {
  try {
    return eventJson(event, form);
  } catch (error) {
    if (error instanceof EventRefused) return eventJson(event, 'text');
    throw error;
  }
}

function keyOf(options: ArchiveOptions, batch: Batch, first: PgqEvent): string {
  const [year, month, day, hour] = batch.tickTime.toISOString().split(/[-T:]/) as [string, ...string[]];
  const key = fillTemplate(options.key, {
    database: options.database,
    queue: batch.queue,
    consumer: batch.consumer,
    previousTick: String(batch.previousTick),
    tick: String(batch.tick),
    batch: String(batch.id),
    event: String(first.id),
    year,
    month,
    day,
    hour,
  });
  return key + COMPRESSIONS[options.compression].suffix;
}

async function writeOnce(
  client: S3Client,
  options: ArchiveOptions,
  key: string,
  content: string,
): Promise<void> {
  const { compress, type } = COMPRESSIONS[options.compression];
  const contentHash = sha256(content);
  const body = await compress(content);
  const response = await client.call({
    method: 'PUT',
    key,
    body,
    bodySha256: sha256(body),
    headers: { 'if-none-match': '*', 'content-type': type, [CONTENT_HASH]: contentHash },
    accept: [412],
  });
  response.resume();
  if (response.statusCode !== 412) return;
  // An earlier run wrote it and could not record so.
  const present = await client.call({ method: 'HEAD', key });
  present.resume();
  if (present.headers[CONTENT_HASH] === contentHash) return;
  throw new SkytoolsError('ARCHIVE_CONFLICT', `object ${key} is there with other events`, {
    subject: { bucket: options.bucket, key, consumer: options.consumer, queue: options.queue },
    hint: 'objectBytes, data or key was changed in the middle of a batch: change it back until the batch is done, or remove the object',
  });
}

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

const tooSlow = (batch: Batch) =>
  new DeadlineError(`archiving batch ${batch.id} of ${batch.consumer}`, {
    hint: 'one object has to be read and written within one run: make objectBytes smaller, or give the function more time',
  });

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SkytoolsError } from '../../../platform/errors.ts';
import { WalArchive } from '../../../walmgr/archive/archive.ts';
import { type ArchiveLocation, SMOKE_PREFIX } from '../../../walmgr/archive/location.ts';
import { fetchWal } from '../../../walmgr/fetch/fetch.ts';
import { makeSegment } from '../../../walmgr/wal/made-up.ts';
import { type SmokeScope, seconds } from './scope.ts';

/** A cluster that cannot exist: system identifiers hold the time of initdb, and this one says 1970. */
const CLUSTER = { systemIdentifier: 1n, segmentSize: 16 << 20, major: 18 };

const SEGMENT = '000000010000000000000001';

/** Bytes of a segment that do not compress, as in a busy server's WAL. */
const NOISE = 4 << 20;

/**
 * A WAL segment is put into the bucket and fetched again, bit by bit the same; put twice it is accepted, with other content
 * refused. Everything lies under a prefix of its own in the archive's bucket; the archive is not touched.
 *
 * @throws SkytoolsError SMOKE_WRONG, and what the archive itself throws
 */
export async function checkArchive(
  scope: SmokeScope,
  location: ArchiveLocation,
  run: string,
): Promise<string> {
  const prefix = `${SMOKE_PREFIX}${run}`;
  const spool = await mkdtemp(path.join(tmpdir(), 'skytools-smoke-'));
  const archive = await WalArchive.claim({ ...location, prefix }, CLUSTER);
  try {
    const started = performance.now();
    const segment = makeSegment(SEGMENT, CLUSTER, filled());
    const first = await archive.storeFile(SEGMENT, segment, spool);
    scope.step(`${SEGMENT} stored in ${first.objectSize} bytes after ${seconds(started)}`);
    const again = await archive.storeFile(SEGMENT, segment, spool);
    expect(first.outcome === 'stored' && again.outcome === 'already', 'the same segment is accepted twice');
    expect(
      await archive.storeFile(SEGMENT, makeSegment(SEGMENT, CLUSTER, filled()), spool).then(
        () => false,
        (error: unknown) => error instanceof SkytoolsError && error.code === 'WAL_CONFLICT',
      ),
      'other content under the same name is refused',
    );
    scope.step('the same content accepted twice, other content refused');
    const target = path.join(spool, SEGMENT);
    const { did } = await fetchWal(async () => archive, SEGMENT, target);
    expect(did === 'fetched' && segment.equals(await readFile(target)), 'what is fetched is what was put');
    return `a segment of 16 MiB put and fetched in ${seconds(started)}`;
  } finally {
    for await (const { key } of archive.store.list(`${prefix}/`)) await archive.store.delete(key);
    archive.store.close();
    await rm(spool, { recursive: true, force: true });
  }
}

function filled(): Buffer {
  const content = Buffer.alloc(CLUSTER.segmentSize, 'skytools smoke ');
  randomBytes(NOISE).copy(content, 8192);
  return content;
}

function expect(held: boolean, promise: string): void {
  if (held) return;
  throw new SkytoolsError('SMOKE_WRONG', `the archive does not keep a promise: ${promise}`, {
    subject: { segment: SEGMENT },
    hint: 'does the store support conditional writes (If-None-Match)?',
  });
}

import { open } from 'node:fs/promises';
import { SkytoolsError } from '../../platform/errors.ts';
import { parseWalName } from '../wal/name.ts';
import { objectMetadata, unpack, type WalArchive } from './archive.ts';
import { compress, sha256 } from './codec.ts';

/** A piece of a segment that is still being written: bytes from `start` to before `end`. */
export interface LivePiece {
  start: number;
  end: number;
  key: string;
}

/** Longest piece, in bytes: what one write takes when pull catches up. */
export const LIVE_PIECE_BYTES = 16 << 20;

/** The pieces of a segment in the archive, by their start. */
export async function listLive(archive: WalArchive, segment: string): Promise<LivePiece[]> {
  const pieces: LivePiece[] = [];
  for await (const { key } of archive.store.list(archive.keys.liveOf(segment))) {
    const range = /\/([0-9A-F]{8})-([0-9A-F]{8})$/.exec(key);
    if (range)
      pieces.push({ start: Number.parseInt(range[1]!, 16), end: Number.parseInt(range[2]!, 16), key });
  }
  return pieces;
}

/** How far the pieces cover a segment from its beginning, in bytes. */
export function liveCoverage(pieces: readonly LivePiece[]): number {
  let covered = 0;
  for (const piece of [...pieces].sort((a, b) => a.start - b.start)) {
    if (piece.start > covered) break;
    covered = Math.max(covered, piece.end);
  }
  return covered;
}

/**
 * Stores a piece, once. Flushed WAL does not change, so the same range is the same content whoever writes it.
 *
 * @throws SkytoolsError WAL_CONFLICT
 */
export async function storeLive(
  archive: WalArchive,
  segment: string,
  start: number,
  bytes: Buffer,
): Promise<void> {
  const key = archive.keys.livePiece(segment, start, start + bytes.length);
  const body = await compress(bytes, archive.level);
  const plainSha256 = sha256(bytes);
  const objectSha256 = sha256(body);
  const metadata = objectMetadata({ plainSize: bytes.length, plainSha256, objectSha256, codec: 'zstd' });
  if (await archive.store.put(key, body, objectSha256, { metadata, onlyIfAbsent: true })) return;
  const there = await archive.store.head(key);
  if (there?.metadata['plain-sha256'] === plainSha256) return;
  throw new SkytoolsError('WAL_CONFLICT', `the archive holds other content for this piece of ${segment}`, {
    hint: 'two servers of one cluster are being archived to one place: stop one of them',
    subject: { segment, key },
  });
}

/**
 * Puts the pieces of an unfinished segment together, zeros behind them, as PostgreSQL would find it after a crash.
 *
 * @returns false if there is no piece that begins the segment
 */
export async function assembleLive(archive: WalArchive, segment: string, target: string): Promise<boolean> {
  const file = parseWalName(segment);
  if (file.kind !== 'segment') return false;
  const pieces = await listLive(archive, segment);
  if (liveCoverage(pieces) === 0) return false;
  const handle = await open(target, 'w', 0o600);
  try {
    let covered = 0;
    for (const piece of pieces) {
      if (piece.start > covered) break;
      if (piece.end <= covered) continue;
      const found = await archive.store.get(piece.key, LIVE_PIECE_BYTES * 2);
      if (!found) break;
      const plain = await unpack(piece.key, found.body, found.info.metadata, LIVE_PIECE_BYTES);
      if (piece.start === 0) archive.checkContent(file, plain);
      await handle.write(plain, 0, plain.length, piece.start);
      covered = piece.end;
    }
    await handle.truncate(archive.identity.segmentSize);
    await handle.datasync();
    return covered > 0;
  } finally {
    await handle.close();
  }
}

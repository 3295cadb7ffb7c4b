import { isWalName, parseWalName, segmentNumber } from '../wal/name.ts';
import type { WalArchive } from './archive.ts';
import { nameOfKey } from './location.ts';

/** A whole segment in the archive. */
export interface ListedSegment {
  name: string;
  timeline: number;
  segno: bigint;
  /** Of the object, compressed. */
  bytes: number;
}

/** The whole segments below a prefix of keys, in the order of their names; other files are passed over. */
export async function* listSegments(archive: WalArchive, prefix: string): AsyncGenerator<ListedSegment> {
  for await (const { key, size: bytes } of archive.store.list(prefix)) {
    const name = nameOfKey(key);
    const file = isWalName(name) ? parseWalName(name) : undefined;
    if (file?.kind !== 'segment') continue;
    const { timeline } = file;
    yield { name, timeline, segno: segmentNumber(file, archive.identity.segmentSize), bytes };
  }
}

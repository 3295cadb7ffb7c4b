import type { WalArchive } from '../../lib/walmgr/archive/archive.ts';
import { ArchiveKeys } from '../../lib/walmgr/archive/location.ts';
import { parseWalName } from '../../lib/walmgr/wal/name.ts';

export const LISTED_OBJECT_BYTES = 100;
export const LISTED_SEGMENT_BYTES = 16 << 20;

const keys = new ArchiveKeys({ bucket: 'b', prefix: '' }).system(1n);

/**
 * An archive that is nothing but its listing, with segments of 16 MiB.
 *
 * @param begun bytes that are there of segments that are not whole
 * @param histories content of `.history` files by their name
 */
export function listedArchive(
  files: string[],
  begun: Record<string, number> = {},
  histories: Record<string, string> = {},
): WalArchive {
  const all = [
    ...[...files, ...Object.keys(histories)].map((file) => keys.file(parseWalName(file))),
    ...Object.entries(begun).map(([file, bytes]) => keys.livePiece(file, 0, bytes)),
  ].sort();
  const below = (prefix: string) => all.filter((key) => key.startsWith(prefix));
  const store = {
    async *list(prefix: string) {
      for (const key of below(prefix)) yield { key, size: LISTED_OBJECT_BYTES };
    },
    async *listDirectories(prefix: string) {
      yield* new Set(below(prefix).map((key) => key.slice(0, key.indexOf('/', prefix.length) + 1)));
    },
    head: async (key: string) => (all.includes(key) ? {} : undefined),
  };
  const readFile = async (name: string) => Buffer.from(histories[name] ?? '');
  return { store, keys, identity: { segmentSize: LISTED_SEGMENT_BYTES }, readFile } as unknown as WalArchive;
}

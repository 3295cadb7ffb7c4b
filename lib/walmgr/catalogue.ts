import type { WalArchive } from './archive/archive.ts';
import { sha256 } from './archive/codec.ts';
import { LAYOUT_VERSION, nameOfKey } from './archive/location.ts';
import { listBackups } from './backup/record.ts';
import type { Checkpoint } from './checkpoint.ts';
import { describeObject } from './upload/register.ts';
import { type ArchiveReport, checkArchive } from './verify.ts';
import { formatLsn } from './wal/lsn.ts';
import { parseWalName, segmentNumber, segmentStart } from './wal/name.ts';

/** Objects looked at together: one round trip each, and one statement for all of them. */
const TOGETHER = 32;

/**
 * Writes `catalogue.json`, what an archive holds in one small object, anew from its listing. For people and their tools:
 * nothing here reads it, so that an old or missing one harms nothing.
 */
export async function writeCatalogue(archive: WalArchive): Promise<ArchiveReport> {
  const report = await checkArchive(archive);
  const catalogue = { version: LAYOUT_VERSION, listedAt: new Date().toISOString(), ...report };
  const body = Buffer.from(`${JSON.stringify(catalogue, null, 1)}\n`);
  await archive.store.put(archive.keys.catalogue, body, sha256(body));
  return report;
}

/**
 * Tells schema walmgr everything that the archive holds, as after its loss; what it knows already stays as it is.
 *
 * @param report of the same archive, for its gaps and the states of its backups
 * @returns how many files were looked at
 */
export async function registerListing(
  archive: WalArchive,
  report: ArchiveReport,
  checkpoint: Checkpoint,
): Promise<number> {
  let files = 0;
  let together: string[] = [];
  const register = async () => {
    const described = await Promise.all(
      together.map(async (key) => {
        const info = await archive.store.head(key);
        return info && describeObject(nameOfKey(key), info);
      }),
    );
    await checkpoint.registerFiles(
      'listing',
      'stored',
      described.filter((file) => file !== undefined),
    );
    files += together.length;
    together = [];
  };
  for (const prefix of [archive.keys.history, archive.keys.wal]) {
    for await (const { key } of archive.store.list(prefix)) {
      together.push(key);
      if (together.length === TOGETHER) await register();
    }
  }
  await register();

  const size = archive.identity.segmentSize;
  const numberOf = (name: string) => {
    const file = parseWalName(name);
    return file.kind === 'history' ? 0n : segmentNumber(file, size);
  };
  for (const gap of report.gaps) {
    await checkpoint.registerGap({
      timeline: gap.timeline,
      from: formatLsn(segmentStart(numberOf(gap.first), size)),
      to: formatLsn(segmentStart(numberOf(gap.last) + 1n, size)),
    });
  }
  const states = new Map(report.backups.map(({ name, state }) => [name, state]));
  for (const record of await listBackups(archive)) {
    await checkpoint.registerBackup(record, states.get(record.name) ?? 'waiting');
  }
  return files;
}

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WalArchive } from '../archive/archive.ts';
import { isWalName, neighbour } from '../wal/name.ts';

/** Bytes of segments that may lie ready ahead of recovery. */
const AHEAD_BYTES = 128 << 20;
/** Downloads at once; limited by memory for large segments. */
const PARALLEL = 4;
const IN_FLIGHT_BYTES = 64 << 20;
/** A recovery that takes nothing for so long has ended or was stopped. Milliseconds. */
const IDLE_MS = 30_000;
/** How often the directory is looked at, in milliseconds. */
const LOOK_MS = 10;
/** The owner of the directory shows that it lives by touching its mark this often, and is dead after three times that. */
const HEARTBEAT_MS = 2_000;

/** Segments fetched before recovery asks for them, in `pg_wal/.skytools/ahead`: whole and verified under their names. */
export class AheadDirectory {
  readonly path: string;
  readonly walDirectory: string;

  constructor(walDirectory: string) {
    this.walDirectory = walDirectory;
    this.path = path.join(walDirectory, '.skytools', 'ahead');
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Where a segment is written before it is whole. */
  unfinished(name: string): string {
    return path.join(this.path, `.${name}`);
  }

  get #owner(): string {
    return path.join(this.path, '.owner');
  }

  /** Moves a segment that lies ready to where recovery wants it. */
  async take(name: string, target: string): Promise<boolean> {
    return rename(this.file(name), target).then(
      () => true,
      () => false,
    );
  }

  /** True while a living process fetches ahead here. */
  async hasOwner(): Promise<boolean> {
    const mark = await stat(this.#owner).catch(() => undefined);
    return mark !== undefined && Date.now() - mark.mtimeMs < HEARTBEAT_MS * 3;
  }

  /** True if that process is fetching this very segment. */
  async isComing(name: string): Promise<boolean> {
    const here = await stat(this.unfinished(name)).then(
      () => true,
      () => false,
    );
    return here && (await this.hasOwner());
  }

  async isReadyOrComing(name: string): Promise<boolean> {
    return (await this.ready()).includes(name) || (await this.isComing(name));
  }

  /**
   * Makes room for a new owner, whose first segment will be `from`; whoever was it before ends when it notices.
   *
   * @returns the token by which the new owner knows itself
   */
  async announce(from: string): Promise<string> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    const token = randomBytes(8).toString('hex');
    await writeFile(this.#owner, token, { mode: 0o600 });
    await this.clear();
    await this.begin(from);
    return token;
  }

  /** Shows that a segment is being fetched. */
  async begin(name: string): Promise<void> {
    await writeFile(this.unfinished(name), '', { mode: 0o600 });
  }

  async isOwner(token: string): Promise<boolean> {
    return (await readFile(this.#owner, 'utf8').catch(() => '')) === token;
  }

  async heartbeat(): Promise<void> {
    const now = new Date();
    await utimes(this.#owner, now, now).catch(() => {});
  }

  /** Names that lie ready. */
  async ready(): Promise<string[]> {
    return (await readdir(this.path).catch(() => [] as string[])).filter(isWalName);
  }

  /** Removes every segment. */
  async clear(): Promise<void> {
    for (const entry of await readdir(this.path).catch(() => [] as string[])) {
      if (entry !== '.owner') await rm(path.join(this.path, entry), { force: true });
    }
  }

  async disown(): Promise<void> {
    await rm(this.#owner, { force: true });
  }
}

export interface FetchAheadOptions {
  /** Ends when nothing was taken for so long, in milliseconds. */
  idleMs?: number;
}

/**
 * Fetches the segments that follow, on the same timeline, until the archive has no more or nobody takes them. Never
 * crosses a change of timeline: only recovery knows where it goes next.
 *
 * @param from the first segment to fetch, and `token`, as they were announced
 * @returns how many segments it made ready
 */
export async function fetchAhead(
  archive: WalArchive,
  directory: AheadDirectory,
  from: string,
  token: string,
  options: FetchAheadOptions = {},
): Promise<number> {
  const size = archive.identity.segmentSize;
  const window = Math.max(2, Math.floor(AHEAD_BYTES / size));
  const parallel = Math.max(1, Math.min(PARALLEL, Math.floor(IN_FLIGHT_BYTES / size)));
  const idleMs = options.idleMs ?? IDLE_MS;

  const coming = new Map<string, Promise<void>>();
  const made = new Set<string>();
  let next = from;
  let atEnd = false;
  let count = 0;
  let lastTaken = performance.now();
  let lastBeat = 0;

  const bring = async (name: string) => {
    try {
      const unfinished = directory.unfinished(name);
      if (!(await archive.fetchFile(name, unfinished))) {
        atEnd = true;
      } else if (await directory.isOwner(token)) {
        await rename(unfinished, directory.file(name));
        made.add(name);
        count++;
        return;
      }
      await rm(unfinished, { force: true });
    } catch {
      // Recovery asks for this one itself, and that call reports what is wrong.
      atEnd = true;
      await rm(directory.unfinished(name), { force: true });
    } finally {
      coming.delete(name);
    }
  };

  while (performance.now() - lastTaken < idleMs) {
    if (performance.now() - lastBeat > HEARTBEAT_MS) {
      if (!(await directory.isOwner(token))) break;
      await directory.heartbeat();
      lastBeat = performance.now();
    }
    const there = new Set(await directory.ready());
    for (const name of made) {
      if (there.has(name)) continue;
      made.delete(name);
      lastTaken = performance.now();
    }
    if (atEnd && coming.size === 0 && made.size === 0) break;
    while (!atEnd && coming.size < parallel && coming.size + made.size < window) {
      const name = next;
      next = neighbour(name, 1, size);
      await directory.begin(name);
      coming.set(name, bring(name));
    }
    await sleep(LOOK_MS);
  }
  await Promise.all(coming.values());
  if (await directory.isOwner(token)) {
    await directory.clear();
    await directory.disown();
  }
  return count;
}

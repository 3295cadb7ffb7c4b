import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ArchiveIdentity, formatIdentity, parseIdentity } from '../archive/identity.ts';
import { isWalName } from '../wal/name.ts';

/**
 * What a push leaves for later calls: notes about files that were sent ahead. It lies in `pg_wal`, which PostgreSQL
 * leaves out of base backups, which the server's account can write, and whose unknown names it leaves alone. Losing it
 * costs a comparison with the archive.
 */
export class PushSpool {
  readonly directory: string;
  readonly #sent: string;
  /** How the archive is addressed: a note counts only for the same. */
  readonly #address: string;

  constructor(walDirectory: string, address: string) {
    this.directory = path.join(walDirectory, '.skytools');
    this.#sent = path.join(this.directory, 'sent');
    this.#address = address;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#sent, { recursive: true, mode: 0o700 });
  }

  /** The identity that an earlier call found in the archive. */
  async identity(): Promise<ArchiveIdentity | undefined> {
    const text = await readFile(path.join(this.directory, 'archive'), 'utf8').catch(() => '');
    const [address, identity] = text.split('\n');
    if (address !== this.#address || !identity) return undefined;
    try {
      return parseIdentity(identity);
    } catch {
      return undefined;
    }
  }

  async keepIdentity(identity: ArchiveIdentity): Promise<void> {
    await this.#write(path.join(this.directory, 'archive'), `${this.#address}\n${formatIdentity(identity)}`);
  }

  /** True if the newest history file, as it is, was stored by an earlier call. */
  async knowsHistory(mark: string): Promise<boolean> {
    const text = await readFile(path.join(this.directory, 'history'), 'utf8').catch(() => '');
    return text === `${mark}\n${this.#address}\n`;
  }

  async keepHistory(mark: string): Promise<void> {
    await this.#write(path.join(this.directory, 'history'), `${mark}\n${this.#address}\n`);
  }

  /** Notes that a file, as it was when `mark` was taken, is durable in the archive. */
  async noteSent(name: string, mark: string): Promise<void> {
    await this.#write(path.join(this.#sent, name), `${mark}\n${this.#address}\n`);
  }

  async wasSent(name: string, mark: string): Promise<boolean> {
    const text = await readFile(path.join(this.#sent, name), 'utf8').catch(() => '');
    return text === `${mark}\n${this.#address}\n`;
  }

  /** Removes notes about files that PostgreSQL no longer asks for. */
  async forgetAllBut(ready: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#sent)) {
      if (!ready.has(name)) await rm(path.join(this.#sent, name), { force: true });
    }
  }

  async #write(file: string, text: string): Promise<void> {
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, file);
  }
}

/**
 * What tells one file's content from another's of the same name, without reading it: inode, time of the last write in
 * nanoseconds, size. The `skytools` shell script makes the same text with `stat -c '%i %.9Y %s'`.
 */
export async function markOf(file: string): Promise<string> {
  const { ino, mtimeNs, size } = await stat(file, { bigint: true });
  const seconds = mtimeNs / 1_000_000_000n;
  return `${ino} ${seconds}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')} ${size}`;
}

/** The files PostgreSQL waits to have archived: history files first, then oldest first. */
export async function readyFiles(walDirectory: string): Promise<string[]> {
  const entries = await readdir(path.join(walDirectory, 'archive_status')).catch(() => [] as string[]);
  const rank = (name: string) => `${name.endsWith('.history') ? 0 : 1}${name}`;
  return entries
    .filter((entry) => entry.endsWith('.ready'))
    .map((entry) => entry.slice(0, -'.ready'.length))
    .filter(isWalName)
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

import type { ObjectStore } from '../s3/store.ts';
import type { ManifestFile } from './manifest.ts';
import { BlockPacker, type PackerOptions } from './packer.ts';
import { TAR_BLOCK, type TarMember, TarReader } from './tar.ts';
import { type Volume, type VolumeTools, VolumeWriter } from './volume.ts';

/** A volume is ended at the first member that begins after so many bytes: restore works on several at once. */
const VOLUME_BYTES = 256 << 20;

/** `backup_label` is small; more is not kept. */
const LABEL_BYTES = 64 * 1024;

export interface SinkOptions extends PackerOptions {
  store: ObjectStore;
  /** Key prefix of the backup. */
  directory: string;
  volumeBytes?: number;
}

/**
 * Takes the archives of a base backup as they arrive: checks every file, and re-cuts the archives into volumes of some
 * hundred megabytes, each a tar archive of its own.
 */
export class BackupSink {
  readonly volumes: Volume[] = [];
  readonly #sizes = new Map<string, number>();
  readonly #packer: BlockPacker;
  readonly #tools: VolumeTools;
  readonly #volumeBytes: number;
  #archive = '';
  #pathPrefix = '';
  #reader: TarReader | undefined;
  #volume: VolumeWriter | undefined;
  #finishing: Promise<void>[] = [];
  #number = 0;
  #member: TarMember | undefined;
  #label: Buffer[] = [];
  #wait: Promise<void> | undefined;

  constructor(options: SinkOptions) {
    const { store, directory } = options;
    this.#packer = new BlockPacker(options);
    this.#tools = { store, directory, packer: this.#packer };
    this.#volumeBytes = options.volumeBytes ?? VOLUME_BYTES;
  }

  /** Text of `backup_label`, which comes first. */
  get label(): string {
    return Buffer.concat(this.#label).toString('utf8');
  }

  /** A new archive begins: `base`, or a tablespace by its oid. */
  begin(archive: string): void {
    this.#endVolume();
    this.#archive = archive;
    this.#pathPrefix = archive === 'base' ? '' : `pg_tblspc/${archive}/`;
    this.#number = 0;
    this.#reader = new TarReader({
      onMember: (member, header) => this.#beginMember(member, header),
      onContent: (bytes) => this.#content(bytes),
      onMemberEnd: (padding) => this.#endMember(padding),
    });
  }

  /** @returns a promise when the giver should wait before it goes on */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#wait = undefined;
    this.#reader!.write(bytes);
    return this.#wait;
  }

  #beginMember(member: TarMember, header: Buffer): void {
    if (this.#volume && this.#volume.plainSize >= this.#volumeBytes) this.#endVolume();
    this.#member = member;
    this.#put(header);
  }

  #content(bytes: Buffer): void {
    if (this.#member?.name === 'backup_label' && this.#archive === 'base' && bytes.length < LABEL_BYTES) {
      this.#label.push(Buffer.from(bytes));
    }
    this.#put(bytes, this.#member?.kind === 'file');
  }

  #endMember(padding: number): void {
    const { name, size, kind } = this.#member!;
    if (kind === 'file') {
      this.#sizes.set(this.#pathPrefix + name, size);
      this.#volume!.endFile(this.#pathPrefix + name);
    }
    if (padding > 0) this.#put(Buffer.alloc(padding % TAR_BLOCK));
  }

  #put(bytes: Buffer, ofFile = false): void {
    this.#volume ??= this.#beginVolume();
    const wait = this.#volume.write(bytes, ofFile);
    if (wait) this.#wait = this.#wait ? Promise.all([this.#wait, wait]).then(() => {}) : wait;
  }

  #beginVolume(): VolumeWriter {
    const file = `${this.#archive}-${String(this.#number++).padStart(5, '0')}.tar.zst`;
    return new VolumeWriter(this.#tools, file, this.#archive);
  }

  #endVolume(): void {
    const volume = this.#volume;
    if (!volume) return;
    this.#volume = undefined;
    const finishing = volume.finish().then((done) => {
      this.volumes.push(done);
    });
    finishing.catch(() => {});
    // While the end of one volume is sent the next one is filled; more than these two would take too much memory.
    this.#wait = this.#finishing.at(-1);
    this.#finishing.push(finishing);
  }

  /** Size and checksum of every file, by the name it has in the manifest; complete after {@link finish}. */
  get files(): Map<string, ManifestFile> {
    const { digests } = this.#packer;
    return new Map(
      [...this.#sizes].map(([name, size]) => [name, { size, checksum: digests.get(name) ?? '' }]),
    );
  }

  /** Resolves when every volume is durable. */
  async finish(): Promise<void> {
    this.#endVolume();
    await Promise.all(this.#finishing);
    this.#packer.close();
    this.volumes.sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  async abort(): Promise<void> {
    await this.#volume?.abort();
    await Promise.allSettled(this.#finishing);
    this.#packer.close();
  }
}

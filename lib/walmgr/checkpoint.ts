import type { Client } from '../postgres/connect.ts';
import type { StoredFile, WalArchive } from './archive/archive.ts';
import type { ArchiveLocation } from './archive/location.ts';
import type { BackupRecord } from './backup/record.ts';
import type { WalGap } from './pull/pull.ts';

export type WalJobKind = 'pull' | 'backup' | 'expire';

/** Schema walmgr's functions. What they note is in the archive already, so that losing a call loses nothing. */
export class Checkpoint {
  readonly #client: Client;
  readonly #cluster: string;

  constructor(client: Client, cluster: string) {
    this.#client = client;
    this.#cluster = cluster;
  }

  async registerCluster(archive: WalArchive, location: ArchiveLocation): Promise<void> {
    const { systemIdentifier, segmentSize, major } = archive.identity;
    await this.#client.query('select walmgr.register_cluster($1, $2, $3, $4, $5)', [
      this.#cluster,
      String(systemIdentifier),
      segmentSize,
      major,
      `s3://${location.bucket}/${location.prefix}`,
    ]);
  }

  /** The fence number of a lease that was taken; undefined while somebody else holds it. */
  async begin(kind: WalJobKind, leaseSeconds: number): Promise<bigint | undefined> {
    const { rows } = await this.#client.query<{ fence: bigint | null }>(
      'select walmgr.begin_job($1, $2, $3) as fence',
      [this.#cluster, kind, leaseSeconds],
    );
    return rows[0]?.fence ?? undefined;
  }

  /** False if the lease has passed to another. */
  async renew(kind: WalJobKind, fence: bigint, leaseSeconds: number): Promise<boolean> {
    const { rows } = await this.#client.query<{ held: boolean }>(
      'select walmgr.renew_job($1, $2, $3, $4) as held',
      [this.#cluster, kind, fence, leaseSeconds],
    );
    return rows[0]!.held;
  }

  async end(
    kind: WalJobKind,
    fence: bigint,
    result: { error?: string; durable?: string; server?: string },
  ): Promise<void> {
    await this.#client.query('select walmgr.end_job($1, $2, $3, $4, $5::pg_lsn, $6::pg_lsn)', [
      this.#cluster,
      kind,
      fence,
      result.error ?? null,
      result.durable ?? null,
      result.server ?? null,
    ]);
  }

  async registerFiles(
    source: 'upload' | 'pull' | 'listing',
    state: 'stored' | 'verified' | 'damaged',
    files: Pick<StoredFile, 'name' | 'plainSize' | 'objectSize' | 'plainSha256'>[],
  ): Promise<void> {
    if (files.length === 0) return;
    const rows = files.map(({ name, plainSize, objectSize, plainSha256 }) => ({
      name,
      state,
      plainSize,
      objectSize,
      plainSha256,
    }));
    await this.#client.query('select walmgr.register_segments($1, $2, $3::jsonb)', [
      this.#cluster,
      source,
      JSON.stringify(rows),
    ]);
  }

  async registerGap(gap: WalGap): Promise<void> {
    await this.#client.query('select walmgr.register_gap($1, $2, $3::pg_lsn, $4::pg_lsn)', [
      this.#cluster,
      gap.timeline,
      gap.from,
      gap.to,
    ]);
  }

  async registerBackup(record: BackupRecord, state: 'waiting' | 'usable' | 'damaged'): Promise<void> {
    await this.#client.query('select walmgr.register_backup($1, $2, $3::jsonb)', [
      this.#cluster,
      state,
      JSON.stringify(record),
    ]);
  }

  async forget(backup: string | null, files: string[]): Promise<void> {
    await this.#client.query('select walmgr.forget_backup($1, $2, $3)', [this.#cluster, backup, files]);
  }

  async isDue(kind: WalJobKind, everySeconds: number): Promise<boolean> {
    const { rows } = await this.#client.query<{ due: boolean }>(
      'select walmgr.is_job_due($1, $2, $3) as due',
      [this.#cluster, kind, everySeconds],
    );
    return rows[0]?.due ?? false;
  }
}

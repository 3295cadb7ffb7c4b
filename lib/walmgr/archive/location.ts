import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import type { S3ClientOptions } from '../../platform/s3/client.ts';
import { timelineDigits, type WalFile } from '../wal/name.ts';

/** Version of the layout below; in `archive.json` and in every object's metadata. */
export const LAYOUT_VERSION = 1;

/** Where `skytools smoke` puts what belongs to no cluster; in no archive, even one that has the whole bucket. */
export const SMOKE_PREFIX = 'skytools-smoke/';

/** Where an archive lies. */
export interface ArchiveLocation {
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
}

/**
 * Reads `s3://bucket/prefix`.
 *
 * @throws UsageError WAL_ARCHIVE_URL_INVALID
 */
export function parseArchiveUrl(text: string | undefined): ArchiveLocation {
  const parts = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9!_.*'()/=-]*))?$/.exec(text ?? '');
  if (!parts) {
    throw new UsageError(
      'WAL_ARCHIVE_URL_INVALID',
      `not the location of an archive: ${JSON.stringify(text ?? '')}`,
      {
        hint: 'write --archive s3://BUCKET/PREFIX, or set SKYTOOLS_WAL_ARCHIVE',
      },
    );
  }
  return { bucket: parts[1]!, prefix: (parts[2] ?? '').replace(/^\/+|\/+$/g, '') };
}

/** How to reach a location's bucket from this process's environment, by the names the AWS tools use. */
export function clientOptions(
  location: ArchiveLocation,
  env: NodeJS.ProcessEnv = process.env,
): S3ClientOptions {
  const endpoint = env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  return {
    bucket: location.bucket,
    region: env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
    ...(endpoint ? { endpoint } : {}),
  };
}

/** Keys of the objects of one archive (docs/reference/wal-layout.md). */
export class ArchiveKeys {
  readonly root: string;

  constructor(location: ArchiveLocation) {
    this.root = location.prefix === '' ? '' : `${location.prefix}/`;
  }

  get identity(): string {
    return `${this.root}archive.json`;
  }

  /** Everything of one cluster. */
  system(systemIdentifier: bigint): SystemKeys {
    return new SystemKeys(`${this.root}${systemIdentifier}/`);
  }
}

/** Keys below one system identifier. */
export class SystemKeys {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** A file PostgreSQL archived. WAL is grouped by its first sixteen digits, so that no listing grows for ever. */
  file(file: WalFile): string {
    return file.kind === 'history'
      ? `${this.root}history/${file.name}`
      : `${this.root}wal/${file.name.slice(0, 16)}/${file.name}`;
  }

  get history(): string {
    return `${this.root}history/`;
  }

  get wal(): string {
    return `${this.root}wal/`;
  }

  walOfTimeline(timeline: number): string {
    return `${this.root}wal/${timelineDigits(timeline)}`;
  }

  /** Pieces of segments that are still being written, by pull. */
  get live(): string {
    return `${this.root}live/`;
  }

  liveOf(segment: string): string {
    return `${this.root}live/${segment}/`;
  }

  livePiece(segment: string, start: number, end: number): string {
    const hex = (offset: number) => offset.toString(16).toUpperCase().padStart(8, '0');
    return `${this.liveOf(segment)}${hex(start)}-${hex(end)}`;
  }

  get backups(): string {
    return `${this.root}backup/`;
  }

  backup(name: string): string {
    return `${this.root}backup/${checkBackupName(name)}/`;
  }

  get catalogue(): string {
    return `${this.root}catalogue.json`;
  }
}

/** @throws UsageError WAL_BACKUP_NAME_INVALID unless a name {@link backupName} could have made */
export function checkBackupName(name: string): string {
  if (/^\d{8}T\d{6}Z-[0-9A-F]{24}$/.test(name)) return name;
  throw new UsageError(
    'WAL_BACKUP_NAME_INVALID',
    `not the name of a backup: ${JSON.stringify(name.slice(0, 80))}`,
    {
      hint: '`skytools wal backups` lists them',
    },
  );
}

/** A backup's name: when it began, by the server's clock, and the first segment it needs. They sort by time. */
export function backupName(startedAt: Date, firstSegment: string): string {
  return `${startedAt.toISOString().replace(/[-:]|\.\d+/g, '')}-${firstSegment}`;
}

/** The file name at the end of a WAL object's key. */
export function nameOfKey(key: string): string {
  const name = key.slice(key.lastIndexOf('/') + 1);
  if (name === '')
    throw new SkytoolsError('WAL_KEY_INVALID', `not the key of a file: ${key}`, { subject: { key } });
  return name;
}

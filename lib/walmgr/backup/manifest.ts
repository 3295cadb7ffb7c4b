import { SkytoolsError } from '../../platform/errors.ts';
import { sha256 } from '../archive/codec.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';

/** A file that a backup has to hold. */
export interface ManifestFile {
  size: number;
  /** SHA-256, hexadecimal. */
  sha256: string;
}

/** WAL without which a backup is worthless. */
export interface WalRange {
  timeline: number;
  start: Lsn;
  end: Lsn;
}

/** PostgreSQL's backup manifest (documentation, "Backup Manifest Format"), version 1 or 2. */
export interface Manifest {
  files: Map<string, ManifestFile>;
  ranges: WalRange[];
}

function invalid(what: string): SkytoolsError {
  return new SkytoolsError('WAL_MANIFEST_INVALID', `the backup manifest ${what}`, {
    hint: 'use another backup; `skytools wal backups` lists them',
  });
}

interface RawManifest {
  Files: {
    Path?: string;
    'Encoded-Path'?: string;
    Size: number;
    'Checksum-Algorithm'?: string;
    Checksum?: string;
  }[];
  'WAL-Ranges': { Timeline: number; 'Start-LSN': string; 'End-LSN': string }[];
}

/**
 * Reads a manifest made with SHA-256, verifying its own checksum.
 *
 * @throws SkytoolsError WAL_MANIFEST_INVALID
 */
export function parseManifest(bytes: Buffer): Manifest {
  const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
  const own = /^"Manifest-Checksum": "([0-9a-f]{64})"}\s*$/.exec(bytes.toString('latin1', lastLine))?.[1];
  if (own === undefined || own !== sha256(bytes.subarray(0, lastLine))) throw invalid('has a wrong checksum');
  let raw: RawManifest;
  try {
    raw = JSON.parse(bytes.toString('utf8')) as RawManifest;
  } catch {
    throw invalid('is not JSON');
  }
  const files = new Map<string, ManifestFile>();
  for (const file of raw.Files) {
    const name = file.Path ?? Buffer.from(file['Encoded-Path'] ?? '', 'hex').toString('utf8');
    if (file['Checksum-Algorithm'] !== 'SHA256' || file.Checksum === undefined)
      throw invalid('is not one of SHA-256');
    files.set(name, { size: file.Size, sha256: file.Checksum });
  }
  const ranges = raw['WAL-Ranges'].map((range) => ({
    timeline: range.Timeline,
    start: parseLsn(range['Start-LSN']),
    end: parseLsn(range['End-LSN']),
  }));
  return { files, ranges };
}

/** Files a backup may hold without its manifest knowing. */
const UNLISTED = /^(pg_wal\/|backup_manifest$)/;

/**
 * Compares what was seen with what has to be there.
 *
 * @returns what is wrong, one line each; empty if nothing is
 */
export function compareWithManifest(manifest: Manifest, seen: ReadonlyMap<string, ManifestFile>): string[] {
  const problems: string[] = [];
  for (const [name, wanted] of manifest.files) {
    const found = seen.get(name);
    if (!found) problems.push(`${name} is missing`);
    else if (found.size !== wanted.size)
      problems.push(`${name} has ${found.size} bytes instead of ${wanted.size}`);
    else if (found.sha256 !== wanted.sha256) problems.push(`${name} has another checksum`);
  }
  for (const name of seen.keys()) {
    if (!manifest.files.has(name) && !UNLISTED.test(name)) problems.push(`${name} is not in the manifest`);
  }
  return problems;
}

import { SkytoolsError } from '../../platform/errors.ts';
import { sha256 } from '../archive/codec.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from './checksum.ts';

/** A file that a backup has to hold. */
export interface ManifestFile {
  size: number;
  /** By the manifest's algorithm, hexadecimal. */
  checksum: string;
}

/** WAL without which a backup is worthless. */
export interface WalRange {
  timeline: number;
  start: Lsn;
  end: Lsn;
}

/** PostgreSQL's backup manifest (documentation, "Backup Manifest Format"), version 1 or 2. */
export interface Manifest {
  /** Of every file, as PostgreSQL writes it. */
  algorithm: ChecksumAlgorithm;
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
 * Reads a manifest, verifying its own checksum, which is a SHA-256.
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
  const algorithm = CHECKSUM_ALGORITHMS.find((each) => each === raw.Files[0]?.['Checksum-Algorithm']);
  if (!algorithm) throw invalid(`has checksums other than ${CHECKSUM_ALGORITHMS.join(' and ')}`);
  for (const file of raw.Files) {
    const name = file.Path ?? Buffer.from(file['Encoded-Path'] ?? '', 'hex').toString('utf8');
    if (file['Checksum-Algorithm'] !== algorithm || file.Checksum === undefined)
      throw invalid(`has no ${algorithm} of ${name}`);
    files.set(name, { size: file.Size, checksum: file.Checksum });
  }
  const ranges = raw['WAL-Ranges'].map((range) => ({
    timeline: range.Timeline,
    start: parseLsn(range['Start-LSN']),
    end: parseLsn(range['End-LSN']),
  }));
  return { algorithm, files, ranges };
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
    else if (found.checksum !== wanted.checksum) problems.push(`${name} has another checksum`);
  }
  for (const name of seen.keys()) {
    if (!manifest.files.has(name) && !UNLISTED.test(name)) problems.push(`${name} is not in the manifest`);
  }
  return problems;
}

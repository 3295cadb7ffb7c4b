import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { presignQuery, signHeaders } from '../../../lib/platform/s3/sigv4.ts';
import { compress, decompress, FrameCompressor } from '../../../lib/walmgr/archive/codec.ts';
import { liveCoverage } from '../../../lib/walmgr/archive/live.ts';
import { parseArchiveUrl } from '../../../lib/walmgr/archive/location.ts';
import { compareWithManifest, parseManifest } from '../../../lib/walmgr/backup/manifest.ts';
import { TAR_END, TarReader } from '../../../lib/walmgr/backup/tar.ts';
import { clockToDate, readStreamMessage, statusMessage } from '../../../lib/walmgr/replication/messages.ts';
import { recoverySettings } from '../../../lib/walmgr/restore/settings.ts';
import { checkTarget } from '../../../lib/walmgr/restore/target.ts';
import { readUploadRequest, signUpload } from '../../../lib/walmgr/upload/request.ts';
import { parseWalName } from '../../../lib/walmgr/wal/name.ts';
import { checkSegmentHeader, readSegmentHeader } from '../../../lib/walmgr/wal/page.ts';
import { MADE_UP, makeSegment } from '../../support/wal-files.ts';

const NAME = '000000020000000000000005';
const file = parseWalName(NAME) as never;

test('a segment’s first page tells its cluster, place and timeline', () => {
  const header = readSegmentHeader(makeSegment(NAME), NAME);
  expect(header).toMatchObject({ ...MADE_UP, timeline: 2 });
  checkSegmentHeader(header, file, MADE_UP);
  // The first file of a new timeline begins with bytes of the old one.
  checkSegmentHeader({ ...header, timeline: 1 }, file, MADE_UP);
});

test.each([
  ['no wal at all', (bytes: Buffer) => bytes.fill(0)],
  ['an unknown version', (bytes: Buffer) => bytes.writeUInt16LE(0xd000, 0)],
  ['a page in mid-segment', (bytes: Buffer) => bytes.writeUInt16LE(0, 2)],
  ['another address', (bytes: Buffer) => bytes.writeBigUInt64LE(0n, 8)],
  ['another block size', (bytes: Buffer) => bytes.writeUInt32LE(16384, 36)],
])('%s is refused', (_what, spoil) => {
  const bytes = makeSegment(NAME);
  spoil(bytes);
  expect(() => checkSegmentHeader(readSegmentHeader(bytes, NAME), file, MADE_UP)).toThrow(
    expect.objectContaining({ code: 'WAL_SEGMENT_INVALID' }),
  );
});

test('requests are signed as AWS documents it', () => {
  // "Signature Calculations for the Authorization Header", example GET Object.
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  };
  const empty = createHash('sha256').digest('hex');
  const request = {
    method: 'GET',
    host: 'examplebucket.s3.amazonaws.com',
    path: '/test.txt',
    query: {},
    headers: { range: 'bytes=0-9' },
  };
  const headers = signHeaders(request, empty, 'us-east-1', credentials, new Date('2013-05-24T00:00:00Z'));
  expect(headers.authorization).toContain('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41');
  // "Authenticating Requests: Using Query Parameters".
  const query = presignQuery(
    { ...request, headers: {} },
    86_400,
    'us-east-1',
    credentials,
    new Date('2013-05-24T00:00:00Z'),
  );
  expect(query).toContain('aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404');
});

test('what is compressed comes back, and no more than allowed', async () => {
  const bytes = Buffer.alloc(3 << 20, 'wal');
  expect((await decompress(await compress(bytes), 'zstd', bytes.length)).equals(bytes)).toBe(true);
  await expect(decompress(await compress(bytes), 'zstd', 1000)).rejects.toThrow();
});

test('a tar archive reads the same in pieces of any size', () => {
  const header = (name: string, size: number) => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    block.write('0000600\0', 100);
    block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
    block.write('0', 156);
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    return block;
  };
  const content = Buffer.alloc(1300, 'x');
  const archive = Buffer.concat([
    header('a', 1300),
    content,
    Buffer.alloc(236),
    header('empty', 0),
    header('b', 512),
    Buffer.alloc(512, 'y'),
    TAR_END,
  ]);
  const read = (cuts: number[]) => {
    const seen: Record<string, string> = {};
    let name = '';
    const reader = new TarReader({
      onMember: (member) => {
        name = member.name;
        seen[name] = '';
      },
      onContent: (bytes) => {
        seen[name] += bytes.toString();
      },
      onMemberEnd: () => {},
    });
    let at = 0;
    for (const cut of [...cuts, archive.length]) {
      reader.write(archive.subarray(at, Math.min(at + cut, archive.length)));
      at = Math.min(at + cut, archive.length);
    }
    return seen;
  };
  const whole = { a: content.toString(), empty: '', b: 'y'.repeat(512) };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 20 }), (cuts) => {
      expect(read(cuts)).toEqual(whole);
    }),
  );
});

test('every piece becomes a frame of its own, whatever it holds and however full the buffer is', async () => {
  const compressor = new FrameCompressor(1, 1 << 20);
  const pieces = [
    ...Array.from({ length: 6 }, () => randomBytes(1 << 20)),
    Buffer.alloc(1 << 20),
    randomBytes(70_000),
    Buffer.from('small'),
  ];
  const frames = await Promise.all(pieces.map((piece) => compressor.compress(piece)));
  for (const [index, frame] of frames.entries()) {
    expect((await decompress(frame, 'zstd', 1 << 20)).equals(pieces[index]!)).toBe(true);
  }
  compressor.close();
  await expect(compressor.compress(Buffer.from('late'))).rejects.toThrow();
});

test('a manifest is believed only with its own checksum, and every difference is told', () => {
  const body =
    '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7711094928939077089,\n"Files": [\n' +
    `{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "x", "Checksum-Algorithm": "SHA256", "Checksum": "${'0'.repeat(64)}" }\n],\n` +
    '"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }\n],\n';
  const whole = (text: string, hashed = body) =>
    Buffer.from(`${text}"Manifest-Checksum": "${createHash('sha256').update(hashed).digest('hex')}"}\n`);
  const manifest = parseManifest(whole(body));
  expect(manifest.ranges[0]).toEqual({ timeline: 1, start: 0x2000028n, end: 0x2000120n });
  expect(() => parseManifest(whole(body.replace('3,', '4,')))).toThrow(
    expect.objectContaining({ code: 'WAL_MANIFEST_INVALID' }),
  );
  expect(manifest.algorithm).toBe('SHA256');
  for (const other of ['NONE', 'SHA512']) {
    const text = body.replace('SHA256', other);
    expect(() => parseManifest(whole(text, text))).toThrow(
      expect.objectContaining({ code: 'WAL_MANIFEST_INVALID', message: expect.stringContaining('CRC32C') }),
    );
  }
  const good = { size: 3, checksum: '0'.repeat(64) };
  expect(compareWithManifest(manifest, new Map([['PG_VERSION', good]]))).toEqual([]);
  expect(compareWithManifest(manifest, new Map())).toEqual(['PG_VERSION is missing']);
  expect(compareWithManifest(manifest, new Map([['PG_VERSION', { ...good, size: 4 }]]))[0]).toContain(
    '4 bytes',
  );
  expect(
    compareWithManifest(
      manifest,
      new Map([
        ['PG_VERSION', good],
        ['extra', good],
        ['pg_wal/x', good],
      ]),
    ),
  ).toEqual(['extra is not in the manifest']);
});

test('replication messages are those of the protocol', () => {
  const status = statusMessage(0x3a00000n, 0x3a00000n, new Date('2000-01-01T00:00:01Z'), true);
  expect(status.toString('hex')).toBe('720000000003a000000000000003a00000000000000000000000000000000f424001');
  const wal = Buffer.alloc(28);
  wal.write('w');
  wal.writeBigUInt64BE(16n, 1);
  expect(readStreamMessage(wal)).toMatchObject({ kind: 'wal', start: 16n, bytes: Buffer.alloc(3) });
  expect(readStreamMessage(Buffer.from('s'))).toEqual({ kind: 'other' });
  expect(clockToDate(1_000_000n)).toEqual(new Date('2000-01-01T00:00:01Z'));
});

test('pieces cover a segment only as far as they meet', () => {
  const piece = (start: number, end: number) => ({ start, end, key: '' });
  expect(liveCoverage([])).toBe(0);
  expect(liveCoverage([piece(0, 10), piece(5, 20), piece(20, 30)])).toBe(30);
  expect(liveCoverage([piece(0, 10), piece(11, 20)])).toBe(10);
  expect(liveCoverage([piece(5, 10)])).toBe(0);
});

test('recovery settings name one target, in words every version reads', () => {
  const text = recoverySettings(
    { time: '2026-11-22T20:15:00.123456Z', inclusive: false },
    "cmd 'x' %f %p",
    3,
  );
  expect(text).toContain("recovery_target_time = '2026-11-22 20:15:00.123456+00'");
  expect(text).toContain("recovery_target_inclusive = 'off'");
  expect(text).toContain("recovery_target_timeline = '3'");
  expect(text).toContain("restore_command = 'cmd ''x'' %f %p'");
  expect(text).toContain("archive_mode = 'off'");
});

test.each([
  [{ time: '2026-11-22T20:15:00' }],
  [{ time: 'yesterday' }],
  [{ xid: '12a' }],
  [{ name: 'x', immediate: true }],
])('%j is no target', (target) => {
  expect(() => checkTarget(target)).toThrow(expect.objectContaining({ code: 'WAL_TARGET_INVALID' }));
});

test('an upload request counts only with its key, its form and its time', () => {
  const now = new Date('2026-11-22T20:00:00Z');
  const body = [
    'cluster=main',
    `name=${NAME}`,
    'size=1048576',
    `sha256=${'a'.repeat(64)}`,
    'object_size=1000',
    `object_sha256=${'b'.repeat(64)}`,
    'codec=zstd',
    `header=${'00'.repeat(40)}`,
    `time=${now.getTime() / 1000}`,
  ].join('\n');
  expect(readUploadRequest(body, signUpload(body, 'key'), 'key', now)).toMatchObject({
    cluster: 'main',
    name: NAME,
  });
  const forbidden = expect.objectContaining({ code: 'WAL_UPLOAD_FORBIDDEN' });
  expect(() => readUploadRequest(body, signUpload(body, 'other'), 'key', now)).toThrow(forbidden);
  expect(() => readUploadRequest(body, '', 'key', now)).toThrow(forbidden);
  expect(() =>
    readUploadRequest(body, signUpload(body, 'key'), 'key', new Date(now.getTime() + 301_000)),
  ).toThrow(forbidden);
  const evil = body.replace(NAME, '../../x');
  expect(() => readUploadRequest(evil, signUpload(evil, 'key'), 'key', now)).toThrow(
    expect.objectContaining({ code: 'WAL_UPLOAD_INVALID' }),
  );
});

test.each([
  ['s3://bucket/a/b/', { bucket: 'bucket', prefix: 'a/b' }],
  ['s3://bucket', { bucket: 'bucket', prefix: '' }],
])('%s is an archive', (url, location) => {
  expect(parseArchiveUrl(url)).toEqual(location);
});

test.each(['', 'bucket/x', 's3:///x', 's3://UPPER/x', 's3://b?x=1'])('%j is not', (url) => {
  expect(() => parseArchiveUrl(url)).toThrow(expect.objectContaining({ code: 'WAL_ARCHIVE_URL_INVALID' }));
});

import { hash } from 'node:crypto';
import type { Transform, TransformOptions } from 'node:stream';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { SkytoolsError } from '../../platform/errors.ts';

/** How an object's bytes are compressed; named in its metadata, so that anything ever written can be read. */
export type Codec = 'zstd' | 'gzip' | 'none';

/**
 * zstd level for WAL. On a TPC-B-like load level 1 makes 520 MiB/s at a ratio of 4.3; level 3 costs twice the time for
 * five per cent.
 */
export const DEFAULT_LEVEL = 1;

/** Output is collected in pieces of this size: the default of 16 KiB would mean a thousand turns for a segment. */
const CHUNK_BYTES = 1 << 20;

/** What is smaller than that gets a second output buffer; larger ones would be garbage for the most part. */
const USUAL_RATIO = 8;

const zstdCompress = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const zstdDecompress = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);
const gunzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip);

const zstdOptions = (level: number): zlib.ZstdOptions => ({
  chunkSize: CHUNK_BYTES,
  params: { [zlib.constants.ZSTD_c_compressionLevel]: level },
});

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex');
}

/** @throws SkytoolsError WAL_CODEC_UNKNOWN */
export function checkCodec(name: string | undefined): Codec {
  if (name === 'zstd' || name === 'gzip' || name === 'none') return name;
  throw new SkytoolsError('WAL_CODEC_UNKNOWN', `unknown codec ${JSON.stringify(name ?? '')}`, {
    hint: 'the object was written by a newer version: read it with that one',
  });
}

/** Compresses with zstd on a thread of its own. */
export function compress(plain: Buffer, level: number = DEFAULT_LEVEL): Promise<Buffer> {
  const expected = Math.ceil(plain.length / USUAL_RATIO / 4096) * 4096;
  return zstdCompress(plain, {
    ...zstdOptions(level),
    chunkSize: Math.min(CHUNK_BYTES, Math.max(expected, 4096)),
  });
}

/** Frames lie in buffers of this size, one behind the other. */
const FRAMES_BYTES = 4 << 20;

/**
 * Compresses pieces one after the other, each into a zstd frame of its own, with one context. A piece goes straight into the
 * frame as long as the buffer has room for the worst case: {@link compress} with its smaller buffers copies both, and makes
 * a context each time, which takes a fifth more processor time.
 */
export class FrameCompressor {
  readonly #stream: zlib.ZstdCompress;
  #last: Promise<unknown> = Promise.resolve();

  constructor(level: number, pieceBytes: number) {
    const options: zlib.ZstdOptions & Pick<TransformOptions, 'readableHighWaterMark'> = {
      ...zstdOptions(level),
      chunkSize: FRAMES_BYTES,
      // Every write ends a frame, and the stream never waits for somebody to read one.
      flush: zlib.constants.ZSTD_e_end,
      readableHighWaterMark: 2 * pieceBytes,
    };
    this.#stream = zlib.createZstdCompress(options);
    // Told to whoever waits for the frame.
    this.#stream.on('error', () => {});
  }

  /** The piece must not change until the frame is there. */
  compress(piece: Buffer): Promise<Buffer> {
    const frame = this.#last.then(() => this.#write(piece));
    this.#last = frame.catch(() => {});
    return frame;
  }

  #write(piece: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#stream.write(piece, (error) => (error ? reject(error) : resolve(this.#stream.read() as Buffer)));
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** More than a full output buffer tells zlib that it is done; without it one more buffer of that size would be made. */
const SPARE_BYTES = 1024;

/**
 * The way back.
 *
 * @param size of the result at most; more than that is refused
 * @param usual size of the result: up to that it is made in one buffer, and copied nowhere
 */
export async function decompress(
  bytes: Buffer,
  codec: Codec,
  size: number,
  usual: number = size,
): Promise<Buffer> {
  if (codec === 'none') return bytes;
  const options = { chunkSize: usual + SPARE_BYTES, maxOutputLength: size };
  return codec === 'zstd' ? zstdDecompress(bytes, options) : gunzip(bytes, options);
}

/**
 * A stream that compresses with zstd, on one other thread. (Several, ZSTD_c_nbWorkers, lose the end of the stream in
 * Node.js 24; volumes of backups are compressed in blocks instead.)
 */
export function compressor(level: number): Transform {
  return zlib.createZstdCompress(zstdOptions(level));
}

/** A stream that decompresses; undefined for bytes stored as they are. */
export function decompressor(codec: Codec): Transform | undefined {
  if (codec === 'none') return undefined;
  return codec === 'zstd'
    ? zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES })
    : zlib.createGunzip({ chunkSize: CHUNK_BYTES });
}

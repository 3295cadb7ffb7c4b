import { ServiceError } from '../wire.ts';

/** A chunk's head is a hexadecimal length; anything longer than this is not one. */
const MAXIMUM_LINE_BYTES = 16 * 1024;

/**
 * Takes the `aws-chunked` coding off a body: `length CRLF bytes CRLF`, ended by a chunk of length zero and trailers.
 * SDKs use it for streams, whose checksum is known only at their end.
 *
 * @param trailers receives the trailing headers, by lower-case name
 */
export async function* decodeChunked(
  source: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0);
  let state: 'head' | 'data' | 'data-end' | 'trailer' | 'done' = 'head';
  let remaining = 0;
  for await (const chunk of source) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length > 0 && state !== 'done') {
      if (state === 'data') {
        const piece = pending.subarray(0, remaining);
        pending = pending.subarray(piece.length);
        remaining -= piece.length;
        if (remaining === 0) state = 'data-end';
        yield piece;
        continue;
      }
      const end = pending.indexOf('\r\n');
      if (end < 0) {
        if (pending.length > MAXIMUM_LINE_BYTES) throw malformed();
        break;
      }
      const line = pending.subarray(0, end).toString('latin1');
      pending = pending.subarray(end + 2);
      if (state === 'data-end') {
        if (line !== '') throw malformed();
        state = 'head';
      } else if (state === 'head') {
        const [length = ''] = line.split(';');
        if (!/^[0-9a-f]{1,12}$/i.test(length)) throw malformed();
        remaining = Number.parseInt(length, 16);
        state = remaining === 0 ? 'trailer' : 'data';
      } else if (line === '') {
        state = 'done';
      } else {
        const colon = line.indexOf(':');
        if (colon < 1) throw malformed();
        trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
      }
    }
  }
  if (state !== 'done')
    throw new ServiceError(400, 'IncompleteBody', 'The request body terminated unexpectedly');
}

function malformed(): ServiceError {
  return new ServiceError(400, 'InvalidRequest', 'the body is not in the aws-chunked coding');
}

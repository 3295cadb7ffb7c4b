import { Socket } from 'node:net';

/** As much as the kernel has is read at once; 64 KiB is what Node.js would read otherwise. */
const BUFFER_BYTES = 256 * 1024;

/** Before each message: its type, and its length, which counts itself. */
const HEADER_BYTES = 5;

/**
 * A socket that reads into one buffer again and again, and lends whole messages of it to its `data` listeners: pg's parser
 * keeps nothing of a chunk that ends with a message. With a buffer for each read, as usual, a base backup spends a quarter of
 * its time on the garbage collections that hundreds of megabytes of them bring about. Not for TLS, which Node.js reads
 * otherwise, nor for its negotiation, which is no message.
 */
export function replicationSocket(): Socket {
  let buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** Bytes of a message that is not whole yet, at the buffer's beginning. */
  let held = 0;
  const socket: Socket = new Socket({
    onread: {
      buffer: () => buffer.subarray(held),
      callback: (length) => {
        const end = held + length;
        const { whole, needed } = wholeMessages(buffer, end);
        if (whole > 0) socket.emit('data', buffer.subarray(0, whole));
        held = end - whole;
        const next = needed > buffer.length ? Buffer.allocUnsafeSlow(needed) : buffer;
        buffer.copy(next, 0, whole, end);
        buffer = next;
        return true;
      },
    },
  });
  return socket;
}

/** Where the last whole message in the first `end` bytes ends, and how long the one after it is, as far as is known. */
export function wholeMessages(bytes: Buffer, end: number): { whole: number; needed: number } {
  let at = 0;
  while (at + HEADER_BYTES <= end) {
    const length = 1 + bytes.readUInt32BE(at + 1);
    // Not the protocol: what reads it finds out.
    if (length < HEADER_BYTES) return { whole: end, needed: 0 };
    if (at + length > end) return { whole: at, needed: length };
    at += length;
  }
  return { whole: at, needed: 0 };
}

import { Socket } from 'node:net';

/** As much as the kernel has is read at once; 64 KiB is what Node.js would read otherwise. */
const BUFFER_BYTES = 256 * 1024;

/**
 * A socket that reads into the same two buffers again and again, and lends them to its `data` listeners: pg's parser keeps
 * a part of the newest one at most, until the next. With a buffer for each read, as usual, a base backup spends a third of
 * its time on the garbage collections that hundreds of megabytes of them bring about. (Under TLS Node.js reads otherwise.)
 */
export function replicationSocket(): Socket {
  const buffers = [Buffer.allocUnsafeSlow(BUFFER_BYTES), Buffer.allocUnsafeSlow(BUFFER_BYTES)];
  let turn = 0;
  const socket: Socket = new Socket({
    onread: {
      buffer: () => buffers[turn++ % buffers.length]!,
      callback: (length, buffer) => {
        socket.emit('data', (buffer as Buffer).subarray(0, length));
        return true;
      },
    },
  });
  return socket;
}

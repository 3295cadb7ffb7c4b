import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { replicationSocket } from '../../../lib/walmgr/replication/socket.ts';

/** A message as the server frames it. */
function message(size: number, fill: number): Buffer {
  const bytes = Buffer.alloc(size + 5, fill);
  bytes[0] = 0x64;
  bytes.writeUInt32BE(size + 4, 1);
  return bytes;
}

test('messages cut anywhere, and larger than any buffer, arrive whole and in order', async () => {
  const sizes = [0, 1, 131_072, 5, 300_000, 262_139, 262_144, 7, 1_000_000, 3, 65_536];
  const sent = Buffer.concat(sizes.map((size, index) => message(size, index)));
  const server = createServer(async (peer: Socket) => {
    for (let at = 0, step = 1; at < sent.length; at += step, step = (step * 7 + 1) % 90_001) {
      if (!peer.write(sent.subarray(at, at + step)))
        await new Promise((resolve) => peer.once('drain', resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    peer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = replicationSocket();
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    // Every chunk begins with a message and ends with one.
    for (let at = 0; at < chunk.length; ) {
      const length = 1 + chunk.readUInt32BE(at + 1);
      expect(at + length).toBeLessThanOrEqual(chunk.length);
      at += length;
    }
    got.push(Buffer.from(chunk));
  });
  socket.connect((server.address() as { port: number }).port, '127.0.0.1');
  await new Promise((resolve) => socket.once('close', resolve));
  expect(Buffer.concat(got).equals(sent)).toBe(true);
  server.close();
});

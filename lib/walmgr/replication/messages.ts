/** A message of streaming replication, as the server sends it (protocol documentation, "Streaming Replication Protocol"). */
export type StreamMessage =
  | { kind: 'wal'; start: bigint; serverEnd: bigint; clock: bigint; bytes: Buffer }
  | { kind: 'keepalive'; serverEnd: bigint; clock: bigint; replyNow: boolean }
  | { kind: 'other' };

/** Bytes before the WAL in a `w` message. */
export const WAL_HEADER_BYTES = 25;

/** Microseconds from 1970 to 2000, where PostgreSQL's clock begins. */
const EPOCH_2000_US = 946_684_800_000_000n;

/** Reads one CopyData payload; the bytes are lent, as the payload is. */
export function readStreamMessage(payload: Buffer): StreamMessage {
  switch (payload[0]) {
    case 0x77:
      return {
        kind: 'wal',
        start: payload.readBigUInt64BE(1),
        serverEnd: payload.readBigUInt64BE(9),
        clock: payload.readBigInt64BE(17),
        bytes: payload.subarray(WAL_HEADER_BYTES),
      };
    case 0x6b:
      return {
        kind: 'keepalive',
        serverEnd: payload.readBigUInt64BE(1),
        clock: payload.readBigInt64BE(9),
        replyNow: payload[17] === 1,
      };
    default:
      return { kind: 'other' };
  }
}

/** A standby status update. Positions are "last byte + 1"; zero is "not known" and moves nothing. */
export function statusMessage(written: bigint, flushed: bigint, now: Date, replyNow: boolean): Buffer {
  const message = Buffer.alloc(34);
  message[0] = 0x72;
  message.writeBigUInt64BE(written, 1);
  message.writeBigUInt64BE(flushed, 9);
  message.writeBigInt64BE(BigInt(now.getTime()) * 1000n - EPOCH_2000_US, 25);
  message[33] = replyNow ? 1 : 0;
  return message;
}

/** The server's clock as a date. */
export function clockToDate(clock: bigint): Date {
  return new Date(Number((clock + EPOCH_2000_US) / 1000n));
}

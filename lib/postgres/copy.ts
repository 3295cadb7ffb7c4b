import { type Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { sever } from './connect.ts';
import { toSkytoolsError } from './errors.ts';

/** The bytes of a `COPY … TO STDOUT`, with back-pressure down to the server's socket. */
export const copyOut = (client: pg.ClientBase, statement: string): Readable =>
  client.query(copyTo(statement)) as Readable;

/** A sink for a `COPY … FROM STDIN`. */
export const copyIn = (client: pg.ClientBase, statement: string): Writable & { rowCount: number | null } =>
  client.query(copyFrom(statement)) as unknown as Writable & { rowCount: number | null };

export interface CopyResult {
  /** Bytes of COPY data that passed. */
  bytes: number;
  /** Rows as the target server counted them. */
  rows: number;
}

/**
 * Streams `COPY … TO STDOUT` of one connection into `COPY … FROM STDIN` of another. Rows are bytes here: nothing is parsed,
 * and memory does not grow with their number. Both ends are in the transactions of the caller. If the target refuses the
 * rows, the source's connection is cut: nothing else stops a server that is sending.
 */
export async function copyBetween(
  source: pg.ClientBase,
  sourceStatement: string,
  target: pg.ClientBase,
  targetStatement: string,
  signal?: AbortSignal,
): Promise<CopyResult> {
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const sink = copyIn(target, targetStatement);
  try {
    await pipeline(copyOut(source, sourceStatement), count, sink, ...(signal ? [{ signal }] : []));
  } catch (error) {
    sever(source);
    throw toSkytoolsError(error);
  }
  return { bytes, rows: sink.rowCount ?? 0 };
}

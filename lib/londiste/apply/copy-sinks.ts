import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { copyIn } from '../../postgres/copy.ts';

/** Bytes of one message: the server reads it whole before it looks at the rows. */
const MESSAGE = 128 * 1024;

/** Where bytes go: a table that takes them by COPY. */
export interface CopyTarget {
  /** `copy … from stdin …` */
  statement: string;
  /** What each COPY begins with: the header of the binary format. */
  header?: Buffer;
  trailer?: Buffer;
}

/**
 * Writes to several tables of one connection in turns: one COPY is open at a time, so it pays to hand over much at once. What
 * was handed over must not change afterwards; it is on its way while the caller goes on.
 */
export class CopySinks {
  readonly #client: pg.Client;
  #open: { target: CopyTarget; stream: Writable; error: unknown; drained: Promise<unknown> } | undefined;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  async write(target: CopyTarget, bytes: Buffer): Promise<void> {
    if (this.#open?.target !== target) {
      await this.close();
      const opened = {
        target,
        stream: copyIn(this.#client, target.statement) as Writable,
        error: undefined as unknown,
        drained: Promise.resolve() as Promise<unknown>,
      };
      opened.stream.on('error', (error) => {
        opened.error ??= error;
      });
      this.#open = opened;
      if (target.header) opened.stream.write(target.header);
    }
    const open = this.#open!;
    for (let at = 0; at < bytes.length; at += MESSAGE) {
      await open.drained;
      if (open.error) throw open.error;
      if (!open.stream.write(bytes.subarray(at, at + MESSAGE))) {
        open.drained = once(open.stream, 'drain').catch((error) => {
          open.error ??= error;
        });
      }
    }
  }

  /** Ends the COPY that is open: what was written stands in its table. @throws pg.DatabaseError where it was refused */
  async close(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    await open.drained;
    if (open.error) throw open.error;
    if (open.target.trailer) open.stream.write(open.target.trailer);
    open.stream.end();
    await finished(open.stream);
  }

  /** Gives up the COPY that is open. */
  abandon(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined && !open.error) open.stream.destroy();
  }
}

import type { Socket } from 'node:net';
import type pg from 'pg';

/** What a replication command answers, as it arrives. Handlers run at once and in order; buffers are only lent. */
export interface CopyHandlers {
  /** Copy mode begins: CopyOut or CopyBoth. */
  onStart?: () => void;
  onRow?: (fields: (string | null)[]) => void;
  /** The payload of one CopyData message. Copy what outlives the call: the parser writes over it. */
  onData: (bytes: Buffer) => void;
  /** The server has nothing more to copy. */
  onCopyDone?: () => void;
}

/** pg's connection, as far as it is used here; it has no types of its own. */
interface WireConnection {
  stream: Socket;
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  on(event: string, listener: () => void): void;
  removeListener(event: string, listener: () => void): void;
}

/**
 * One command of the replication protocol that answers with copy data, as something `pg` can run: BASE_BACKUP (rows, then
 * CopyOut, then rows) and START_REPLICATION (CopyBoth, then perhaps a row).
 */
export class CopyCommand {
  readonly #text: string;
  readonly #handlers: CopyHandlers;
  #connection: WireConnection | undefined;
  #settle: { resolve: () => void; reject: (error: unknown) => void };
  /** Settled when the server is ready for the next command. */
  readonly finished: Promise<void>;

  constructor(text: string, handlers: CopyHandlers) {
    this.#text = text;
    this.#handlers = handlers;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#settle = { resolve, reject };
    // Whoever awaits sees the error; until then it is not an unhandled one.
    promise.catch(() => {});
  }

  /** Runs on a connection that does nothing else. */
  run(client: pg.Client): this {
    client.query(this as unknown as pg.Submittable);
    return this;
  }

  /** Stops reading from the server; what is in memory already still arrives. */
  pause(): void {
    this.#connection?.stream.pause();
  }

  resume(): void {
    this.#connection?.stream.resume();
  }

  /** Sends one CopyData message. */
  send(bytes: Buffer): void {
    if (this.#connection?.stream.writable) this.#connection.sendCopyFromChunk(bytes);
  }

  /** Sends CopyDone. */
  endCopy(): void {
    if (this.#connection?.stream.writable) this.#connection.endCopyFrom();
  }

  /** Gives up: nothing that still arrives is looked at. */
  fail(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
    this.#connection?.stream.destroy();
  }

  #guard(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.fail(error);
    }
  }

  // What pg calls.

  submit(connection: WireConnection): void {
    this.#connection = connection;
    connection.on('copyOutResponse', this.#started);
    connection.on('replicationStart', this.#started);
    connection.on('copyDone', this.#copyDone);
    connection.query(this.#text);
  }

  readonly #started = () => this.#guard(() => this.#handlers.onStart?.());
  readonly #copyDone = () => this.#guard(() => this.#handlers.onCopyDone?.());

  handleRowDescription(): void {}

  handleDataRow(message: { fields: (string | null)[] }): void {
    this.#guard(() => this.#handlers.onRow?.(message.fields));
  }

  handleCopyData(message: { chunk: Buffer }): void {
    this.#guard(() => this.#handlers.onData(message.chunk));
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    this.#end();
    this.#settle.resolve();
  }

  #end(): void {
    const connection = this.#connection;
    connection?.removeListener('copyOutResponse', this.#started);
    connection?.removeListener('replicationStart', this.#started);
    connection?.removeListener('copyDone', this.#copyDone);
  }
}

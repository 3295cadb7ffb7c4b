import type { Socket } from 'node:net';
import type pg from 'pg';

/** Takes bytes of a COPY as they lie in a buffer of the socket. A promise returned is awaited before the next ones come. */
export type TakeBytes = (chunk: Buffer, start: number, end: number) => Promise<void> | undefined;

/**
 * Reads `COPY … TO STDOUT` without making an object of each row, which costs more than the rest of reading it: the bytes of a
 * row are handed over where they came in. A row comes in one call unless the socket's buffer ends within it.
 *
 * Only its end ends a COPY: where `take` fails the rest is passed over, and then its error thrown.
 *
 * @throws what `take` throws; pg.DatabaseError; Error where the connection is lost
 */
export function readCopy(client: pg.ClientBase, statement: string, take: TakeBytes): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyReader(statement, take, resolve, reject));
  });
}

/** What pg hands to a query of one's own. */
interface Connection {
  readonly stream: Socket;
  query(text: string): void;
}

/*
 * Messages of the protocol (PostgreSQL documentation, "Message Formats"): a letter, and a length that counts itself.
 */
const HEADER = 5;
const COPY_DATA = 0x64;
/** What may come before the end of a COPY and is not for us: its beginning, notices, parameters, notifications. */
const PASSED_OVER = new Set(Array.from('HNSA', (letter) => letter.charCodeAt(0)));

const NOTHING: Buffer = Buffer.alloc(0);

/** A query as pg runs it; while rows come it reads the socket in pg's place. */
class CopyReader implements pg.Submittable {
  /** As pg names the text of a query. */
  readonly text: string;
  readonly #take: TakeBytes;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #socket: Socket | undefined;
  #parser!: (chunk: Buffer) => void;
  #chunk = NOTHING;
  #at = 0;
  /** Bytes of the message that have not come yet, and whether they are rows. */
  #missing = 0;
  #rows = false;
  #waiting = false;
  #failure: { error: unknown } | undefined;

  constructor(statement: string, take: TakeBytes, resolve: () => void, reject: (error: unknown) => void) {
    this.text = statement;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    const { stream, query } = connection as unknown as Connection;
    this.#socket = stream;
    this.#parser = stream.listeners('data')[0] as (chunk: Buffer) => void;
    stream.on('data', this.#receive);
    stream.removeListener('data', this.#parser);
    query.call(connection, this.text);
  }

  readonly #receive = (chunk: Buffer): void => {
    const rest = this.#chunk.length - this.#at;
    this.#chunk = rest > 0 ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
    if (!this.#waiting) this.#advance();
  };

  /** Goes through what has come, up to where `take` wants to be awaited. */
  #advance(): void {
    while (this.#socket !== undefined && this.#at < this.#chunk.length) {
      if (this.#missing === 0 && !this.#begin()) return;
      const start = this.#at;
      const end = Math.min(start + this.#missing, this.#chunk.length);
      this.#at = end;
      this.#missing -= end - start;
      if (!this.#rows || this.#failure !== undefined || start === end) continue;
      const wait = this.#attempt(start, end);
      if (wait === undefined) continue;
      this.#wait(wait);
      return;
    }
  }

  /** Reads the beginning of a message. False where it has not come, or where the rest is for pg. */
  #begin(): boolean {
    const [chunk, at] = [this.#chunk, this.#at];
    if (chunk.length - at < HEADER) return false;
    const letter = chunk[at]!;
    this.#rows = letter === COPY_DATA;
    if (!this.#rows && !PASSED_OVER.has(letter)) {
      this.#handBack();
      return false;
    }
    this.#missing = chunk.readInt32BE(at + 1) - 4;
    this.#at = at + HEADER;
    return true;
  }

  #attempt(start: number, end: number): Promise<void> | undefined {
    try {
      return this.#take(this.#chunk, start, end);
    } catch (error) {
      this.#failure = { error };
      return undefined;
    }
  }

  #wait(wait: Promise<void>): void {
    this.#waiting = true;
    this.#socket!.pause();
    const goOn = () => {
      this.#waiting = false;
      this.#advance();
      if (!this.#waiting) this.#socket?.resume();
    };
    wait.then(goOn, (error: unknown) => {
      this.#failure = { error };
      goOn();
    });
  }

  /** Everything from here on is for pg. */
  #handBack(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.on('data', this.#parser);
    socket.removeListener('data', this.#receive);
    socket.resume();
    const rest = this.#chunk.subarray(this.#at);
    this.#chunk = NOTHING;
    this.#at = 0;
    if (rest.length > 0) this.#parser(rest);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    if (this.#failure === undefined) this.#resolve();
    else this.#reject(this.#failure.error);
  }

  /** The server has ended the COPY, or the connection is gone. */
  handleError(error: unknown): void {
    this.#handBack();
    this.#reject(this.#failure?.error ?? error);
  }
}

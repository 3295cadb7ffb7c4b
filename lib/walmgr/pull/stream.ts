import { tmpdir } from 'node:os';
import type { Deadline } from '../../platform/deadline.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { StoredFile, WalArchive } from '../archive/archive.ts';
import { LIVE_PIECE_BYTES, listLive, liveCoverage, storeLive } from '../archive/live.ts';
import { CopyCommand } from '../replication/copy-command.ts';
import { readStreamMessage, statusMessage } from '../replication/messages.ts';
import { checkSlotName, type ReplicationSource } from '../replication/source.ts';
import { asLsn, formatLsn, higherLsn, type Lsn, lowerLsn, parseLsn } from '../wal/lsn.ts';
import { offsetInSegment, segmentName, segmentOf, segmentStart } from '../wal/name.ts';
import { SegmentBuffer } from './segment-buffer.ts';

export interface StreamOptions {
  slot: string;
  timeline: number;
  /** Start of a segment. */
  from: Lsn;
  deadline: Deadline;
  /** Ends the stream at once, with its reason. */
  signal?: AbortSignal;
  /** Go on when caught up, until the deadline. */
  follow: boolean;
  /** How long received WAL may wait before it is stored as a piece of its segment, in milliseconds. */
  liveEveryMs: number;
  onStored?: (stored: StoredFile) => void;
}

/** How a stream ended. */
export interface StreamEnd {
  /** Everything before is durable in the archive. */
  durable: Lsn;
  /** The server's end of WAL, as far as it was told. */
  server: Lsn;
  segments: number;
  pieces: number;
  bytes: number;
  /** The timeline ended on the server, and this one follows. */
  next?: { timeline: number; position: Lsn };
  /** True if the server had nothing more. */
  caughtUp: boolean;
}

/** Whole segments being compressed and sent at once: with the one that arrives, four of 16 MiB in memory. */
const IN_FLIGHT = 3;

/** Well below the wal_sender_timeout that the connection asks for. Milliseconds. */
const STATUS_EVERY_MS = 5_000;

/** Kept for the last writes and the farewell, in milliseconds. */
const ENDING_MS = 5_000;

/**
 * Streams one timeline into the archive: whole segments, and pieces of the one that is being written. The slot is told a
 * position only when everything before it is durable in the archive.
 */
export class WalStream {
  readonly #archive: WalArchive;
  readonly #options: StreamOptions;
  readonly #size: number;
  readonly #command: CopyCommand;
  #received: Lsn;
  #durable: Lsn;
  #serverEnd: Lsn;
  #buffer: SegmentBuffer | undefined;
  readonly #spare: Buffer[] = [];
  /** Where the pieces of the current segment end. */
  #pieced: Lsn;
  readonly #uploads = new Map<bigint, Promise<void>>();
  #storing: Promise<void> | undefined;
  #segments = 0;
  #pieces = 0;
  #bytes = 0;
  #next: { timeline: number; position: Lsn } | undefined;
  #ending = false;
  #paused = false;
  #caughtUp = false;
  /** The first piece goes at once: the run before may have ended seconds ago. */
  #lastPiece = Number.NEGATIVE_INFINITY;

  constructor(archive: WalArchive, options: StreamOptions) {
    this.#archive = archive;
    this.#options = options;
    this.#size = archive.identity.segmentSize;
    this.#received = options.from;
    this.#durable = options.from;
    this.#pieced = options.from;
    this.#serverEnd = options.from;
    const slot = checkSlotName(options.slot);
    const where = `${formatLsn(options.from)} TIMELINE ${options.timeline}`;
    this.#command = new CopyCommand(`START_REPLICATION SLOT ${slot} PHYSICAL ${where}`, {
      onStart: () => this.#command.send(statusMessage(0n, 0n, new Date(), true)),
      onData: (payload) => this.#message(payload),
      onRow: ([timeline, position]) => {
        this.#next = { timeline: Number(timeline), position: parseLsn(position ?? '') };
      },
      onCopyDone: () => void this.#end(),
    });
  }

  async run(source: ReplicationSource): Promise<StreamEnd> {
    const { deadline, liveEveryMs, signal } = this.#options;
    await this.#skipKnownPieces();
    signal?.throwIfAborted();
    const giveUp = () => this.#giveUp(signal?.reason);
    signal?.addEventListener('abort', giveUp);
    this.#command.run(source.client);
    const status = setInterval(() => this.#confirm(), STATUS_EVERY_MS);
    const turn = setInterval(
      () => {
        if (!deadline.allows(ENDING_MS) || (this.#caughtUp && !this.#options.follow)) void this.#end();
        else if (performance.now() - this.#lastPiece >= liveEveryMs && !this.#isBehind())
          void this.#storePiece();
      },
      Math.min(200, liveEveryMs),
    );
    try {
      await this.#command.finished;
    } finally {
      clearInterval(status);
      clearInterval(turn);
      signal?.removeEventListener('abort', giveUp);
      // Also when the server went away: what has arrived is stored, and the next run needs less of it again.
      await Promise.allSettled([...this.#uploads.values(), this.#storing]);
      this.#buffer?.release();
    }
    return {
      durable: this.#durable,
      server: this.#serverEnd,
      segments: this.#segments,
      pieces: this.#pieces,
      bytes: this.#bytes,
      ...(this.#next === undefined ? {} : { next: this.#next }),
      caughtUp: this.#caughtUp,
    };
  }

  /** Pieces an earlier run has stored are not stored again. */
  async #skipKnownPieces(): Promise<void> {
    const name = this.#nameOf(this.#options.from);
    const covered = liveCoverage(await listLive(this.#archive, name));
    this.#pieced = asLsn(this.#options.from + BigInt(covered));
  }

  #nameOf(position: bigint): string {
    return segmentName(this.#options.timeline, segmentOf(position, this.#size), this.#size);
  }

  /** A backlog: whole segments come faster than pieces would be of use. */
  #isBehind(): boolean {
    return this.#serverEnd - this.#received > BigInt(this.#size);
  }

  #message(payload: Buffer): void {
    const message = readStreamMessage(payload);
    if (message.kind === 'other' || this.#ending) return;
    this.#serverEnd = higherLsn(this.#serverEnd, asLsn(message.serverEnd));
    if (message.kind === 'wal') this.#take(message.start, message.bytes);
    else if (message.replyNow) void this.#answer();
    this.#caughtUp = this.#received >= this.#serverEnd;
  }

  #take(start: bigint, bytes: Buffer): void {
    if (start !== this.#received) {
      throw new SkytoolsError(
        'WAL_PROTOCOL',
        `wal came from ${formatLsn(start)} instead of ${formatLsn(this.#received)}`,
        {
          hint: 'run pull again; it starts over at the last archived segment',
          retryable: true,
        },
      );
    }
    for (let at = 0; at < bytes.length; ) {
      const offset = offsetInSegment(this.#received, this.#size);
      const taken = Math.min(bytes.length - at, this.#size - offset);
      this.#buffer ??= new SegmentBuffer(this.#nameOf(this.#received), this.#size, this.#spare);
      this.#buffer.write(bytes.subarray(at, at + taken), offset);
      this.#received = asLsn(this.#received + BigInt(taken));
      this.#bytes += taken;
      at += taken;
      if (offset + taken === this.#size) this.#complete();
    }
  }

  #complete(): void {
    const buffer = this.#buffer!;
    this.#buffer = undefined;
    const segno = segmentOf(this.#received, this.#size) - 1n;
    this.#pieced = higherLsn(this.#pieced, this.#received);
    const upload = this.#archive
      .storeFile(buffer.name, buffer.source, tmpdir())
      .then((stored) => {
        this.#segments++;
        this.#options.onStored?.(stored);
        this.#uploads.delete(segno);
        this.#advance();
        this.#confirm();
        if (this.#paused && this.#uploads.size < IN_FLIGHT) {
          this.#paused = false;
          this.#command.resume();
        }
      })
      .catch((error: unknown) => {
        this.#command.fail(error);
        throw error;
      })
      .finally(() => buffer.release());
    upload.catch(() => {});
    this.#uploads.set(segno, upload);
    if (this.#uploads.size >= IN_FLIGHT && !this.#paused) {
      this.#paused = true;
      this.#command.pause();
    }
  }

  /** Moves the durable position to the first byte that only this process has. */
  #advance(piecedTo?: Lsn): void {
    const oldest = [...this.#uploads.keys()].reduce<bigint | undefined>(
      (least, segno) => (least === undefined || segno < least ? segno : least),
      undefined,
    );
    const whole =
      oldest === undefined
        ? segmentStart(segmentOf(this.#received, this.#size), this.#size)
        : segmentStart(oldest, this.#size);
    const durable = oldest === undefined && piecedTo !== undefined && piecedTo > whole ? piecedTo : whole;
    this.#durable = higherLsn(this.#durable, durable);
  }

  #confirm(): void {
    this.#command.send(statusMessage(this.#durable, this.#durable, new Date(), false));
  }

  /** The server waits for an answer; when it shuts down, for one that covers everything it sent. */
  async #answer(): Promise<void> {
    this.#confirm();
    if (this.#durable < this.#received) {
      await this.#storePiece();
      this.#confirm();
    }
  }

  /** Stores what has arrived of the current segment since the last piece. One at a time. */
  #storePiece(): Promise<void> {
    this.#storing ??= this.#storePieces()
      .catch((error: unknown) => this.#command.fail(error))
      .finally(() => {
        this.#storing = undefined;
      });
    return this.#storing;
  }

  async #storePieces(): Promise<void> {
    this.#lastPiece = performance.now();
    const buffer = this.#buffer;
    const end = this.#received;
    if (buffer) {
      const endOffset = offsetInSegment(end, this.#size);
      const base = end - BigInt(endOffset);
      buffer.retain();
      try {
        while (this.#pieced < end && this.#buffer === buffer && !this.#options.signal?.aborted) {
          const start = this.#pieced > base ? Number(this.#pieced - base) : 0;
          const stop = Math.min(endOffset, start + LIVE_PIECE_BYTES);
          await storeLive(this.#archive, buffer.name, start, buffer.read(start, stop));
          this.#pieces++;
          this.#pieced = higherLsn(this.#pieced, asLsn(base + BigInt(stop)));
        }
      } finally {
        buffer.release();
      }
    }
    // Pieces before the current one are whole segments on their way: wait for them before claiming to hold more.
    await Promise.all(this.#uploads.values());
    this.#advance(lowerLsn(this.#pieced, end));
    this.#confirm();
  }

  /** What is being written is written to its end; nothing else is begun. */
  #giveUp(reason: unknown): void {
    this.#ending = true;
    this.#command.fail(reason);
  }

  /** Stores everything that has arrived, says so, and ends the copy. */
  async #end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#command.resume();
    try {
      await this.#storing;
      await this.#storePiece();
      await Promise.all(this.#uploads.values());
    } catch {
      // The command has failed with this error already.
      return;
    }
    this.#confirm();
    this.#command.endCopy();
  }
}

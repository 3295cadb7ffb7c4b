import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../../../platform/deadline.ts';
import type { Batch } from '../../batch.ts';
import type { PgqEvent } from '../../event.ts';
import { type Destination, type Entry, EventRefused, type Refusal } from './destination.ts';

/** First pause before a request is repeated, in milliseconds; doubled each time, half of it at random. */
const FIRST_PAUSE_MS = 200;
/** A destination that asks for a longer pause is left to the circuit breaker. */
const LONGEST_PAUSE_MS = 10_000;
/** A request that has less time than this, in milliseconds, says nothing about the destination: it is left to the next run. */
const ENOUGH_FOR_REQUEST_MS = 15_000;
/** The position is recorded between two requests when so long has passed, in milliseconds: a slow destination has no more to bear twice. */
const RECORD_AFTER_MS = 5_000;

/** Why delivery ended. */
export interface Down {
  reason: string;
  waitSeconds: number | undefined;
}

export interface DeliverOptions {
  deadline: Deadline;
  /** Longest time of one request. */
  timeoutMs: number;
  /** Attempts before a destination counts as down. */
  attempts: number;
  /** It counted as down before: the first request is made once. */
  probe: boolean;
  /** Called when the destination has taken that first request. */
  onRecovered: () => Promise<void>;
}

/**
 * Sends a batch to a destination, request by request and in order. What a request holds is repeated until it is taken, each
 * event of it that can never be taken is failed; where the destination is down, or time runs out, delivery ends and the
 * position is that of the last request taken as a whole. So an event may be sent twice and is never left out.
 *
 * @returns why the destination counts as down; undefined where all was taken, or the rest is for the next run
 */
export async function deliver(
  batch: Batch,
  destination: Destination,
  options: DeliverOptions,
): Promise<Down | undefined> {
  const { deadline, timeoutMs, probe } = options;
  const done = new Position();
  let first = true;
  let recordedAt = performance.now();
  for await (const block of batch.blocks()) {
    for (const group of groups(entriesOf(block, destination, batch), destination)) {
      if (!first && !deadline.allows(Math.min(timeoutMs, ENOUGH_FOR_REQUEST_MS))) {
        done.stop(batch, group[0]!.event);
        return undefined;
      }
      if (performance.now() - recordedAt > RECORD_AFTER_MS && (await done.record(batch, group[0]!.event))) {
        recordedAt = performance.now();
        // The rest is read again, as a worker that comes after would read it: so both make the same requests of it.
        break;
      }
      const attempts = first && probe ? 1 : options.attempts;
      const answer = await sendGroup(group, destination, batch, { ...options, attempts });
      if (!Array.isArray(answer)) {
        done.stop(batch, group[0]!.event);
        return answer;
      }
      for (const { entry, reason } of answer) entry.event.fail(reason);
      if (first && probe) await options.onRecovered();
      first = false;
      done.advance(group.at(-1)!.event, group.length);
    }
  }
  return undefined;
}

/** How far everything is done. */
class Position {
  #handled = 0;
  #last: PgqEvent | undefined;
  #handledBefore = 0;
  #lastBefore: PgqEvent | undefined;

  advance(event: PgqEvent, events: number): void {
    this.#handledBefore = this.#handled;
    if (event.id !== this.#last?.id) this.#lastBefore = this.#last;
    this.#handled += events;
    this.#last = event;
  }

  /** The position is an event's id: of two with one id (an original and its retry) neither is passed over. */
  stop(batch: Batch, next: PgqEvent): void {
    if (this.#last?.id === next.id) batch.stopAfter(this.#lastBefore, this.#handledBefore);
    else batch.stopAfter(this.#last, this.#handled);
  }

  /** @returns whether there was a position to record here */
  async record(batch: Batch, next: PgqEvent): Promise<boolean> {
    if (this.#last === undefined || this.#last.id === next.id) return false;
    await batch.recordAfter(this.#last, this.#handled);
    return true;
  }
}

/** Events in the form of the destination; those that have none, or are too large for it, fail. */
function entriesOf(block: readonly PgqEvent[], destination: Destination, batch: Batch): Entry[] {
  return block.flatMap((event) => {
    try {
      const encoded = destination.encode(event, batch);
      if (encoded.bytes <= destination.maximumBytes) return [{ event, ...encoded }];
      event.fail(`larger than the ${destination.maximumBytes} bytes that the destination takes`);
    } catch (error) {
      if (!(error instanceof EventRefused)) throw error;
      event.fail(error.message);
    }
    return [];
  });
}

/** The same events make the same groups: a repeated request is recognised by its idempotency key. */
function* groups(entries: readonly Entry[], limits: Destination): Generator<Entry[]> {
  let group: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const full = group.length >= limits.maximumEntries || bytes + entry.bytes > limits.maximumBytes;
    if (full && group.length > 0) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(entry);
    bytes += entry.bytes;
  }
  if (group.length > 0) yield group;
}

/** Repeats a request until all it holds is taken or refused. */
async function sendGroup(
  group: readonly Entry[],
  destination: Destination,
  batch: Batch,
  { deadline, timeoutMs, attempts }: DeliverOptions,
): Promise<Refusal[] | Down> {
  const refused: Refusal[] = [];
  /** Requests to be made, in order. */
  const pending: (readonly Entry[])[] = [group];
  let failed = 0;
  while (pending.length > 0) {
    const entries = pending[0]!;
    const limit = Math.max(1, Math.min(timeoutMs, deadline.remainingMs()));
    const outcome = await destination.send(entries, batch, limit);
    let trouble: (Down & { hopeless?: boolean | undefined }) | undefined;
    if (outcome.kind === 'down') {
      trouble = { ...outcome, waitSeconds: outcome.waitSeconds };
    } else if (outcome.kind === 'taken') {
      pending.shift();
      refused.push(...outcome.refused);
      if (outcome.again.length > 0) {
        pending.unshift(outcome.again);
        trouble = { reason: outcome.reason ?? 'some entries failed', waitSeconds: outcome.waitSeconds };
      }
    } else {
      // Which of them it is, halves tell.
      pending.shift();
      if (entries.length === 1) refused.push({ entry: entries[0]!, reason: outcome.reason });
      else pending.unshift(...halves(entries));
    }
    if (trouble === undefined) continue;
    failed++;
    const pause = Math.max(
      (trouble.waitSeconds ?? 0) * 1000,
      FIRST_PAUSE_MS * 2 ** (failed - 1) * (0.5 + Math.random() / 2),
    );
    const stop = trouble.hopeless === true || failed >= attempts || pause > LONGEST_PAUSE_MS;
    if (stop || !deadline.allows(pause)) {
      return { reason: trouble.reason, waitSeconds: trouble.waitSeconds };
    }
    await sleep(pause);
  }
  return refused;
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

import type { Batch } from '../../batch.ts';
import type { PgqEvent } from '../../event.ts';

/** An event as a destination is given it. */
export interface Entry {
  event: PgqEvent;
  body: string;
  /** What it counts towards the limit of a request. */
  bytes: number;
}

/** What came of one request. Reasons never hold data of an event: they are logged, and kept with dead letters. */
export type Outcome =
  /** The destination has taken all entries but these. */
  | { kind: 'taken'; refused: Refusal[]; again: Entry[]; reason?: string; waitSeconds?: number | undefined }
  /** It would take the request another time but for what it holds. */
  | { kind: 'refused'; reason: string }
  /** It takes nothing now; `hopeless` where trying again within seconds is of no use. */
  | { kind: 'down'; reason: string; waitSeconds?: number | undefined; hopeless?: boolean };

export interface Refusal {
  entry: Entry;
  reason: string;
}

/** A service that takes events. */
export interface Destination {
  /** Limits of one request. */
  maximumEntries: number;
  maximumBytes: number;
  /** @throws EventRefused for an event that has no form there */
  encode(event: PgqEvent, batch: Batch): Omit<Entry, 'event'>;
  /** Sends one request; ends within `timeoutMs`, and throws only what is a defect. */
  send(entries: readonly Entry[], batch: Batch, timeoutMs: number): Promise<Outcome>;
}

/** An event that the destination can never take. */
export class EventRefused extends Error {
  override name = 'EventRefused';
}

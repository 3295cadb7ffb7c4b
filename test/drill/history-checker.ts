/**
 * Judges what a drill recorded, by the promises alone: it knows nothing of ticks, batches and leases, so that it cannot
 * share an error with what it judges.
 */
export interface History {
  transactions: readonly RecordedTransaction[];
  deliveries: readonly RecordedDelivery[];
  replicas: readonly RecordedReplica[];
  archives: readonly RecordedArchive[];
}

/** A transaction of a writer. Times are of one clock, the drill's own. */
export interface RecordedTransaction {
  id: string;
  /** Before BEGIN was sent. */
  begunAt: number;
  /** After the answer to COMMIT came; undefined: it never came, and the database was asked afterwards. */
  acknowledgedAt: number | undefined;
  committed: boolean;
  /** In the order of their insertion. */
  events: readonly string[];
}

/** What one consumer was given, in the order in which it was. */
export interface RecordedDelivery {
  consumer: string;
  promise: 'at-least-once' | 'exactly-once';
  events: readonly string[];
}

/** One table on both sides, as `rows checksum`. */
export interface RecordedReplica {
  table: string;
  provider: string;
  subscriber: string;
}

/** A WAL archive and what came back from it. */
export interface RecordedArchive {
  name: string;
  /** Names of the archived files, of all timelines. */
  files: readonly string[];
  /** First and last segment that a restore needs. */
  first: string;
  last: string;
  segmentBytes: number;
  /** Content of the cluster and of its restored copy, as any comparable text. */
  original: string;
  restored: string;
}

export type ViolationKind =
  | 'event lost'
  | 'aborted event delivered'
  | 'unknown event delivered'
  | 'order violated'
  | 'effect repeated'
  | 'acknowledged commit lost'
  | 'replica differs'
  | 'wal gap'
  | 'restore differs';

export interface Violation {
  kind: ViolationKind;
  /** Consumer, table or archive. */
  where: string;
  what: string;
}

/** All promises that the history breaks; empty if it keeps them. */
export function checkHistory(history: History): Violation[] {
  return [
    ...history.transactions.flatMap(lostCommit),
    ...history.deliveries.flatMap((delivery) => checkDelivery(history.transactions, delivery)),
    ...history.replicas.flatMap(checkReplica),
    ...history.archives.flatMap(checkArchive),
  ];
}

function lostCommit(transaction: RecordedTransaction): Violation[] {
  if (transaction.committed || transaction.acknowledgedAt === undefined) return [];
  return [{ kind: 'acknowledged commit lost', where: 'provider', what: `transaction ${transaction.id}` }];
}

/**
 * Order is judged on first deliveries: a batch that comes again repeats its events in their order, which is allowed where
 * delivery is at least once. Two events are in order if they stand in one transaction, or if the commit of the first was
 * acknowledged before the transaction of the second began; others are concurrent, and may come either way.
 */
function checkDelivery(
  transactions: readonly RecordedTransaction[],
  { consumer, promise, events }: RecordedDelivery,
): Violation[] {
  const violations: Violation[] = [];
  const broken = (kind: ViolationKind, what: string) => violations.push({ kind, where: consumer, what });
  const origin = new Map<string, { transaction: RecordedTransaction; index: number }>();
  for (const transaction of transactions)
    for (const [index, event] of transaction.events.entries()) origin.set(event, { transaction, index });

  const first: string[] = [];
  const times = new Map<string, number>();
  for (const event of events) {
    const seen = times.get(event) ?? 0;
    times.set(event, seen + 1);
    if (seen === 0) first.push(event);
  }
  if (promise === 'exactly-once')
    for (const [event, count] of times) if (count > 1) broken('effect repeated', `${event}, ${count} times`);

  let latestBegin: { at: number; event: string } = { at: Number.NEGATIVE_INFINITY, event: '' };
  const reached = new Map<RecordedTransaction, number>();
  for (const event of first) {
    const from = origin.get(event);
    if (!from) {
      broken('unknown event delivered', event);
      continue;
    }
    const { transaction, index } = from;
    if (!transaction.committed) {
      broken('aborted event delivered', event);
      continue;
    }
    if ((reached.get(transaction) ?? -1) > index) broken('order violated', `${event} within its transaction`);
    reached.set(transaction, Math.max(index, reached.get(transaction) ?? -1));
    const { acknowledgedAt, begunAt } = transaction;
    if (acknowledgedAt !== undefined && acknowledgedAt < latestBegin.at)
      broken('order violated', `${event} came after ${latestBegin.event}, which began after its commit`);
    if (begunAt > latestBegin.at) latestBegin = { at: begunAt, event };
  }

  for (const { committed, events: promised } of transactions)
    if (committed) for (const event of promised) if (!times.has(event)) broken('event lost', event);
  return violations;
}

function checkReplica({ table, provider, subscriber }: RecordedReplica): Violation[] {
  if (provider === subscriber) return [];
  return [{ kind: 'replica differs', where: table, what: `provider ${provider}, subscriber ${subscriber}` }];
}

/** Timeline, then the segment's place in two parts of eight hexadecimal digits (PostgreSQL, XLogFileName). */
const SEGMENT = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;

function checkArchive(archive: RecordedArchive): Violation[] {
  const { name, files, first, last, segmentBytes, original, restored } = archive;
  const violations: Violation[] = [];
  const perPart = 2n ** 32n / BigInt(segmentBytes);
  const place = (segment: string): bigint => {
    const [, , high, low] = SEGMENT.exec(segment) ?? [];
    if (high === undefined || low === undefined) throw new Error(`${segment} is not the name of a segment`);
    return BigInt(`0x${high}`) * perPart + BigInt(`0x${low}`);
  };
  // After a fork the segment of the fork is whole on the new timeline only; so any timeline will do for a place.
  const present = new Set(files.filter((file) => SEGMENT.test(file)).map(place));
  for (let at = place(first); at <= place(last); at++) {
    if (!present.has(at)) {
      const missing = ((at / perPart) << 32n) | (at % perPart);
      violations.push({ kind: 'wal gap', where: name, what: `…${hex(missing)} is on no timeline` });
    }
  }
  if (original !== restored)
    violations.push({
      kind: 'restore differs',
      where: name,
      what: `original ${original}, restored ${restored}`,
    });
  return violations;
}

const hex = (place: bigint) => place.toString(16).toUpperCase().padStart(16, '0');

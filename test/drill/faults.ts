import type { FaultRule, Random } from '../../lib/local/emulator/faults.ts';
import type { QueueChaos } from '../../lib/local/emulator/sqs/queue.ts';
import type { ChaosOptions } from '../../lib/local/runner/chaos.ts';

/** What strikes at a moment; everything else strikes all the time, by the probabilities below. */
export const BLOWS = [
  'provider connections go silent',
  'subscriber connections go silent',
  'subscriber connections go silent in a COPY',
  'provider connections are reset',
  'subscriber connections are reset',
  'provider refuses connections',
  'provider backends are terminated',
  'provider restarts',
  'provider crashes',
  'subscriber restarts',
  'subscriber crashes',
  's3 is down',
  'sqs is down',
  'a table is copied again',
  'a base backup is taken',
] as const;

export type Blow = (typeof BLOWS)[number] | 'provider fails over' | 'provider gets a standby';

export interface PlannedBlow {
  /** Seconds from the start. */
  at: number;
  blow: Blow;
}

/** Seconds between two blows: long enough for work to go on in between, short enough for one to fall into another's repair. */
const SHORTEST_PAUSE = 3;
const LONGEST_PAUSE = 9;

/** The same seed plans the same blows. Every drill has a fail-over; a longer one has one more for each two minutes. */
export function planBlows(random: Random, seconds: number): PlannedBlow[] {
  const plan: PlannedBlow[] = [];
  const rounds = Math.max(1, Math.floor(seconds / 120));
  for (let round = 0; round < rounds; round++) {
    const length = seconds / rounds;
    if (round > 0) plan.push({ at: round * length, blow: 'provider gets a standby' });
    plan.push({ at: (round + 0.4 + random() * 0.4) * length, blow: 'provider fails over' });
  }
  for (
    let at = SHORTEST_PAUSE;
    at < seconds;
    at += SHORTEST_PAUSE + random() * (LONGEST_PAUSE - SHORTEST_PAUSE)
  )
    plan.push({ at, blow: BLOWS[Math.floor(random() * BLOWS.length)]! });
  return plan.sort((a, b) => a.at - b.at);
}

/** Functions are killed, messages thrown away, repeated and held back, schedules missed and doubled. */
export const runnerChaos = (seed: number): ChaosOptions => ({
  seed,
  kill: 0.06,
  drop: 0.04,
  duplicate: 0.06,
  delay: { probability: 0.05, maximumMs: 3_000 },
  scheduleMiss: 0.2,
  scheduleRepeat: 0.2,
});

export const QUEUE_CHAOS: QueueChaos = {
  lose: 0.04,
  duplicate: 0.05,
  delay: { probability: 0.05, maximumSeconds: 3 },
};

const errors = (operation: string, code: string, status: number): FaultRule[] => [
  { operation, fault: { kind: 'status', status, code }, probability: 0.03 },
  { operation, fault: { kind: 'reset', afterSuccess: true }, probability: 0.02 },
  { operation, fault: { kind: 'delay', milliseconds: 700 }, probability: 0.05 },
];

export const FAULT_RULES: readonly FaultRule[] = [
  ...errors('SendMessageBatch', 'ServiceUnavailable', 503),
  ...errors('ReceiveMessage', 'ServiceUnavailable', 503),
  ...errors('DeleteMessageBatch', 'InternalError', 500),
  ...errors('ChangeMessageVisibility', 'InternalError', 500),
  ...errors('GetObject', 'SlowDown', 503),
  ...errors('PutObject', 'SlowDown', 503),
  ...errors('UploadPart', 'SlowDown', 503),
  { operation: 'GetObject', fault: { kind: 'truncate' }, probability: 0.02 },
];

export const S3_OUTAGE: readonly FaultRule[] = ['GetObject', 'PutObject', 'HeadObject', 'UploadPart'].map(
  (operation) => ({ operation, fault: { kind: 'status', status: 503, code: 'ServiceUnavailable' } }),
);

export const SQS_OUTAGE: readonly FaultRule[] = [
  'SendMessageBatch',
  'ReceiveMessage',
  'DeleteMessageBatch',
].map((operation) => ({ operation, fault: { kind: 'status', status: 503, code: 'ServiceUnavailable' } }));

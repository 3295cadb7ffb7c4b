import type { Deadline } from '../../../platform/deadline.ts';
import { SkytoolsError } from '../../../platform/errors.ts';
import { logWarning } from '../../../platform/logger.ts';
import type { Client } from '../../../postgres/connect.ts';
import { type ConsumeResult, type ConsumerSpec, mapped, subjectOf } from '../../consumer.ts';
import { consumeLeasedBatch } from '../../leased-consumer.ts';
import { type Down, deliver } from './deliver.ts';
import type { Destination } from './destination.ts';

export interface Breaker {
  /** Attempts before the destination counts as down. */
  attempts: number;
  /** Time to the first probe of a destination that is down; doubled with each that fails, up to the maximum. */
  probeSeconds: number;
  maximumProbeSeconds: number;
}

/** Longest time of one request, in milliseconds, where the configuration says nothing. */
const REQUEST_TIMEOUT_MS = 15_000;

/**
 * One batch of a consumer whose events go to another service: at least once. Whether the service takes them is remembered in
 * PostgreSQL (`pgq.consumer_circuit`): while it does not, one request is made from time to time, and nothing else.
 *
 * @throws BusyError, HandlerError, DeadlineError, SkytoolsError as consumeLeasedBatch
 */
export async function forwardBatch(
  client: Client,
  consumer: ConsumerSpec,
  breaker: Breaker,
  destination: Destination,
  deadline: Deadline,
  timeoutMs: number = REQUEST_TIMEOUT_MS,
): Promise<ConsumeResult> {
  return mapped(subjectOf(consumer), async () => {
    const circuit = await circuitOf(client, consumer);
    if (circuit === 'open') return { did: undefined, next: 'idle' };
    let down: Down | undefined;
    const result = await consumeLeasedBatch(
      client,
      consumer,
      {
        async handleBatch(batch) {
          down = await deliver(batch, destination, {
            deadline,
            timeoutMs,
            attempts: breaker.attempts,
            probe: circuit === 'probe',
            onRecovered: () => closeCircuit(client, consumer),
          });
        },
      },
      deadline,
    );
    if (down === undefined) return result;
    const probeAt = await openCircuit(client, consumer, breaker, down);
    logWarning(
      'circuit open',
      new SkytoolsError('FORWARD_CIRCUIT_OPEN', `the destination does not take events: ${down.reason}`, {
        subject: subjectOf(consumer),
        hint: `put it right; it is tried again at ${probeAt.toISOString()}`,
      }),
    );
    // The lease that stands for the circuit ends with it, and the next tick wakes the consumer.
    return { ...result, next: 'idle' };
  });
}

/** `probe`: it is open, and one request may try. */
async function circuitOf(client: Client, consumer: ConsumerSpec): Promise<'closed' | 'open' | 'probe'> {
  const { rows } = await client.query<{ waiting: boolean }>('select waiting from pgq.get_circuit($1, $2)', [
    consumer.queue,
    consumer.consumer,
  ]);
  if (rows.length === 0) return 'closed';
  return rows[0]!.waiting ? 'open' : 'probe';
}

async function openCircuit(
  client: Client,
  consumer: ConsumerSpec,
  breaker: Breaker,
  down: Down,
): Promise<Date> {
  const { rows } = await client.query<{ probe_at: Date }>(
    'select pgq.open_circuit($1, $2, $3, $4, $5, $6) as probe_at',
    [
      consumer.queue,
      consumer.consumer,
      down.reason,
      `${breaker.probeSeconds} seconds`,
      `${breaker.maximumProbeSeconds} seconds`,
      down.waitSeconds === undefined ? null : `${down.waitSeconds} seconds`,
    ],
  );
  return rows[0]!.probe_at;
}

async function closeCircuit(client: Client, consumer: ConsumerSpec): Promise<void> {
  await client.query('select pgq.close_circuit($1, $2)', [consumer.queue, consumer.consumer]);
}

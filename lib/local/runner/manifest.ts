/** A plain value, or the URL of a queue of this manifest, known only once the queue exists. */
export type EnvironmentValue = string | { readonly queueUrl: string };

/** EventBridge calls the function: `rate(1 minute)`, `cron(0 3 * * ? *)`, in UTC. */
export interface ScheduleEvent {
  readonly schedule: string;
  /** Replaces the event, as the constant input of an EventBridge target does. */
  readonly input?: unknown;
}

/** An event source mapping of a standard queue, under the names and limits of AWS. */
export interface QueueEvent {
  readonly queue: string;
  /** 1 to 10; 10 by default. */
  readonly batchSize?: number;
  /** How long a batch may wait to become full; 0 by default. */
  readonly batchingWindowSeconds?: number;
  /** Batches in work at the same time. */
  readonly maximumConcurrency?: number;
  /** The handler says which messages failed; without it a handler that returns has succeeded with all. */
  readonly reportBatchItemFailures?: boolean;
}

/** HTTP requests call the function, in version 2.0 of the payload, whoever signed them. */
export interface FunctionUrlEvent {
  readonly functionUrl: true;
}

export interface FunctionDefinition {
  readonly name: string;
  /** Path of the built module that exports `handler`. */
  readonly bundle: string;
  readonly timeoutSeconds: number;
  /** 128 by default, as on AWS. */
  readonly memoryMb?: number;
  readonly environment?: Readonly<Record<string, EnvironmentValue>>;
  /** Invocations at the same time from all sources together. */
  readonly reservedConcurrency?: number;
  readonly events: readonly (ScheduleEvent | QueueEvent | FunctionUrlEvent)[];
}

export interface QueueDefinition {
  readonly name: string;
  readonly visibilityTimeoutSeconds: number;
  /** The queue that takes a message after `maxReceiveCount` receives; it is defined in this manifest too. */
  readonly deadLetter?: { readonly queue: string; readonly maxReceiveCount: number };
  readonly delaySeconds?: number;
  readonly messageRetentionSeconds?: number;
}

/** Everything that the runner needs to know of a deployment. */
export interface Manifest {
  readonly functions: readonly FunctionDefinition[];
  readonly queues: readonly QueueDefinition[];
}

/** AWS asks for a visibility time-out of at least so many function time-outs. */
const VISIBILITY_FACTOR = 6;

/** The faults of a manifest, each with the name of what is wrong; empty where there are none. */
export function manifestFaults(manifest: Manifest): string[] {
  const queues = new Map(manifest.queues.map((queue) => [queue.name, queue]));
  const faults: string[] = [];
  const names = [...manifest.functions, ...manifest.queues].map(({ name }) => name);
  for (const name of new Set(manifest.functions.map((each) => each.name))) {
    if (manifest.functions.filter((each) => each.name === name).length > 1)
      faults.push(`function ${name}: named twice`);
  }
  if (names.some((name) => !/^[\w-]+$/.test(name)))
    faults.push('a name has other characters than letters, digits, - and _');
  for (const { name, deadLetter } of manifest.queues) {
    if (deadLetter && !queues.has(deadLetter.queue)) {
      faults.push(`queue ${name}: its dead-letter queue ${deadLetter.queue} is not in the manifest`);
    }
  }
  for (const definition of manifest.functions) {
    for (const event of definition.events) {
      if (!('queue' in event)) continue;
      const queue = queues.get(event.queue);
      if (!queue) faults.push(`function ${definition.name}: queue ${event.queue} is not in the manifest`);
      else if (queue.visibilityTimeoutSeconds < VISIBILITY_FACTOR * definition.timeoutSeconds) {
        faults.push(
          `queue ${queue.name}: its visibility time-out must be at least ${VISIBILITY_FACTOR} times the time-out of function ${definition.name}`,
        );
      }
      const size = event.batchSize ?? 10;
      if (!(size >= 1 && size <= 10))
        faults.push(`function ${definition.name}: batch size ${size} is not from 1 to 10`);
    }
    for (const [key, value] of Object.entries(definition.environment ?? {})) {
      if (typeof value === 'object' && !queues.has(value.queueUrl)) {
        faults.push(
          `function ${definition.name}: ${key} names queue ${value.queueUrl}, which is not in the manifest`,
        );
      }
    }
  }
  return faults;
}

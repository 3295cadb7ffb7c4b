import { SQSClient } from '@aws-sdk/client-sqs';
import { SkytoolsError } from '../../platform/errors.ts';
import { Chaos, type ChaosEvent, type ChaosOptions } from './chaos.ts';
import { type Clock, systemClock } from './clock.ts';
import { EventSourceMapping, type MappingCounts } from './event-source-mapping.ts';
import {
  type FunctionCounts,
  FunctionHost,
  type InvocationResult,
  type RunningInvocation,
} from './function-host.ts';
import { FunctionUrl } from './function-url.ts';
import { ProcessGuard } from './guard.ts';
import { type FunctionDefinition, type Manifest, manifestFaults } from './manifest.ts';
import { createQueues, type QueueHandle } from './queues.ts';
import type { LogLine } from './sandbox.ts';
import { parseSchedule } from './schedule.ts';
import { Scheduler } from './scheduler.ts';

export interface RunnerOptions {
  /** Where SQS (and, for the functions, S3) answers: the emulator, moto or LocalStack. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The manifest's queues where a deployment has made them already; they are made otherwise. */
  readonly queues?: ReadonlyMap<string, QueueHandle>;
  /** Given to every function, under its own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Receives what functions write and how they fail; nothing is shown by default. */
  readonly log?: (line: LogLine) => void;
  /** Freezes processes between invocations, as Lambda does; false by default. */
  readonly freeze?: boolean;
  readonly chaos?: ChaosOptions;
  readonly clock?: Clock;
}

export interface RunnerCounts {
  readonly functions: Readonly<Record<string, FunctionCounts>>;
  /** By queue. */
  readonly queues: Readonly<Record<string, MappingCounts>>;
  readonly chaos: Readonly<Record<ChaosEvent, number>>;
}

export interface Runner {
  /** URL and ARN of each queue of the manifest, by name. */
  readonly queues: ReadonlyMap<string, QueueHandle>;
  /** The function URLs, by function. */
  readonly urls: ReadonlyMap<string, string>;
  /** Invokes a function directly and waits for its answer. */
  invoke(functionName: string, event: unknown): Promise<InvocationResult>;
  /** Calls a scheduled function now, beside its schedule. */
  fire(functionName: string): Promise<InvocationResult>;
  /** The invocations of a function that are in progress. */
  running(functionName: string): RunningInvocation[];
  counts(): RunnerCounts;
  /**
   * Stops schedules and pollers, lets handlers that run finish for so long, and kills every process.
   *
   * @param graceMs 5,000 by default; 0 kills at once
   */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_GRACE_MS = 5000;

/**
 * Runs the functions of a manifest on this machine: processes, queues and schedules behave as Lambda, its event source
 * mappings and EventBridge do. The processes end with the runner, and with this process however it ends.
 *
 * @throws SkytoolsError LOCAL_MANIFEST_INVALID with everything that is wrong, before anything runs
 */
export async function startRunner(manifest: Manifest, options: RunnerOptions): Promise<Runner> {
  requireManifest(manifest);
  const { endpoint, region, accessKeyId, secretAccessKey, clock = systemClock } = options;
  const sqs = new SQSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  const chaos = new Chaos(options.chaos);
  const queues = options.queues ?? (await createQueues(sqs, manifest.queues));
  const guard = new ProcessGuard();
  const hosts = new Map<string, FunctionHost>();
  const mappings: EventSourceMapping[] = [];
  const schedulers: { readonly functionName: string; readonly scheduler: Scheduler }[] = [];
  const functionUrls = new Map<string, FunctionUrl>();

  for (const definition of manifest.functions) {
    const host = new FunctionHost(definition, {
      region,
      environment: environmentOf(definition, options, queues),
      freeze: options.freeze ?? false,
      chaos,
      guard,
      log: options.log ?? (() => undefined),
    });
    hosts.set(definition.name, host);
    for (const event of definition.events) {
      if ('schedule' in event) {
        const scheduler = new Scheduler(host, event, region, clock, chaos);
        schedulers.push({ functionName: definition.name, scheduler });
      } else if ('queue' in event) {
        const queue = queues.get(event.queue) as QueueHandle;
        mappings.push(new EventSourceMapping(host, event, sqs, { ...queue, region }, chaos));
      } else functionUrls.set(definition.name, await FunctionUrl.start(host));
    }
  }
  for (const mapping of mappings) mapping.start();
  for (const { scheduler } of schedulers) scheduler.start();

  return {
    queues,
    urls: new Map([...functionUrls].map(([name, { url }]) => [name, url])),
    invoke: (functionName, event) => requireHost(hosts, functionName).invoke(event),
    fire(functionName) {
      const found = schedulers.find((each) => each.functionName === functionName);
      if (!found) throw functionMissing(functionName, 'no schedule');
      return found.scheduler.fire();
    },
    running: (functionName) => requireHost(hosts, functionName).running(),
    counts: () => ({
      functions: Object.fromEntries([...hosts].map(([name, host]) => [name, host.counts()])),
      queues: Object.fromEntries(mappings.map((mapping) => [mapping.queueName, mapping.counts()])),
      chaos: chaos.counts(),
    }),
    async close(graceMs = DEFAULT_GRACE_MS) {
      for (const { scheduler } of schedulers) scheduler.stop();
      const finished = Promise.all([
        ...mappings.map((mapping) => mapping.stop()),
        ...[...hosts.values()].map((host) => host.settled()),
      ]);
      let grace: NodeJS.Timeout | undefined;
      const over = new Promise((resolve) => {
        grace = setTimeout(resolve, graceMs);
      });
      await Promise.race([finished, over]);
      clearTimeout(grace);
      await Promise.all([...functionUrls.values()].map((url) => url.close()));
      await Promise.all([...hosts.values()].map((host) => host.close()));
      // Killed handlers end their batches, so that nothing is left that could speak to the queue any more.
      await finished;
      guard.close();
      sqs.destroy();
    },
  };
}

function requireManifest(manifest: Manifest): void {
  const faults = manifestFaults(manifest);
  for (const { name, events } of manifest.functions) {
    for (const event of events) {
      if (!('schedule' in event)) continue;
      try {
        parseSchedule(event.schedule, 0);
      } catch (error) {
        faults.push(`function ${name}: ${(error as Error).message}`);
      }
    }
  }
  if (faults.length > 0) {
    throw new SkytoolsError('LOCAL_MANIFEST_INVALID', `the manifest cannot run: ${faults.join('; ')}`, {
      hint: 'correct what is named, and start again',
    });
  }
}

function requireHost(hosts: ReadonlyMap<string, FunctionHost>, name: string): FunctionHost {
  const host = hosts.get(name);
  if (!host) throw functionMissing(name, 'no entry in the manifest');
  return host;
}

function functionMissing(name: string, what: string): SkytoolsError {
  return new SkytoolsError('LOCAL_FUNCTION_MISSING', `function ${name} has ${what}`, {
    hint: 'check the name against the manifest',
  });
}

/** What Lambda sets, what all functions get, and what this one gets; nothing of this process leaks in but PATH. */
function environmentOf(
  definition: FunctionDefinition,
  options: RunnerOptions,
  queues: ReadonlyMap<string, QueueHandle>,
): Record<string, string> {
  const own = Object.entries(definition.environment ?? {}).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : (queues.get(value.queueUrl)?.url ?? ''),
  ]);
  return {
    PATH: process.env.PATH ?? '',
    ...(process.env.TMPDIR && { TMPDIR: process.env.TMPDIR }),
    TZ: ':UTC',
    LANG: 'en_US.UTF-8',
    AWS_REGION: options.region,
    AWS_DEFAULT_REGION: options.region,
    AWS_ACCESS_KEY_ID: options.accessKeyId,
    AWS_SECRET_ACCESS_KEY: options.secretAccessKey,
    AWS_ENDPOINT_URL: options.endpoint,
    AWS_LAMBDA_FUNCTION_NAME: definition.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(definition.memoryMb ?? 128),
    ...options.environment,
    ...Object.fromEntries(own),
  };
}

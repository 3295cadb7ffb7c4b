import { randomUUID } from 'node:crypto';
import { ACCOUNT } from '../emulator/wire.ts';
import type { Chaos } from './chaos.ts';
import type { ProcessGuard } from './guard.ts';
import type { FunctionDefinition } from './manifest.ts';
import type { FunctionError } from './protocol.ts';
import { type LogLine, type Outcome, Sandbox } from './sandbox.ts';
import { Slots } from './slots.ts';

/** What a synchronous invocation of Lambda answers. */
export interface InvocationResult {
  readonly requestId: string;
  /** Present where the function returned. */
  readonly value?: unknown;
  /** Present where it did not. */
  readonly error?: FunctionError;
  readonly durationMs: number;
}

/** An invocation in progress. */
export interface RunningInvocation {
  readonly event: unknown;
  /** Of its process. */
  readonly pid: number | undefined;
  /**
   * Kills it, as chaos does.
   *
   * @returns false where it has ended
   */
  kill(): boolean;
}

export interface FunctionCounts {
  readonly invocations: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly coldStarts: number;
  /** The most invocations that ran at the same time. */
  readonly peakConcurrency: number;
  /** The most memory that any of its processes has held. */
  readonly maximumMemoryMb: number;
}

export interface HostOptions {
  readonly region: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Freezes a process between its invocations. */
  readonly freeze: boolean;
  readonly chaos: Chaos;
  readonly guard: ProcessGuard;
  readonly log: (line: LogLine) => void;
}

/** Processes of a function that no setting bounds: enough for any one machine, few enough for a laptop's memory. */
const DEFAULT_CONCURRENCY = 10;
/** Lambda keeps idle processes for some minutes; one minute shows warm starts without holding memory. */
const IDLE_MS = 60_000;
/** Until durations are known, a random kill expects a handler to last so long. */
const FIRST_EXPECTED_MS = 50;

/** The processes of one function: warm ones are used again, no more run than its concurrency allows. */
export class FunctionHost {
  readonly definition: FunctionDefinition;
  private readonly options: HostOptions;
  private readonly idle: { sandbox: Sandbox; expiry: NodeJS.Timeout }[] = [];
  private readonly busy = new Map<Sandbox, RunningInvocation>();
  private readonly slots: Slots;
  private expectedMs = FIRST_EXPECTED_MS;
  private closed = false;
  private readonly tally = {
    invocations: 0,
    errors: 0,
    timeouts: 0,
    coldStarts: 0,
    peakConcurrency: 0,
    maximumMemoryMb: 0,
  };

  constructor(definition: FunctionDefinition, options: HostOptions) {
    this.definition = definition;
    this.options = options;
    this.slots = new Slots(definition.reservedConcurrency ?? DEFAULT_CONCURRENCY);
  }

  get concurrency(): number {
    return this.slots.limit;
  }

  counts(): FunctionCounts {
    return { ...this.tally };
  }

  /** Invokes the function, once there is room for it, and answers as Lambda does; it never rejects. */
  invoke(event: unknown): Promise<InvocationResult> {
    return this.slots.run(async () => {
      this.tally.invocations += 1;
      this.tally.peakConcurrency = Math.max(this.tally.peakConcurrency, this.slots.inUse);
      const requestId = randomUUID();
      const started = performance.now();
      const result = await this.run(requestId, event).catch((error: unknown) =>
        this.failure(requestId, started, 'Runtime.Unknown', String(error)),
      );
      if (result.error) {
        this.tally.errors += 1;
        this.say(requestId, `${result.error.errorType}: ${result.error.errorMessage}`);
      }
      return result;
    });
  }

  /** The invocations in progress. */
  running(): RunningInvocation[] {
    return [...this.busy.values()];
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.slots.inUse > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Kills every process. */
  async close(): Promise<void> {
    this.closed = true;
    for (const { expiry } of this.idle) clearTimeout(expiry);
    await Promise.all(
      [...this.idle.map(({ sandbox }) => sandbox), ...this.busy.keys()].map((sandbox) => sandbox.end()),
    );
  }

  private async run(requestId: string, event: unknown): Promise<InvocationResult> {
    const { name, timeoutSeconds, memoryMb = 128 } = this.definition;
    const sandbox = await this.acquire();
    const started = performance.now();
    if (!(sandbox instanceof Sandbox)) return this.resultOf(requestId, started, sandbox);
    if (this.closed) {
      // Closed while the process was starting.
      sandbox.kill();
      return this.resultOf(requestId, started, { kind: 'gone', how: 'the runner is closing' });
    }
    let cause: 'timeout' | 'chaos' | undefined;
    const strike = (reason: 'timeout' | 'chaos'): void => {
      cause ??= reason;
      sandbox.kill();
    };
    this.busy.set(sandbox, {
      event,
      pid: sandbox.pid,
      kill: () => {
        if (!this.busy.has(sandbox) || cause !== undefined) return false;
        strike('chaos');
        return true;
      },
    });
    const timeout = setTimeout(strike, timeoutSeconds * 1000, 'timeout');
    const killAfter = this.options.chaos.killAfter(this.expectedMs);
    const kill = killAfter === undefined ? undefined : setTimeout(strike, killAfter, 'chaos');
    const outcome = await sandbox.invoke({
      requestId,
      event,
      functionName: name,
      functionArn: `arn:aws:lambda:${this.options.region}:${ACCOUNT}:function:${name}`,
      memoryMb,
      deadline: Date.now() + timeoutSeconds * 1000,
    });
    clearTimeout(timeout);
    clearTimeout(kill);
    this.busy.delete(sandbox);
    if (outcome.kind === 'gone' && cause === 'timeout') {
      this.tally.timeouts += 1;
      const text = `RequestId: ${requestId} Error: Task timed out after ${timeoutSeconds.toFixed(2)} seconds`;
      return this.failure(requestId, started, 'Sandbox.Timedout', text);
    }
    if (outcome.kind === 'gone' && cause === 'chaos') this.options.chaos.count('killed');
    // A kill that came with the answer has hit nobody, but the process is gone all the same.
    if (outcome.kind !== 'gone' && cause === undefined) this.release(sandbox);
    else sandbox.kill();
    return this.resultOf(requestId, started, outcome);
  }

  private async acquire(): Promise<Sandbox | Outcome> {
    for (let warm = this.idle.pop(); warm; warm = this.idle.pop()) {
      clearTimeout(warm.expiry);
      if (warm.sandbox.alive) return warm.sandbox;
    }
    if (this.closed) return { kind: 'gone', how: 'the runner is closing' };
    this.tally.coldStarts += 1;
    const { name, bundle, memoryMb = 128 } = this.definition;
    return Sandbox.start({
      functionName: name,
      bundle,
      memoryMb,
      environment: this.options.environment,
      log: this.options.log,
      guard: this.options.guard,
    });
  }

  private release(sandbox: Sandbox): void {
    if (!sandbox.alive) return;
    if (this.closed) {
      sandbox.kill();
      return;
    }
    if (this.options.freeze) sandbox.freeze();
    const expiry = setTimeout(() => {
      const at = this.idle.findIndex((entry) => entry.sandbox === sandbox);
      if (at >= 0) this.idle.splice(at, 1);
      sandbox.kill();
    }, IDLE_MS);
    this.idle.push({ sandbox, expiry });
  }

  private resultOf(requestId: string, started: number, outcome: Outcome): InvocationResult {
    const durationMs = performance.now() - started;
    if (outcome.kind === 'gone') {
      const text = `RequestId: ${requestId} Error: Runtime exited with error: ${outcome.how}`;
      return this.failure(requestId, started, 'Runtime.ExitError', text);
    }
    if (outcome.maximumMemoryMb !== undefined) {
      this.tally.maximumMemoryMb = Math.max(this.tally.maximumMemoryMb, outcome.maximumMemoryMb);
    }
    if (outcome.kind === 'error') return { requestId, error: outcome.error, durationMs };
    this.expectedMs = this.expectedMs * 0.8 + durationMs * 0.2;
    return { requestId, value: JSON.parse(outcome.value), durationMs };
  }

  private failure(
    requestId: string,
    started: number,
    errorType: string,
    errorMessage: string,
  ): InvocationResult {
    return {
      requestId,
      error: { errorType, errorMessage, trace: [] },
      durationMs: performance.now() - started,
    };
  }

  private say(requestId: string, text: string): void {
    this.options.log({ functionName: this.definition.name, requestId, stream: 'platform', text });
  }
}

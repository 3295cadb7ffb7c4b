import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProcessGuard } from './guard.ts';
import type { FunctionError, InvokeMessage, ProcessMessage } from './protocol.ts';

/** Loading a bundle may take so long on a busy machine; Lambda itself gives ten seconds. */
const INIT_TIMEOUT_MS = 60_000;

/** `child` lies beside this module, with this module's ending: .ts in the sources, .js or .mjs once built. */
const CHILD = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** A line that a function wrote, or that the runner says about it (`platform`). */
export interface LogLine {
  readonly functionName: string;
  readonly requestId: string | undefined;
  readonly stream: 'stdout' | 'stderr' | 'platform';
  readonly text: string;
}

export interface SandboxOptions {
  readonly functionName: string;
  readonly bundle: string;
  readonly memoryMb: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly log: (line: LogLine) => void;
  readonly guard: ProcessGuard;
}

/** How an invocation ended inside its process. */
export type Outcome =
  | { readonly kind: 'value'; readonly value: string; readonly maximumMemoryMb: number }
  | { readonly kind: 'error'; readonly error: FunctionError; readonly maximumMemoryMb?: number }
  /** The process ended before it answered. */
  | { readonly kind: 'gone'; readonly how: string };

/** One process with one function loaded, handling one event at a time. */
export class Sandbox {
  private readonly process: ChildProcess;
  private readonly guard: ProcessGuard;
  private requestId: string | undefined;
  private settle: ((outcome: Outcome) => void) | undefined;
  private frozen = false;
  private leaving = false;
  private ended = false;

  private constructor(options: SandboxOptions) {
    this.guard = options.guard;
    this.process = fork(CHILD, [options.bundle], {
      // Lambda, too, limits the heap to what the function's memory allows.
      execArgv: [`--max-old-space-size=${Math.max(Math.floor(options.memoryMb * 0.9), 64)}`],
      env: options.environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    if (this.process.pid) this.guard.add(this.process.pid);
    for (const stream of ['stdout', 'stderr'] as const) {
      const source = this.process[stream];
      if (!source) continue;
      createInterface({ input: source }).on('line', (text) =>
        options.log({ functionName: options.functionName, requestId: this.requestId, stream, text }),
      );
    }
    this.process.on('message', (message: ProcessMessage) => this.receive(message));
    this.process.on('error', (error) => this.finish({ kind: 'gone', how: error.message }));
    this.process.on('exit', (code, signal) => {
      this.ended = true;
      if (this.process.pid) this.guard.remove(this.process.pid);
      this.finish({ kind: 'gone', how: signal ? `signal: ${signal.toLowerCase()}` : `exit status ${code}` });
    });
  }

  /** Starts a process and waits until its bundle is loaded; the outcome is an error where that fails. */
  static async start(options: SandboxOptions): Promise<Sandbox | Outcome> {
    const sandbox = new Sandbox(options);
    const patience = setTimeout(() => sandbox.kill(), INIT_TIMEOUT_MS);
    const outcome = await sandbox.outcome();
    clearTimeout(patience);
    if (outcome.kind === 'value') return sandbox;
    sandbox.kill();
    return outcome;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  get alive(): boolean {
    return !this.ended && !this.leaving;
  }

  /** Handles one event. The caller must not call again before the outcome is there. */
  invoke(message: InvokeMessage): Promise<Outcome> {
    this.requestId = message.requestId;
    const outcome = this.outcome();
    if (this.ended) this.finish({ kind: 'gone', how: 'ended while idle' });
    else {
      if (this.frozen) this.process.kill('SIGCONT');
      this.frozen = false;
      this.process.send(message, () => undefined);
    }
    return outcome;
  }

  /** Stops the process between invocations, as Lambda does: timers stand still, sockets are not read. */
  freeze(): void {
    if (!this.ended) this.frozen = this.process.kill('SIGSTOP');
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  /** Kills the process and waits for its end. */
  async end(): Promise<void> {
    if (this.ended) return;
    const exit = once(this.process, 'exit');
    this.kill();
    await exit;
  }

  private outcome(): Promise<Outcome> {
    return new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  private receive(message: ProcessMessage): void {
    if (message.type === 'ready') this.finish({ kind: 'value', value: 'null', maximumMemoryMb: 0 });
    else if (message.type === 'init-error') this.finish({ kind: 'error', error: message.error });
    else if (message.requestId === this.requestId) {
      const { value, error, maximumMemoryMb } = message;
      // A process that says goodbye is not used again, even though its end is yet to come.
      if (message.last) this.leaving = true;
      if (error) this.finish({ kind: 'error', error, maximumMemoryMb });
      else this.finish({ kind: 'value', value: value ?? 'null', maximumMemoryMb });
    }
  }

  private finish(outcome: Outcome): void {
    const { settle } = this;
    this.settle = undefined;
    settle?.(outcome);
  }
}

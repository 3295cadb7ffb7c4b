import type { Writable } from 'node:stream';
import type { LogLine } from '../runner/sandbox.ts';

/** A batch as the replay function reported it. */
export interface LoggedBatch {
  batch: string;
  events: number;
}

interface Entry {
  level?: string;
  message?: string;
  batch?: string | number;
  events?: number;
  problem?: { error?: string; message?: string };
}

/** Reads what functions write: the last batch of the set, and their problems by code. */
export class FunctionLog {
  readonly #keep: Writable | undefined;
  readonly #problems = new Map<string, number>();
  lastBatch: LoggedBatch | undefined;
  /** Function and message of the last problem. */
  lastProblem: string | undefined;

  /** @param keep also receives every line */
  constructor(keep?: Writable) {
    this.#keep = keep;
  }

  /** How often functions reported a problem, by its code. */
  problems(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#problems);
  }

  write(line: LogLine): void {
    this.#keep?.write(`${new Date().toISOString()} ${line.functionName} ${line.stream} ${line.text}\n`);
    if (line.stream === 'platform') {
      this.#problem(line.functionName, line.text.split(':')[0]!, line.text);
      return;
    }
    if (!line.text.startsWith('{')) return;
    let entry: Entry;
    try {
      entry = JSON.parse(line.text) as Entry;
    } catch {
      return;
    }
    if (entry.message === 'replayed' && entry.events !== undefined)
      this.lastBatch = { batch: String(entry.batch), events: entry.events };
    if (entry.level === 'ERROR') {
      const { error = 'UNKNOWN', message = entry.message ?? '' } = entry.problem ?? {};
      this.#problem(line.functionName, error, `${error}: ${message}`);
    }
  }

  #problem(functionName: string, code: string, text: string): void {
    this.#problems.set(code, (this.#problems.get(code) ?? 0) + 1);
    this.lastProblem = `${functionName}: ${text}`;
  }
}

import { Readable, Writable } from 'node:stream';
import type { Io } from '../../lib/cli/io.ts';
import { runCommandLine } from '../../lib/cli/program.ts';

/** What a command left behind. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout as JSON. */
  json<T = unknown>(): T;
}

class Captured extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Runs a command line in this process, with its streams captured and no terminal. */
export async function skytools(
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdin?: string } = {},
): Promise<CommandResult> {
  const stdout = new Captured();
  const stderr = new Captured();
  const io: Io = { stdin: Readable.from([options.stdin ?? '']), stdout, stderr, env: options.env ?? {} };
  const code = await runCommandLine(argv, io);
  return { code, stdout: stdout.text, stderr: stderr.text, json: <T>() => JSON.parse(stdout.text) as T };
}

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

/**
 * Runs a command line in this process, with its streams captured.
 *
 * @param options.terminal all three streams are one terminal of this size; none by default
 */
export async function skytools(
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdin?: string; terminal?: { columns: number; rows: number } } = {},
): Promise<CommandResult> {
  const stdout = new Captured();
  const stderr = new Captured();
  const stdin = Readable.from([options.stdin ?? '']);
  if (options.terminal)
    for (const stream of [stdin, stdout, stderr]) Object.assign(stream, { isTTY: true, ...options.terminal });
  const io: Io = { stdin, stdout, stderr, env: options.env ?? {} };
  const code = await runCommandLine(argv, io);
  return { code, stdout: stdout.text, stderr: stderr.text, json: <T>() => JSON.parse(stdout.text) as T };
}

import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { errorMessage, SkytoolsError, UsageError } from '../platform/errors.ts';
import { CommandContext, type GlobalOptions } from './context.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit.ts';
import type { Io } from './io.ts';
import { toJson } from './output.ts';

/** An action: gets the context, its arguments and its own options. May return an exit code other than 0. */
export type Action<Options extends object = Record<string, unknown>> = (
  context: CommandContext,
  args: string[],
  options: Options,
) => Promise<unknown>;

/** A line of "Examples" in the help: the command and what it does. */
export type Example = readonly [command: string, explanation: string];

const examplesOf = new WeakMap<Command, readonly Example[]>();

/** The examples given to a command, for the generated reference. */
export const exampleLines = (command: Command): readonly Example[] => examplesOf.get(command) ?? [];

/**
 * The command tree under construction. Command files say what a command is called and takes, and give an action; what an
 * action needs (drivers, SDKs) it imports when it runs, so that `skytools --help` stays quick.
 */
export class Cli {
  readonly program: Command;
  readonly io: Io;
  readonly #abort = new AbortController();
  #exitCode: ExitCode = EXIT.ok;
  #endsItself = false;

  constructor(program: Command, io: Io) {
    this.program = program;
    this.io = io;
  }

  get exitCode(): ExitCode {
    return this.#exitCode;
  }

  /**
   * Stops the running action at its next step.
   *
   * @returns true where the action takes the time it needs to end by itself
   */
  interrupt(): boolean {
    this.#abort.abort(new Error('interrupted'));
    return this.#endsItself;
  }

  /** A group such as `queue`: a noun whose verbs are added to the returned command. */
  group(name: string, summary: string, parent: Command = this.program): Command {
    return parent.command(name).description(summary).helpCommand(false);
  }

  /**
   * Gives `command` its action and its examples.
   *
   * @param endsItself Ctrl-C is a request to come to an end, and the action's own result is the outcome
   */
  action<Options extends object>(
    command: Command,
    examples: readonly Example[],
    action: Action<Options>,
    { endsItself = false } = {},
  ): Command {
    examplesOf.set(command, examples);
    if (examples.length > 0) command.addHelpText('after', () => `\nExamples:\n${formatExamples(examples)}`);
    return command.action(async (...all: unknown[]) => {
      const self = all.at(-1) as Command;
      this.#endsItself = endsItself;
      const context = new CommandContext(self.optsWithGlobals<GlobalOptions>(), this.io, this.#abort.signal);
      try {
        const code = await action(context, self.processedArgs.flat() as string[], self.opts<Options>());
        if (typeof code === 'number') this.#exitCode = code as ExitCode;
      } finally {
        await context.close();
      }
    });
  }

  /** Runs a command line and reports its errors. */
  async run(argv: readonly string[]): Promise<ExitCode> {
    try {
      await this.program.parseAsync(argv, { from: 'user' });
      return this.#exitCode;
    } catch (error) {
      return await this.#report(error, argv);
    }
  }

  async #report(error: unknown, argv: readonly string[]): Promise<ExitCode> {
    if (error instanceof CommanderError) {
      // Commander has printed its message (or the help) already.
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    if (this.#abort.signal.aborted && !this.#endsItself) return EXIT.interrupted;
    const known = await named(error);
    this.io.stderr.write(formatError(known, argv.includes('--json')));
    return exitCodeOf(known);
  }
}

/** What the server reported gets its code and subject; a fault of this program stays what it is. */
async function named(error: unknown): Promise<unknown> {
  if (error instanceof SkytoolsError || typeof (error as { severity?: unknown }).severity !== 'string')
    return error;
  const { toSkytoolsError } = await import('../postgres/errors.ts');
  return toSkytoolsError(error);
}

/** `error: message (CODE)` and its hint, or one JSON object. */
function formatError(error: unknown, json: boolean): string {
  if (!(error instanceof SkytoolsError)) {
    const message = errorMessage(error);
    if (json) return `${toJson({ error: 'UNEXPECTED', message })}\n`;
    return `error: ${message} (UNEXPECTED)\n${error instanceof Error && error.stack ? `${error.stack}\n` : ''}`;
  }
  if (json) return `${toJson(error.toJSON())}\n`;
  const subject = Object.entries(error.subject)
    .filter(([, value]) => value !== undefined && !error.message.includes(value))
    .map(([name, value]) => `${name} ${value}`);
  const about = subject.length > 0 ? ` [${subject.join(', ')}]` : '';
  return `error: ${error.message}${about} (${error.code})\n${error.hint ? `hint: ${error.hint}\n` : ''}`;
}

function formatExamples(examples: readonly Example[]): string {
  return examples.map(([command, explanation]) => `  # ${explanation}\n  $ ${command}`).join('\n');
}

/** An option's parser for whole numbers. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number');
  return Number(text);
}

/** An option's parser for numbers, 0 or more. */
export function positiveNumber(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('not a number');
  return Number(text);
}

const INT8 = /^-?\d+$/;

/** An option's parser for int8 ids. */
export function int8(text: string): bigint {
  if (!INT8.test(text)) throw new InvalidArgumentError('not a whole number');
  return BigInt(text);
}

/** int8 ids that are arguments of a command. @throws UsageError CLI_BAD_ID */
export function int8Arguments(texts: readonly string[]): bigint[] {
  const wrong = texts.find((text) => !INT8.test(text));
  if (wrong === undefined) return texts.map(BigInt);
  throw new UsageError('CLI_BAD_ID', `"${wrong}" is no id`, { hint: 'ids are whole numbers' });
}

/** A new `Command` tree with our output streams and error handling. */
export function createCommand(io: Io): Command {
  const program = new Command();
  const settings = {
    writeOut: (text: string) => void io.stdout.write(text),
    writeErr: (text: string) => void io.stderr.write(text),
    getOutHelpWidth: () => io.stdout.columns ?? 100,
    getErrHelpWidth: () => io.stderr.columns ?? 100,
    getOutHasColors: () => io.stdout.isTTY === true,
    getErrHasColors: () => io.stderr.isTTY === true,
  };
  return program
    .exitOverride()
    .configureOutput(settings)
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows the options)');
}

import { errorMessage, SkytoolsError, UsageError } from '../platform/errors.ts';

/**
 * Splits the words of a command into `--name value` options and the rest. `wal push` and `wal fetch` are started for
 * every segment: loading the command-line library would double their time.
 *
 * @throws UsageError WAL_OPTION_UNKNOWN
 */
export function parseWords(
  words: string[],
  known: string[],
  flags: string[] = [],
): { options: Record<string, string>; flags: Set<string>; rest: string[] } {
  const options: Record<string, string> = {};
  const given = new Set<string>();
  const rest: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (!word.startsWith('--')) {
      rest.push(word);
      continue;
    }
    const [name, inline] = word.slice(2).split(/=(.*)/s, 2) as [string, string | undefined];
    if (flags.includes(name)) given.add(name);
    else if (known.includes(name)) options[name] = inline ?? words[++index] ?? '';
    else {
      throw new UsageError('WAL_OPTION_UNKNOWN', `unknown option ${word}`, {
        hint: `options are: ${[...known, ...flags].map((option) => `--${option}`).join(', ')}`,
      });
    }
  }
  return { options, flags: given, rest };
}

/** A whole number given as an option, within its limits. */
export function numberOption(
  text: string | undefined,
  name: string,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError('WAL_OPTION_INVALID', `--${name} must be a whole number from ${least} to ${most}`);
}

/** One line on standard error, for PostgreSQL's log. */
export function printProblem(command: string, error: unknown): void {
  const known = error instanceof SkytoolsError;
  const cause = known && error.cause !== undefined ? ` (${errorMessage(error.cause)})` : '';
  const code = known ? `${error.code}: ` : '';
  const hint = known && error.hint ? `; hint: ${error.hint}` : '';
  process.stderr.write(`skytools ${command}: ${code}${errorMessage(error)}${cause}${hint}\n`);
}

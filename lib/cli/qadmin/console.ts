import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { errorMessage, SkytoolsError } from '../../platform/errors.ts';
import type { Io } from '../io.ts';
import { packageVersion } from '../version.ts';
import { complete } from './complete.ts';
import { execute, promptOf } from './execute.ts';
import { parseStatement } from './grammar.ts';
import { type RawStatement, splitStatements, tokenize } from './lexer.ts';
import type { QadminSession } from './session.ts';

/** Lines of history kept. */
const HISTORY_LINES = 1000;

const textOf = ({ tokens }: RawStatement, input: string) => input.slice(tokens[0]!.start, tokens.at(-1)!.end);

/**
 * Runs statements from `-c` or a file, in which line breaks do not matter. The first error ends it.
 *
 * @returns false after `exit`
 */
export async function runScript(
  session: QadminSession,
  input: string,
  write: (text: string) => void,
): Promise<boolean> {
  for (const statement of splitStatements(tokenize(input))) {
    const printed = await execute(session, parseStatement(statement.tokens), textOf(statement, input)).catch(
      (error) => {
        throw asTyped(error);
      },
    );
    if (printed === undefined) return false;
    write(printed);
  }
  return true;
}

/** What the server says of a statement, word for word: whoever gave it may see that, row data included. */
function asTyped(error: unknown): unknown {
  const { severity, code, hint } = error as { severity?: string; code?: string; hint?: string };
  if (error instanceof SkytoolsError || severity === undefined) return error;
  return new SkytoolsError(`PG_${code}`, errorMessage(error), { cause: error, ...(hint ? { hint } : {}) });
}

/** Runs one line typed. Errors are printed, and the console goes on. @returns false after `exit` */
export async function runLine(
  session: QadminSession,
  line: string,
  write: (text: string) => void,
): Promise<boolean> {
  try {
    const statements = splitStatements(tokenize(line));
    for (const statement of statements) {
      const text = textOf(statement, line);
      if (!statement.complete) {
        write(`multi-line commands not supported: ${text}\n`);
        break;
      }
      const printed = await execute(session, parseStatement(statement.tokens), text);
      if (printed === undefined) return false;
      write(printed);
    }
  } catch (error) {
    write(`ERROR: ${errorMessage(error)}\n`);
  }
  return true;
}

/** The interactive console: ends at `exit;` or Ctrl-D; Ctrl-C clears the line. */
export async function runConsole(session: QadminSession, io: Io): Promise<void> {
  const write = (text: string) => void io.stdout.write(text);
  write(
    `Welcome to qadmin ${packageVersion()} (server ${session.facts.serverVersion}), the PgQ interactive terminal.\n` +
      `Use 'show help;' to see available commands.\n`,
  );
  const historyFile = path.join(io.env.HOME ?? homedir(), '.qadmin_history');
  const history = existsSync(historyFile)
    ? readFileSync(historyFile, 'utf8').split('\n').filter(Boolean)
    : [];
  const terminal = createInterface({
    input: io.stdin,
    output: io.stdout,
    terminal: io.stdout.isTTY === true,
    history: history.slice(-HISTORY_LINES).reverse(),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: Error | null, result: [string[], string]) => void) => {
      complete(session, line).then(
        (result) => done(null, result),
        () => done(null, [[], line]),
      );
    },
  });
  terminal.on('SIGINT', () => {
    terminal.write(null, { ctrl: true, name: 'e' });
    terminal.write(null, { ctrl: true, name: 'u' });
  });
  terminal.setPrompt(promptOf(session));
  terminal.prompt();
  for await (const line of terminal) {
    if (line.trim() !== '') {
      remember(historyFile, line);
      if (!(await runLine(session, line, write))) break;
    }
    terminal.setPrompt(promptOf(session));
    terminal.prompt();
  }
  terminal.close();
}

/** Statements with a password stay out of the file. */
function remember(file: string, line: string): void {
  if (/password/i.test(line)) return;
  try {
    appendFileSync(file, `${line}\n`, { mode: 0o600 });
  } catch {
    // A home directory that cannot be written to costs the history only.
  }
}

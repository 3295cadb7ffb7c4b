import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Deadline } from '../platform/deadline.ts';
import type { ErrorSubject } from '../platform/errors.ts';
import type { Client } from './connect.ts';
import { CommitUnknownError, isTransactionRetry, PostgresError, toSkytoolsError } from './errors.ts';

/** What a body may return to have its last statement sent in the round trip of COMMIT. */
export class Closing<T> {
  readonly statement: string;
  readonly result: (answer: pg.QueryResult) => T;

  /**
   * @param statement without parameters; if it fails, the transaction is rolled back
   * @param result makes the transaction's result of its answer, after the commit
   */
  constructor(statement: string, result: (answer: pg.QueryResult) => T) {
    this.statement = statement;
    this.result = result;
  }
}

export interface TransactionOptions<Begun = unknown> {
  /** Sends the statements that begin the transaction, with others behind them; its answer is given to the body. */
  begin?: (statements: string) => Promise<Begun>;
  isolation?: 'read committed' | 'repeatable read' | 'serializable';
  readOnly?: boolean;
  /** Bounds `statement_timeout` in the server, so that a statement ends even if this process is killed. */
  deadline?: Deadline;
  /** Upper limit of one statement in milliseconds. Default 15 minutes, the longest life of a function. */
  statementTimeoutMs?: number;
  /** Time to wait for a lock, in milliseconds. Default: as long as the statement may take. */
  lockTimeoutMs?: number;
  /** How often the whole transaction is run again after 40001 or 40P01. Default 0: only for bodies without other effects. */
  retries?: number;
  subject?: ErrorSubject;
}

/** The longest life of a Lambda invocation, in milliseconds. */
const LONGEST_INVOCATION_MS = 15 * 60_000;

/**
 * How long the server keeps a transaction whose client went silent, in milliseconds: a function that is frozen or killed
 * in mid-transaction must not hold locks and rotation for long. One minute is more than any pause between two statements.
 */
const IDLE_IN_TRANSACTION_MS = 60_000;

/**
 * The same for a COPY that waits for data, which neither that time-out nor statement_timeout ends: only TCP tells the server
 * that its client is gone. In seconds: the first probe after 20, then each 10; a minute in all, where Linux takes two hours.
 */
const KEEPALIVE = { tcp_keepalives_idle: 20, tcp_keepalives_interval: 10, tcp_keepalives_count: 4 };

/**
 * Runs `body` in one transaction and commits it. Time-outs are transaction-local settings (`set_config(…, true)`), sent in
 * the same round trip as BEGIN, so nothing is left behind on a pooled server connection.
 *
 * @throws CommitUnknownError if the answer to COMMIT was lost: the caller must read its checkpoint
 * @throws PostgresError, ConnectionError whatever else went wrong; the transaction was rolled back
 */
export async function transaction<C extends Client, T, Begun = unknown>(
  client: C,
  body: (client: C, begun: Begun) => Promise<T | Closing<T>>,
  options: TransactionOptions<Begun> = {},
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(client, body, options);
    } catch (error) {
      const mapped = toSkytoolsError(error, options.subject);
      if (attempt >= (options.retries ?? 0) || !isTransactionRetry(mapped)) throw mapped;
      await sleep(10 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}

async function once<C extends Client, T, Begun>(
  client: C,
  body: (client: C, begun: Begun) => Promise<T | Closing<T>>,
  options: TransactionOptions<Begun>,
): Promise<T> {
  let result: T | Closing<T>;
  try {
    const begin = options.begin ?? ((statements: string) => client.query(statements) as Promise<unknown>);
    result = await body(client, (await begin(beginStatement(options))) as Begun);
  } catch (error) {
    // If even ROLLBACK fails the connection is gone, and the server rolls back by itself.
    await client.query('rollback').catch(() => {});
    throw error;
  }
  let answers: pg.QueryResult[];
  try {
    const last = result instanceof Closing ? `${result.statement}; ` : '';
    answers = [await client.query(`${last}commit`)].flat();
    const { command } = answers.at(-1)!;
    // A transaction that failed inside and was not thrown out of the body: COMMIT answers ROLLBACK.
    if (command === 'ROLLBACK')
      throw new Error('transaction was aborted by an error that its body swallowed');
  } catch (error) {
    const mapped = toSkytoolsError(error, options.subject);
    // An error report is an answer: not committed. Silence is not.
    if (mapped instanceof PostgresError && !mapped.report.sqlstate.startsWith('57P')) {
      if (result instanceof Closing) await client.query('rollback').catch(() => {});
      throw mapped;
    }
    if (error instanceof Error && error.message.startsWith('transaction was aborted')) throw error;
    throw new CommitUnknownError(error, options.subject);
  }
  return result instanceof Closing ? result.result(answers[0]!) : result;
}

function beginStatement(options: Omit<TransactionOptions, 'begin'>): string {
  const longest = options.statementTimeoutMs ?? LONGEST_INVOCATION_MS;
  const statementTimeout = options.deadline?.statementTimeoutMs(longest) ?? longest;
  const settings = [
    `set_config('statement_timeout', '${Math.floor(statementTimeout)}', true)`,
    `set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION_MS}', true)`,
    ...Object.entries(KEEPALIVE).map(([name, value]) => `set_config('${name}', '${value}', true)`),
    ...(options.lockTimeoutMs === undefined
      ? []
      : [`set_config('lock_timeout', '${Math.floor(options.lockTimeoutMs)}', true)`]),
  ];
  const mode = `isolation level ${options.isolation ?? 'read committed'}${options.readOnly ? ', read only' : ''}`;
  return `begin ${mode}; select ${settings.join(', ')}`;
}

import type pg from 'pg';
import type { Deadline } from '../platform/deadline.ts';
import { sever } from './connect.ts';
import { toSkytoolsError } from './errors.ts';

/** The longest that a timer of Node.js can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** For a statement that may take as long as it needs, and goes on when nobody listens any more. */
const UNBOUNDED = `select set_config('statement_timeout', '0', true), set_config('client_connection_check_interval', '0', true)`;

/**
 * Runs one statement, a transaction of its own, that may take longer than this process lives: at the deadline the connection
 * is cut, and the server goes on to the end and commits. (It looks at its client only when it has an answer to send, and
 * the whole is one message, so that a proxy does not come between.) The statement has to note its own end in a table.
 *
 * @param statement without parameters
 * @returns the answer, or undefined where the server was left to itself
 */
export async function runDetached<Row extends pg.QueryResultRow>(
  client: pg.Client,
  statement: string,
  deadline: Deadline,
): Promise<Row[] | undefined> {
  let left = false;
  const timer = setTimeout(
    () => {
      left = true;
      sever(client);
    },
    Math.max(0, Math.min(deadline.remainingMs(), LONGEST_TIMER_MS)),
  );
  try {
    const answers = (await client.query(`${UNBOUNDED}; ${statement}`)) as unknown as pg.QueryResult<Row>[];
    return answers.at(-1)!.rows;
  } catch (error) {
    if (left) return undefined;
    throw toSkytoolsError(error);
  } finally {
    clearTimeout(timer);
  }
}

import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState } from '../postgres/errors.ts';

/** The answer that the functions of pgq_node and londiste give. */
export interface Answer {
  ret_code: number;
  ret_note: string | null;
}

/** The next step after a refusal that every user meets sooner or later, by the beginning of its note. */
const HINTS: readonly [note: string, hint: string][] = [
  ['Primary key missing on table', 'give it one: alter table … add primary key'],
  ['Sequence not found', 'create it here, or let --create do so'],
  ['Table does not exist', 'create it here, or let --create or --create-full do so on a branch or leaf'],
];

/**
 * Calls a function that answers with a result code.
 *
 * @throws SkytoolsError LONDISTE_REFUSED for codes of 400 and above; the caller's transaction must be rolled back
 */
export async function call<Row extends Answer = Answer>(
  client: Client,
  invocation: string,
  values: unknown[] = [],
): Promise<Row> {
  const { rows } = await client.query<Row>(`select * from ${invocation}`, values);
  const answer = rows[0]!;
  if (answer.ret_code >= 400) {
    throw new SkytoolsError('LONDISTE_REFUSED', `${answer.ret_note} (${answer.ret_code})`, {
      hint:
        HINTS.find(([note]) => answer.ret_note?.startsWith(note))?.[1] ??
        'docs/guides/replication.md lists what each command needs',
    });
  }
  return answer;
}

/**
 * What becomes of an error of the first query to a database.
 *
 * @throws SkytoolsError LONDISTE_NOT_INSTALLED where a schema or function is missing; else the error itself
 */
export function orNotInstalled(error: unknown): never {
  if (!hasSqlState(error, '3F000', '42883')) throw error;
  throw new SkytoolsError('LONDISTE_NOT_INSTALLED', 'a database lacks replication or an update of it', {
    cause: error,
    hint: 'install it in the database of every node: skytools install',
  });
}

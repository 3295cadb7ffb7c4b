import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';

/** The answer that the functions of pgq_node and londiste give. */
export interface Answer {
  ret_code: number;
  ret_note: string | null;
}

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
      hint: 'docs/guides/replication.md lists what each command needs',
    });
  }
  return answer;
}

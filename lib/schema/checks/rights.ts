import type { Client } from '../../postgres/connect.ts';
import { quoteIdent } from '../../postgres/quote.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

/** What the connected role may do, by the function that each kind of work begins with. */
const RIGHTS = `
select current_user::text as "user",
       has_schema_privilege('pgq', 'USAGE') as usage,
       bool_or(has_function_privilege(p.oid, 'EXECUTE')) filter (where p.proname = 'insert_event') as produce,
       bool_or(has_function_privilege(p.oid, 'EXECUTE')) filter (where p.proname = 'next_batch') as consume,
       bool_or(has_function_privilege(p.oid, 'EXECUTE')) filter (where p.proname = 'ticker') as tick,
       coalesce((select bool_and(has_table_privilege(c.oid, 'TRUNCATE')) from pg_class c
                  where c.oid = to_regclass('pgq.event_template')), false)
         and coalesce((select has_table_privilege(c.oid, 'DELETE') from pg_class c
                        where c.oid = to_regclass('pgq.retry_queue')), false) as maintain
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'pgq' and p.proname in ('insert_event', 'next_batch', 'ticker')`;

const WORK = [
  ['produce', 'insert events', 'pgq_writer'],
  ['consume', 'consume batches', 'pgq_reader'],
  ['tick', 'tick', 'pgq_admin'],
  ['maintain', 'rotate queues and move retries', 'pgq_admin'],
] as const;

/** Names each kind of work that the connected role may not do, with the role that gives it. */
export async function checkRights(client: Client): Promise<Finding[]> {
  const row = (await client.query(RIGHTS)).rows[0];
  if (!row?.usage) {
    return [fault('rights', 'the role may not use schema pgq', 'grant usage on schema pgq to it')];
  }
  const lacking = WORK.filter(([right]) => row[right] !== true);
  if (lacking.length === 0) return [ok('rights', `${row.user} may produce, consume, tick and maintain`)];
  return lacking.map(([, work, role]) =>
    warning(
      'rights',
      `${row.user} may not ${work}`,
      `if it should: grant ${role} to ${quoteIdent(row.user)}`,
    ),
  );
}

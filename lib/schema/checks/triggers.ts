import type { Client } from '../../postgres/connect.ts';
import { type Finding, fault, warning } from './finding.ts';

/** Capture triggers, their state, and whether the queue they name (their first argument, ended by a zero byte) exists. */
const TRIGGERS = String.raw`
select t.*, q.queue_name is not null as known
  from (select t.tgrelid::regclass::text as "table", t.tgname::text as name, t.tgenabled::text as enabled,
               convert_from(substring(t.tgargs for position('\x00'::bytea in t.tgargs) - 1), getdatabaseencoding()) as queue
          from pg_trigger t
          join pg_proc p on p.oid = t.tgfoid
          join pg_namespace n on n.oid = p.pronamespace
         where not t.tgisinternal and n.nspname = 'pgq' and t.tgnargs > 0) t
  left join pgq.queue q on q.queue_name = t.queue
 order by 1, 2`;

/** Capture triggers that are switched off, or write to a queue that is not there. */
export async function checkTriggers(client: Client): Promise<Finding[]> {
  const { rows } = await client.query(TRIGGERS);
  return rows.flatMap((row): Finding[] => {
    const subject = { table: row.table, queue: row.queue };
    if (row.enabled === 'D') {
      return [
        warning(
          'trigger-disabled',
          `trigger ${row.name} on ${row.table} is disabled: its changes reach no queue`,
          `alter table ${row.table} enable trigger ${row.name}; changes made meanwhile are not captured`,
          subject,
        ),
      ];
    }
    if (row.known) return [];
    return [
      fault(
        'trigger-queue',
        `trigger ${row.name} on ${row.table} writes to queue "${row.queue}", which does not exist: every change fails`,
        `create the queue (skytools queue create ${row.queue}) or drop the trigger`,
        subject,
      ),
    ];
  });
}

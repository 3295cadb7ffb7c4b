import type { Client } from '../../postgres/connect.ts';
import { GENERATED } from '../inspect.ts';
import { type Finding, fault, warning } from './finding.ts';

/** Capture triggers, their state, and whether the queue they name (their first argument, ended by a zero byte) exists. */
const TRIGGERS = String.raw`
select t.*, q.queue_name is not null as known
  from (select t.tgrelid::regclass::text as "table", t.tgname::text as name, t.tgenabled::text as enabled,
               convert_from(substring(t.tgargs for position('\x00'::bytea in t.tgargs) - 1), getdatabaseencoding()) as queue
          from pg_trigger t
          join pg_proc p on p.oid = t.tgfoid
          join pg_namespace n on n.oid = p.pronamespace
         where not t.tgisinternal and (n.nspname = 'pgq' or ${GENERATED}) and t.tgnargs > 0) t
  left join pgq.queue q on q.queue_name = t.queue
 order by 1, 2`;

/** Generated triggers whose source is not what would be generated now: see pgq.refresh_fast_triggers. */
const STALE = String.raw`
select t.tgrelid::regclass::text as "table", t.tgname::text as name
  from pg_trigger t
  join pg_proc p on p.oid = t.tgfoid
 cross join lateral (select pgq._trigger_arguments(t.tgargs) as args) a
 where ${GENERATED} and not t.tgisinternal and t.tgtype & 4 = 4
   and exists (select from pgq.queue q where q.queue_name = a.args[1])
   and p.prosrc <> pgq._fast_source(t.tgrelid::regclass, case when p.proname like '\_pgq\_fast\_json\_%' then 'json' else 'logu' end,
                                    case when t.tgtype & 1 = 1 then 'row' else 'statement' end, a.args)
 order by 1, 2`;

/** Generated triggers that work through the classic one until they are written again. Needs this version's functions. */
export async function checkGeneratedTriggers(client: Client): Promise<Finding[]> {
  const { rows: known } = await client.query(`select from pg_proc where proname = '_fast_source'`);
  if (known.length === 0) return [];
  const { rows } = await client.query<{ table: string; name: string }>(STALE);
  return rows.map((row) =>
    warning(
      'trigger-stale',
      `trigger ${row.name} does not fit table ${row.table} any more: it captures, but slowly`,
      `run \`skytools trigger refresh ${row.table}\``,
      { table: row.table },
    ),
  );
}

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

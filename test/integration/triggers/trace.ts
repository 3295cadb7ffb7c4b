import type pg from 'pg';
import type { Case, Step } from './cases.ts';

/** What a step did: its events as the seven arguments of `pgq.insert_event`, or the message of its error. */
export interface Outcome {
  readonly events?: (string | null)[][];
  readonly error?: string;
  /** The rows of the table after a trigger BEFORE or INSTEAD OF, so that SKIP is seen. */
  readonly rows?: string[];
}

const STUB = `
  create table public.traced (n serial, args text[]);
  create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
  returns int8 language sql as $$
    insert into public.traced (args)
    values (array[$1, $2, $3, $4, $5, $6, $7]) returning n::int8
  $$`;

/** The table that a step changes. */
function tableOf(step: Step): string {
  const table = /(?:into|update|from|truncate) ((?:"[^"]+"|\w)+(?:\.(?:"[^"]+"|\w)+)?)/.exec(step.run)?.[1];
  if (table === undefined) throw new Error(`no table in: ${step.run}`);
  return table;
}

/** The SQL that makes the trigger of a step. */
function triggerOf(step: Step, client: pg.Client): string {
  const operations = step.run.startsWith('truncate') ? 'truncate' : 'insert or update or delete';
  const args = step.args.map((arg) => client.escapeLiteral(arg)).join(', ');
  return `create trigger x ${step.when} ${operations} on ${tableOf(step)} for each ${step.level}
    execute function pgq.${step.fn}(${args})`;
}

/** Runs the steps of a case, each from the state that the set-up made. Leaves no trace in the database. */
export async function traceCase(client: pg.Client, { setup, steps }: Case): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await client.query('begin');
  try {
    await client.query(
      `set local client_min_messages = warning; set local timezone = 'UTC'; ${STUB}; ${setup}`,
    );
    for (const step of steps) {
      await client.query('savepoint step');
      await client.query(triggerOf(step, client));
      for (const [name, value] of Object.entries(step.set)) {
        await client.query('select set_config($1, $2, true)', [name, value]);
      }
      try {
        await client.query(step.run);
        const { rows } = await client.query<{ args: (string | null)[] }>(
          'select args from public.traced order by n',
        );
        const events = rows.map((row) => row.args);
        if (step.when !== 'after') {
          const after = await client.query<{ row: string }>(
            `select x::text as row from ${tableOf(step)} x order by 1`,
          );
          outcomes.push({ events, rows: after.rows.map(({ row }) => row) });
        } else {
          outcomes.push({ events });
        }
      } catch (error) {
        outcomes.push({ error: (error as Error).message });
      }
      await client.query('rollback to savepoint step');
    }
  } finally {
    await client.query('rollback');
  }
  return outcomes;
}

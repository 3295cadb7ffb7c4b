import { setTimeout as sleep } from 'node:timers/promises';
import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { type DatabaseState, GENERATED, inspect, SCHEMAS } from './inspect.ts';
import { patiently } from './patience.ts';
import { addedSchemas, dropAdditions, dropGeneratedTriggers, restoreExtensions } from './restore.ts';

export interface UninstallOptions {
  /** Remove everything even where an extension was taken over and could get it back. */
  purge?: boolean;
  /** Remove even what holds events nobody has consumed. */
  force?: boolean;
}

export interface UninstallPlan {
  kind: 'nothing' | 'restore' | 'remove';
  steps: string[];
  /** What would be gone for good. */
  losses: string[];
}

/** What {@link uninstall} would do now. */
export async function planUninstall(client: Client, options: UninstallOptions = {}): Promise<UninstallPlan> {
  return plan(client, await inspect(client), options);
}

/** How long the additions may wait for the transactions that still use them, in milliseconds. */
const OLDER_TRANSACTIONS_MS = 60_000;

/**
 * Gives a taken-over installation back to its C extensions, or removes the schemas with everything in them; in one
 * transaction. After a restoration a second transaction drops what was added, when those have ended that began before it;
 * if it fails, run the command again.
 *
 * @throws SkytoolsError UNINSTALL_LOSES_EVENTS with what would be lost, unless `force`; UNINSTALL_RIGHTS
 */
export async function uninstall(client: Client, options: UninstallOptions = {}): Promise<UninstallPlan> {
  const { planned, restored } = await patiently(client, async () => {
    const state = await inspect(client);
    const planned = await plan(client, state, options);
    if (planned.kind === 'nothing') return { planned, restored: undefined };
    refuse(state, planned, options);
    if (planned.kind === 'remove') {
      await remove(client, state);
      return { planned, restored: undefined };
    }
    // Restored already, by a run whose second transaction failed.
    if (state.extensions.length === 0) await restoreExtensions(client);
    const { rows } = await client.query('select txid_current()::text as txid');
    return { planned, restored: rows[0].txid as string };
  });
  if (restored !== undefined) {
    await waitForOlder(client, restored);
    await patiently(client, dropAdditions);
  }
  return planned;
}

/** A call that began with our functions may still be inside them: wait until every transaction older than this one ended. */
async function waitForOlder(client: Client, txid: string): Promise<void> {
  const until = Date.now() + OLDER_TRANSACTIONS_MS;
  for (;;) {
    const { rows } = await client.query(
      'select txid_snapshot_xmin(txid_current_snapshot()) > $1::int8 as ended',
      [txid],
    );
    if (rows[0].ended) return;
    if (Date.now() > until) {
      throw new SkytoolsError(
        'UNINSTALL_WAITS',
        'restored; a long transaction keeps the additions from being dropped',
        {
          hint: 'run `skytools uninstall` again when it has ended',
          retryable: true,
        },
      );
    }
    await sleep(50);
  }
}

function refuse(state: DatabaseState, planned: UninstallPlan, options: UninstallOptions): void {
  if (state.notOwned.length > 0) {
    const { kind, name, owner } = state.notOwned[0]!;
    throw new SkytoolsError('UNINSTALL_RIGHTS', `${kind} ${name} belongs to ${owner}`, {
      hint: `run as ${owner} or a superuser`,
    });
  }
  if (planned.losses.length > 0 && !options.force) {
    throw new SkytoolsError('UNINSTALL_LOSES_EVENTS', `would lose ${planned.losses.join('; ')}`, {
      hint: 'let the consumers finish and unregister them, or give --force',
    });
  }
}

async function plan(client: Client, state: DatabaseState, options: UninstallOptions): Promise<UninstallPlan> {
  if (state.schemas.length === 0) return { kind: 'nothing', steps: [], losses: [] };
  const taken = state.schemas.includes('skytools') ? await takenOver(client) : [];
  if (taken.length > 0 && !options.purge) {
    const restored = state.extensions.length > 0;
    return {
      kind: 'restore',
      steps: [
        ...(restored ? [] : [`restore the extensions ${taken.join(', ')} with their own functions`]),
        `keep ${state.queues} queues, ${state.consumers} consumers and every event`,
        'drop what skytools added',
      ],
      losses: [
        ...(await rowsIn(client, await addedSchemas(client))),
        ...(await additionsInUse(client)),
        ...(await triggersOnAdditions(client)),
      ],
    };
  }
  if (state.extensions.length > 0) {
    throw new SkytoolsError('UNINSTALL_EXTENSION', 'PgQ is installed here as an extension, not by skytools', {
      hint: 'use DROP EXTENSION',
    });
  }
  return {
    kind: 'remove',
    steps: [
      `drop the schemas ${state.schemas.join(', ')}`,
      ...state.triggers.map((t) => `drop trigger ${t.name} on ${t.table}, which calls ${t.function}`),
      'leave the roles pgq_reader, pgq_writer, pgq_admin, which other databases of this server may use',
    ],
    losses: [
      ...(await undelivered(client, state)),
      ...(await rowsIn(
        client,
        state.schemas.filter((schema) => !['skytools', 'pgq', 'pgq_coop'].includes(schema)),
      )),
    ],
  };
}

/** Triggers on the user's tables whose function would go with the additions: capture would stop. */
async function triggersOnAdditions(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select format('trigger %I on %s, whose function the extension lacks', t.tgname, t.tgrelid::regclass) as name
       from pg_trigger t
       join pg_proc p on p.oid = t.tgfoid
       join pg_namespace n on n.oid = p.pronamespace,
            lateral pg_identify_object('pg_proc'::regclass, p.oid, 0) i
      where not t.tgisinternal and (n.nspname = any($1) or ${GENERATED})
        and not exists (select from pg_class c join pg_namespace tn on tn.oid = c.relnamespace
                         where c.oid = t.tgrelid and tn.nspname = any($1))
        and not exists (select from skytools.taken_over_member m where m.identity = i.identity)
      order by 1`,
    [SCHEMAS],
  );
  return rows.map((row) => row.name);
}

/** Rows in the tables of schemas that would be dropped. */
async function rowsIn(client: Client, schemas: readonly string[]): Promise<string[]> {
  const { rows: tables } = await client.query<{ schema: string; name: string }>(
    `select schemaname::text as schema, tablename::text as name from pg_tables
      where schemaname = any($1) and schemaname <> 'skytools' order by 1, 2`,
    [schemas],
  );
  const losses: string[] = [];
  for (const { schema, name } of tables) {
    const { rows } = await client.query(
      `select count(*)::int as n from ${quoteIdent(schema)}.${quoteIdent(name)}`,
    );
    if (rows[0].n > 0) losses.push(`${rows[0].n} rows of ${schema}.${name}`);
  }
  return losses;
}

async function takenOver(client: Client): Promise<string[]> {
  const { rows } = await client.query(
    `select to_regclass('skytools.taken_over_extension') is not null as known`,
  );
  if (!rows[0].known) return [];
  const taken = await client.query(
    'select extname, extversion from skytools.taken_over_extension order by 1',
  );
  return taken.rows.map((row) => `${row.extname} ${row.extversion}`);
}

/** What a queue still owes somebody: events that a consumer has not finished, retries, dead letters. */
async function undelivered(client: Client, state: DatabaseState): Promise<string[]> {
  if (!state.schemas.includes('pgq') || state.queues === 0) return [];
  const { rows } = await client.query<{ queue_name: string; consumers: number; pending: string | null }>(
    `select q.queue_name, count(s.sub_consumer)::int as consumers,
            max(pgq.seq_getval(q.queue_event_seq) - t.tick_event_seq)::text as pending
       from pgq.queue q
       left join pgq.subscription s on s.sub_queue = q.queue_id
       left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
      group by q.queue_name order by 1`,
  );
  const losses: string[] = [];
  for (const { queue_name, consumers, pending } of rows) {
    if (Number(pending ?? 0) > 0) {
      losses.push(
        `queue "${queue_name}" with up to ${pending} events not finished by its ${consumers} consumers`,
      );
    } else if (consumers > 0) {
      losses.push(`queue "${queue_name}" with the positions of ${consumers} consumers`);
    }
  }
  if (state.retryEvents > 0) losses.push(`${state.retryEvents} events waiting for retry`);
  return [...losses, ...(await additionsInUse(client))];
}

/** Events kept in tables that only this project has. */
async function additionsInUse(client: Client): Promise<string[]> {
  const losses: string[] = [];
  for (const [table, what] of ADDITIONS) {
    const known = await client.query(`select to_regclass($1) is not null as known`, [table]);
    if (!known.rows[0].known) continue;
    const [schema, name] = table.split('.') as [string, string];
    const { rows } = await client.query(
      `select count(*)::int as n from ${quoteIdent(schema)}.${quoteIdent(name)}`,
    );
    if (rows[0].n > 0) losses.push(`${rows[0].n} ${what}`);
  }
  return losses;
}

/** Tables of ours that hold events outside the queues' own tables. */
const ADDITIONS = [
  ['pgq.failed_queue', 'dead letters'],
  ['pgq.delayed_event', 'delayed events'],
] as const;

async function remove(client: Client, state: DatabaseState): Promise<void> {
  for (const trigger of await eventTriggers(client))
    await client.query(`drop event trigger ${quoteIdent(trigger)}`);
  await dropGeneratedTriggers(client);
  // Triggers of user tables go with the functions they call; the plan named them.
  await client.query(`drop schema ${state.schemas.map(quoteIdent).join(', ')} cascade`);
}

async function eventTriggers(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select e.evtname::text as name from pg_event_trigger e join pg_proc p on p.oid = e.evtfoid
       join pg_namespace n on n.oid = p.pronamespace where n.nspname = any($1)`,
    [SCHEMAS],
  );
  return rows.map((row) => row.name);
}

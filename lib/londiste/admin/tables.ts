import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { type CopyProgress, copyProgress } from '../copy/progress.ts';
import { type Answer, call } from '../errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { createLike, type Likeness } from './create-table.ts';

export interface AddTable {
  queue: string;
  /** Name in the queue; without a dot it is in `public`. */
  table: string;
  /** Real name here, where it differs. */
  dest?: string | undefined;
  /** Make the table like the provider's. */
  create?: Likeness | undefined;
  /** The rows are here already: no copy. */
  expectSync?: boolean | undefined;
  /** The copy keeps the rows that are here. */
  skipTruncate?: boolean | undefined;
  handler?: string | undefined;
  /** Arguments of the trigger, among them `tgflags=…` and `no_triggers`. */
  triggerArgs?: readonly string[] | undefined;
  /** Node to copy from instead of the provider. */
  copyNode?: string | undefined;
}

/** The answer to add-table. */
export interface Added extends Answer {
  /** What `create: 'full'` could not make as it is at the provider, and why. */
  left: string[];
}

/** A table of a set as the provider or this node lists it. */
interface Listed {
  table_name: string;
  local: boolean;
  merge_state: string | null;
  dest_table: string | null;
}

/** How long add-table waits for a lock on a table, in milliseconds: the original's lock_timeout. */
const LOCK_TIMEOUT_MS = 10_000;

const qualified = (name: string) => (name.includes('.') ? name : `public.${name}`);

/**
 * Subscribes a table. On the root it joins the set; elsewhere its copy begins with the next tick.
 *
 * @throws UsageError LONDISTE_TABLE_NOT_PROVIDED; SkytoolsError LONDISTE_REFUSED
 */
export async function addTable(scope: NodeScope, client: pg.Client, add: AddTable): Promise<Added> {
  const { queue } = add;
  const table = qualified(add.table);
  const state = await nodeState(client, queue);
  const args = [
    ...(add.expectSync ? ['expect_sync'] : []),
    ...(add.skipTruncate ? ['skip_truncate'] : []),
    ...(['vtable', 'fake_local'].includes(add.handler ?? '') ? ['virtual_table'] : []),
    ...(add.handler === 'qtable' ? ['tgflags=BI', 'SKIP', 'expect_sync'] : []),
    ...(add.triggerArgs ?? []),
  ];
  const attributes = encodeUrlencoded({
    ...(add.handler && add.handler !== 'londiste' ? { handler: add.handler } : {}),
    ...(add.copyNode ? { copy_node: add.copyNode } : {}),
  });
  const subscribe = () =>
    transaction(
      client,
      () =>
        call(client, 'londiste.local_add_table($1, $2, $3, $4, $5)', [
          queue,
          table,
          args,
          attributes === '' ? null : attributes,
          add.dest === undefined ? null : qualified(add.dest),
        ]),
      { lockTimeoutMs: LOCK_TIMEOUT_MS, subject: { queue, table } },
    );
  if (state.node_type === 'root') return { ...(await subscribe()), left: [] };
  return atLocation(scope, state.provider_location, async (provider) => {
    const listed = await syncList(client, provider, queue);
    const there = listed.find((other) => other.table_name === table);
    if (!there?.local && !add.expectSync && !args.includes('virtual_table') && add.copyNode === undefined) {
      throw new UsageError(
        'LONDISTE_TABLE_NOT_PROVIDED',
        `the provider ${state.provider_node} does not have table ${table}`,
        {
          subject: { queue, table },
          hint: `add it there first: skytools londiste add-table ${queue} ${table}`,
        },
      );
    }
    if (add.create) {
      const { left } = await createLike(
        provider,
        client,
        there?.dest_table ?? table,
        qualified(add.dest ?? table),
        add.create,
      );
      return { ...(await subscribe()), left };
    }
    return { ...(await subscribe()), left: [] };
  });
}

/** Brings the list of the set's tables up to the provider's. */
async function syncList(client: pg.Client, provider: pg.Client, queue: string): Promise<Listed[]> {
  const list = async (from: pg.Client) =>
    (
      await from.query<Listed>(
        'select table_name, local, merge_state, dest_table from londiste.get_table_list($1)',
        [queue],
      )
    ).rows;
  const [above, here] = [await list(provider), await list(client)];
  for (const { table_name } of above.filter(
    (table) => !here.some((own) => own.table_name === table.table_name),
  ))
    await call(client, 'londiste.global_add_table($1, $2)', [queue, table_name]);
  return above;
}

/** Ends a subscription, and a copy in progress with it; on the root the table leaves the whole set. */
export async function removeTable(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  name: string,
): Promise<Answer> {
  const table = qualified(name);
  const state = await nodeState(client, queue);
  const { rows } = await client.query<{ consumer_name: string }>(
    'select consumer_name from londiste.copy_job where queue_name = $1 and table_name = $2',
    [queue, table],
  );
  const answer = await transaction(
    client,
    async () => {
      const removed = await call(client, 'londiste.local_remove_table($1, $2)', [queue, table]);
      await client.query('delete from londiste.copy_job where queue_name = $1 and table_name = $2', [
        queue,
        table,
      ]);
      await client.query('delete from londiste.table_health where queue_name = $1 and table_name = $2', [
        queue,
        table,
      ]);
      for (const { consumer_name } of rows)
        await client.query('select * from pgq_node.unregister_consumer($1, $2)', [queue, consumer_name]);
      return removed;
    },
    { lockTimeoutMs: LOCK_TIMEOUT_MS, subject: { queue, table } },
  );
  for (const { consumer_name } of rows)
    await atLocation(scope, state.provider_location, (provider) =>
      provider.query('select pgq.unregister_consumer($1, $2)', [queue, consumer_name]),
    );
  return answer;
}

/** Has a subscribed table copied again. */
export async function resyncTable(client: pg.Client, queue: string, name: string): Promise<Answer> {
  return call(client, 'londiste.local_set_table_state($1, $2, null, null)', [queue, qualified(name)]);
}

/** Subscribes a sequence. */
export async function addSequence(client: pg.Client, queue: string, name: string): Promise<Answer> {
  return transaction(client, () => call(client, 'londiste.local_add_seq($1, $2)', [queue, qualified(name)]));
}

export async function removeSequence(client: pg.Client, queue: string, name: string): Promise<Answer> {
  return transaction(client, () =>
    call(client, 'londiste.local_remove_seq($1, $2)', [queue, qualified(name)]),
  );
}

/** A subscribed table and what is known of it; of its copy, while one is in progress. */
export interface TableStatus
  extends Nullable<
    Pick<CopyProgress, 'chunks' | 'chunksDone' | 'rows' | 'bytes' | 'sourceBytes' | 'percent' | 'secondsLeft'>
  > {
  table: string;
  dest: string;
  state: string | null;
  attributes: string | null;
  missingRows: bigint;
  fault: string | null;
}

type Nullable<T> = { [Key in keyof T]: T[Key] | null };

/** The subscribed tables of a node. */
export async function tableStatus(client: pg.Client, queue: string): Promise<TableStatus[]> {
  const { rows } = await client.query<TableStatus>(
    `select t.table_name as table, coalesce(t.dest_table, t.table_name) as dest, t.merge_state as state,
            t.table_attrs as attributes, coalesce(h.missing_rows, 0) as "missingRows", h.fault
       from londiste.table_info t
       left join londiste.table_health h on h.queue_name = t.queue_name and h.table_name = t.table_name
      where t.queue_name = $1 and t.local
      order by t.nr, t.table_name`,
    [queue],
  );
  const copies = await copyProgress(client);
  return rows.map((row) => {
    const copy = copies.find(({ queue: set, table }) => set === queue && table === row.table);
    return {
      ...row,
      chunks: copy?.chunks ?? null,
      chunksDone: copy?.chunksDone ?? null,
      rows: copy?.rows ?? null,
      bytes: copy?.bytes ?? null,
      sourceBytes: copy?.sourceBytes ?? null,
      percent: copy?.percent ?? null,
      secondsLeft: copy?.secondsLeft ?? null,
    };
  });
}

/** Tables and sequences that could be added. */
export async function missingObjects(
  client: pg.Client,
  queue: string,
): Promise<{ kind: string; name: string }[]> {
  const { rows } = await client.query<{ kind: string; name: string }>(
    `select case obj_kind when 'S' then 'sequence' else 'table' end as kind, obj_name as name
       from londiste.local_show_missing($1)`,
    [queue],
  );
  return rows;
}

/** @throws SkytoolsError LONDISTE_WAIT_TIMEOUT */
export async function waitSync(
  client: pg.Client,
  queue: string,
  pause: () => Promise<void>,
  allows: () => boolean,
): Promise<number> {
  for (;;) {
    const waiting = (await tableStatus(client, queue)).filter((table) => table.state !== 'ok');
    if (waiting.length === 0) return (await tableStatus(client, queue)).length;
    if (!allows()) {
      throw new SkytoolsError('LONDISTE_WAIT_TIMEOUT', `${waiting.length} tables are not in sync yet`, {
        subject: { queue, table: waiting[0]!.table },
        hint: 'see `skytools londiste tables` and `skytools londiste status`; the functions sweep, tick and copy must be running',
      });
    }
    await pause();
  }
}

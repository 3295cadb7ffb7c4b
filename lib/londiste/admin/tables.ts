import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { UsageError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { siblings, waitAgain } from '../copy/merge.ts';
import { copyConsumer } from '../copy/plan.ts';
import { type CopyProgress, copyProgress } from '../copy/progress.ts';
import { ownFaults } from '../drift.ts';
import { type Answer, call } from '../errors.ts';
import { formatHandler, useHandler } from '../handlers/registry.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { holdsRows, subscriptions } from '../tables.ts';
import { createLike, type Likeness } from './create-table.ts';
import { qualified } from './names.ts';
import { type RowSource, rowsAbove, syncList } from './provider.ts';

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
  /** The copy keeps the rows that are here; nothing where `expectSync` makes no copy. */
  skipTruncate?: boolean | undefined;
  /** Default: `londiste`. */
  handler?: string | undefined;
  handlerArguments?: Readonly<Record<string, string>> | undefined;
  /** Arguments of the trigger, among them `tgflags=…` and `no_triggers`. */
  triggerArgs?: readonly string[] | undefined;
  /** Node to copy from instead of the provider; `?`: the nearest one above that has the rows. */
  copyNode?: string | undefined;
  /** Several sets fill the table: `all` subscribes it in each of them, `none` in this one only. */
  merge?: 'all' | 'none' | undefined;
  /** Copies of a merged table at once. */
  maxParallelCopy?: number | undefined;
}

/** The answer to add-table and add-seq. */
export interface Added extends Answer {
  /** What `create: 'full'` could not make as it is at the provider, and why. */
  left: string[];
}

/** How long add-table waits for a lock on a table, in milliseconds: the original's lock_timeout. */
export const LOCK_TIMEOUT_MS = 10_000;

/**
 * Subscribes a table. On the root it joins the set; elsewhere its copy begins with the next tick.
 *
 * @throws UsageError LONDISTE_TABLE_NOT_PROVIDED, LONDISTE_HANDLER_…, LONDISTE_NODE_UNKNOWN; SkytoolsError LONDISTE_REFUSED
 */
export async function addTable(scope: NodeScope, client: pg.Client, add: AddTable): Promise<Added> {
  const { queue } = add;
  const { handler } = useHandler(add.handler ?? 'londiste', add.handlerArguments);
  const state = await nodeState(client, queue);
  if (state.node_type === 'root') return subscribeTable(scope, client, state, add, undefined);
  await atLocation(scope, state.provider_location, (provider) => syncList(client, provider, queue));
  const source = handler.holdsRows
    ? await rowsAbove(scope, client, queue, state, qualified(add.table), add.copyNode)
    : undefined;
  return subscribeTable(scope, client, state, add, source);
}

/**
 * The same on a node whose list of the set's tables is the provider's.
 *
 * @param source where the rows come from, if there is such a node
 */
export async function subscribeTable(
  scope: NodeScope,
  client: pg.Client,
  state: NodeState,
  add: AddTable,
  source: RowSource | undefined,
): Promise<Added> {
  const { queue, create } = add;
  const table = qualified(add.table);
  const use = useHandler(add.handler ?? 'londiste', add.handlerArguments);
  const args = [
    ...(add.expectSync ? ['expect_sync'] : []),
    ...(add.skipTruncate && !add.expectSync ? ['skip_truncate'] : []),
    ...(add.merge === undefined ? [] : [add.merge === 'all' ? 'merge_all' : 'no_merge']),
    ...use.handler.triggerArguments,
    ...(add.triggerArgs ?? []),
  ];
  const handler = formatHandler(use);
  const attributes = encodeUrlencoded({
    ...(handler === undefined ? {} : { handler }),
    ...(add.copyNode === undefined ? {} : { copy_node: add.copyNode }),
    ...(add.maxParallelCopy === undefined ? {} : { max_parallel_copy: String(add.maxParallelCopy) }),
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
  if (state.node_type === 'root' || !use.handler.holdsRows) return { ...(await subscribe()), left: [] };
  if (source === undefined && !add.expectSync)
    throw notProvided(queue, table, add.copyNode ?? state.provider_node);
  const made =
    create &&
    (await atLocation(scope, source?.location ?? state.provider_location, (provider) =>
      createLike(provider, client, source?.dest ?? table, qualified(add.dest ?? table), create),
    ));
  const answer = await subscribe();
  const untouched = made?.created === false ? `${answer.ret_note}; its definition here stays as it is` : null;
  return { ...answer, ret_note: untouched ?? answer.ret_note, left: made?.left ?? [] };
}

const notProvided = (queue: string, table: string, node: string) =>
  new UsageError(
    'LONDISTE_TABLE_NOT_PROVIDED',
    `the provider ${node === '?' ? 'and the nodes above it do' : `${node} does`} not have table ${table}`,
    {
      subject: { queue, table },
      hint: `add it there first (skytools londiste add-table ${queue} ${table}), or take the rows from another node with --find-copy-node or --copy-node`,
    },
  );

/** Ends a subscription, and a copy in progress with it; on the root the table leaves the whole set. */
export async function removeTable(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  name: string,
): Promise<Answer> {
  const table = qualified(name);
  const state = await nodeState(client, queue);
  // A copy that was not planned yet may have its consumer already.
  const consumer = copyConsumer(state.worker_name, table);
  const { rows: sources } = await client.query<{ location: string | null }>(
    `select l.node_location as location
       from londiste.table_info t
       left join londiste.copy_job j on j.queue_name = t.queue_name and j.table_name = t.table_name
       left join pgq_node.node_location l
         on l.queue_name = t.queue_name and l.node_name = coalesce(j.source_node, $3)
      where t.queue_name = $1 and t.table_name = $2 and t.local
        and (t.merge_state is distinct from 'ok' or j.job_id is not null)`,
    [queue, table, state.provider_node],
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
      if (sources.length > 0)
        await client.query('select * from pgq_node.unregister_consumer($1, $2)', [queue, consumer]);
      return removed;
    },
    { lockTimeoutMs: LOCK_TIMEOUT_MS, subject: { queue, table } },
  );
  for (const { location } of sources)
    await atLocation(scope, location ?? state.provider_location, (source) =>
      source.query('select pgq.unregister_consumer($1, $2)', [queue, consumer]),
    );
  return answer;
}

/**
 * Has a subscribed table copied again. Where other sets fill it too, it is copied from each of them: it is emptied first, and
 * nobody could tell whose rows are whose.
 *
 * @param copyNode from this node, now and later; `?`: the nearest one above that has the rows
 * @throws UsageError LONDISTE_ROOT_HAS_NO_SOURCE, LONDISTE_TABLE_NOT_PROVIDED, LONDISTE_NODE_UNKNOWN
 */
export async function resyncTable(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  name: string,
  copyNode?: string,
): Promise<Answer> {
  const table = qualified(name);
  const state = await nodeState(client, queue);
  if (state.node_type === 'root') {
    throw new UsageError('LONDISTE_ROOT_HAS_NO_SOURCE', 'the rows of the root come from nobody', {
      subject: { queue, table },
      hint: 'copy the table again at a branch or leaf: --database',
    });
  }
  const [subscription] = await subscriptions(client, queue, table);
  if (subscription !== undefined && !holdsRows(subscription))
    return { ret_code: 200, ret_note: `${table}: its handler keeps no rows, nothing is copied` };
  const attributes = subscription?.attributes ?? {};
  const from = copyNode ?? attributes.copy_node ?? undefined;
  if ((await rowsAbove(scope, client, queue, state, table, from)) === undefined)
    throw notProvided(queue, table, from ?? state.provider_node);
  await forgetHold(scope, client, queue, state, table);
  const others = await siblings(client, queue, table);
  for (const other of others)
    await forgetHold(scope, client, other.queue, await nodeState(client, other.queue), other.table);
  return transaction(client, async () => {
    await waitAgain(client, others);
    if (copyNode !== undefined) {
      await call(client, 'londiste.local_set_table_attrs($1, $2, $3)', [
        queue,
        table,
        encodeUrlencoded({ ...attributes, copy_node: copyNode }),
      ]);
    }
    const answer = await call(client, 'londiste.local_set_table_state($1, $2, null, null)', [queue, table]);
    return { ...answer, ret_note: `${table} is copied again` };
  });
}

/** A table that was held back is copied as it is now: the events that it could not take are not asked for again. */
async function forgetHold(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  state: NodeState,
  table: string,
): Promise<void> {
  const { rows } = await client.query<{ consumer: string }>(
    `select consumer_name as consumer from londiste.copy_job
      where queue_name = $1 and table_name = $2 and londiste.is_held(queue_name, table_name)`,
    [queue, table],
  );
  for (const { consumer } of rows) {
    await atLocation(scope, state.provider_location, (provider) =>
      provider.query('select pgq.unregister_consumer($1, $2)', [queue, consumer]),
    );
    await transaction(client, async () => {
      await client.query('select * from pgq_node.unregister_consumer($1, $2)', [queue, consumer]);
      await client.query('delete from londiste.copy_job where queue_name = $1 and table_name = $2', [
        queue,
        table,
      ]);
      await call(client, 'londiste.local_set_table_state($1, $2, null, null)', [queue, table]);
    });
  }
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
  /** What is wrong with it, and the next step. */
  fault: string | null;
  /** Behind its node because of that: it catches up by itself when it is mended. */
  held: boolean;
}

type Nullable<T> = { [Key in keyof T]: T[Key] | null };

/** The subscribed tables of a node. */
export async function tableStatus(client: pg.Client, queue: string): Promise<TableStatus[]> {
  const { rows } = await client.query<TableStatus>(
    `select t.table_name as table, coalesce(t.dest_table, t.table_name) as dest, t.merge_state as state,
            t.table_attrs as attributes, coalesce(h.missing_rows, 0) as "missingRows", h.fault,
            t.merge_state is not distinct from 'catching-up' and londiste.is_held(t.queue_name, t.table_name) as held
       from londiste.table_info t
       left join londiste.table_health h on h.queue_name = t.queue_name and h.table_name = t.table_name
      where t.queue_name = $1 and t.local
      order by t.nr, t.table_name`,
    [queue],
  );
  const copies = await copyProgress(client);
  // Replay has noticed what it can see from below; a root has nobody who looks at it, and a fault may be newer.
  const own = (await ownFaults(client, queue, 'here')).filter(({ table }) =>
    rows.some((row) => row.table === table && row.fault === null),
  );
  for (const { table, problem, hint } of own) {
    const row = rows.find((each) => each.table === table)!;
    row.fault = [...(row.fault === null ? [] : [row.fault]), `${problem}: ${hint}`].join('; ');
  }
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

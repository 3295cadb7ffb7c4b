import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { call, orNotInstalled } from '../errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';

export interface NewNode {
  queue: string;
  type: 'root' | 'branch' | 'leaf';
  name: string;
  /** Where the other nodes reach it: the name of a configured database, or a libpq connect string. */
  location: string;
  /** Name of the worker's consumer; default `<name>_worker`. */
  worker?: string | undefined;
  /** Location of the provider; not of a root. */
  provider?: string | undefined;
  /** A leaf whose events are merged into this queue. */
  combined?: string | undefined;
  /** A branch that keeps no event from these nodes' reach: they synchronise their watermarks. */
  syncWatermark?: readonly string[] | undefined;
  /** The location is not tried: it cannot be reached from here. */
  unchecked?: boolean | undefined;
  /** Only look whether it could be made. */
  dryRun?: boolean | undefined;
}

/** A member of the cascade. */
export interface Member {
  node_name: string;
  node_location: string;
  dead: boolean;
}

export interface CreatedNode {
  node: string;
  type: string;
  /** False where it was there already, or was only looked into. */
  created: boolean;
}

/**
 * Makes the database at `client` a node of a queue. Every step may be repeated, so a call that was interrupted is simply
 * made again.
 *
 * @throws UsageError LONDISTE_PROVIDER_MISSING, LONDISTE_PROVIDER_IS_LEAF, LONDISTE_NODE_TAKEN, LONDISTE_NODE_EXISTS;
 * SkytoolsError LONDISTE_REFUSED, LONDISTE_LOCATION_WRONG, LONDISTE_NOT_INSTALLED
 */
export async function createNode(scope: NodeScope, client: pg.Client, node: NewNode): Promise<CreatedNode> {
  const { queue, type, name } = node;
  const worker = node.worker ?? `${name}_worker`;
  const { rows } = await client
    .query<{ node_type: string | null; node_name: string }>(
      'select node_type, node_name from pgq_node.get_node_info($1)',
      [queue],
    )
    .catch(orNotInstalled);
  if (rows[0]!.node_type !== null) {
    if (rows[0]!.node_name === name && rows[0]!.node_type === type)
      return { node: name, type, created: false };
    throw new UsageError(
      'LONDISTE_NODE_EXISTS',
      `this database is ${rows[0]!.node_type} ${rows[0]!.node_name} of ${queue} already`,
      {
        subject: { queue, node: rows[0]!.node_name },
        hint: 'a database has one node of a queue: drop that one first, or use another queue',
      },
    );
  }
  if (!node.unchecked) await checkLocation(scope, client, node.location);
  if (type === 'root') {
    if (node.dryRun) return { node: name, type, created: false };
    await transaction(client, async () => {
      await call(client, 'pgq_node.register_location($1, $2, $3, false)', [queue, name, node.location]);
      await call(client, 'pgq_node.create_node($1, $2, $3, $4, null, null, null)', [
        queue,
        type,
        name,
        worker,
      ]);
    });
    return { node: name, type, created: true };
  }
  if (node.provider === undefined) {
    throw new UsageError('LONDISTE_PROVIDER_MISSING', `a ${type} needs a provider`, {
      hint: 'name it with --provider: a configured database or a connect string',
    });
  }
  await subscribe(scope, client, { ...node, provider: node.provider }, worker);
  return { node: name, type, created: !node.dryRun };
}

async function subscribe(
  scope: NodeScope,
  client: pg.Client,
  node: NewNode & { provider: string },
  worker: string,
): Promise<void> {
  const { queue, type, name, location } = node;
  const above = await atLocation(scope, node.provider, (remote) => nodeState(remote, queue));
  if (above.node_type === 'leaf') {
    throw new UsageError('LONDISTE_PROVIDER_IS_LEAF', `${above.node_name} is a leaf: nobody reads from it`, {
      subject: { queue, node: above.node_name },
      hint: 'name the root or a branch with --provider: skytools londiste status draws them',
    });
  }
  await atRoot(scope, queue, node.provider, async (root) => {
    const taken = (await members(root, queue)).find((member) => member.node_name === name);
    if (taken !== undefined && taken.node_location !== location) {
      throw new UsageError(
        'LONDISTE_NODE_TAKEN',
        `a node ${name} is a member of ${queue} already, elsewhere`,
        {
          subject: { queue, node: name },
          hint: 'choose another name, or drop that node: skytools londiste drop-node',
        },
      );
    }
    if (!node.dryRun)
      await call(root, 'pgq_node.register_location($1, $2, $3, false)', [queue, name, location]);
  });
  if (node.dryRun) return;
  const provider = await atLocation(scope, node.provider, (remote) =>
    transaction(remote, async () => {
      await call(remote, 'pgq_node.register_location($1, $2, $3, false)', [queue, name, location]);
      const subscribed = await call<{ ret_code: number; ret_note: string; global_watermark: bigint }>(
        remote,
        'pgq_node.register_subscriber($1, $2, $3, null)',
        [queue, name, worker],
      );
      const info = await nodeState(remote, queue);
      const tables = await remote.query<{ table_name: string }>(
        'select table_name from londiste.get_table_list($1)',
        [queue],
      );
      const sequences = await remote.query<{ seq_name: string; last_value: bigint }>(
        'select seq_name, last_value from londiste.get_seq_list($1)',
        [queue],
      );
      return {
        name: info.node_name,
        watermark: subscribed.global_watermark,
        members: await members(remote, queue),
        tables: tables.rows,
        sequences: sequences.rows,
      };
    }),
  );
  await transaction(client, async () => {
    for (const member of [...provider.members, { node_name: name, node_location: location, dead: false }]) {
      await call(client, 'pgq_node.register_location($1, $2, $3, $4)', [
        queue,
        member.node_name,
        member.node_location,
        member.dead,
      ]);
    }
    await call(client, 'pgq_node.create_node($1, $2, $3, $4, $5, $6, $7)', [
      queue,
      type,
      name,
      worker,
      provider.name,
      provider.watermark,
      node.combined ?? null,
    ]);
    if (node.syncWatermark !== undefined) {
      await call(client, 'pgq_node.set_node_attrs($1, $2)', [
        queue,
        encodeUrlencoded({ sync_watermark: node.syncWatermark.join(',') }),
      ]);
    }
    for (const { table_name } of provider.tables)
      await call(client, 'londiste.global_add_table($1, $2)', [queue, table_name]);
    for (const { seq_name, last_value } of provider.sequences)
      await call(client, 'londiste.global_update_seq($1, $2, $3)', [queue, seq_name, last_value]);
  });
}

export async function members(client: pg.Client, queue: string): Promise<Member[]> {
  const { rows } = await client.query<Member>(
    'select * from pgq_node.get_queue_locations($1) order by node_name',
    [queue],
  );
  return rows;
}

/** Walks from a node upward to the root and runs `body` there. */
export async function atRoot<T>(
  scope: NodeScope,
  queue: string,
  location: string,
  body: (client: pg.Client) => Promise<T>,
  distance = 0,
): Promise<T> {
  // More levels than any cascade has: two nodes that name each other as provider.
  if (distance > 100) {
    throw new SkytoolsError('LONDISTE_NO_ROOT', `no root above the nodes of ${queue}`, {
      subject: { queue },
      hint: 'the providers form a circle: correct one with pgq_node.change_consumer_provider',
    });
  }
  const found = await atLocation(scope, location, async (client) => {
    const state = await nodeState(client, queue);
    if (state.node_type === 'root') return { result: await body(client) };
    return { above: state.provider_location };
  });
  return 'result' in found ? found.result : atRoot(scope, queue, found.above, body, distance + 1);
}

/** The public location must lead to this very database: the same name and oid in a server that started at the same microsecond. */
async function checkLocation(scope: NodeScope, client: pg.Client, location: string): Promise<void> {
  const identity = `select (select oid from pg_catalog.pg_database where datname = current_database())::text
    || ' ' || current_database() || ' ' || pg_postmaster_start_time()::text as id`;
  const here = await client.query<{ id: string }>(identity);
  const there = await atLocation(scope, location, (remote) => remote.query<{ id: string }>(identity));
  if (here.rows[0]!.id === there.rows[0]!.id) return;
  throw new SkytoolsError(
    'LONDISTE_LOCATION_WRONG',
    'the location given for the node leads to another database',
    {
      hint: 'give the name of this database in the configuration, or a connect string that reaches it from every node',
    },
  );
}

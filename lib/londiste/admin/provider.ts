import type pg from 'pg';
import { UsageError } from '../../platform/errors.ts';
import { call } from '../errors.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { holdsRows, subscriptions } from '../tables.ts';

/** Where a table's rows can be had. */
export interface RowSource {
  node: string;
  location: string;
  /** The real table there. */
  dest: string;
  state: string | null;
}

/** More levels than any cascade has: two nodes that name each other as provider. */
const MOST_LEVELS = 100;

/**
 * Finds the node that a table's rows are to be had from.
 *
 * @param copyNode a member of the cascade; `?`: the nearest node above that has them; undefined: the provider
 * @returns undefined where that node has no rows of the table
 * @throws UsageError LONDISTE_NODE_UNKNOWN
 */
export async function rowsAbove(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  state: NodeState,
  table: string,
  copyNode: string | undefined,
): Promise<RowSource | undefined> {
  let location =
    copyNode === undefined || copyNode === '?'
      ? state.provider_location
      : await locationOf(client, queue, state.node_name, copyNode);
  for (let level = 0; level < MOST_LEVELS; level++) {
    const found = await atLocation(scope, location, (remote) => rowsAt(remote, location, queue, table));
    if (found.source !== undefined || copyNode !== '?' || found.above === undefined) return found.source;
    location = found.above;
  }
  return undefined;
}

async function rowsAt(
  client: pg.Client,
  location: string,
  queue: string,
  table: string,
): Promise<{ source: RowSource | undefined; above: string | undefined }> {
  const state = await nodeState(client, queue);
  const [there] = await subscriptions(client, queue, table);
  return {
    source:
      there !== undefined && holdsRows(there)
        ? { node: state.node_name, location, dest: there.dest, state: there.state }
        : undefined,
    above: state.node_type === 'root' ? undefined : state.provider_location,
  };
}

async function locationOf(client: pg.Client, queue: string, own: string, node: string): Promise<string> {
  const refuse = (message: string) =>
    new UsageError('LONDISTE_NODE_UNKNOWN', message, {
      subject: { queue, node },
      hint: 'skytools londiste members lists the nodes',
    });
  if (node === own) throw refuse(`${node} cannot copy from itself`);
  const { rows } = await client.query<{ location: string }>(
    'select node_location as location from pgq_node.node_location where queue_name = $1 and node_name = $2',
    [queue, node],
  );
  if (rows[0] === undefined) throw refuse(`cannot find node ${node}`);
  return rows[0].location;
}

/** Brings the list of the set's tables up to the provider's: its changes are yet to arrive as events. */
export async function syncList(client: pg.Client, provider: pg.Client, queue: string): Promise<void> {
  const namesOf = async (from: pg.Client) => {
    const { rows } = await from.query<{ table_name: string }>(
      'select table_name from londiste.get_table_list($1)',
      [queue],
    );
    return new Set(rows.map(({ table_name }) => table_name));
  };
  const [above, here] = [await namesOf(provider), await namesOf(client)];
  for (const name of above)
    if (!here.has(name)) await call(client, 'londiste.global_add_table($1, $2)', [queue, name]);
  for (const name of here)
    if (!above.has(name)) await call(client, 'londiste.global_remove_table($1, $2)', [queue, name]);
}

/** As {@link syncList}, of the sequences and the values last published. */
export async function syncSequences(client: pg.Client, provider: pg.Client, queue: string): Promise<void> {
  const listOf = async (from: pg.Client) => {
    const { rows } = await from.query<{ seq_name: string; last_value: bigint }>(
      'select seq_name, last_value from londiste.get_seq_list($1)',
      [queue],
    );
    return new Map(rows.map(({ seq_name, last_value }) => [seq_name, last_value]));
  };
  const [above, here] = [await listOf(provider), await listOf(client)];
  for (const [name, value] of above)
    if (!here.has(name)) await call(client, 'londiste.global_update_seq($1, $2, $3)', [queue, name, value]);
  for (const name of here.keys())
    if (!above.has(name)) await call(client, 'londiste.global_remove_seq($1, $2)', [queue, name]);
}

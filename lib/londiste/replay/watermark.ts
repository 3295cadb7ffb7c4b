import type pg from 'pg';
import { decodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { errorMessage, SkytoolsError } from '../../platform/errors.ts';
import { logWarning } from '../../platform/logger.ts';
import { type Answer, call } from '../errors.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import type { SourceBatch } from '../source-batch.ts';

/** The root's event that says from which tick on somebody in the cascade needs the events. */
export const GLOBAL_WATERMARK = 'pgq.global-watermark';

/**
 * The nodes for which a branch keeps its events, by its attribute `sync_watermark`: none of them must lack what another one may
 * still need to take its place. Undefined where the branch follows the root's watermark.
 */
export async function synchronised(target: pg.Client, state: NodeState): Promise<string[] | undefined> {
  if (state.node_type !== 'branch') return undefined;
  const { rows } = await target.query<{ attributes: string | null }>(
    'select node_attrs as attributes from pgq_node.node_info where queue_name = $1',
    [state.queue],
  );
  const list = decodeUrlencoded(rows[0]?.attributes ?? '').sync_watermark;
  return list == null ? undefined : list.split(',').filter((node) => node !== '');
}

/**
 * Tells the provider which events the node and everything below it still need. A synchronised branch needs whatever it has not
 * read, and moves its own global watermark here, because it does not take over the root's.
 */
export async function tellWatermark(
  scope: NodeScope,
  provider: pg.Client,
  target: pg.Client,
  batch: SourceBatch,
  state: NodeState,
): Promise<void> {
  const { queue, node_name: node } = state;
  const nodes = await synchronised(target, state);
  const { local_watermark: lowest, global_watermark: held } = await nodeState(target, queue);
  await provider.query('select pgq_node.set_subscriber_watermark($1, $2, $3)', [
    queue,
    node,
    nodes === undefined ? lowest : batch.prev_tick_id,
  ]);
  if (nodes === undefined) return;
  try {
    let common = lowest!;
    const others = await neededBy(scope, target, state, nodes);
    for (const tick of [await watermark(provider, queue, 'global_watermark'), ...others])
      if (tick < common) common = tick;
    if (common > held!) await call(target, 'pgq_node.set_global_watermark($1, $2)', [queue, common]);
  } catch (error) {
    // Events are kept too long rather than not long enough.
    logWarning(
      'the watermark stays where it is',
      new SkytoolsError(
        'LONDISTE_WATERMARK_HELD',
        `not all of the synchronised nodes could be asked: ${errorMessage(error)}`,
        {
          subject: { queue, node },
          hint: 'events are kept meanwhile; bring the node back, or mark it dead if it is gone for good',
        },
      ),
    );
  }
}

/** The local watermarks of the other nodes of the list that are alive. */
async function neededBy(
  scope: NodeScope,
  target: pg.Client,
  { queue, node_name: node }: NodeState,
  nodes: readonly string[],
): Promise<bigint[]> {
  const { rows } = await target.query<{ location: string }>(
    `select node_location as location from pgq_node.get_queue_locations($1)
      where node_name = any ($2) and node_name <> $3 and not dead`,
    [queue, nodes, node],
  );
  return Promise.all(
    rows.map(({ location }) =>
      atLocation(scope, location, (client) => watermark(client, queue, 'local_watermark')),
    ),
  );
}

async function watermark(
  client: pg.Client,
  queue: string,
  which: 'global_watermark' | 'local_watermark',
): Promise<bigint> {
  const info = await call<Answer & Record<typeof which, bigint>>(client, 'pgq_node.get_node_info($1)', [
    queue,
  ]);
  return info[which];
}

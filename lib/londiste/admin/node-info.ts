import type pg from 'pg';
import { type NodeState, nodeState } from '../node-state.ts';
import { members } from './create-node.ts';

/** A node as its own database describes it. */
export interface NodeInfo {
  node: string;
  type: NodeState['node_type'];
  queue: string;
  /** `OK`, or what keeps it from working: `DEAD`, `PAUSED`, `NON-UP-TO-DATE`. */
  status: string;
  worker: string;
  completedTick: bigint;
  location: string | null;
  provider: string | null;
  providerLocation: string | null;
  subscribers: string[];
  globalWatermark: bigint | null;
  localWatermark: bigint | null;
  combinedQueue: string | null;
  combinedType: string | null;
  /** Urlencoded, as `pgq_node.node_info.node_attrs`. */
  attributes: string | null;
  error: string | null;
}

/** @throws SkytoolsError LONDISTE_NODE_MISSING */
export async function nodeInfo(client: pg.Client, queue: string): Promise<NodeInfo> {
  const state = await nodeState(client, queue);
  const own = (await members(client, queue)).find(({ node_name }) => node_name === state.node_name);
  const { rows } = await client.query<{ attributes: string | null; subscribers: string[] }>(
    `select i.node_attrs as attributes,
            array(select s.node_name from pgq_node.get_subscriber_info($1) s order by 1) as subscribers
       from pgq_node.get_node_info($1) i`,
    [queue],
  );
  const isRoot = state.node_type === 'root';
  const flags = [
    ...(own?.dead ? ['DEAD'] : []),
    ...(state.paused ? ['PAUSED'] : []),
    ...(state.uptodate || isRoot ? [] : ['NON-UP-TO-DATE']),
  ];
  return {
    node: state.node_name,
    type: state.node_type,
    queue,
    status: flags.join(', ') || 'OK',
    worker: state.worker_name,
    completedTick: isRoot ? state.local_queue_top! : state.completed_tick,
    location: own?.node_location ?? null,
    provider: isRoot ? null : state.provider_node,
    providerLocation: isRoot ? null : state.provider_location,
    subscribers: rows[0]!.subscribers,
    globalWatermark: state.global_watermark,
    localWatermark: state.local_watermark,
    combinedQueue: state.combined_queue,
    combinedType: state.combined_type,
    attributes: rows[0]!.attributes,
    error: state.cur_error,
  };
}

import { BusyError, SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState } from '../postgres/errors.ts';
import { type Answer, orNotInstalled } from './errors.ts';

/** A node as its own database knows it. */
export interface NodeState extends Answer {
  queue: string;
  node_type: 'root' | 'branch' | 'leaf';
  node_name: string;
  completed_tick: bigint;
  provider_node: string;
  provider_location: string;
  paused: boolean;
  uptodate: boolean;
  cur_error: string | null;
  worker_name: string;
  global_watermark: bigint | null;
  local_watermark: bigint | null;
  local_queue_top: bigint | null;
  combined_queue: string | null;
  combined_type: string | null;
}

/** @throws SkytoolsError LONDISTE_NODE_MISSING, LONDISTE_NOT_INSTALLED */
export async function nodeState(client: Client, queue: string): Promise<NodeState> {
  const { rows } = await client
    .query<NodeState>('select * from pgq_node.get_worker_state($1)', [queue])
    .catch(orNotInstalled);
  const state = rows[0]!;
  if (state.ret_code >= 400) {
    throw new SkytoolsError('LONDISTE_NODE_MISSING', `${state.ret_note}`, {
      subject: { queue },
      hint: 'create the node: skytools londiste create-root, create-branch or create-leaf',
    });
  }
  return { ...state, queue };
}

/** What the fence shows of a consumer of the cascade. */
export interface Held {
  completed: bigint;
  provider: string;
  paused: boolean;
}

/**
 * Law 7: locks the position of a cascaded consumer for the transaction and reads it. Whoever comes second ends quietly.
 *
 * @param wait for who holds it now, as long as the transaction's lock time-out allows
 * @throws BusyError where another transaction holds it; SkytoolsError LONDISTE_NODE_MISSING
 */
export async function hold(client: Client, queue: string, consumer: string, wait = false): Promise<Held> {
  try {
    const { rows } = await client.query<Held>(
      `select last_tick_id as completed, provider_node as provider, paused
         from pgq_node.local_state where queue_name = $1 and consumer_name = $2 for update ${wait ? '' : 'nowait'}`,
      [queue, consumer],
    );
    if (rows[0]) return rows[0];
  } catch (error) {
    if (hasSqlState(error, '55P03'))
      throw new BusyError(`consumer ${consumer} of ${queue}`, { subject: { queue, consumer } });
    throw error;
  }
  throw new SkytoolsError('LONDISTE_NODE_MISSING', `${consumer} is not registered at its node of ${queue}`, {
    subject: { queue, consumer },
    hint: 'the node was dropped, or the copy ended, meanwhile: nothing is left to do',
  });
}

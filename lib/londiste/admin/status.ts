import type pg from 'pg';
import { errorMessage } from '../../platform/errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { members } from './create-node.ts';
import { type TableStatus, tableStatus } from './tables.ts';

/** A node as its own database describes it. */
export interface NodeStatus {
  node: string;
  type: string;
  provider: string | null;
  /** Tick that it has completed; the newest one of a root. */
  tick: bigint | null;
  /** Seconds between that tick and the root's clock. */
  lagSeconds: number | null;
  paused: boolean;
  uptodate: boolean;
  error: string | null;
  tables: { ok: number; half: number };
  /** Subscribed tables that lose changes or lack rows. */
  troubled: TableStatus[];
  /** Why it could not be asked. */
  unreachable?: string;
}

/** Every member of the cascade, asked at its location. */
export async function cascadeStatus(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
): Promise<NodeStatus[]> {
  const all = await members(client, queue);
  const states = await Promise.all(
    all.map(async (member) => {
      try {
        if (member.dead) throw new Error('marked as dead');
        return await atLocation(scope, member.node_location, (remote) => oneNode(remote, queue));
      } catch (error) {
        return { ...UNREACHABLE, node: member.node_name, unreachable: errorMessage(error) };
      }
    }),
  );
  const root = all.find((member) =>
    states.some((state) => state.node === member.node_name && state.type === 'root'),
  );
  if (root === undefined) return states;
  const times = await atLocation(scope, root.node_location, async (remote) => {
    const { rows } = await remote.query<{ tick: bigint; lag: number }>(
      `select t.tick_id as tick, extract(epoch from clock_timestamp() - t.tick_time)::float8 as lag
         from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
        where q.queue_name = $1 and t.tick_id = any ($2)`,
      [queue, states.map((state) => state.tick)],
    );
    return new Map(rows.map((row) => [row.tick, row.lag]));
  });
  return states.map((state) => ({
    ...state,
    lagSeconds: state.tick === null ? null : (times.get(state.tick) ?? null),
  }));
}

const UNREACHABLE: NodeStatus = {
  node: '',
  type: 'unreachable',
  provider: null,
  tick: null,
  lagSeconds: null,
  paused: false,
  uptodate: false,
  error: null,
  tables: { ok: 0, half: 0 },
  troubled: [],
};

async function oneNode(client: pg.Client, queue: string): Promise<NodeStatus> {
  const state = await nodeState(client, queue);
  const tables = await tableStatus(client, queue);
  const ok = tables.filter((table) => table.state === 'ok').length;
  return {
    node: state.node_name,
    type: state.node_type,
    provider: state.node_type === 'root' ? null : state.provider_node,
    tick: state.node_type === 'root' ? state.local_queue_top : state.completed_tick,
    lagSeconds: null,
    paused: state.paused,
    uptodate: state.uptodate || state.node_type === 'root',
    error: state.cur_error,
    tables: { ok, half: tables.length - ok },
    troubled: tables.filter((table) => table.fault !== null || table.missingRows > 0n),
  };
}

/** The cascade as a tree, one line for a node and one for each trouble. */
export function drawTree(states: readonly NodeStatus[], seconds: (value: number | null) => string): string {
  const lines: string[] = [];
  const drawn = new Set<string>();
  const draw = (state: NodeStatus, indent: string, first: string) => {
    drawn.add(state.node);
    lines.push(`${first}${state.node} (${state.type})`);
    if (state.unreachable !== undefined) lines.push(`${indent}  not reached: ${state.unreachable}`);
    else {
      const flags = [state.paused ? 'PAUSED' : '', state.uptodate ? '' : 'NOT UPTODATE'].filter(Boolean);
      lines.push(`${indent}  Tables: ${state.tables.ok} ok, ${state.tables.half} not yet`);
      lines.push(
        `${indent}  Lag: ${seconds(state.lagSeconds) || 'unknown'}, Tick: ${[state.tick, ...flags].join(', ')}`,
      );
      if (state.error) lines.push(`${indent}  ERR: ${state.error.split('\n')[0]}`);
      for (const table of state.troubled) {
        const missing = table.missingRows > 0n ? [`${table.missingRows} changes found no row`] : [];
        lines.push(
          `${indent}  ${table.table}: ${[...(table.fault ? [table.fault] : []), ...missing].join(', ')}`,
        );
      }
    }
    const children = states.filter((child) => child.provider === state.node && !drawn.has(child.node));
    for (const child of children) draw(child, `${indent}    `, `${indent}  +-`);
  };
  const tops = states.filter((state) => !states.some((other) => other.node === state.provider));
  for (const state of tops) if (!drawn.has(state.node)) draw(state, '', '');
  return `${lines.join('\n')}\n`;
}

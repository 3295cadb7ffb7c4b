import type pg from 'pg';
import { decodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { errorMessage } from '../../platform/errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { members } from './create-node.ts';
import { type TableStatus, tableStatus } from './tables.ts';

/** A node as its own database describes it. */
export interface NodeStatus {
  node: string;
  /** Of the database that was asked for the status. */
  here: boolean;
  type: string;
  provider: string | null;
  /** Tick that it has completed; the newest one of a root. Of one that cannot be reached, as its provider has it. */
  tick: bigint | null;
  /** Seconds between that tick and the root's clock. */
  lagSeconds: number | null;
  paused: boolean;
  uptodate: boolean;
  error: string | null;
  /** `half`: subscribed and not in sync yet; `ignored`: in the set and not subscribed. */
  tables: { ok: number; half: number; ignored: number };
  /** Tables that are being copied. */
  copying: TableStatus[];
  /** As `pgq_node.node_info.node_attrs`, decoded. */
  attributes: Readonly<Record<string, string | null>>;
  /** Subscribed tables that lose changes, lack rows or are held back. */
  troubled: TableStatus[];
  /** Why it could not be asked. */
  unreachable?: string;
}

/** Every member of the cascade, asked at its location; of one that cannot be reached, what its provider knows. */
export async function cascadeStatus(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
): Promise<NodeStatus[]> {
  const own = (await nodeState(client, queue)).node_name;
  const all = await members(client, queue);
  const answers = await Promise.all(
    all.map(async (member) => {
      try {
        if (member.dead) throw new Error('marked as dead');
        const here = member.node_name === own;
        const answer = here
          ? await oneNode(client, queue)
          : await atLocation(scope, member.node_location, (remote) => oneNode(remote, queue));
        return { ...answer, state: { ...answer.state, here } };
      } catch (error) {
        const state = { ...UNREACHABLE, node: member.node_name, unreachable: errorMessage(error) };
        return { state, subscribers: [] };
      }
    }),
  );
  const states = answers.map(({ state }) => {
    if (state.unreachable === undefined) return state;
    const [known] = answers.flatMap(({ state: { node: provider }, subscribers }) =>
      subscribers.filter(({ node }) => node === state.node).map(({ tick }) => ({ provider, tick })),
    );
    return { ...state, ...known };
  });
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
  here: false,
  type: 'dead',
  provider: null,
  tick: null,
  lagSeconds: null,
  paused: false,
  uptodate: false,
  error: null,
  tables: { ok: 0, half: 0, ignored: 0 },
  copying: [],
  attributes: {},
  troubled: [],
};

/** What a node says of itself, and of those that read from it. */
interface NodeAnswer {
  state: NodeStatus;
  subscribers: { node: string; tick: bigint | null }[];
}

async function oneNode(client: pg.Client, queue: string): Promise<NodeAnswer> {
  const state = await nodeState(client, queue);
  const tables = await tableStatus(client, queue);
  const ok = tables.filter((table) => table.state === 'ok').length;
  const { rows } = await client.query<{ ignored: number; attributes: string | null }>(
    `select (select count(*)::int4 from londiste.table_info t where t.queue_name = $1 and not t.local) as ignored,
            (select i.node_attrs from pgq_node.get_node_info($1) i) as attributes`,
    [queue],
  );
  const subscribers = await client.query<NodeAnswer['subscribers'][number]>(
    `select s.node_name as node, c.last_tick as tick
       from pgq_node.get_subscriber_info($1) s
       left join pgq.get_consumer_info($1) c on c.consumer_name = s.worker_name`,
    [queue],
  );
  const status: NodeStatus = {
    node: state.node_name,
    here: false,
    type: state.node_type,
    provider: state.node_type === 'root' ? null : state.provider_node,
    tick: state.node_type === 'root' ? state.local_queue_top : state.completed_tick,
    lagSeconds: null,
    paused: state.paused,
    uptodate: state.uptodate || state.node_type === 'root',
    error: state.cur_error,
    tables: { ok, half: tables.length - ok, ignored: rows[0]!.ignored },
    copying: tables.filter((table) => table.state !== 'ok' && !table.held && table.chunks !== null),
    attributes: decodeUrlencoded(rows[0]!.attributes ?? ''),
    troubled: tables.filter((table) => table.fault !== null || table.missingRows > 0n),
  };
  return { state: status, subscribers: subscribers.rows };
}

/** How a cascade is drawn. */
export interface Drawing {
  /** A span of time as text; `''` for null. */
  seconds: (value: number | null) => string;
  /** Marks what should be seen first: the lag of a node that is more than a minute behind. */
  alarm: (text: string) => string;
  /** One line for a node. */
  compact?: boolean | undefined;
}

/** Lag that is marked, in seconds. */
const LONG_LAG_SECONDS = 60;

/**
 * The cascade as a tree, below each node its state and its troubles. Of the nodes that read from one, those with the least below
 * them come first: by levels, then by number, then by name.
 */
export function drawTree(states: readonly NodeStatus[], drawing: Drawing): string {
  const lines: string[] = [];
  const drawn = new Set<string>();
  const below = new Map(states.map((state) => [state.node, extentBelow(states, state.node)]));
  const draw = (state: NodeStatus, indent: string, first: string) => {
    drawn.add(state.node);
    const details = detailsOf(state, drawing);
    lines.push(`${first}${state.node} (${state.type})${drawing.compact ? `  ${details.join('; ')}` : ''}`);
    if (!drawing.compact) lines.push(...details.map((line) => `${indent}  ${line}`));
    const children = states
      .filter((child) => child.provider === state.node && !drawn.has(child.node))
      .sort((one, other) => {
        const [a, b] = [below.get(one.node)!, below.get(other.node)!];
        return a.levels - b.levels || a.nodes - b.nodes || (one.node < other.node ? -1 : 1);
      });
    for (const child of children) draw(child, `${indent}    `, `${indent}  +-`);
  };
  const tops = states.filter((state) => !states.some((other) => other.node === state.provider));
  for (const state of tops.sort((one, other) => Number(isRoot(other)) - Number(isRoot(one))))
    draw(state, '', '');
  // Nodes that name each other as provider have nobody above them, and must not be hidden for that.
  for (const state of states) if (!drawn.has(state.node)) draw(state, '', '');
  return `${lines.join('\n')}\n`;
}

const isRoot = ({ type }: NodeStatus): boolean => type === 'root';

/** How many levels and nodes there are below a node. */
function extentBelow(
  states: readonly NodeStatus[],
  node: string,
  seen: ReadonlySet<string> = new Set([node]),
): { levels: number; nodes: number } {
  const children = states.filter((state) => state.provider === node && !seen.has(state.node));
  const extents = children.map((child) => extentBelow(states, child.node, new Set([...seen, child.node])));
  return {
    levels: Math.max(0, ...extents.map(({ levels }) => levels + 1)),
    nodes: extents.reduce((sum, { nodes }) => sum + nodes + 1, 0),
  };
}

function detailsOf(state: NodeStatus, { seconds, alarm }: Drawing): string[] {
  const lag = seconds(state.lagSeconds) || 'unknown';
  const marked = (state.lagSeconds ?? 0) > LONG_LAG_SECONDS ? alarm(lag) : lag;
  if (state.unreachable !== undefined) {
    const last = state.tick === null ? [] : [`Lag: ${marked}, Tick: ${state.tick}, as its provider has it`];
    return [`Node '${state.node}' failure: ${state.unreachable}`, ...last];
  }
  const { ok, half, ignored } = state.tables;
  const flags = [...(state.paused ? ['PAUSED'] : []), ...(state.uptodate ? [] : ['NOT UPTODATE'])];
  const attributes = Object.entries(state.attributes).map(([name, value]) => `${name}=${value}`);
  return [
    `Tables: ${ok} ok, ${half} not yet, ${ignored} ignored`,
    `Lag: ${marked}, Tick: ${[state.tick, ...flags].join(', ')}`,
    ...(attributes.length > 0 ? [`Attr: ${attributes.join(', ')}`] : []),
    ...(state.error ? [`ERR: ${state.error.split('\n')[0]}`] : []),
    ...firstOf(state.copying, ({ table, state: step, percent, chunks, chunksDone, secondsLeft }) => {
      const left = secondsLeft === null ? [] : [`about ${seconds(secondsLeft)} left`];
      return `${table}: ${[step, `${percent ?? 0}%`, `${chunksDone} of ${chunks} chunks`, ...left].join(', ')}`;
    }),
    ...firstOf(state.troubled, ({ table, fault, missingRows, held }) => {
      const missing = missingRows > 0n ? [`${missingRows} changes found no row`] : [];
      return `${table}: ${[...(held ? ['held back'] : []), ...(fault ? [fault] : []), ...missing].join(', ')}`;
    }),
  ];
}

/** Lines for tables of one kind below a node: of hundreds, those that fit on a screen. */
const MOST_TABLES = 10;

function firstOf(tables: readonly TableStatus[], line: (table: TableStatus) => string): string[] {
  const more = tables.length - MOST_TABLES;
  return [
    ...tables.slice(0, MOST_TABLES).map(line),
    ...(more > 0 ? [`and ${more} more: skytools londiste tables`] : []),
  ];
}

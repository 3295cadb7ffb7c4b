import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { makeRootTick } from '../root-tick.ts';
import { atRoot } from './create-node.ts';
import { tableStatus } from './tables.ts';

/** How a command waits for what others bring about. */
export interface Patience {
  pause(): Promise<void>;
  /** Whether there is time for another look. */
  allows(): boolean;
}

/** Tables of a node on their way to `ok`. */
export interface SyncProgress {
  tables: number;
  inSync: number;
  /** Those that have become `ok` since the last look. */
  finished: string[];
  /** Share of the work that is done, 0 to 1: a table counts as much as any other. */
  share: number;
}

/**
 * Waits until every subscribed table is `ok`.
 *
 * @param heard called at each look
 * @returns how many tables there are
 * @throws SkytoolsError LONDISTE_WAIT_TIMEOUT
 */
export async function waitSync(
  client: pg.Client,
  queue: string,
  { pause, allows }: Patience,
  heard: (progress: SyncProgress) => void = () => {},
): Promise<number> {
  await nodeState(client, queue);
  let before: Set<string> | undefined;
  for (;;) {
    const tables = await tableStatus(client, queue);
    const waiting = tables.filter(({ state }) => state !== 'ok').map(({ table }) => table);
    const finished = [...(before ?? [])].filter((table) => !waiting.includes(table));
    const done = tables.reduce((sum, { state, percent }) => sum + (state === 'ok' ? 100 : (percent ?? 0)), 0);
    heard({
      tables: tables.length,
      inSync: tables.length - waiting.length,
      finished,
      share: done / (100 * Math.max(1, tables.length)),
    });
    if (waiting.length === 0) return tables.length;
    before = new Set(waiting);
    if (!allows()) {
      throw new SkytoolsError('LONDISTE_WAIT_TIMEOUT', `${waiting.length} tables are not in sync yet`, {
        subject: { queue, table: waiting[0]! },
        hint: 'see `skytools londiste tables` and `skytools londiste status`; the functions sweep, tick and copy must be running',
      });
    }
    await pause();
  }
}

/** How far a node is on its way to another's position. */
export interface TickProgress {
  from: bigint;
  at: bigint;
  to: bigint;
}

/**
 * Waits until everything is applied here that was committed at the root, or had reached the provider, when the call was made.
 *
 * @returns the tick reached; undefined on the root, which has nothing to wait for
 * @throws SkytoolsError LONDISTE_WAIT_TIMEOUT
 */
export async function waitFor(
  which: 'root' | 'provider',
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  { pause, allows }: Patience,
  heard: (progress: TickProgress) => void = () => {},
): Promise<bigint | undefined> {
  const start = await nodeState(client, queue);
  if (start.node_type === 'root') return undefined;
  const positionOf = async (remote: pg.Client) => {
    const state = await nodeState(remote, queue);
    if (state.node_type !== 'root') return state.completed_tick;
    // What is committed by now comes with the next tick, which is not to be waited for longer than need be.
    const tick = await makeRootTick(remote, queue).catch(() => undefined);
    return tick ?? state.local_queue_top! + 1n;
  };
  const to =
    which === 'root'
      ? await atRoot(scope, queue, start.provider_location, positionOf)
      : await atLocation(scope, start.provider_location, positionOf);
  for (;;) {
    const { completed_tick: at, paused } = await nodeState(client, queue);
    heard({ from: start.completed_tick, at, to });
    if (at >= to) return at;
    if (!allows()) {
      throw new SkytoolsError('LONDISTE_WAIT_TIMEOUT', `this node is at tick ${at}, not at ${to} yet`, {
        subject: { queue, node: start.node_name },
        hint: paused
          ? 'it is paused: skytools londiste resume'
          : 'see `skytools londiste status`; the functions sweep, tick and replay must be running',
      });
    }
    await pause();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { makeRootTick } from '../root-tick.ts';

/*
 * The same logical point of two nodes, without a lock on any table and without stopping a producer.
 *
 * A tick is a snapshot of the root: whoever has completed tick T has applied exactly the transactions that T's snapshot sees. So
 * the source is read under the snapshot of a tick, and the subscriber under a snapshot in which its position, which commits with the
 * rows, is that tick.
 *
 * On a root, a REPEATABLE READ transaction makes the tick, which gives the tick that transaction's own snapshot; the snapshot is
 * exported and imported by the transaction that reads. On a branch the position commits with the rows, too: the snapshot is
 * taken as it comes, and its position names the tick.
 *
 * The subscriber must stand still at T until its snapshot is taken: while the source's row in pgq.queue is locked nobody makes
 * another tick there, so there is no batch after T. Events are written all the while; they wait for the next tick. The lock is
 * held for as long as the subscriber takes to come to T. A tick that slips in between is seen, and all begins again.
 */

export interface SamePoint {
  queue: string;
  /** The node that the rows are compared with. */
  source: { location: string; worker: string; isRoot: boolean };
  /** The subscriber's worker. */
  worker: string;
  /** How long the ticks may be held for the subscriber to come. */
  holdMs: number;
}

/** Two transactions at one logical point. */
export interface Point {
  source: pg.Client;
  target: pg.Client;
  tick: bigint;
}

/** Ticks of others that slip in between are rare: each try has a good chance. */
const TRIES = 10;
const TRY_AGAIN_MS = 100;
/** Between two looks at the subscriber's position, in milliseconds. */
const LOOK_EVERY_MS = 50;

/** The server lets the ticks go where this process is frozen. */
const HOLDER = `begin; select set_config('idle_in_transaction_session_timeout', '60000', true), set_config('lock_timeout', '10000', true)`;
const READER = 'begin isolation level repeatable read, read only';

/** Another tick came between: begin again. */
class Overtaken extends Error {}

/**
 * Runs `body` with two read-only transactions that see the source and the subscriber at the same logical point. Nothing is held
 * while it runs but the snapshots.
 *
 * @param target of the subscriber; in no transaction
 * @throws SkytoolsError LONDISTE_COMPARE_LAGGING, LONDISTE_COMPARE_SOURCE
 */
export async function atSamePoint<T>(
  scope: NodeScope,
  target: pg.Client,
  job: SamePoint,
  body: (point: Point) => Promise<T>,
): Promise<T> {
  const { location } = job.source;
  return atLocation(scope, location, (source) =>
    atLocation(scope, location, (holder) =>
      atLocation(scope, location, async (maker) => {
        await requireTicks(maker, job);
        try {
          const tick = await meet(job, { source, target, holder, maker });
          return await body({ source, target, tick });
        } finally {
          await end(source, target, holder, maker);
        }
      }),
    ),
  );
}

interface Connections {
  source: pg.Client;
  target: pg.Client;
  holder: pg.Client;
  maker: pg.Client;
}

const end = (...clients: pg.Client[]) =>
  Promise.all(clients.map((client) => client.query('rollback').catch(() => {})));

/** Opens both transactions at one point; the ticks flow again when it returns. */
async function meet(job: SamePoint, connections: Connections): Promise<bigint> {
  const { source, target, holder, maker } = connections;
  for (let attempt = 1; ; attempt++) {
    try {
      const tick = job.source.isRoot
        ? await makeTick(job.queue, source, holder, maker)
        : await branchTick(job, source, holder);
      await reach(job, target, tick);
      await holder.query('rollback');
      return tick;
    } catch (error) {
      await end(source, target, holder, maker);
      const again = error instanceof Overtaken || hasSqlState(error, '40001');
      if (!again || attempt === TRIES) throw error;
      await sleep(TRY_AGAIN_MS);
    }
  }
}

/** A tick whose snapshot `source` has; `holder` keeps the next one away. */
async function makeTick(
  queue: string,
  source: pg.Client,
  holder: pg.Client,
  maker: pg.Client,
): Promise<bigint> {
  await maker.query('begin isolation level repeatable read');
  const tick = await makeRootTick(maker, queue);
  if (tick === undefined) throw new Overtaken();
  const { rows } = await maker.query<{ snapshot: string }>('select pg_export_snapshot() as snapshot');
  // The server's own word: hexadecimal digits and dashes.
  await source.query(`${READER}; set transaction snapshot '${rows[0]!.snapshot}'`);
  await holder.query(HOLDER);
  const pid = (await holder.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
  const held = holdTicks(holder, queue);
  held.catch(() => {});
  // First in the row's line of waiters, so that it has the row next.
  for (let waits = false; !waits; ) {
    const blocked = await maker.query<{ waits: boolean }>(
      'select cardinality(pg_blocking_pids($1)) > 0 as waits',
      [pid],
    );
    waits = blocked.rows[0]!.waits;
  }
  await maker.query('commit');
  if ((await held) !== tick) throw new Overtaken();
  return tick;
}

/** The tick that the rows of a branch stand at, with the snapshot that `source` takes. */
async function branchTick(
  { queue, source: { worker } }: SamePoint,
  source: pg.Client,
  holder: pg.Client,
): Promise<bigint> {
  await holder.query(HOLDER);
  const newest = await holdTicks(holder, queue);
  await source.query(READER);
  const { rows } = await source.query<{ tick: bigint }>(
    'select last_tick_id as tick from pgq_node.local_state where queue_name = $1 and consumer_name = $2',
    [queue, worker],
  );
  // Its rows are ahead: the tick of the batch is still to be made.
  if (rows[0]?.tick !== newest) throw new Overtaken();
  return newest;
}

/** Locks the queue against ticks; returns the newest one. */
async function holdTicks(holder: pg.Client, queue: string): Promise<bigint> {
  const { rows } = await holder.query<{ id: number }>(
    'select queue_id as id from pgq.queue where queue_name = $1 for no key update',
    [queue],
  );
  const newest = await holder.query<{ tick: bigint }>(
    'select max(tick_id) as tick from pgq.tick where tick_queue = $1',
    [rows[0]!.id],
  );
  return newest.rows[0]!.tick;
}

/** Waits until the subscriber has completed the tick, all of it, and keeps the snapshot that shows so. */
async function reach({ queue, worker, holdMs }: SamePoint, target: pg.Client, tick: bigint): Promise<void> {
  const end = performance.now() + holdMs;
  for (;;) {
    await target.query(READER);
    const { rows } = await target.query<{ completed: bigint; partly: boolean; paused: boolean }>(
      `select s.last_tick_id as completed, s.paused,
              exists (select from londiste.replay_progress p
                       where p.queue_name = s.queue_name and p.consumer_name = s.consumer_name
                         and p.tick_id > s.last_tick_id) as partly
         from pgq_node.local_state s where s.queue_name = $1 and s.consumer_name = $2`,
      [queue, worker],
    );
    const { completed, partly, paused } = rows[0]!;
    if (completed === tick && !partly) return;
    if (completed > tick) throw new Overtaken();
    await target.query('rollback');
    if (performance.now() > end) {
      throw new SkytoolsError(
        'LONDISTE_COMPARE_LAGGING',
        `this node is at tick ${completed} and did not come to ${tick} within ${holdMs / 1000} s`,
        {
          subject: { queue, consumer: worker },
          hint: paused
            ? 'it is paused: skytools londiste resume'
            : 'the functions sweep, tick and replay must be running; --timeout gives them longer, while new ticks of the set wait',
        },
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** The original's ticker does not lock: a tick with an older snapshot than the one before it would repeat events. */
async function requireTicks(client: pg.Client, { queue, source }: SamePoint): Promise<void> {
  const { rows } = await client.query<{ ours: boolean }>(
    `select exists (select from pg_catalog.pg_proc
                     where pronamespace = to_regnamespace('pgq') and proname = '_insert_ticks') as ours`,
  );
  if (rows[0]!.ours || !source.isRoot) return;
  throw new SkytoolsError(
    'LONDISTE_COMPARE_SOURCE',
    'the root runs the SQL of the original, whose ticks cannot be compared at',
    {
      subject: { queue },
      hint: 'take it over with `skytools install`, or use the compare of the original',
    },
  );
}

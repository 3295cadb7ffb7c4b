import { setTimeout as sleep } from 'node:timers/promises';
import { SkytoolsError } from '../../platform/errors.ts';
import type { ReplicatedSet } from './replicated-set.ts';
import type { DemoTable } from './tables.ts';

/** Between two tables that join the set, in milliseconds; a short run takes less. */
const JOIN_EVERY_MS = 2_500;
/** Share of a run in which the tables join. */
const JOINING = 0.4;

/** Less than this and a run ends without the accident, in milliseconds: noticing, mending and copying again take some seconds. */
const ACCIDENT_MS = 8_000;

/** Between two looks at the set, in milliseconds. */
const LOOK_EVERY_MS = 200;

/** A trigger that is disabled is noticed by the next idle replay, or by the next sweep's. */
const NOTICED_MS = 120_000;

export interface StoryOptions {
  set: ReplicatedSet;
  /** In the order in which they join. */
  tables: readonly DemoTable[];
  /** How long rows change, in milliseconds; undefined: until the signal. */
  forMs: number | undefined;
  /** Aborted when the rows do not change any more: what is left is done without pauses. */
  hurry: AbortSignal;
  /** Ends the story at once. */
  failed: AbortSignal;
  /** Hears what was done. */
  tell(text: string): void;
}

/**
 * What the operator does while rows change: adds the tables to the set one by one, and, where the time allows it, has an accident
 * that loses changes, waits until it is noticed, and makes it good.
 */
export async function tellStory(options: StoryOptions): Promise<void> {
  const { set, tables, forMs, hurry, tell } = options;
  const start = performance.now();
  const pauseMs = Math.min(JOIN_EVERY_MS, ((forMs ?? Number.POSITIVE_INFINITY) * JOINING) / tables.length);
  for (const table of tables) {
    await set.add(table);
    tell(`${table.name} joined the set: its rows are copied while they change`);
    await sleep(pauseMs, undefined, { signal: hurry }).catch(() => {});
  }
  await until(options, async () => (await set.state()).tables.every(({ state }) => state === 'ok'));
  tell('all tables are in sync');
  const left = (forMs ?? Number.POSITIVE_INFINITY) - (performance.now() - start);
  if (hurry.aborted || left < ACCIDENT_MS) return;
  const { name } = tables.at(-1)!;
  await set.disableTrigger(name);
  tell(`accident: the trigger of ${name} is disabled, its changes are lost`);
  const end = performance.now() + NOTICED_MS;
  let fault: string | null = null;
  await until(options, async () => {
    fault = await set.fault(name);
    if (fault === null && performance.now() > end) {
      throw new SkytoolsError('LOCAL_DRIFT_UNNOTICED', `nobody noticed that ${name} loses changes`, {
        subject: { table: name },
        hint: '--keep DIR keeps the log of the functions',
      });
    }
    return fault !== null;
  });
  tell(`noticed: ${name}: ${fault}; triggers restored, table copied again`);
  await set.repair(name);
}

/** Looks again and again. */
async function until({ failed }: StoryOptions, reached: () => Promise<boolean>): Promise<void> {
  while (!(await reached())) {
    failed.throwIfAborted();
    await sleep(LOOK_EVERY_MS);
  }
}

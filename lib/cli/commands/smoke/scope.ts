import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { JobMessage } from '../../../jobs/messages.ts';
import { sqsSender } from '../../../jobs/sender.ts';
import type { NodeScope } from '../../../londiste/place.ts';
import type { Config } from '../../../platform/config.ts';
import { Deadline } from '../../../platform/deadline.ts';
import { SkytoolsError } from '../../../platform/errors.ts';
import type { CommandContext } from '../../context.ts';

/** Between two looks at what the functions are to do, in milliseconds. */
const LOOK_MS = 200;

/** A wake-up may be lost, or come before a tick is due: it is sent again after so many milliseconds. */
const WAKE_AGAIN_MS = 1_000;

/** What a check works with. */
export interface SmokeScope {
  config: Config;
  /** A connection to a configured database, one for the whole run. */
  database(name: string): Promise<pg.Client>;
  /** The way to the nodes of a set. */
  nodes: NodeScope;
  /** Says what was seen, as it is seen. */
  step(text: string): void;
  /** Sends wake-ups until `seen` gives something, and returns it. @throws SkytoolsError SMOKE_TIMEOUT */
  until<T>(what: string, wake: readonly JobMessage[], seen: () => Promise<T | undefined>): Promise<T>;
}

/** The scope of one run. @param timeoutSeconds how long each wait may take */
export async function smokeScope(context: CommandContext, timeoutSeconds: number): Promise<SmokeScope> {
  const config = await context.config();
  const clients = new Map<string, Promise<pg.Client>>();
  const database = (name: string): Promise<pg.Client> => {
    const client = clients.get(name) ?? context.configured(name).then((chosen) => context.connect(chosen));
    clients.set(name, client);
    return client;
  };
  return {
    config,
    database,
    nodes: {
      config,
      deadline: Deadline.whenAborted(context.signal),
      database: async (name, body) => body(await database(name)),
    },
    step: (text) => context.note(`  ${text}`),
    async until(what, wake, seen) {
      const started = performance.now();
      for (let woken = Number.NEGATIVE_INFINITY; ; ) {
        if (performance.now() - woken > WAKE_AGAIN_MS) {
          await sqsSender.send(wake.map((job) => ({ job })));
          woken = performance.now();
        }
        const found = await seen();
        if (found !== undefined) return found;
        if (performance.now() - started > timeoutSeconds * 1000) {
          throw new SkytoolsError('SMOKE_TIMEOUT', `${what}: not seen within ${timeoutSeconds} s`, {
            hint: 'look at the logs of the functions and at the dead-letter queues (docs/operating.md); --timeout waits longer',
          });
        }
        await sleep(LOOK_MS, undefined, { signal: context.signal });
      }
    },
  };
}

/** Seconds since `started` (performance.now()), for a step. */
export const seconds = (started: number): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;

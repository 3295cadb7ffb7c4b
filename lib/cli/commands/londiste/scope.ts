import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { NodeScope } from '../../../londiste/place.ts';
import type { Config } from '../../../platform/config.ts';
import { Deadline } from '../../../platform/deadline.ts';
import { UsageError } from '../../../platform/errors.ts';
import type { CommandContext } from '../../context.ts';

/** The chosen node's database, and the way to the others. */
export interface LondisteContext {
  client: pg.Client;
  scope: NodeScope;
  /** Name of the chosen database in the configuration, if it has one. */
  name: string | undefined;
}

const NO_CONFIG: Config = { databases: {}, consumers: {}, londiste: {}, walmgr: {} };

/** Without a configuration file every location is a connect string. */
async function configIfAny(context: CommandContext): Promise<Config> {
  try {
    return await context.config();
  } catch (error) {
    if (error instanceof UsageError && error.code === 'CONFIG_NOT_FOUND') return NO_CONFIG;
    throw error;
  }
}

/** Connects to the chosen database; others are connected to as they are needed. */
export async function londisteContext(context: CommandContext): Promise<LondisteContext> {
  const chosen = await context.target();
  const config = await configIfAny(context);
  const scope: NodeScope = {
    config,
    deadline: Deadline.whenAborted(context.signal),
    database: async (name, body) => body(await context.connect(await context.configured(name))),
  };
  return {
    client: await context.connect(chosen),
    scope,
    name: chosen.name in config.databases ? chosen.name : undefined,
  };
}

/** Between two looks at something that others bring about, in milliseconds. */
const PAUSE_MS = 500;

/** Pauses between looks, and whether there is time for another. */
export function patience(
  context: CommandContext,
  seconds: number,
): { pause: () => Promise<void>; allows: () => boolean } {
  const until = performance.now() + seconds * 1000;
  return {
    pause: () => sleep(PAUSE_MS, undefined, { signal: context.signal }),
    allows: () => performance.now() < until,
  };
}

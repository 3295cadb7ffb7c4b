import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type pg from 'pg';
import type { Patience } from '../../../londiste/admin/wait.ts';
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
  const idle = new Map<string, pg.Client[]>();
  const scope: NodeScope = {
    config,
    deadline: Deadline.whenAborted(context.signal),
    // Used again by the next call, closed with the command.
    async database(name, body) {
      const free = idle.get(name) ?? [];
      idle.set(name, free);
      const client = free.pop() ?? (await context.connect(await context.configured(name)));
      const result = await body(client);
      free.push(client);
      return result;
    },
  };
  return {
    client: await context.connect(chosen),
    scope,
    name: chosen.name in config.databases ? chosen.name : undefined,
  };
}

/** Between two looks at something that others bring about, in milliseconds. */
const PAUSE_MS = 500;

/** Longest wait of wait-sync, wait-root and wait-provider unless told, in seconds. */
export const WAIT_SECONDS = 86_400;

/** Pauses between looks, and whether there is time for another. */
export function patience(context: CommandContext, seconds: number): Patience {
  const until = performance.now() + seconds * 1000;
  return {
    pause: () => sleep(PAUSE_MS, undefined, { signal: context.signal }),
    allows: () => performance.now() < until,
  };
}

export const dryRunOption = (command: Command): Command =>
  command.option('--dry-run', 'say what would be done, and change nothing');

/** A connect string without the password that it may hold. */
export const withoutPassword = (location: string): string =>
  location.replace(/(password=)('[^']*'|\S+)|(:\/\/[^:/@]+:)[^@]+@/gi, (_, key, __, user) =>
    key ? `${key}***` : `${user}***@`,
  );

/** A bar on a terminal; nothing elsewhere. */
export async function countingBar(
  context: CommandContext,
  format: string,
): Promise<{ update: (done: number, total: number) => void; stop: () => void }> {
  if (!context.io.stderr.isTTY || context.options.quiet || context.json)
    return { update: () => {}, stop: () => {} };
  const { default: progress } = await import('cli-progress');
  const bar = new progress.SingleBar(
    { format, hideCursor: true, clearOnComplete: true, stream: context.io.stderr },
    progress.Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total) {
      if (started) bar.update(done);
      else bar.start(total, done);
      started = true;
    },
    stop: () => bar.stop(),
  };
}

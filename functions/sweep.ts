import type { ScheduledEvent } from 'aws-lambda';
import { hintsFromEnvironment } from '../lib/jobs/idle-hints.ts';
import { sqsSender } from '../lib/jobs/sender.ts';
import { bundledConfig } from '../lib/platform/config.ts';
import { logger } from '../lib/platform/logger.ts';

/** Every minute: one tick message for each database that is not asleep. Opens no database, so a thousand cost what one does. */
export async function handler(event: ScheduledEvent): Promise<{ ticked: number; asleep: number }> {
  const names = Object.keys(bundledConfig(import.meta.url).databases);
  const due = (await hintsFromEnvironment()?.due(names)) ?? names;
  await sqsSender.send(due.map((database) => ({ job: { v: 1, kind: 'tick', database, spread: true } })));
  const result = { ticked: due.length, asleep: names.length - due.length };
  logger.info('swept', { schedule: event.time, ...result });
  return result;
}

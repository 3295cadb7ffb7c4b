import { logError, logger } from '../platform/logger.ts';
import type { MaintenanceStep } from './maintenance.ts';

/** Logs a round of maintenance: failed operations each, the rest as one line. */
export function reportMaintenance(database: string, steps: readonly MaintenanceStep[]): void {
  for (const { operation, argument, error } of steps) {
    if (error)
      logError(`maintenance of ${database}: ${operation} ${argument ?? ''} failed, the rest went on`, error);
  }
  const done = steps.filter((step) => step.error === undefined);
  logger.info('maintained', {
    database,
    operations: done.length,
    failed: steps.length - done.length,
    retriedEvents: done.find((step) => step.operation === 'pgq.maint_retry_events')?.count ?? 0,
  });
}

import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { SkytoolsError } from './errors.ts';

/** The one logger of an invocation: JSON lines, level from `POWERTOOLS_LOG_LEVEL` or `LOG_LEVEL`. */
export const logger = new Logger({ serviceName: process.env.POWERTOOLS_SERVICE_NAME ?? 'skytools' });

/** CloudWatch embedded metrics, published by {@link publishMetrics} at the end of a handler. */
export const metrics = new Metrics({
  namespace: process.env.POWERTOOLS_METRICS_NAMESPACE ?? 'skytools',
  serviceName: process.env.POWERTOOLS_SERVICE_NAME ?? 'skytools',
});

export { MetricUnit };

/** Logs an error with its code, hint and subject; a cause that PostgreSQL or AWS sent is named, its row data is not. */
export function logError(message: string, error: unknown): void {
  if (error instanceof SkytoolsError) {
    logger.error(message, { problem: error.toJSON(), retryable: error.retryable });
    return;
  }
  const { name, code } = error as { name?: string; code?: string };
  logger.error(message, {
    problem: {
      error: code ?? name ?? 'UNKNOWN',
      message: error instanceof Error ? error.message : String(error),
    },
  });
}

/** Logs what somebody may want to look at, although the work goes on, in the form of {@link logError}. */
export function logWarning(message: string, problem: SkytoolsError): void {
  logger.warn(message, { problem: problem.toJSON() });
}

/** Publishes what the invocation measured; quiet when nothing was. */
export function publishMetrics(): void {
  if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
}

import type { Context, SQSBatchItemFailure, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type pg from 'pg';
import { bundledConfig, type Config, databaseConfig } from '../platform/config.ts';
import { Deadline } from '../platform/deadline.ts';
import { BusyError, DeadlineError, SkytoolsError } from '../platform/errors.ts';
import { logError, logger, logWarning, publishMetrics } from '../platform/logger.ts';
import { forgetSecrets, resolveSecret } from '../platform/secrets.ts';
import { hasSqlState } from '../postgres/errors.ts';
import { parseTarget } from '../postgres/target.ts';
import { WarmConnections } from '../postgres/warm.ts';
import { backoffSeconds, nextChain } from './guards.ts';
import { type JobKind, type JobMessage, type JobOf, parseJob } from './messages.ts';
import { type Sender, shortenVisibility, sqsSender, type Wakeup } from './sender.ts';

/** What a unit of work may use. */
export interface JobScope {
  config: Config;
  deadline: Deadline;
  /** Lends a live connection to a configured database, kept warm between invocations. */
  database<T>(name: string, body: (client: pg.Client) => Promise<T>): Promise<T>;
}

/** One unit of work; returns the wake-ups for what comes next. */
export type Job<Kind extends JobKind> = (job: JobOf<Kind>, scope: JobScope) => Promise<readonly Wakeup[]>;

const connections = new WarmConnections();

/** A scope for an invocation, also for handlers that are not driven by SQS. */
function jobScope(config: Config, deadline: Deadline): JobScope {
  return {
    config,
    deadline,
    async database(name, body) {
      const target = parseTarget(await resolveSecret(databaseConfig(config, name).url));
      try {
        return await connections.use(name, target, body, { applicationName: `skytools ${functionName()}` });
      } catch (error) {
        // A rotated password: the next attempt reads the secret again.
        if (hasSqlState(error, '28P01', '28000')) forgetSecrets();
        throw error;
      }
    },
  };
}

const functionName = () => process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'local';

/**
 * A handler for an SQS event source mapping with ReportBatchItemFailures. Each message is one unit of work. A failing one
 * is reported alone, and comes back after a back-off of its own instead of the queue's visibility time-out.
 *
 * @param bundleUrl `import.meta.url` of the function, beside which the configuration lies
 */
export function jobHandler<Kind extends JobKind>(
  kind: Kind,
  bundleUrl: string,
  run: Job<Kind>,
  sender: Sender = sqsSender,
) {
  return async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
    const scope = jobScope(bundledConfig(bundleUrl), Deadline.fromContext(context));
    const failures: SQSBatchItemFailure[] = [];
    for (const record of event.Records) {
      if (!(await handleRecord(kind, record, scope, run, sender)))
        failures.push({ itemIdentifier: record.messageId });
    }
    publishMetrics();
    return { batchItemFailures: failures };
  };
}

/**
 * A wake-up for what was dropped since it was sent: there is nothing to do, now or later. (A queue that is missing may be the
 * one that a consumer writes to, and is to be made.)
 */
const GONE = new Set(['PGQ_NOT_SUBSCRIBED', 'LONDISTE_NODE_MISSING']);

async function handleRecord<Kind extends JobKind>(
  kind: Kind,
  record: SQSRecord,
  scope: JobScope,
  run: Job<Kind>,
  sender: Sender,
): Promise<boolean> {
  let job: JobOf<Kind> | undefined;
  try {
    job = parseJob(kind, record.body);
    scope.deadline.check(`a ${kind} message`);
    await wake(sender, await run(job, scope));
    return true;
  } catch (error) {
    if (error instanceof BusyError) {
      logger.debug('another invocation is at work', { problem: error.toJSON() });
      return true;
    }
    if (error instanceof SkytoolsError && GONE.has(error.code)) {
      logWarning('gone', error);
      return true;
    }
    if (error instanceof DeadlineError && job) {
      logWarning('stopped at a checkpoint before the deadline', error);
      await wake(sender, again(job));
      return true;
    }
    logError(`${kind} failed`, error);
    await shortenVisibility(kind, record.receiptHandle, backoffSeconds(receives(record))).catch((reason) =>
      logError('the visibility of the message stays as the queue has it', reason),
    );
    return false;
  }
}

const receives = (record: SQSRecord) => Number(record.attributes.ApproximateReceiveCount ?? 1);

/** The same unit once more, counted as without progress so that it cannot go on for ever. */
function again(job: JobMessage): Wakeup[] {
  const chain = nextChain(job.chain, false);
  return chain ? [{ job: { ...job, chain } }] : [];
}

/** The effect is committed: a wake-up that cannot be sent is logged, and the next tick finds the work (law 1). */
async function wake(sender: Sender, wakeups: readonly Wakeup[]): Promise<void> {
  if (wakeups.length === 0) return;
  try {
    await sender.send(wakeups);
  } catch (error) {
    logError('wake-ups not sent: the next tick finds the work', error);
  }
}

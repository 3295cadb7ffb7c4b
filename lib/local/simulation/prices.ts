/** us-east-1, November 2026, in dollars, without free tiers: https://aws.amazon.com/lambda/pricing/, /sqs/, /cloudwatch/. */
export const PRICES = {
  lambdaArmGbSecond: 0.0000133334,
  lambdaRequest: 0.2 / 1e6,
  sqsRequest: 0.4 / 1e6,
  logsGb: 0.5,
} as const;

/** Limits that no configuration of ours moves; the account's concurrency can be raised on request. */
export const LIMITS = {
  accountConcurrency: 1_000,
  /** PostgreSQL's default max_connections, of which some are the server's own. */
  connectionsPerDatabase: 97,
  /** EventBridge's finest schedule, in seconds; ticks in between are delayed messages. */
  scheduleSeconds: 60,
  /** Lambda stops a chain of invocations through SQS after so many, unless RecursiveLoop allows it (ours does). */
  recursionHops: 16,
} as const;

/** Lambda's pollers ask an idle queue all the time: five long polls of twenty seconds (Lambda guide, "SQS"). */
export const IDLE_POLLS_PER_SECOND = 5 / 20;

/** A message is sent, received and deleted. */
export const REQUESTS_PER_MESSAGE = 3;

/** Structured log of one invocation, with Lambda's START, END and REPORT, in bytes. */
export const LOG_BYTES = 900;

export const SECONDS_PER_MONTH = 30 * 86_400;

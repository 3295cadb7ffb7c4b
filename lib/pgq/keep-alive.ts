import type { Client } from '../postgres/connect.ts';

/**
 * Interval of the signs of life, in milliseconds: a third of the time after which the server ends a silent transaction
 * (lib/postgres/transaction.ts).
 */
const INTERVAL_MS = 20_000;

/**
 * Keeps the server from ending this transaction while its process is at work elsewhere. A process that is frozen or killed
 * sends nothing, so its transaction still ends.
 */
export async function keepingAlive<T>(client: Client, body: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {
    client.query('select 1').catch(() => {});
  }, INTERVAL_MS);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

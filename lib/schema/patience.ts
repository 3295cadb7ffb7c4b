import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState } from '../postgres/errors.ts';
import { transaction } from '../postgres/transaction.ts';

/**
 * Time to wait for a lock, in milliseconds. Changing a table waits for every transaction that uses it, and everybody else
 * waits behind us, so we give up soon, let the producers through, and start again. Less than PostgreSQL's
 * `deadlock_timeout` of one second: where we and a producer wait for each other, we are the ones who give up.
 */
const LOCK_TIMEOUT_MS = 500;

/** How often the transaction is started again, and the pause between, in milliseconds: about two minutes in all. */
const ATTEMPTS = 80;
const PAUSE_MS = 1_000;

/** 55P03 lock time-out, 40P01 deadlock, 40001 serialization. */
const TRY_AGAIN = ['55P03', '40P01', '40001'];

/**
 * Runs `body` in one transaction that holds the installer's lock, again and again while others hold the locks it needs.
 * Waiting for another installer is no fault and has no limit.
 *
 * @throws PostgresError 55P03 if the locks could not be had for two minutes; nothing was changed then
 */
export async function patiently<T>(client: Client, body: (client: Client) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction(client, async (inside) => {
        await inside.query(`select pg_advisory_xact_lock(hashtextextended('skytools.install', 0))`);
        await inside.query(`select set_config('lock_timeout', $1, true)`, [String(LOCK_TIMEOUT_MS)]);
        return body(inside);
      });
    } catch (error) {
      if (attempt >= ATTEMPTS || !hasSqlState(error, ...TRY_AGAIN)) throw error;
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  }
}

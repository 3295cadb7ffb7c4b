import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../platform/deadline.ts';
import type { Client } from '../postgres/connect.ts';

/**
 * A session that has said nothing for so long, in seconds, has no worker any more: one that lives gives a sign each twenty
 * (keep-alive.ts), and one in a COPY fails with its connection to the queue.
 */
const SILENT_SECONDS = 30;

/** Between two attempts, in milliseconds. */
const PAUSE_MS = 200;

/** The key of a consumer among the advisory locks of its target; $1 is its name. */
const KEY = `hashtext('pgq_ext'), hashtext($1)`;

/**
 * Locks a consumer in its target for this transaction, once its batch is held in the queue's database. The lock may still be
 * with a worker that lost that hold: one that is committing is waited for, one that died is ended. No time-out of the server
 * ends a COPY whose client went silent, and behind a pooler or a proxy TCP does not notice either.
 *
 * @throws DeadlineError where the lock was not to be had in time
 */
export async function lockInTarget(target: Client, consumer: string, deadline: Deadline): Promise<void> {
  for (;;) {
    const { rows } = await target.query<{ locked: boolean }>(
      `select pg_try_advisory_xact_lock(${KEY}) as locked`,
      [consumer],
    );
    if (rows[0]!.locked) return;
    deadline.check(`the lock of consumer ${consumer} in its target`);
    await endSilentHolder(target, consumer);
    await sleep(PAUSE_MS);
  }
}

/** Needs no right of its own: a role may end its own sessions, and others are left alone. */
export async function endSilentHolder(
  target: Client,
  consumer: string,
  silentSeconds: number = SILENT_SECONDS,
): Promise<void> {
  await target.query(
    `select pg_terminate_backend(a.pid)
       from pg_locks l
       join pg_stat_activity a on a.pid = l.pid
       join (select ${KEY}) k (namespace, name) on true
      where l.locktype = 'advisory' and l.granted and l.objsubid = 2
        and l.classid::int8 = k.namespace::int8 & 4294967295 and l.objid::int8 = k.name::int8 & 4294967295
        and a.datname = current_database() and a.usename = current_user
        and a.wait_event = 'ClientRead' and a.state_change < clock_timestamp() - make_interval(secs => $2)`,
    [consumer, silentSeconds],
  );
}

import { onTestFinished } from 'vitest';
import { createQueue, forceTick, registerConsumer } from '../../../lib/pgq/index.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

export const minute = () => Deadline.after(60_000);

/** A deadline that comes when `pass` is called, however fast the machine is. */
export function deadlineByHand(): { deadline: Deadline; pass: () => void } {
  const stop = new AbortController();
  return { deadline: Deadline.whenAborted(stop.signal), pass: () => stop.abort() };
}

/** A connection of ours (int8 as bigint), closed with the test. */
export async function ourClient(url: string) {
  const client = await connect(url);
  onTestFinished(() => disconnect(client));
  return client;
}

/** A database with queue `q` and consumer `c`. */
export async function queueDatabase(): Promise<{
  db: TestDatabase;
  client: Awaited<ReturnType<typeof ourClient>>;
}> {
  const db = await testDatabase();
  const client = await ourClient(db.url);
  await createQueue(client, 'q');
  await registerConsumer(client, 'q', 'c');
  return { db, client };
}

/** Inserts `count` events in a transaction of their own, then ticks. */
export async function fill(db: TestDatabase, count: number, from = 1): Promise<void> {
  await db.query(
    `select pgq.insert_event('q', 't' || i, 'data ' || i) from generate_series($1::int, $1 + $2::int - 1) i`,
    [from, count],
  );
  const client = await ourClient(db.url);
  await forceTick(client, 'q', minute());
}

import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type { Client } from '../postgres/connect.ts';
import { copyIn } from '../postgres/copy.ts';
import { quoteQualified } from '../postgres/quote.ts';
import { copyField } from './copy-text.ts';
import { pgqError } from './errors.ts';
import { type EventId, eventId, type Int8, type QueueName, queueName } from './types.ts';

/** What a producer gives: the payload fields of an event, each text or NULL. */
export interface NewEvent {
  type: string | null;
  data: string | null;
  extra1?: string | null | undefined;
  extra2?: string | null | undefined;
  extra3?: string | null | undefined;
  extra4?: string | null | undefined;
  /** ev_time as PostgreSQL writes it; default the start of the transaction. `pgq.insert_event` cannot take it. */
  timeText?: string | undefined;
}

/** Characters of COPY data collected before they go to the socket: fewer, larger writes. */
const COPY_BUFFER = 128 * 1024;

/** Events in one statement where COPY is not allowed: bounds the parameters' memory on both sides. */
const INSERT_BLOCK = 5_000;

/**
 * Inserts events into one queue, always on a connection and in a transaction of the caller's: they exist if and only if
 * the caller commits, and consumers see them after the next tick.
 */
export class Producer {
  readonly queue: QueueName;

  constructor(queue: string) {
    this.queue = queueName(queue);
  }

  /**
   * Inserts one event with `pgq.insert_event`.
   *
   * @returns its id
   * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_INSERT_DISABLED
   */
  async insert(client: Client, event: NewEvent): Promise<EventId> {
    return this.#insertBy(
      client,
      'select pgq.insert_event($1, $2, $3, $4, $5, $6, $7) as id',
      payload(event),
    );
  }

  /**
   * Inserts one event that enters the queue at `notBefore` or some seconds later, with `pgq.insert_event_at`.
   *
   * @returns the id that it has then
   * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_INSERT_DISABLED, PGQ_NOT_INSTALLED
   */
  async insertAt(client: Client, notBefore: Date, event: NewEvent): Promise<EventId> {
    return this.#insertBy(client, 'select pgq.insert_event_at($1, $2, $3, $4, $5, $6, $7, $8) as id', [
      notBefore.toISOString(),
      ...payload(event),
    ]);
  }

  /**
   * Inserts one event unless one with the same key was inserted within the window, with `pgq.insert_event_once`. Makes a
   * producer repeatable.
   *
   * @returns its id, or that of the first event with the key
   * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_INSERT_DISABLED, PGQ_NOT_INSTALLED
   */
  async insertOnce(client: Client, key: string, windowSeconds: number, event: NewEvent): Promise<EventId> {
    return this.#insertBy(client, 'select pgq.insert_event_once($1, $2, $3, $4, $5, $6, $7, $8, $9) as id', [
      key,
      `${windowSeconds} seconds`,
      ...payload(event),
    ]);
  }

  async #insertBy(client: Client, call: string, values: (string | null)[]): Promise<EventId> {
    try {
      const { rows } = await client.query<{ id: Int8 }>(call, [this.queue, ...values]);
      return eventId(rows[0]!.id);
    } catch (error) {
      throw pgqError(error, { queue: this.queue });
    }
  }

  /**
   * Inserts any number of events in bounded memory: by COPY into the queue's current event table, or through
   * `pgq.insert_event` where COPY is not allowed (no INSERT right on event tables) or would evade the queue's limit of
   * events per transaction. Event ids follow the order of `events`.
   *
   * Must run inside a transaction of the caller's.
   *
   * @returns how many events were inserted
   * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_INSERT_DISABLED
   */
  async insertMany(client: Client, events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<number> {
    try {
      const target = await currentTable(client, this.queue);
      return target.copy
        ? await copyEvents(client, target, events)
        : await insertBlocks(client, this.queue, events);
    } catch (error) {
      throw pgqError(error, { queue: this.queue });
    }
  }
}

const payload = (event: NewEvent) => [
  event.type,
  event.data,
  event.extra1 ?? null,
  event.extra2 ?? null,
  event.extra3 ?? null,
  event.extra4 ?? null,
];

/** Where this transaction may COPY events to. */
export interface EventTable {
  /** Quoted and qualified. */
  table: string;
  /** Value for ev_time: the start of the transaction, as pgq.insert_event takes it. */
  now: string;
  /** Whether COPY is right here and allowed. */
  copy: boolean;
}

/**
 * Finds the queue's current event table. `pgq.current_event_table` gives the transaction its id before it reads the name, so
 * a rotation that ends in between still has both tables read for it.
 */
export async function currentTable(client: Client, queue: string): Promise<EventTable> {
  const { rows } = await client.query<{ name: string; now: string; can_insert: boolean; limited: boolean }>(
    `select t.name, now()::text as now,
            has_table_privilege(t.name, 'INSERT')
              and has_sequence_privilege(q.queue_event_seq, 'USAGE') as can_insert,
            q.queue_per_tx_limit is not null as limited
       from (select pgq.current_event_table($1) as name offset 0) t, pgq.queue q
      where q.queue_name = $1`,
    [queue],
  );
  const found = rows[0]!;
  return { table: quoteQualified(found.name), now: found.now, copy: found.can_insert && !found.limited };
}

const COPY_COLUMNS = 'ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

/** ev_id and ev_txid come from the columns' defaults, so the sequence moves and the ticker sees the events. */
async function copyEvents(
  client: Client,
  target: EventTable,
  events: Iterable<NewEvent> | AsyncIterable<NewEvent>,
): Promise<number> {
  const sink = copyIn(client, `copy ${target.table} (${COPY_COLUMNS}) from stdin`);
  const done = finished(sink, { readable: false });
  // A failure of the server side surfaces in `done`; the writer must not wait for a drain that never comes.
  const failed = done.then(
    () => {},
    (error: unknown) => Promise.reject(error),
  );
  failed.catch(() => {});
  let count = 0;
  let buffer = '';
  const flush = async () => {
    const room = sink.write(buffer);
    buffer = '';
    if (!room) await Promise.race([once(sink, 'drain'), failed]);
  };
  const add = (event: NewEvent) => {
    count++;
    buffer += `${event.timeText ?? target.now}\t${copyField(event.type)}\t${copyField(event.data)}\t${copyField(event.extra1)}\t${copyField(event.extra2)}\t${copyField(event.extra3)}\t${copyField(event.extra4)}\n`;
    return buffer.length >= COPY_BUFFER;
  };
  try {
    if (Symbol.asyncIterator in events) {
      for await (const event of events) if (add(event)) await flush();
    } else {
      for (const event of events) if (add(event)) await flush();
    }
    sink.end(buffer);
    await done;
  } catch (error) {
    sink.destroy(error as Error);
    await done.catch(() => {});
    throw error;
  }
  return count;
}

async function insertBlocks(
  client: Client,
  queue: string,
  events: Iterable<NewEvent> | AsyncIterable<NewEvent>,
): Promise<number> {
  let count = 0;
  let block: NewEvent[] = [];
  const flush = async () => {
    if (block.length === 0) return;
    const columns = Array.from({ length: 6 }, (_, index) => block.map((event) => payload(event)[index]));
    await client.query(
      `select count(pgq.insert_event($1, e.t, e.d, e.e1, e.e2, e.e3, e.e4))
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
              with ordinality as e (t, d, e1, e2, e3, e4, place)`,
      [queue, ...columns],
    );
    count += block.length;
    block = [];
  };
  for await (const event of events) {
    block.push(event);
    if (block.length >= INSERT_BLOCK) await flush();
  }
  await flush();
  return count;
}

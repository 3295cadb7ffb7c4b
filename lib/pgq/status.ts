import type { Client } from '../postgres/connect.ts';
import { pgqError } from './errors.ts';
import type { Int8 } from './types.ts';

/** A queue as its operator sees it. Times in seconds, by PostgreSQL's clock. */
export interface QueueStatus {
  queue: string;
  tables: number;
  currentTable: number;
  rotationPeriodSeconds: number;
  lastRotation: Date;
  externalTicker: boolean;
  tickerPaused: boolean;
  insertDisabled: boolean;
  tickerMaxCount: number;
  tickerMaxLagSeconds: number;
  tickerIdlePeriodSeconds: number;
  /** Age of the last tick; undefined on a queue that never had one. */
  tickerLagSeconds: number | undefined;
  /** Over the last twenty ticks. */
  eventsPerSecond: number | undefined;
  /** Events that wait for a tick. */
  newEvents: number;
  lastTick: bigint | undefined;
  consumers: number;
  /** Lag of the slowest consumer. */
  worstLagSeconds: number | undefined;
  /** Set where the rotation is overdue because a consumer still needs the previous table. */
  rotationBlocked: { consumer: string; overdueSeconds: number } | undefined;
}

/** A consumer or subconsumer of a queue. Times in seconds. */
export interface ConsumerStatus {
  queue: string;
  consumer: string;
  /** Age of the last tick it has finished; undefined for an idle subconsumer. */
  lagSeconds: number | undefined;
  lastSeenSeconds: number;
  lastTick: bigint | undefined;
  /** The batch that is open. */
  currentBatch: bigint | undefined;
  nextTick: bigint | undefined;
  /** Estimated by the queue's sequence. */
  pendingEvents: number | undefined;
  /** Events waiting in the retry queue; undefined without the right to read it. */
  retryEvents: number | undefined;
  /** Who works on it outside a transaction. */
  leaseHolder: string | undefined;
}

const optionalNumber = (value: Int8 | null): number | undefined =>
  value === null ? undefined : Number(value);
const optionalBigint = (value: Int8 | null): bigint | undefined =>
  value === null ? undefined : BigInt(value);

const SECONDS = (expression: string) => `extract(epoch from ${expression})::float8`;

/**
 * The first event of a queue, which `pgq.get_queue_info` and `pgq.get_consumer_info` leave out: a sequence says 1 before its first
 * value and after. So does a tick, which is one from before it unless it is known to have brought it. Ticks from elsewhere tell
 * nothing.
 *
 * @param tick SQL of the row of pgq.tick after which events are counted
 */
const firstEvent = (tick: string) =>
  `(not q.queue_external_ticker and ${tick}.tick_event_seq = 1
     and not exists (select from pgq._first_event_tick f where f.queue_id = q.queue_id and f.tick_id <= ${tick}.tick_id))::int`;

/**
 * All queues of a database, or one, by name.
 *
 * @throws SkytoolsError PGQ_NOT_INSTALLED
 */
export async function queueStatus(client: Client, queue?: string): Promise<QueueStatus[]> {
  const rows = await select(
    client,
    `select i.queue_name, i.queue_ntables, i.queue_cur_table, i.queue_switch_time, i.queue_external_ticker,
            i.queue_ticker_paused, q.queue_disable_insert, i.queue_ticker_max_count,
            ${SECONDS('i.queue_rotation_period')} as rotation_period,
            ${SECONDS('i.queue_ticker_max_lag')} as max_lag,
            ${SECONDS('i.queue_ticker_idle_period')} as idle_period,
            ${SECONDS('i.ticker_lag')} as ticker_lag, i.ev_per_sec, i.last_tick_id,
            i.ev_new + case when pg_sequence_last_value(q.queue_event_seq::regclass) is null then 0
                            else ${firstEvent('last')} end as ev_new,
            subs.consumers, ${SECONDS('now() - subs.oldest')} as worst_lag,
            blocker.co_name as blocker,
            ${SECONDS('now() - i.queue_switch_time - i.queue_rotation_period')} as overdue
       from pgq.get_queue_info($1) i
       join pgq.queue q on q.queue_name = i.queue_name
       left join pgq.tick last on last.tick_queue = q.queue_id and last.tick_id = i.last_tick_id
      cross join lateral (
             select count(*) as consumers, min(t.tick_time) as oldest
               from pgq.subscription s
               left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
              where s.sub_queue = q.queue_id) subs
       left join lateral (
             select c.co_name
               from pgq.subscription s
               join pgq.consumer c on c.co_id = s.sub_consumer
               join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
              where s.sub_queue = q.queue_id
                and txid_snapshot_xmin(t.tick_snapshot) <= q.queue_switch_step2
                and q.queue_switch_time + q.queue_rotation_period < now()
              order by s.sub_last_tick, c.co_name
              limit 1) blocker on true
      order by i.queue_name`,
    [queue ?? null],
  );
  return rows.map((row) => ({
    queue: row.queue_name,
    tables: row.queue_ntables,
    currentTable: row.queue_cur_table,
    rotationPeriodSeconds: Number(row.rotation_period),
    lastRotation: row.queue_switch_time,
    externalTicker: row.queue_external_ticker,
    tickerPaused: row.queue_ticker_paused,
    insertDisabled: row.queue_disable_insert,
    tickerMaxCount: row.queue_ticker_max_count,
    tickerMaxLagSeconds: Number(row.max_lag),
    tickerIdlePeriodSeconds: Number(row.idle_period),
    tickerLagSeconds: optionalNumber(row.ticker_lag),
    eventsPerSecond: optionalNumber(row.ev_per_sec),
    newEvents: Number(row.ev_new ?? 0),
    lastTick: optionalBigint(row.last_tick_id),
    consumers: Number(row.consumers),
    worstLagSeconds: optionalNumber(row.worst_lag),
    rotationBlocked:
      row.blocker === null ? undefined : { consumer: row.blocker, overdueSeconds: Number(row.overdue) },
  }));
}

/**
 * All consumers of a database, of a queue, or one consumer; by queue and name.
 *
 * @throws SkytoolsError PGQ_NOT_INSTALLED
 */
export async function consumerStatus(
  client: Client,
  queue?: string,
  consumer?: string,
): Promise<ConsumerStatus[]> {
  const rows = await select(
    client,
    `select i.queue_name, i.consumer_name, ${SECONDS('i.lag')} as lag, ${SECONDS('i.last_seen')} as last_seen,
            i.last_tick, i.current_batch, i.next_tick, l.lease_holder,
            i.pending_events + ${firstEvent('last')} - ${firstEvent('top')} as pending_events
       from pgq.get_consumer_info($1, $2) i
       join pgq.queue q on q.queue_name = i.queue_name
       join pgq.consumer c on c.co_name = i.consumer_name
       left join pgq.tick last on last.tick_queue = q.queue_id and last.tick_id = i.last_tick
       left join lateral (
             select t.tick_id, t.tick_event_seq
               from pgq.tick t
              where t.tick_queue = q.queue_id
              order by t.tick_queue desc, t.tick_id desc
              limit 1) top on true
       left join pgq.consumer_lease l
              on l.lease_queue = q.queue_id and l.lease_consumer = c.co_id and l.lease_until > clock_timestamp()
      order by i.queue_name, i.consumer_name`,
    [queue ?? null, consumer ?? null],
  );
  const retries = await retryCounts(client);
  return rows.map((row) => ({
    queue: row.queue_name,
    consumer: row.consumer_name,
    lagSeconds: optionalNumber(row.lag),
    lastSeenSeconds: Number(row.last_seen),
    lastTick: optionalBigint(row.last_tick),
    currentBatch: optionalBigint(row.current_batch),
    nextTick: optionalBigint(row.next_tick),
    pendingEvents: optionalNumber(row.pending_events),
    retryEvents: retries && (retries.get(`${row.queue_name}\0${row.consumer_name}`) ?? 0),
    leaseHolder: row.lease_holder ?? undefined,
  }));
}

async function retryCounts(client: Client): Promise<Map<string, number> | undefined> {
  const allowed = await select(
    client,
    `select has_table_privilege('pgq.retry_queue', 'SELECT') as allowed`,
    [],
  );
  if (!allowed[0]!.allowed) return undefined;
  // Members of a group share the sub_id of their events; they count for the member whose name is shortest, the group.
  const rows = await select(
    client,
    `select q.queue_name, (array_agg(c.co_name order by length(c.co_name)))[1] as consumer_name, r.events
       from (select ev_queue, ev_owner, count(*) as events from pgq.retry_queue group by 1, 2) r
       join pgq.queue q on q.queue_id = r.ev_queue
       join pgq.subscription s on s.sub_id = r.ev_owner and s.sub_queue = r.ev_queue
       join pgq.consumer c on c.co_id = s.sub_consumer
      group by q.queue_name, r.ev_owner, r.events`,
    [],
  );
  return new Map(rows.map((row) => [`${row.queue_name}\0${row.consumer_name}`, Number(row.events)]));
}

async function select(client: Client, text: string, values: unknown[]) {
  try {
    return (await client.query(text, values)).rows;
  } catch (error) {
    throw pgqError(error);
  }
}

import type { DueWork, DueWorkProvider } from '../jobs/due-work.ts';
import type { JobMessage } from '../jobs/messages.ts';
import type { Config } from '../platform/config.ts';
import type { Client } from '../postgres/connect.ts';
import { IDLE_MEMBER_SECONDS, SUBCONSUMER_PREFIX } from './subconsumer-pool.ts';
import type { Int8 } from './types.ts';

/**
 * What the queues of a database ask for, from their tables alone: batches of configured consumers that are open or can be
 * opened, and maintenance. A consumer whose lease shows it at work is left alone. Needs the rights of pgq_admin for
 * maintenance; without them only consumers are looked at.
 */
export const queueDueWork: DueWorkProvider = async (
  client: Client,
  config: Config,
  database: string,
): Promise<DueWork> => {
  const installed = await client.query<{ installed: boolean; admin: boolean }>(
    `select to_regclass('pgq.delayed_event') is not null as installed,
            coalesce(has_table_privilege(to_regclass('pgq.retry_queue'), 'SELECT'), false) as admin`,
  );
  if (!installed.rows[0]!.installed) return { jobs: [], idleSeconds: undefined };
  const { admin } = installed.rows[0]!;
  const jobs: JobMessage[] = await dueConsumers(client, config, database);
  if (admin && (await maintenanceDue(client))) jobs.push({ v: 1, kind: 'maintain', database });
  return { jobs, idleSeconds: await idleSeconds(client, admin) };
};

/**
 * One message for each batch that can be worked on now: one for a plain consumer, up to the pool's size for a group, one for
 * each slot of a group with an ordering key. And one for a group without work that has idle members to be taken back.
 */
async function dueConsumers(client: Client, config: Config, database: string): Promise<JobMessage[]> {
  const configured = Object.entries(config.consumers).filter(
    ([, consumer]) => consumer.database === database,
  );
  if (configured.length === 0) return [];
  const { rows } = await client.query<{ key: string; jobs: number }>(
    `select c.key, greatest(least(greatest(c.pool, 1), due.batches), due.idle)::int4 as jobs
       from unnest($1::text[], $2::text[], $3::text[], $4::int4[]) as c (key, queue, consumer, pool)
       join pgq.queue q on q.queue_name = c.queue
       join pgq.consumer co on co.co_name = c.consumer
       join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = co.co_id
       left join pgq.consumer_lease l
              on l.lease_queue = s.sub_queue and l.lease_consumer = s.sub_consumer
             and l.lease_until > clock_timestamp(),
            lateral (
              select (select count(*) from pgq.subscription m
                       where m.sub_queue = s.sub_queue and m.sub_id = s.sub_id
                         and (m.sub_batch is not null
                              or s.sub_last_tick is null
                                 and exists (select 1 from pgq.tick t
                                              where t.tick_queue = m.sub_queue and t.tick_id > m.sub_last_tick))
                         and not exists (select 1 from pgq.consumer_lease ml
                                          where ml.lease_queue = m.sub_queue and ml.lease_consumer = m.sub_consumer
                                            and ml.lease_until > clock_timestamp()))
                     + (select count(*) from (
                          select 1 from pgq.tick t
                           where t.tick_queue = s.sub_queue and t.tick_id > s.sub_last_tick
                             and (s.sub_next_tick is null or t.tick_id > s.sub_next_tick)
                           limit greatest(c.pool, 1)) ahead) as batches,
                     (select count(*) from (
                        select 1 from pgq.subscription m
                          join pgq.consumer mc on mc.co_id = m.sub_consumer
                         where m.sub_queue = s.sub_queue and m.sub_id = s.sub_id
                           and m.sub_last_tick is null and s.sub_last_tick is not null
                           and m.sub_active <= now() - make_interval(secs => $6)
                           and mc.co_name in (select c.consumer || '.' || $5 || n from generate_series(1, c.pool) n)
                         limit 1) i) as idle) due
      where l.lease_queue is null
        and greatest(due.batches, due.idle) > 0`,
    [
      configured.map(([key]) => key),
      configured.map(([, consumer]) => consumer.queue),
      configured.map(([, consumer]) => consumer.consumer),
      configured.map(([, consumer]) => consumer.subconsumers),
      SUBCONSUMER_PREFIX,
      IDLE_MEMBER_SECONDS,
    ],
  );
  return rows.flatMap(({ key, jobs }) =>
    Array.from({ length: jobs }, (): JobMessage => ({ v: 1, kind: 'consume', database, consumer: key })),
  );
}

/** Time between two rounds of maintenance, in seconds: pgqd's maint_period. A rotation held back is tried again no sooner. */
const MAINTENANCE_PERIOD = 120;

/** Whether an event has to come from the retry queue or its delay, or a round of maintenance is due and has something to do. */
async function maintenanceDue(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ due: boolean }>(
    `select exists (select 1 from pgq.retry_queue r join pgq.queue q on q.queue_id = r.ev_queue
                     where r.ev_retry_after <= now() and not q.queue_disable_insert)
         or exists (select 1 from pgq.delayed_event d join pgq.queue q on q.queue_id = d.ev_queue
                     where d.ev_not_before <= now() and not q.queue_disable_insert)
         or (not exists (select 1 from pgq.maintenance_run
                          where finished_at > now() - interval '${MAINTENANCE_PERIOD} seconds')
             and exists (select 1 from pgq.maint_operations() m where m.func_name <> 'vacuum')) as due`,
  );
  return rows[0]!.due;
}

/**
 * Seconds since an event was last seen by a tick, by the tick at which the event sequence last moved; 0 while events wait
 * for a tick or an event is to enter the queue within a minute. Walks back over the idle ticks of each queue only.
 */
async function idleSeconds(client: Client, admin: boolean): Promise<number | undefined> {
  const { rows } = await client.query<{ idle: Int8 | null }>(
    `select extract(epoch from now() - max(greatest(
              case when pgq.seq_getval(q.queue_event_seq) > last.tick_event_seq then now() end,
              coalesce(moved.tick_time, last.tick_time),
              ${admin ? soon('pgq.retry_queue', 'ev_retry_after') : 'null'},
              ${admin ? soon('pgq.delayed_event', 'ev_not_before') : 'null'}
            )))::int8 as idle
       from pgq.queue q
      cross join lateral (
             select t.tick_event_seq, t.tick_time from pgq.tick t
              where t.tick_queue = q.queue_id
              order by t.tick_queue desc, t.tick_id desc limit 1) last
       left join lateral (
             select after.tick_time from pgq.tick before
               join pgq.tick after on after.tick_queue = before.tick_queue and after.tick_id = (
                      select min(n.tick_id) from pgq.tick n
                       where n.tick_queue = before.tick_queue and n.tick_id > before.tick_id)
              where before.tick_queue = q.queue_id and before.tick_event_seq < last.tick_event_seq
              order by before.tick_queue desc, before.tick_id desc limit 1) moved on true`,
  );
  const idle = rows[0]?.idle ?? null;
  return idle === null ? undefined : Math.max(0, Number(idle));
}

/** SQL: now() where an event of queue `q` in this table is due within a minute, else NULL. */
const soon = (table: string, time: string) =>
  `(select now() from ${table} w where w.ev_queue = q.queue_id and w.${time} <= now() + interval '1 minute' limit 1)`;

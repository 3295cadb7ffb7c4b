import type { Client } from '../../postgres/connect.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

/**
 * A queue is late when its last tick is older than its idle period by so much, in seconds: two runs of the sweep, which
 * comes every minute.
 */
const LATE_TICK_S = 120;

/** A rotation is blocked when it is overdue by so many of its own periods. */
const OVERDUE_PERIODS = 1;

/** A batch open for so long, in seconds, belongs to a consumer that died or hangs: more than any function may run. */
const OLD_BATCH_S = 1800;

const QUEUES = `
select q.queue_name as queue, q.queue_ticker_paused as paused, q.queue_external_ticker as external,
       q.queue_disable_insert as disabled,
       extract(epoch from clock_timestamp() - t.tick_time)::float8 as tick_age,
       extract(epoch from q.queue_ticker_idle_period)::float8 as idle_period,
       extract(epoch from clock_timestamp() - q.queue_switch_time)::float8 as switch_age,
       extract(epoch from q.queue_rotation_period)::float8 as rotation_period,
       q.queue_switch_step2 is null as half_rotated,
       (select c.co_name from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer
          join pgq.tick st on st.tick_queue = s.sub_queue and st.tick_id = s.sub_last_tick
         where s.sub_queue = q.queue_id and txid_snapshot_xmin(st.tick_snapshot) <= q.queue_switch_step2
         order by s.sub_last_tick limit 1) as holder
  from pgq.queue q
  left join lateral (
       select tick_time from pgq.tick where tick_queue = q.queue_id order by tick_queue desc, tick_id desc limit 1) t
    on true
 order by 1`;

const OLD_BATCHES = `
select q.queue_name as queue, c.co_name as consumer, s.sub_batch::text as batch,
       extract(epoch from clock_timestamp() - s.sub_active)::int as seconds
  from pgq.subscription s join pgq.queue q on q.queue_id = s.sub_queue join pgq.consumer c on c.co_id = s.sub_consumer
 where s.sub_batch is not null and s.sub_active < clock_timestamp() - make_interval(secs => $1)
 order by 1, 2`;

const OPEN_CIRCUITS = `
select q.queue_name as queue, c.co_name as consumer, k.circuit_reason as reason, k.circuit_failures as failures,
       extract(epoch from clock_timestamp() - k.circuit_opened_at)::int as open_for,
       extract(epoch from k.circuit_probe_at - clock_timestamp())::int as probe_in
  from pgq.consumer_circuit k
  join pgq.queue q on q.queue_id = k.circuit_queue
  join pgq.consumer c on c.co_id = k.circuit_consumer
 order by 1, 2`;

/** Ticks, pauses, rotation, abandoned batches, and consumers whose events nobody takes. */
export async function checkQueues(client: Client): Promise<Finding[]> {
  const { rows } = await client.query(QUEUES);
  if (rows.length === 0) return [ok('queues', 'no queues yet')];
  const findings = rows.flatMap(checkQueue);
  for (const row of (await client.query(OLD_BATCHES, [OLD_BATCH_S])).rows) {
    findings.push(
      warning(
        'open-batch',
        `consumer "${row.consumer}" of queue "${row.queue}" has kept batch ${row.batch} open for ${row.seconds} s`,
        'look at its logs and dead-letter queue; if it is gone: `skytools consumer unregister`',
        { queue: row.queue, consumer: row.consumer },
      ),
    );
  }
  findings.push(...(await checkCircuits(client)));
  findings.push(...(await checkDeadLetters(client)));
  if (findings.length === 0) findings.push(ok('queues', `${rows.length} queues tick and rotate`));
  return findings;
}

/** Services that do not take the events forwarded to them. */
async function checkCircuits(client: Client): Promise<Finding[]> {
  // Other PgQ installations, and earlier ones of ours, have no such table.
  const { rows: present } = await client.query(
    `select to_regclass('pgq.consumer_circuit') is not null as present`,
  );
  if (!present[0].present) return [];
  const { rows } = await client.query(OPEN_CIRCUITS);
  return rows.map(({ queue, consumer, reason, failures, open_for, probe_in }) =>
    fault(
      'circuit',
      `the service behind consumer "${consumer}" of queue "${queue}" has not taken its events for ${open_for} s: ` +
        `${reason ?? 'no reason recorded'}, ${failures} ${failures === 1 ? 'attempt' : 'attempts'}, ` +
        (probe_in > 0 ? `the next in ${probe_in} s` : 'the next is due'),
      'put the service or its secret right; the consumer then goes on by itself, or at once after pgq.close_circuit(queue, consumer)',
      { queue, consumer },
    ),
  );
}

/** Events that consumers have given up. Only who may read them is told. */
async function checkDeadLetters(client: Client): Promise<Finding[]> {
  const { rows: readable } = await client.query(
    `select coalesce(has_table_privilege(to_regclass('pgq.failed_queue'), 'SELECT'), false) as readable`,
  );
  if (!readable[0].readable) return [];
  const { rows } = await client.query(
    `select q.queue_name as queue, (array_agg(c.co_name order by length(c.co_name)))[1] as consumer, f.events
       from (select ev_owner, count(*)::int as events from pgq.failed_queue group by 1) f
       join pgq.subscription s on s.sub_id = f.ev_owner
       join pgq.queue q on q.queue_id = s.sub_queue
       join pgq.consumer c on c.co_id = s.sub_consumer
      group by q.queue_name, f.ev_owner, f.events order by 1, 2`,
  );
  return rows.map((row) =>
    warning(
      'dead-letters',
      `consumer "${row.consumer}" of queue "${row.queue}" has given up ${row.events} events`,
      `skytools dead list ${row.queue} ${row.consumer} shows the reasons; then dead replay or dead purge`,
      { queue: row.queue, consumer: row.consumer },
    ),
  );
}

interface QueueRow {
  queue: string;
  paused: boolean;
  external: boolean;
  disabled: boolean;
  tick_age: number | null;
  idle_period: number;
  switch_age: number;
  rotation_period: number | null;
  half_rotated: boolean;
  holder: string | null;
}

function checkQueue(row: QueueRow): Finding[] {
  const subject = { queue: row.queue };
  const findings: Finding[] = [];
  if (row.paused) {
    findings.push(
      warning(
        'paused',
        `queue "${row.queue}" is paused: no ticks, so consumers get nothing`,
        `run \`skytools queue resume ${row.queue}\` when it may go on`,
        subject,
      ),
    );
  } else if (!row.external && (row.tick_age === null || row.tick_age > row.idle_period + LATE_TICK_S)) {
    findings.push(
      fault(
        'tick-age',
        `queue "${row.queue}" has not ticked for ${row.tick_age === null ? 'ever' : `${Math.round(row.tick_age)} s`}`,
        'check that the tick function (or pgqd) runs and reaches this database; `skytools queue tick` ticks once',
        subject,
      ),
    );
  }
  if (row.disabled && !row.external) {
    findings.push(
      warning(
        'insert-disabled',
        `queue "${row.queue}" refuses events`,
        `set queue_disable_insert to false in pgq.queue if producers should write to it`,
        subject,
      ),
    );
  }
  findings.push(...checkRotation(row));
  return findings;
}

function checkRotation(row: QueueRow): Finding[] {
  if (row.rotation_period === null) return [];
  const overdue = row.switch_age - row.rotation_period;
  if (overdue < Math.max(row.rotation_period * OVERDUE_PERIODS, LATE_TICK_S)) return [];
  const age = `${Math.round(overdue)} s overdue`;
  if (row.holder !== null) {
    return [
      fault(
        'rotation',
        `rotation of queue "${row.queue}" is ${age}: consumer "${row.holder}" still needs the old table`,
        `bring the consumer up to date, or give up its events: skytools consumer unregister ${row.queue} ${row.holder}`,
        { queue: row.queue, consumer: row.holder },
      ),
    ];
  }
  return [
    fault(
      'rotation',
      `rotation of queue "${row.queue}" is ${age}${row.half_rotated ? ', its second step never ran' : ''}`,
      'check that the maintain function (or pgqd) runs; a long transaction or a dump can hold it back too',
      { queue: row.queue },
    ),
  ];
}

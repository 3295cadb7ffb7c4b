import type pg from 'pg';
import { type Finding, ok, warning } from './finding.ts';

/**
 * Rotation and drop lock every table of a queue, and one installation locks some hundred objects: PostgreSQL's default
 * of 64 locks for each connection is enough, less is not.
 */
const LEAST_LOCKS = 64;

/** A transaction open for so long, in seconds, holds back rotation and vacuum noticeably. */
const LONG_TRANSACTION_S = 600;

/** Settings, poolers, and whatever keeps old snapshots alive. */
export async function checkServer(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query(
    `select pg_backend_pid() as pid,
            current_setting('max_locks_per_transaction')::int as locks,
            current_setting('autovacuum')::bool as autovacuum,
            current_setting('max_prepared_transactions')::int as prepared`,
  );
  const { pid, locks, autovacuum, prepared } = rows[0];
  const findings: Finding[] = [];
  const direct = (client as unknown as { processID: number | null }).processID === pid;
  findings.push(
    ok('pooler', direct ? 'direct connection' : 'connected through a pooler; transaction mode is fine'),
  );
  if (locks < LEAST_LOCKS) {
    findings.push(
      warning(
        'locks',
        `max_locks_per_transaction is ${locks}`,
        `set it to ${LEAST_LOCKS} or more and restart`,
      ),
    );
  }
  if (!autovacuum) {
    findings.push(
      warning('autovacuum', 'autovacuum is off', 'turn it on: the tables of ticks and subscriptions need it'),
    );
  }
  findings.push(...(await checkLongTransactions(client)));
  if (prepared > 0) findings.push(...(await checkPrepared(client)));
  findings.push(...(await checkSlots(client)));
  return findings;
}

async function checkLongTransactions(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query(
    `select pid, usename::text as "user", application_name as application, state,
            extract(epoch from clock_timestamp() - xact_start)::int as seconds
       from pg_stat_activity
      where datname = current_database() and xact_start < clock_timestamp() - make_interval(secs => $1)
        and backend_type = 'client backend' and (backend_xid is not null or backend_xmin is not null)
      order by xact_start`,
    [LONG_TRANSACTION_S],
  );
  if (rows.length === 0) return [ok('long-transactions', 'no transaction holds back rotation or vacuum')];
  return rows.map((row) =>
    warning(
      'long-transactions',
      `process ${row.pid} (${row.user}, ${row.application || 'no name'}, ${row.state}) has been in a transaction for ${row.seconds} s`,
      `end it, or \`select pg_terminate_backend(${row.pid})\`: rotation and vacuum wait for it`,
    ),
  );
}

async function checkPrepared(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query(
    `select gid, owner::text, extract(epoch from clock_timestamp() - prepared)::int as seconds
       from pg_prepared_xacts
      where database = current_database() and prepared < clock_timestamp() - make_interval(secs => $1)`,
    [LONG_TRANSACTION_S],
  );
  return rows.map((row) =>
    warning(
      'prepared-transactions',
      `prepared transaction "${row.gid}" of ${row.owner} is ${row.seconds} s old`,
      'commit or roll it back (`rollback prepared …`): every later tick carries it, and rotation waits for it',
    ),
  );
}

async function checkSlots(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query(
    `select slot_name::text as name, greatest(age(xmin), age(catalog_xmin)) as age
       from pg_replication_slots
      where not active and (xmin is not null or catalog_xmin is not null)`,
  );
  return rows.map((row) =>
    warning(
      'slots',
      `replication slot "${row.name}" is not in use and holds back vacuum by ${row.age} transactions`,
      'start its reader, or drop it: select pg_drop_replication_slot(…)',
    ),
  );
}

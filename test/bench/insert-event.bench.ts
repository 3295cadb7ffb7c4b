/**
 * `pgq.insert_event`, one per transaction: ours beside the C extension and beside a plain INSERT into an identical
 * table, on one server (Debian's PostgreSQL 15 with postgresql-15-pgq3), interleaved, by pgbench.
 *
 *   node test/bench/insert-event.bench.ts [rounds] [seconds per run] [prepared|simple|extended]
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { median, startComparison } from '../support/bench.ts';

const run = promisify(execFile);
const [rounds = 5, seconds = 3] = process.argv.slice(2, 4).map(Number);
const protocol = process.argv[4] ?? 'prepared';
const DATA = 'id=1234&name=customer+1234&city=K%c3%b6ln&amount=99.25&note';
const GOALS = { on: { c: 0.9, plain: 0.8 }, off: { c: 0.75, plain: undefined } };

const comparison = await startComparison({ durable: true, settings: { max_wal_size: '4GB' } });
const directory = await mkdtemp(path.join(tmpdir(), 'skytools-bench-'));
try {
  const { c, ours, server } = comparison;
  for (const client of [c, ours]) await client.query("select pgq.create_queue('q')");
  await ours.query(`
    create table plain (like pgq.event_1_0 including all);
    create sequence plain_id_seq;
    alter table plain alter ev_id set default nextval('plain_id_seq')`);
  const call = `select pgq.insert_event('q', 'update', '${DATA}');`;
  const scripts = {
    c: { database: 'c', sql: call },
    ours: { database: 'ours', sql: call },
    plain: {
      database: 'ours',
      sql: `insert into plain (ev_time, ev_type, ev_data) values (now(), 'update', '${DATA}') returning ev_id;`,
    },
  };
  const names = Object.keys(scripts) as (keyof typeof scripts)[];
  for (const name of names) await writeFile(path.join(directory, name), scripts[name].sql);

  const measure = async (name: keyof typeof scripts, clients: number, commit: 'on' | 'off') => {
    const { stdout } = await run(
      '/usr/lib/postgresql/15/bin/pgbench',
      [
        ...['-h', '127.0.0.1', '-p', String(server.port), '-U', 'postgres', '-n', '-M', protocol],
        ...['-c', String(clients), '-j', String(Math.min(clients, 2)), '-T', String(seconds)],
        ...['-f', path.join(directory, name), scripts[name].database],
      ],
      { env: { ...process.env, PGOPTIONS: `-c synchronous_commit=${commit}` } },
    );
    return Number(/tps = ([\d.]+)/.exec(stdout)![1]);
  };

  console.log(
    `pgq.insert_event, one per transaction, ${protocol} protocol, median of ${rounds} runs of ${seconds} s`,
  );
  for (const commit of ['on', 'off'] as const) {
    for (const clients of [1, 2, 4, 8]) {
      const rates = { c: [] as number[], ours: [] as number[], plain: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        for (const name of names) rates[name].push(await measure(name, clients, commit));
        await ours.query('truncate plain, pgq.event_1_0');
        await c.query('truncate pgq.event_1_0');
      }
      // Ratios of runs that stood side by side: the machine's other work cancels out.
      const toC = median(rates.ours.map((rate, i) => rate / rates.c[i]!));
      const toPlain = median(rates.ours.map((rate, i) => rate / rates.plain[i]!));
      const goal = GOALS[commit];
      console.log(
        [
          `synchronous_commit ${commit.padEnd(3)} ${clients} clients`,
          ...names.map((name) => `${name} ${median(rates[name]).toFixed(0)}/s`),
          `ours/c ${toC.toFixed(2)} (goal ${goal.c}${toC >= goal.c ? '' : ', MISSED'})`,
          `ours/plain ${toPlain.toFixed(2)}${goal.plain ? ` (goal ${goal.plain}${toPlain >= goal.plain ? '' : ', MISSED'})` : ''}`,
        ].join('  '),
      );
    }
  }
} finally {
  await rm(directory, { recursive: true, force: true });
  await comparison.stop();
}

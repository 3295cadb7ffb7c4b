import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { unfinishedEvents } from '../../lib/local/demo/observe.ts';
import { type FaultRule, seededRandom } from '../../lib/local/emulator/faults.ts';
import type { Runner } from '../../lib/local/runner/runner.ts';
import { createNode } from '../../lib/londiste/admin/create-node.ts';
import { addTable, resyncTable } from '../../lib/londiste/admin/tables.ts';
import type { NodeScope } from '../../lib/londiste/place.ts';
import { configureQueue, createQueue, registerConsumer } from '../../lib/pgq/queues.ts';
import { addTrigger } from '../../lib/pgq/triggers.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { errorMessage, SkytoolsError } from '../../lib/platform/errors.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { WalArchive } from '../../lib/walmgr/archive/archive.ts';
import { nameOfKey } from '../../lib/walmgr/archive/location.ts';
import { takeBackup } from '../../lib/walmgr/backup/take.ts';
import { ReplicationSource } from '../../lib/walmgr/replication/source.ts';
import { parseLsn } from '../../lib/walmgr/wal/lsn.ts';
import { segmentName, segmentOf } from '../../lib/walmgr/wal/name.ts';
import { recover, stopAll, until } from '../support/cluster.ts';
import { type Blow, planBlows, S3_OUTAGE, SQS_OUTAGE } from './faults.ts';
import {
  checkHistory,
  type History,
  type RecordedArchive,
  type RecordedDelivery,
  type Violation,
} from './history-checker.ts';
import { ARCHIVE_PREFIX, type DrillStack, startStack } from './stack.ts';
import { WRITER_APPLICATION, Writers } from './writers.ts';

const WRITERS = 4;

/** Rows that are there before the set is copied: some chunks of it. */
const ACCOUNTS = 20_000;

/** How long an outage of a service or a refusal of connections lasts, or a blow waits for its moment, in milliseconds. */
const OUTAGE_MS = 3_000;

/**
 * How long the functions may take for what is left, once nothing disturbs them any more, in milliseconds. Seconds on a quiet
 * machine; on two cores under a load of 25 a copy was seen to need ten minutes for the batches that it had to catch up with.
 */
const DRAIN_MS = 1_200_000;

/** When a server has found out, by the keepalive of our transactions, that the client of a silent connection is gone. */
const PROBED_MS = 60_000;

export interface DrillOptions {
  seconds: number;
  seed: number;
  say: (text: string) => void;
}

export interface DrillResult {
  violations: Violation[];
  transactions: number;
  committed: number;
  unanswered: number;
  events: number;
  deliveries: Record<string, number>;
  /** How often each fault struck. */
  faults: Record<string, number>;
  /** Where the logs of the functions are. */
  directory: string;
}

/** Disturbs the whole stack for a while, lets it come to rest, and judges what it did. */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const stack = await startStack();
  try {
    return await new Drill(stack, options).run();
  } finally {
    await stopAll();
    await stack.close();
  }
}

class Drill {
  readonly #stack: DrillStack;
  readonly #options: DrillOptions;
  readonly #faults: Record<string, number> = {};
  /** Repairs that are on their way, such as the end of an outage. */
  readonly #repairs = new Set<Promise<void>>();
  #backupAt: string | undefined;

  constructor(stack: DrillStack, options: DrillOptions) {
    this.#stack = stack;
    this.#options = options;
  }

  async run(): Promise<DrillResult> {
    const { seconds, seed, say } = this.#options;
    const random = seededRandom(seed);
    const plan = planBlows(random, seconds);
    await this.#prepare();
    say(`ready; ${seconds} s with ${WRITERS} writers and ${plan.length} planned blows`);

    const disturbed = await this.#stack.startFunctions(seed);
    void disturbed.fire('sweep');
    const writers = new Writers(() => this.#stack.url('provider'), seededRandom(seed + 1), WRITERS);
    const startedAt = performance.now();
    const elapsed = () => (performance.now() - startedAt) / 1000;
    for (const { at, blow } of plan) {
      await sleep(Math.max(0, (at - elapsed()) * 1000));
      say(`${elapsed().toFixed(1).padStart(6)} s  ${blow}`);
      await this.#strike(blow);
    }
    await sleep(Math.max(0, (seconds - elapsed()) * 1000));
    await Promise.all(this.#repairs);
    await writers.stop();
    const { functions, chaos } = disturbed.counts();
    await disturbed.close(0);
    this.#calm();

    say(`${writers.transactions} transactions written; waiting until everything is consumed`);
    const runner = await this.#stack.startFunctions();
    await this.#settle(runner);
    await runner.close();

    say('restoring the archive, and checking the history');
    const history = await this.#history(writers);
    const committed = history.transactions.filter((each) => each.committed);
    return {
      violations: checkHistory(history),
      transactions: history.transactions.length,
      committed: committed.length,
      unanswered: committed.filter(({ acknowledgedAt }) => acknowledgedAt === undefined).length,
      events: committed.reduce((sum, { events }) => sum + events.length, 0),
      deliveries: Object.fromEntries(
        history.deliveries.map(({ consumer, events }) => [consumer, events.length]),
      ),
      faults: {
        ...this.#faults,
        ...chaos,
        ...this.#stack.archive.emulator.faults.counts(),
        invocations: Object.values(functions).reduce((sum, { invocations }) => sum + invocations, 0),
      },
      directory: this.#stack.directory,
    };
  }

  async #prepare(): Promise<void> {
    const { provider } = this.#stack;
    const scope = this.#scope();
    await this.#at('provider', async (client) => {
      await client.query(`create table ledger (id text primary key);
        create table item (id int primary key, note text);
        create table account (id int primary key, note text)`);
      await client.query(`insert into account select i, md5(i::text) from generate_series(1, $1::int) i`, [
        ACCOUNTS,
      ]);
      for (const queue of ['events', 'rows']) {
        await createQueue(client, queue);
        await configureQueue(client, queue, { tickerMaxLagSeconds: 0.5, rotationPeriodSeconds: 10 });
      }
      await registerConsumer(client, 'events', 'deliver');
      await registerConsumer(client, 'events', 'move');
      await registerConsumer(client, 'rows', 'apply');
      await addTrigger(client, { table: 'item', queue: 'rows', format: 'logutriga' });
      await createNode(scope, client, { queue: 'set', type: 'root', name: 'root', location: 'provider' });
      await configureQueue(client, 'set', { tickerMaxLagSeconds: 0.5, rotationPeriodSeconds: 10 });
    });
    await this.#at('subscriber', async (client) => {
      await client.query('create table item (id int primary key, note text)');
      await createQueue(client, 'moved');
      // Reads at the very end, so that nothing that was moved is rotated away.
      await registerConsumer(client, 'moved', 'audit');
      await client.query('create table account (id int primary key, note text)');
      await createNode(scope, client, {
        queue: 'set',
        type: 'leaf',
        name: 'leaf',
        location: 'subscriber',
        provider: 'provider',
      });
    });
    for (const node of ['provider', 'subscriber'] as const)
      await this.#at(node, (client) => addTable(scope, client, { queue: 'set', table: 'account' }));
    await this.#backup();
    await provider.attachStandby();
  }

  #scope(): NodeScope {
    return {
      config: parseConfig({
        databases: {
          provider: { url: this.#stack.url('provider') },
          subscriber: { url: this.#stack.url('subscriber') },
        },
        londiste: { nodes: { leaf: { database: 'subscriber', queue: 'set' } } },
      }),
      deadline: Deadline.after(600_000),
      database: (name, body) => this.#at(name as 'provider', body),
    };
  }

  async #at<T>(database: 'provider' | 'subscriber', body: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await connect(this.#stack.url(database));
    try {
      return await body(client);
    } finally {
      await disconnect(client);
    }
  }

  async #strike(blow: Blow): Promise<void> {
    this.#faults[blow] = (this.#faults[blow] ?? 0) + 1;
    const { provider, subscriber, proxies } = this.#stack;
    switch (blow) {
      case 'provider connections go silent':
        return proxies.provider.blackHole(PROBED_MS);
      case 'subscriber connections go silent':
        return proxies.subscriber.blackHole(PROBED_MS);
      case 'subscriber connections go silent in a COPY':
        return this.#later(proxies.subscriber.blackHoleAfter('from stdin', PROBED_MS));
      case 'provider connections are reset':
        return proxies.provider.reset();
      case 'subscriber connections are reset':
        return proxies.subscriber.reset();
      case 'provider refuses connections':
        proxies.provider.refuse(true);
        return this.#later(() => proxies.provider.refuse(false));
      case 'provider backends are terminated':
        await provider.query(`select pg_terminate_backend(pid) from pg_stat_activity
                               where datname = 'provider' and pid <> pg_backend_pid() and random() < 0.7`);
        return;
      case 'provider restarts':
        return provider.restart('fast');
      case 'provider crashes':
        return provider.restart('immediate');
      case 'subscriber restarts':
        return subscriber.restart('fast');
      case 'subscriber crashes':
        return subscriber.restart('immediate');
      case 'provider fails over':
        return provider.failOver();
      case 'provider gets a standby':
        return provider.attachStandby();
      case 's3 is down':
        return this.#outage(S3_OUTAGE);
      case 'sqs is down':
        return this.#outage(SQS_OUTAGE);
      case 'a table is copied again':
        await this.#at('subscriber', (client) => resyncTable(this.#scope(), client, 'set', 'account')).catch(
          (error) => this.#note(error),
        );
        return;
      case 'a base backup is taken':
        return this.#background(this.#backup().catch((error) => this.#note(error)));
    }
  }

  /** A blow may fall on the hand that strikes: what a person would try again is left. */
  #note(error: unknown): void {
    this.#options.say(`          (did not come about: ${errorMessage(error)})`);
  }

  #background(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.#repairs.delete(tracked));
    this.#repairs.add(tracked);
  }

  #later(repair: () => void): void {
    this.#background(sleep(OUTAGE_MS).then(repair));
  }

  #outage(rules: readonly FaultRule[]): void {
    const { faults } = this.#stack.archive.emulator;
    const ends = rules.map((rule) => faults.add(rule));
    this.#later(() => {
      for (const end of ends) end();
    });
  }

  #calm(): void {
    const { emulator } = this.#stack.archive;
    emulator.faults.clear();
    emulator.sqs.chaos = {};
    this.#stack.proxies.provider.refuse(false);
  }

  async #backup(): Promise<void> {
    const { archive, provider } = this.#stack;
    const source = await ReplicationSource.connect(provider.primary.url(), 'skytools_archive');
    const store = archive.store();
    try {
      const claimed = await WalArchive.claim(archive.location(ARCHIVE_PREFIX), await source.identity(), {
        store,
      });
      const { did } = await takeBackup(claimed, source, { fast: true, waitForWalMs: 0 });
      const start = segmentOf(parseLsn(did.startLsn), claimed.identity.segmentSize);
      this.#backupAt ??= segmentName(did.timeline, start, claimed.identity.segmentSize);
    } finally {
      await source.close().catch(() => {});
      store.close();
    }
  }

  /** Until both consumers have finished everything, and the leaf too. */
  async #settle(runner: Runner): Promise<void> {
    const { provider, say } = { ...this.#stack, ...this.#options };
    // A writer whose connection went silent is in its transaction until the server ends it.
    await until('the last writers', async () => {
      const open = await provider.query(
        `select from pg_stat_activity where application_name = '${WRITER_APPLICATION}' and xact_start is not null`,
      );
      return open.length === 0;
    });
    const consumers = [
      ['events', 'deliver'],
      ['events', 'move'],
      ['rows', 'apply'],
      ['set', 'leaf_worker'],
    ] as const;
    const left = async () =>
      this.#at('provider', async (client) => {
        const counts: Record<string, number> = {};
        for (const [queue, consumer] of consumers)
          counts[consumer] = await unfinishedEvents(client, queue, consumer);
        return counts;
      });
    const copied = async () =>
      this.#at('subscriber', async (client) => {
        const { rows } = await client.query(
          `select from londiste.table_info where local and merge_state is distinct from 'ok'`,
        );
        return rows.length === 0;
      });
    void runner.fire('sweep');
    for (const end = performance.now() + DRAIN_MS; ; ) {
      const counts = await left();
      const unfinished = Object.values(counts).reduce((sum, count) => sum + count, 0);
      if (unfinished === 0 && (await copied())) return;
      if (performance.now() > end) {
        say(`still unfinished: ${JSON.stringify(counts)}, all tables copied: ${await copied()}`);
        await this.#explain();
        throw new SkytoolsError('DRILL_STUCK', `not consumed ${DRAIN_MS / 1000} s after the last change`, {
          hint: 'this is a bug: run the drill again with the same seed',
        });
      }
      await sleep(250);
    }
  }

  /** What keeps the work from being done: states, sessions, and the end of the log of what should have done it. */
  async #explain(): Promise<void> {
    const { say } = this.#options;
    const show = async (database: 'provider' | 'subscriber', query: string) =>
      say(
        `${database}: ${JSON.stringify(await this.#stack[database].query(query, database).catch(errorMessage), null, 1)}`,
      );
    await show('provider', 'select * from pgq.get_consumer_info()');
    await show('provider', 'select * from pgq.subscription');
    await show('subscriber', 'select * from pgq_ext.completed_batch');
    for (const database of ['provider', 'subscriber'] as const)
      await show(
        database,
        `select pid, state, xact_start, wait_event, left(query, 120) as query from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      );
    const log = readFileSync(`${this.#stack.directory}/functions.log`, 'utf8').split('\n');
    const worker = log.filter((line) => /^(consume|replay|copy) /.test(line) || line.includes('"ERROR"'));
    say(`functions.log, of its workers:\n${worker.slice(-60).join('\n')}`);
  }

  async #history(writers: Writers): Promise<History> {
    const { provider, deliveries } = this.#stack;
    const ledger = await provider.query<{ id: string }>('select id from ledger', 'provider');
    const replicas = [];
    for (const table of ['item', 'account']) {
      replicas.push({
        table,
        provider: await this.#content('provider', table),
        subscriber: await this.#content('subscriber', table),
      });
    }
    const delivered: RecordedDelivery[] = [
      {
        consumer: 'deliver',
        promise: 'at-least-once',
        events: readFileSync(deliveries, 'utf8').split('\n').filter(Boolean),
      },
      { consumer: 'move', promise: 'exactly-once', events: await this.#moved() },
    ];
    return {
      transactions: writers.history(new Set(ledger.map(({ id }) => id))),
      deliveries: delivered,
      replicas,
      archives: [await this.#archived()],
    };
  }

  async #content(node: 'provider' | 'subscriber', table: string): Promise<string> {
    const [row] = await this.#stack[node].query<{ sum: string }>(contentOf(table), node);
    return row!.sum;
  }

  /** The events of the queue in the subscriber, in the order in which a consumer is given them. */
  async #moved(): Promise<string[]> {
    return this.#at('subscriber', async (client) => {
      const events: string[] = [];
      await client.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
      await client.query(`select pgq.ticker()`);
      for (;;) {
        const { rows } = await client.query(`select pgq.next_batch('moved', 'audit') as batch`);
        const { batch } = rows[0];
        if (batch === null) return events;
        const read = await client.query('select ev_data from pgq.get_batch_events($1)', [batch]);
        events.push(...read.rows.map((row) => row.ev_data as string));
        await client.query('select pgq.finish_batch($1)', [batch]);
      }
    });
  }

  async #archived(): Promise<RecordedArchive> {
    const { archive, provider } = this.#stack;
    const tables = ['ledger', 'item', 'account'];
    const original: string[] = [];
    for (const table of tables) original.push(await this.#content('provider', table));
    const [row] = await provider.query<{ name: string; bytes: string }>(
      `select pg_walfile_name(pg_switch_wal()) as name,
              (select setting from pg_settings where name = 'wal_segment_size') as bytes`,
    );
    const store = archive.store();
    const names = async () => {
      const opened = await WalArchive.open(archive.location(ARCHIVE_PREFIX), store);
      const found: string[] = [];
      for await (const { key } of store.list(opened.keys.wal)) found.push(nameOfKey(key));
      return found;
    };
    try {
      await until('the archiver', async () => (await names()).includes(row!.name), 120_000);
      const files = await names();
      const recovered = await recover(archive, ARCHIVE_PREFIX);
      const restored: string[] = [];
      const client = await connect(recovered.server.url('provider'));
      for (const table of tables)
        restored.push((await client.query<{ sum: string }>(contentOf(table))).rows[0]!.sum);
      await disconnect(client);
      return {
        name: ARCHIVE_PREFIX,
        files,
        first: this.#backupAt!,
        last: row!.name,
        segmentBytes: Number(row!.bytes),
        original: original.join(', '),
        restored: restored.join(', '),
      };
    } finally {
      store.close();
    }
  }
}

/** One text for the whole content of a table. */
const contentOf = (table: string) =>
  `select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) as sum from ${table} t`;

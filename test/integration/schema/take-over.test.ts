import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClassicPgq, missingClassicParts } from '../../support/classic-pgq.ts';
import { skytools } from '../../support/cli.ts';

const missing = missingClassicParts();
if (missing.length > 0) {
  process.stderr.write(
    `\nTAKE-OVER NOT TESTED: Debian packages missing: ${missing.join(', ')}\n` +
      `  apt-get install postgresql-15 postgresql-15-pgq3 postgresql-15-pgq-node pgqd python3-pgq\n\n`,
  );
}

/** Members of our extensions, and what pg_dump saves of them. */
const EXTENSIONS = `
select e.extname, e.extversion, count(d.objid)::int as members,
       (select array_agg(c::regclass::text order by c::regclass::text) from unnest(e.extconfig) c) as config
  from pg_extension e left join pg_depend d on d.refobjid = e.oid and d.deptype = 'e'
 where e.extname ~ '^(pgq|londiste)' group by e.oid, e.extname, e.extversion, e.extconfig order by 1`;

const FUNCTIONS = `
select p.oid::regprocedure::text as name, p.oid, pg_get_functiondef(p.oid) as definition
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname ~ '^(pgq|londiste)' and p.prokind = 'f' order by 1`;

describe.skipIf(missing.length > 0)('taking over the C extension', () => {
  let classic: ClassicPgq;

  beforeAll(async () => {
    classic = await ClassicPgq.start();
  });
  afterAll(() => classic?.stop());

  const cli = (database: string, ...argv: string[]) =>
    skytools([...argv, '--url', classic.server.url(database)]);

  async function classicDatabase(name: string): Promise<pg.Client> {
    const client = await classic.database(name);
    await client.query('create extension pgq');
    await client.query('create extension pgq_node');
    await client.query('create extension londiste');
    await client.query(`select pgq.create_queue('orders')`);
    await client.query(`select pgq.set_queue_config('orders', 'ticker_max_lag', '0')`);
    await client.query(`select pgq.set_queue_config('orders', 'ticker_idle_period', '100 ms')`);
    await client.query(`select pgq.register_consumer('orders', 'recorder')`);
    await client.query('create table seen (ev_id int8, ev_data text)');
    await client.query('create table watched (id int primary key, note text)');
    await client.query(
      `create trigger capture after insert or update or delete on watched
       for each row execute function pgq.logutriga('orders')`,
    );
    return client;
  }

  it('keeps a Londiste node with its table and sequence, there and back', async () => {
    const client = await classicDatabase('node');
    await client.query(`select pgq_node.register_location('cascade', 'n', 'dbname=node', false)`);
    await client.query(`select pgq_node.create_node('cascade', 'root', 'n', 'worker', null, null, null)`);
    await client.query('create sequence numbers');
    await client.query(`select londiste.local_add_table('cascade', 'public.watched')`);
    await client.query(`select londiste.local_add_seq('cascade', 'public.numbers')`);
    const look = async () => [
      (await client.query(`select * from londiste.get_table_list('cascade')`)).rows,
      (await client.query(`select local, seq_name from londiste.get_seq_list('cascade')`)).rows,
      (await client.query(`select node_type, node_name, worker_name from pgq_node.get_node_info('cascade')`))
        .rows,
    ];
    const before = await look();
    const taken = await cli('node', 'install', '--yes');
    expect(taken.code, taken.stderr).toBe(0);
    expect(await look()).toEqual(before);
    await client.query(`insert into watched values (1, 'taken over')`);
    const undone = await cli('node', 'uninstall', '--yes');
    expect(undone.code, undone.stderr).toBe(0);
    expect(await look()).toEqual(before);
    await client.query(`insert into watched values (2, 'given back')`);
    const { rows } = await client.query(
      `select ev_data from pgq.event_2 where ev_type = 'I:id' order by ev_id`,
    );
    expect(rows.map((row) => row.ev_data)).toEqual(['id=1&note=taken+over', 'id=2&note=given+back']);
    await client.end();
  });

  it('keeps open batch, retry queue, positions and trigger; rehearsed it changes nothing; undone all is C again', async () => {
    const client = await classicDatabase('quiet');
    const tick = async () => {
      await client.query(`select pgq.force_tick('orders')`);
      await client.query('select pgq.ticker()');
    };
    await client.query(`select pgq.insert_event('orders', 't', 'batch')`);
    await tick();
    const open = (await client.query(`select pgq.next_batch('orders', 'recorder') as id`)).rows[0].id;
    await client.query(`select pgq.event_retry($1, 1, 0)`, [open]);
    await client.query(`insert into watched values (1, 'before')`);
    const extensions = (await client.query(EXTENSIONS)).rows;
    const functions = (await client.query(FUNCTIONS)).rows;

    const dry = await cli('quiet', 'install', '--dry-run');
    expect(dry.stderr).toContain('would record the extensions londiste');
    expect((await client.query(EXTENSIONS)).rows).toEqual(extensions);

    expect((await cli('quiet', 'install')).stderr).toContain('CLI_NEEDS_YES');
    const done = await cli('quiet', 'install', '--yes', '--json');
    expect(done.stderr).toContain('detach');
    expect(done.json()).toMatchObject({ changed: true, kind: 'take-over', recreated: [] });
    expect((await client.query(EXTENSIONS)).rows).toEqual([]);

    expect((await client.query(`select pgq.next_batch('orders', 'recorder') as id`)).rows[0].id).toBe(open);
    const batch = await client.query('select ev_data from pgq.get_batch_events($1)', [open]);
    expect(batch.rows).toEqual([{ ev_data: 'batch' }]);
    await client.query('select pgq.finish_batch($1)', [open]);
    await client.query(`insert into watched values (2, 'after')`);
    await client.query('select pgq.maint_retry_events()');
    await tick();
    const next = (await client.query(`select pgq.next_batch('orders', 'recorder') as id`)).rows[0].id;
    const events = await client.query('select ev_data from pgq.get_batch_events($1)', [next]);
    expect(events.rows.map((row) => row.ev_data).sort()).toEqual([
      'batch',
      'id=1&note=before',
      'id=2&note=after',
    ]);

    const doctor = await cli('quiet', 'doctor', '--json');
    expect(doctor.code, doctor.stdout).toBe(0);

    const undone = await cli('quiet', 'uninstall', '--yes');
    expect(undone.stderr).toMatch(/restore the extensions londiste [\d.]+, pgq 3.5, pgq_node 3.5/);
    expect(undone.code, undone.stderr).toBe(0);
    expect((await client.query(EXTENSIONS)).rows).toEqual(extensions);
    expect((await client.query(FUNCTIONS)).rows).toEqual(functions);
    await client.query(`insert into watched values (3, 'undone')`);
    await client.query('select pgq.finish_batch($1)', [next]);
    await tick();
    const last = (await client.query(`select pgq.next_batch('orders', 'recorder') as id`)).rows[0].id;
    const rest = await client.query('select ev_data from pgq.get_batch_events($1)', [last]);
    expect(rest.rows).toEqual([{ ev_data: 'id=3&note=undone' }]);
    await client.query(`select pgq.drop_queue('orders', true)`);
    await client.query('drop trigger capture on watched');
    for (const name of ['londiste', 'pgq_node', 'pgq']) await client.query(`drop extension ${name}`);
    await client.end();
  });

  it('loses nothing while pgqd, a Python consumer and producers run through it and through its undoing', async () => {
    const client = await classicDatabase('busy');
    await classic.startPgqd('busy');
    await classic.startPythonConsumer('busy', 'orders');

    let producing = true;
    const sent = new Set<string>();
    const failures: string[] = [];
    const produce = async (worker: number) => {
      const producer = await classic.connect('busy');
      for (let n = 0; producing; n++) {
        const data = `${worker}-${n}`;
        try {
          await producer.query('begin');
          await producer.query(`select pgq.insert_event('orders', 't', $1)`, [data]);
          await producer.query('insert into watched values ($1, $2)', [worker * 1_000_000 + n, data]);
          await sleep(2);
          await producer.query('commit');
          sent.add(data).add(`id=${worker * 1_000_000 + n}&note=${data}`);
        } catch (error) {
          failures.push(String(error));
          await producer.query('rollback');
        }
      }
      await producer.end();
    };
    const producers = [1, 2, 3].map(produce);

    const seen = async () =>
      (await client.query('select ev_data from seen')).rows.map((row) => row.ev_data as string);
    /** Lets everybody work for a while, until something that was sent since then has arrived. */
    const work = async (milliseconds: number) => {
      const before = new Set(sent);
      await sleep(milliseconds);
      const isNew = (data: string) => sent.has(data) && !before.has(data);
      await expect.poll(async () => (await seen()).some(isNew), { interval: 200 }).toBe(true);
    };
    await work(1500);
    const taken = await cli('busy', 'install', '--yes');
    expect(taken.code, taken.stderr).toBe(0);
    await work(2500);
    const undone = await cli('busy', 'uninstall', '--yes');
    expect(undone.code, undone.stderr).toBe(0);
    await work(1500);
    producing = false;
    await Promise.all(producers);
    await expect.poll(async () => new Set(await seen()).size).toBe(sent.size);
    const delivered = await seen();
    expect(failures).toEqual([]);
    expect(new Set(delivered), classic.logs.slice(-2000)).toEqual(sent);
    expect(delivered.length, 'each event once').toBe(sent.size);
    await client.end();
  });
});

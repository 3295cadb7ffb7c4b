import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { installSql } from '../../../lib/schema/compose.ts';
import { skytools } from '../../support/cli.ts';
import { until } from '../../support/cluster.ts';
import { asSuperuser, type TestDatabase, testDatabase } from '../../support/postgres.ts';

const MAIN = path.resolve(import.meta.dirname, '../../../lib/cli/main.ts');

const install = (database: TestDatabase, ...flags: string[]) =>
  skytools(['install', '--url', database.url, ...flags]);

describe('install', () => {
  it('installs into an empty database, and a second time changes nothing', async () => {
    const database = await testDatabase({ from: 'empty' });
    const first = await install(database, '--json');
    expect(first.stderr).toBe('');
    expect(first.json()).toMatchObject({ changed: true, kind: 'fresh' });
    expect((await install(database, '--json')).json()).toMatchObject({ changed: false, kind: 'current' });
    expect(await database.query(`select pgq.create_queue('q') as made`)).toEqual([{ made: 1 }]);
    const [record] = await database.query('select component, checksum from skytools.installation');
    expect(record).toEqual({ component: 'skytools', checksum: installSql().checksum });
  });

  it('lets two sessions install at the same moment: one does it, the other finds it done', async () => {
    const database = await testDatabase({ from: 'empty' });
    const results = await Promise.all([install(database, '--json'), install(database, '--json')]);
    expect(results.map((result) => result.code)).toEqual([0, 0]);
    const changed = results.map((result) => result.json<{ changed: boolean }>().changed).sort();
    expect(changed).toEqual([false, true]);
  });

  it('installed by hand, is recorded by the next install and keeps its queues', async () => {
    const database = await testDatabase();
    await database.query(`select pgq.create_queue('kept')`);
    await database.query(`select pgq.insert_event('kept', 't', 'd')`);
    expect((await install(database, '--json')).json()).toMatchObject({ changed: true, kind: 'upgrade' });
    expect(await database.query('select ev_data from pgq.event_template')).toEqual([{ ev_data: 'd' }]);
  });

  it('over an earlier version, writes generated triggers as this one does, and leaves those of other roles as they are', async () => {
    const database = await testDatabase();
    await database.query(`select pgq.create_queue('q');
      create table t (id int primary key); select pgq.create_fast_trigger('t', 'q');
      create table u (id int primary key); select pgq.create_fast_trigger('u', 'q')`);
    const sources = `select tgrelid::regclass::text as "table", prosrc from pg_trigger join pg_proc p on p.oid = tgfoid
      where proname like '\\_pgq\\_fast\\_%' order by 1`;
    const written = await database.query(sources);
    await database.query(`do $$ declare f regproc; begin
      for f in select oid from pg_proc where proname like '\\_pgq\\_fast\\_%' loop
        execute format('create or replace function %s() returns trigger language plpgsql as ''begin return null; end''', f);
      end loop; end $$`);
    await asSuperuser(
      database.superuserUrl,
      `do $$ begin execute (select format('alter function %s owner to postgres', tgfoid::regprocedure)
        from pg_trigger where tgrelid = 'u'::regclass and tgname = 'pgq_q'); end $$`,
    );
    const result = await install(database);
    expect(result.code, result.stderr).toBe(0);
    const [first, second] = await database.query(sources);
    expect(first).toEqual(written[0]);
    expect(second).toEqual({ table: 'u', prosrc: 'begin return null; end' });
    await database.query('insert into t values (1)');
    expect(await database.query('select ev_data from pgq.event_template')).toEqual([{ ev_data: 'id=1' }]);
  });

  it('--dry-run prints SQL that psql could run, and changes nothing', async () => {
    const database = await testDatabase({ from: 'empty' });
    const result = await install(database, '--dry-run');
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(
      /^begin;\n[\s\S]*create or replace function pgq\.insert_event[\s\S]*commit;\n$/,
    );
    expect(result.stderr).toContain('would create the schemas');
    expect(
      await database.query(`select nspname from pg_namespace where nspname in ('pgq', 'skytools')`),
    ).toEqual([]);
    await database.query(result.stdout);
    expect((await install(database, '--json')).json()).toMatchObject({ kind: 'upgrade' });
  });

  it('refuses with the list of missing rights, and leaves nothing behind', async () => {
    const database = await testDatabase({ from: 'empty' });
    await asSuperuser(database.superuserUrl, 'create schema pgq');
    await asSuperuser(
      database.superuserUrl,
      `create or replace function pgq.odd() returns int language sql as 'select 1'`,
    );
    const result = await install(database);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('INSTALL_RIGHTS');
    expect(result.stderr).toContain('ownership of schema pgq: run as postgres');
    expect(result.stderr).toContain('ownership of function pgq.odd()');
    expect(await database.query(`select from pg_namespace where nspname = 'skytools'`)).toEqual([]);
  });

  it('drops and creates anew a function left by another version whose result type differs', async () => {
    const database = await testDatabase();
    await database.query('drop function pgq.get_queue_info(text) cascade');
    await database.query(
      `create function pgq.get_queue_info(x text) returns text language sql as 'select 1::text'`,
    );
    const result = await install(database, '--json');
    expect(result.json<{ recreated: string[] }>().recreated).toEqual(['pgq.get_queue_info(text)']);
    expect(await database.query(`select count(*)::int as n from pgq.get_queue_info('none')`)).toEqual([
      { n: 0 },
    ]);
  });

  it('names what depends on a function that has to change, and changes nothing', async () => {
    const database = await testDatabase();
    await database.query('drop function pgq.get_queue_info(text) cascade');
    await database.query(
      `create function pgq.get_queue_info(x text) returns text language sql as 'select 1::text'`,
    );
    await database.query(`create view mine as select pgq.get_queue_info('q')`);
    const result = await install(database);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('INSTALL_DEPENDENTS');
    expect(result.stderr).toContain('view mine');
  });

  it('needs neither superuser nor CREATEROLE: the owner of a database may install', async () => {
    const admin = await testDatabase();
    await asSuperuser(
      admin.superuserUrl,
      `do $$ begin create role plain_owner login; exception when duplicate_object then null; end $$`,
    );
    const database = await testDatabase({ from: 'empty', owner: 'plain_owner' });
    const result = await install(database, '--json');
    expect(result.json(), result.stderr).toMatchObject({ changed: true, kind: 'fresh' });
    await database.query(`select pgq.create_queue('q')`);
    expect(await database.query(`select pgq.insert_event('q', 't', 'd')::int as id`)).toEqual([{ id: 1 }]);
  });

  it('waits for an open transaction of a producer without blocking the other producers', async () => {
    const database = await testDatabase();
    await database.query(`select pgq.create_queue('busy')`);
    const open = await database.connect();
    await open.query('begin');
    await open.query(`select pgq.insert_event('busy', 't', 'open')`);
    await open.query('lock table pgq.queue, pgq.tick, pgq.subscription in share mode');
    const installing = install(database, '--json');
    const other = await database.session();
    await other.query(`set statement_timeout = '50s'`);
    for (let n = 0; n < 20; n++) {
      await other.query(`select pgq.insert_event('busy', 't', $1)`, [String(n)]);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await open.query('commit');
    expect((await installing).json()).toMatchObject({ changed: true });
    expect(await database.query('select count(*)::int as n from pgq.event_template')).toEqual([{ n: 21 }]);
  });

  it('killed in the middle leaves nothing behind, and is done by the next run', async () => {
    const database = await testDatabase({ from: 'empty' });
    const other = await database.connect();
    await other.query('begin; create schema walmgr');
    const child = spawn(process.execPath, [MAIN, 'install', '--url', database.url], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    for (;;) {
      const waiting = await other.query(
        `select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()`,
      );
      if (waiting.rows.length > 0) break;
      // Inside a transaction the activity stays as it was first seen.
      await other.query('select pg_stat_clear_snapshot()');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill('SIGKILL');
    await ended;
    await other.query('rollback');
    await expect
      .poll(() => database.query(`select nspname from pg_namespace where nspname in ('pgq', 'skytools')`))
      .toEqual([]);
    expect((await install(database, '--json')).json()).toMatchObject({ changed: true, kind: 'fresh' });
  });

  it('upgrades PgQ 2.1 with its queue, consumer, open batch, retries and trigger, and delivers every event', async () => {
    const database = await testDatabase({ from: 'empty' });
    const old = readFileSync(path.join(import.meta.dirname, '../../support/pgq-2.1.sql'), 'utf8');
    await database.query(old);
    await database.query(
      `insert into pgq.event_1_0 (ev_time, ev_type, ev_data) values (now(), 't', 'the first')`,
    );
    await database.query(`
      insert into pgq.consumer (co_name) values ('reader');
      insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) values (1, 1, 1)`);
    await database.query(
      `insert into pgq.event_1_0 (ev_time, ev_type, ev_data) values (now(), 't', 'in the batch')`,
    );
    await database.query(
      `insert into pgq.tick (tick_queue, tick_id) values (1, nextval('pgq.event_1_tick_seq'))`,
    );
    await database.query(`
      update pgq.subscription set sub_batch = nextval('pgq.batch_id_seq'), sub_next_tick = 2;
      insert into pgq.retry_queue (ev_retry_after, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data)
      values (now() - interval '1 minute', 1, now(), 1, 1, 't', 'retried');
      insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_txid, ev_owner, ev_data)
      values ('poison', now(), 99, now(), 1, 1, 'given up');
      create table watched (id int primary key, note text);
      create trigger capture after insert on watched for each row execute function pgq.logutriga('old')`);
    await database.query(
      `insert into pgq.event_1_0 (ev_time, ev_type, ev_data) values (now(), 't', 'not ticked yet')`,
    );

    const unasked = await install(database);
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('CLI_NEEDS_YES') });
    const done = await install(database, '--yes', '--json');
    expect(done.stderr).toContain('This will:');
    expect(done.json()).toMatchObject({ kind: 'upgrade-pgq-2', changed: true });

    await database.query(`insert into watched values (1, 'caught')`);
    await database.query('select pgq.maint_retry_events()');
    const seen: string[] = [];
    await until('the events', async () => {
      await database.query(`select pgq.force_tick('old')`);
      await database.query('select pgq.ticker()');
      const [batch] = await database.query<{ id: string | null }>(
        `select pgq.next_batch('old', 'reader') as id`,
      );
      if (batch?.id == null) return false;
      const events = await database.query<{ ev_data: string }>('select * from pgq.get_batch_events($1)', [
        batch.id,
      ]);
      seen.push(...events.map((event) => event.ev_data));
      await database.query('select pgq.finish_batch($1)', [batch.id]);
      return seen.length >= 5;
    });
    const expected = ['id=1&note=caught', 'in the batch', 'not ticked yet', 'retried', 'the first'];
    expect(seen.sort()).toEqual(expected);
    expect(await database.query(`select ev_data from pgq.failed_event_list('old', 'reader')`)).toEqual([
      { ev_data: 'given up' },
    ]);
  });
});

describe('uninstall', () => {
  const uninstall = (database: TestDatabase, ...flags: string[]) =>
    skytools(['uninstall', '--url', database.url, ...flags]);

  it('refuses to lose events and positions, says which, and does it with --force', async () => {
    const database = await testDatabase();
    await database.query(`select pgq.create_queue('orders')`);
    await database.query(`select pgq.register_consumer('orders', 'mailer')`);
    await database.query('create table t (id int primary key)');
    await database.query(
      `create trigger c after insert on t for each row execute function pgq.logutriga('orders')`,
    );
    await database.query('create table fast (id int primary key)');
    await database.query(`select pgq.create_fast_trigger('fast', 'orders', 'logutriga', 'statement')`);
    await database.query('insert into t select generate_series(1, 5)');
    const dry = await uninstall(database, '--dry-run');
    expect(dry).toMatchObject({ code: 0, stderr: expect.stringContaining('would drop trigger c on t') });
    const refused = await uninstall(database, '--yes');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('UNINSTALL_LOSES_EVENTS') });
    expect(refused.stderr).toContain('queue "orders" with up to 4 events not finished by its 1 consumers');
    expect((await uninstall(database, '--yes', '--force')).code).toBe(0);
    expect(
      await database.query(`select nspname from pg_namespace where nspname ~ '^(pgq|skytools)'`),
    ).toEqual([]);
    await database.query('insert into t values (6)');
    await database.query('insert into fast values (1)');
  });

  it('removes an installation without queues after a yes, and has nothing to do afterwards', async () => {
    const database = await testDatabase();
    expect((await uninstall(database)).code).toBe(2);
    expect((await uninstall(database, '--yes')).code).toBe(0);
    expect(await uninstall(database)).toMatchObject({ code: 0, stderr: 'nothing was installed\n' });
  });
});

describe('doctor', () => {
  const doctor = (database: TestDatabase) => skytools(['doctor', '--json', '--url', database.url]);
  type Findings = { level: string; check: string; message: string; hint?: string }[];

  it('is content with a fresh installation and ends with 0', async () => {
    const database = await testDatabase({ from: 'empty' });
    await install(database);
    const result = await doctor(database);
    expect(result.code).toBe(0);
    expect(result.json<Findings>().filter(({ level }) => level !== 'ok')).toEqual([]);
  });

  it('ends with 3 where nothing is installed', async () => {
    expect((await doctor(await testDatabase({ from: 'empty' }))).code).toBe(3);
  });

  it('names a paused queue, missing ticks, the consumer that blocks rotation, drift, and each trigger at fault', async () => {
    const database = await testDatabase({ from: 'empty' });
    await install(database);
    await database.query(
      `select pgq.create_queue(q) from unnest(array['paused', 'late', 'full', 'ünïcode \\ "q"']) q`,
    );
    await database.query(`select pgq.register_consumer('full', 'slow')`);
    await database.query(`select pgq.set_queue_config('paused', 'ticker_paused', 'true')`);
    await database.query(`update pgq.tick set tick_time = now() - interval '1 hour'
                           where tick_queue = (select queue_id from pgq.queue where queue_name = 'late')`);
    await database.query(
      `update pgq.queue set queue_switch_time = now() - interval '1 day' where queue_name = 'full'`,
    );
    await database.query(
      `create or replace function pgq.version() returns text language sql as 'select ''0''::text'`,
    );
    await database.query('create table t (id int primary key)');
    await database.query(
      `create trigger gone after insert on t for each row execute function pgq.logutriga('nowhere')`,
    );
    await database.query(
      `create trigger off after insert on t for each row execute function pgq.logutriga('late')`,
    );
    await database.query(
      `create trigger fine after insert on t for each row execute function pgq.logutriga('ünïcode \\ "q"')`,
    );
    await database.query('alter table t disable trigger off');
    const result = await doctor(database);
    expect(result.code).toBe(3);
    const found = new Map(result.json<Findings>().map((finding) => [finding.check, finding]));
    expect(result.json<Findings>().filter(({ check }) => check === 'trigger-queue')).toHaveLength(1);
    expect(found.get('paused')?.message).toContain('"paused"');
    expect(found.get('tick-age')?.message).toContain('"late"');
    expect(found.get('rotation')?.message).toContain('consumer "slow"');
    expect(found.get('drift')?.message).toContain('pgq.version()');
    expect(found.get('trigger-queue')?.message).toContain('"nowhere"');
    expect(found.get('trigger-disabled')?.message).toContain('trigger off');
    for (const finding of found.values()) if (finding.level !== 'ok') expect(finding.hint).toBeTruthy();

    expect(found.get('drift')?.level).toBe('warning');
    await database.query('drop function pgq.finish_batch(bigint)');
    const missing = (await doctor(database)).json<Findings>().find(({ check }) => check === 'drift');
    expect(missing).toMatchObject({ level: 'fault' });

    const warned = await install(database);
    expect(warned.stderr).toMatch(/warning: .*pgq\.version\(\) \(changed\).*--repair.*\nnothing was changed/);
    const repair = await install(database, '--repair', '--dry-run');
    expect(repair.stderr).toContain('would put back');
    expect(repair.stdout).toContain('create or replace function pgq.finish_batch');
    expect((await install(database, '--repair', '--json')).json()).toMatchObject({
      changed: true,
      kind: 'repair',
    });
    const repaired = (await doctor(database)).json<Findings>();
    expect(repaired.find((finding) => finding.check === 'drift')?.level).toBe('ok');
  });

  it('names the work that the connected role may not do, and the role that would let it', async () => {
    const database = await testDatabase({ from: 'empty' });
    await install(database);
    await asSuperuser(
      database.superuserUrl,
      `do $$ begin create role just_a_reader login in role pgq_reader; exception when duplicate_object then null; end $$`,
    );
    const url = new URL(database.url);
    url.username = 'just_a_reader';
    const result = await skytools(['doctor', '--json', '--url', url.href]);
    const rights = result.json<Findings>().filter(({ check }) => check === 'rights');
    expect(rights.map(({ message }) => message)).toEqual([
      'just_a_reader may not insert events',
      'just_a_reader may not tick',
      'just_a_reader may not rotate queues and move retries',
    ]);
    expect(rights[1]?.hint).toContain('grant pgq_admin to "just_a_reader"');
  });

  it('names the consumer whose service takes no events, why, and when it is tried again; not in a PgQ without circuits', async () => {
    const database = await testDatabase();
    await database.query(`select pgq.create_queue('q'), pgq.register_consumer('q', 'crm')`);
    await database.query(`select pgq.open_circuit('q', 'crm', 'HTTP 503', '1 hour', '1 hour')`);
    const circuit = async () =>
      (await doctor(database)).json<Findings>().find(({ check }) => check === 'circuit');
    expect(await circuit()).toMatchObject({
      level: 'fault',
      message: expect.stringMatching(/"crm" of queue "q".*HTTP 503, 1 attempt, the next in \d{4} s$/),
      hint: expect.stringContaining('pgq.close_circuit'),
    });
    await database.query('update pgq.consumer_circuit set circuit_probe_at = now(), circuit_failures = 2');
    expect((await circuit())?.message).toMatch(/HTTP 503, 2 attempts, the next is due$/);
    await database.query(`select pgq.close_circuit('q', 'crm')`);
    expect(await circuit()).toBeUndefined();
    await database.query('drop table pgq.consumer_circuit');
    expect((await doctor(database)).json<Findings>().find(({ check }) => check === 'queues')).toMatchObject({
      level: 'ok',
    });
  });

  it('names a replicated table without its triggers, and a paused node', async () => {
    const database = await testDatabase({ from: 'empty' });
    await install(database);
    await database.query(`
      select pgq_node.register_location('cascade', 'n', 'dbname=n', false);
      select pgq_node.create_node('cascade', 'root', 'n', 'worker', null, null, null);
      create table replicated (id int primary key)`);
    await database.query(`select londiste.local_add_table('cascade', 'public.replicated')`);
    await database.query(`select pgq_node.set_consumer_paused('cascade', 'worker', true)`);
    await database.query(`
      do $$ declare t record; begin
        for t in select tgname from pg_trigger where tgrelid = 'replicated'::regclass and not tgisinternal loop
          execute format('drop trigger %I on replicated', t.tgname);
        end loop;
      end $$`);
    const found = new Map(
      (await doctor(database)).json<Findings>().map((finding) => [finding.check, finding]),
    );
    expect(found.get('node-paused')?.message).toContain('worker "worker" of node "n" is paused');
    expect(found.get('replicated-table')?.message).toContain('table public.replicated');
  });
});

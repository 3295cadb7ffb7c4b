import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { testDatabase } from '../../support/postgres.ts';
import { cascade, QUEUE } from './cascade.ts';

/** Two databases, and the command line run against one of them by its name. */
async function parisAndBerlin() {
  const [paris, berlin] = [await testDatabase(), await testDatabase()];
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-londiste-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const config = path.join(directory, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({ databases: { paris: { url: paris.url }, berlin: { url: berlin.url } } }),
  );
  const raw = (database: string, argv: string[]) =>
    skytools(['--config', config, '--database', database, 'londiste', ...argv]);
  const run = async (database: string, ...argv: string[]) => {
    const result = await raw(database, argv);
    return { code: result.code, text: result.stdout + result.stderr };
  };
  const json = async (database: string, ...argv: string[]) =>
    JSON.parse((await raw(database, [...argv, '--json'])).stdout);
  return { paris, berlin, run, json };
}

describe('skytools londiste', () => {
  it('builds a cascade, fills it, shows it and takes it apart', async () => {
    const { run, paris, berlin } = await parisAndBerlin();
    await paris.query('create table item (id int primary key, name varchar(7) not null)');

    expect(await run('paris', 'create-root', 'shop', 'paris')).toMatchObject({ code: 0 });
    expect((await run('paris', 'create-root', 'shop', 'paris')).text).toContain('already');
    expect(
      (await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris', '--location', 'paris'))
        .text,
    ).toContain('LONDISTE_LOCATION_WRONG');
    expect(await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris')).toMatchObject({
      code: 0,
    });

    expect((await run('paris', 'missing', 'shop')).text).toContain('public.item');
    expect((await run('berlin', 'add-table', 'shop', 'item', '--create')).text).toContain(
      'LONDISTE_TABLE_NOT_AVAILABLE',
    );
    expect(await run('paris', 'add-table', 'shop', '--all')).toMatchObject({ code: 0 });
    expect((await run('berlin', 'add-table', 'shop', 'item', '--create')).text).toContain(
      'Table added: public.item',
    );
    expect(
      await berlin.query(
        `select format_type(atttypid, atttypmod) as t from pg_attribute where attrelid = 'item'::regclass and attname = 'name'`,
      ),
    ).toEqual([{ t: 'character varying(7)' }]);

    expect((await run('berlin', 'tables', 'shop')).text).toMatch(/public\.item\s+waiting/);
    expect((await run('berlin', 'wait-sync', 'shop', '--timeout', '0')).text).toContain(
      'LONDISTE_WAIT_TIMEOUT',
    );
    expect((await run('berlin', 'pause', 'shop')).text).toContain('paused');
    expect((await run('paris', 'status', 'shop')).text).toMatch(
      /paris \(root\)[\s\S]*\+-berlin \(leaf\)[\s\S]*0 ok, 1 not yet[\s\S]*PAUSED/,
    );
    expect(await run('berlin', 'resume', 'shop')).toMatchObject({ code: 0 });
    expect((await run('berlin', 'members', 'shop')).text).toMatch(/berlin\s+berlin\s+no\s+paris\s+paris/);

    expect(await run('berlin', 'remove-table', 'shop', 'item')).toMatchObject({ code: 0 });
    expect((await run('paris', 'drop-node', 'shop', 'paris', '--yes')).text).toContain(
      'LONDISTE_NODE_HAS_SUBSCRIBERS',
    );
    expect(await run('paris', 'drop-node', 'shop', 'berlin', '--yes')).toMatchObject({ code: 0 });
    expect((await run('berlin', 'tables', 'shop')).text).toContain('LONDISTE_NODE_MISSING');
    expect(
      await paris.query(
        `select consumer_name from pgq.get_consumer_info('shop') where consumer_name ~ 'berlin'`,
      ),
    ).toEqual([]);
  });

  it('shows, adds and waits: masks, handlers, sequences, dry runs, progress, and JSON everywhere', async () => {
    const { run, json, paris, berlin } = await parisAndBerlin();
    await paris.query(`create schema app; create table app.one (id serial primary key, v text);
      create table app.two (id int primary key); create table app.three (id int primary key); create table other (id int primary key)`);
    expect(await json('paris', 'create-root', 'shop', 'paris', '--dry-run')).toMatchObject({
      created: false,
      dryRun: true,
    });
    expect((await run('paris', 'tables', 'shop')).text).toContain('LONDISTE_NODE_MISSING');
    await run('paris', 'create-root', 'shop', 'paris');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris', '--dry-run');
    expect((await run('berlin', 'status', 'shop')).text).toContain('LONDISTE_NODE_MISSING');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris');
    expect(await json('berlin', 'node-info', 'shop')).toMatchObject({
      node: 'berlin',
      type: 'leaf',
      status: 'NON-UP-TO-DATE',
      provider: 'paris',
      worker: 'berlin_worker',
      subscribers: [],
    });
    expect(await json('paris', 'node-info', 'shop')).toMatchObject({
      subscribers: ['berlin'],
      provider: null,
    });

    expect((await json('paris', 'add-table', 'shop', 'app.*', '--dry-run')).tables).toHaveLength(3);
    expect((await run('paris', 'missing', 'shop')).text).toContain('app.one');
    expect((await run('paris', 'add-table', 'shop', 'app.*')).text).toMatch(
      /Table added: app\.one[\s\S]*app\.two/,
    );
    expect((await run('paris', 'add-table', 'shop', 'app.t?o')).text).toContain('already processed');
    expect((await run('paris', 'add-table', 'shop', 'app.nowhere')).text).toContain(
      'LONDISTE_TABLE_NOT_AVAILABLE',
    );
    expect(await run('paris', 'add-table', 'shop', 'app.nowhere', '--skip-non-existing')).toMatchObject({
      code: 0,
    });
    expect((await run('paris', 'add-table', 'shop')).code).toBe(2);

    expect((await run('berlin', 'add-table', 'shop', 'app.one', '--handler', 'bulk')).text).toContain(
      'LONDISTE_HANDLER_UNKNOWN',
    );
    expect((await run('berlin', 'add-table', 'shop', 'app.one', '--copy-node', 'rome')).text).toContain(
      'cannot find node rome',
    );
    expect((await run('berlin', 'add-table', 'shop', 'app.one', '--copy-node', 'berlin')).text).toContain(
      'cannot copy from itself',
    );
    await run('berlin', 'add-table', 'shop', 'app.one', '--create', '--handler-arg', 'ignore_truncate=1');
    await run(
      'berlin',
      'add-table',
      'shop',
      'app.two',
      '--create',
      '--expect-sync',
      '--dest-table',
      'app.zwei',
    );
    await run('berlin', 'add-table', 'shop', 'app.three', '--handler', 'noop');
    expect(await json('berlin', 'tables', 'shop')).toMatchObject([
      { table: 'app.one', state: null, attributes: 'handler=londiste%28ignore_truncate%3d1%29' },
      { table: 'app.three', state: 'ok', attributes: 'handler=vtable' },
      { table: 'app.two', dest: 'app.zwei', state: 'ok' },
    ]);
    expect((await run('berlin', 'tables', 'shop', '--names-only')).text).toBe(
      'app.one\napp.three\napp.two\n',
    );
    expect((await json('berlin', 'resync', 'shop', 'app.two', '--dry-run')).notes).toEqual([
      'app.two would be copied again',
    ]);
    expect(await json('berlin', 'tables', 'shop')).toMatchObject([{}, {}, { state: 'ok' }]);
    expect(await run('berlin', 'resync', 'shop', 'app.two', '--find-copy-node')).toEqual({
      code: 0,
      text: 'app.two is copied again\n',
    });
    expect(await json('berlin', 'tables', 'shop')).toMatchObject([
      {},
      {},
      { state: null, attributes: 'copy_node=%3f' },
    ]);
    expect((await run('berlin', 'resync', 'shop', 'gone')).text).toContain('LONDISTE_NOT_SUBSCRIBED');

    expect((await run('paris', 'add-seq', 'shop', '--all')).text).toContain('Sequence added: app.one_id_seq');
    await paris.query(`select setval('app.one_id_seq', 41)`);
    expect((await run('berlin', 'add-seq', 'shop', '--all', '--dry-run')).text).toContain('would be added');
    expect((await run('berlin', 'add-seq', 'shop', 'app.one_id_seq', '--create')).text).toContain(
      'Sequence added',
    );
    expect(await berlin.query(`select last_value >= 42 as ahead from app.one_id_seq`)).toEqual([
      { ahead: true },
    ]);
    expect(await json('berlin', 'seqs', 'shop')).toMatchObject([{ sequence: 'app.one_id_seq', local: true }]);
    expect((await run('berlin', 'remove-seq', 'shop', '--all')).code).toBe(0);
    expect(await json('berlin', 'seqs', 'shop')).toMatchObject([{ local: false }]);

    expect((await run('berlin', 'wait-sync', 'shop', '--timeout', '0')).text).toMatch(
      /2\/3 table\(s\) to copy/,
    );
    expect((await run('paris', 'wait-root', 'shop')).text).toContain('nothing to wait for');
    for (const command of ['wait-root', 'wait-provider'])
      expect((await run('berlin', command, 'shop', '--timeout', '0')).text).toContain(
        'LONDISTE_WAIT_TIMEOUT',
      );

    expect((await run('berlin', 'pause', 'shop', '--dry-run')).text).toContain('would pause');
    expect((await json('berlin', 'pause', 'shop')).changed).toBe(true);
    expect((await run('berlin', 'pause', 'shop')).text).toContain('is paused already');
    const findings = await run('berlin', 'check', 'shop');
    expect(findings.code).toBe(3);
    expect(findings.text).toContain('replay is paused');
    await run('berlin', 'resume', 'shop');
    await paris.query('alter table app.one add w int; alter table app.one disable trigger all');
    const drift = await run('berlin', 'check', 'shop');
    expect(drift.text).toMatch(/app\.one\s+column w of the provider is missing here/);
    expect(drift.text).toMatch(/row trigger disabled.* at the provider/);

    expect(await json('paris', 'status', 'shop')).toMatchObject([
      { node: 'berlin', provider: 'paris', tables: { ok: 1, half: 2, ignored: 0 } },
      { node: 'paris', here: true, type: 'root' },
    ]);
    expect((await run('paris', 'status', 'shop', '--compact')).text.split('\n')).toHaveLength(4);
    expect((await run('berlin', 'remove-table', 'shop', '--all', '--dry-run')).text).toContain(
      'would be removed',
    );
    expect((await run('berlin', 'remove-table', 'shop', 'app.t*')).code).toBe(0);
    expect(await json('berlin', 'tables', 'shop', '--names-only')).toEqual(['app.one']);
    await run('paris', 'drop-node', 'shop', 'berlin', '--dry-run');
    expect(await json('paris', 'members', 'shop')).toHaveLength(2);
  });

  it('replay brings a node to its provider from a shell, in JSON too', async () => {
    const { run, json, paris, berlin } = await parisAndBerlin();
    await paris.query('create table item (id int primary key)');
    await berlin.query('create table item (id int primary key)');
    await run('paris', 'create-root', 'shop', 'paris');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris');
    for (const database of ['paris', 'berlin'])
      expect((await run(database, 'add-table', 'shop', 'item', '--expect-sync')).code).toBe(0);
    await paris.query('insert into item values (1), (2)');
    await paris.query(`select pgq.force_tick('shop'), pgq.ticker('shop')`);
    const first = await run('berlin', 'replay', 'shop');
    expect(first.text).toMatch(/[1-9]\d* batch(es)? replayed/);
    expect(first.code).toBe(0);
    expect(await berlin.query('select * from item order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await json('berlin', 'replay', 'shop')).toEqual({ queue: 'shop', batches: 0 });
    expect((await run('berlin', 'replay', 'nowhere')).text).toContain('LONDISTE_NODE_MISSING');
    expect(await run('rome', 'replay', 'shop')).toMatchObject({
      code: 2,
      text: expect.stringContaining('CONFIG_UNKNOWN_DATABASE'),
    });
  });

  it('names what is wrong with a node before anything is registered', async () => {
    const { run, json, paris, berlin } = await parisAndBerlin();
    await run('paris', 'create-root', 'shop', 'paris');
    const leaf = (...more: string[]) => run('berlin', 'create-leaf', 'shop', 'berlin', ...more);
    expect(await leaf('--provider', 'nowhere')).toMatchObject({
      code: 2,
      text: expect.stringContaining('CONFIG_UNKNOWN_DATABASE'),
    });
    await leaf('--provider', 'paris');
    const third = await testDatabase();
    expect(
      await skytools([
        ...['--url', third.url, 'londiste', 'create-leaf', 'shop', 'rome', '--location', third.url],
        ...['--provider', berlin.url],
      ]),
    ).toMatchObject({ code: 2, stderr: expect.stringContaining('LONDISTE_PROVIDER_IS_LEAF') });
    expect(await json('paris', 'members', 'shop')).toHaveLength(2);
    await paris.query('drop schema pgq_node cascade');
    expect((await run('paris', 'status', 'shop')).text).toContain('LONDISTE_NOT_INSTALLED');
    expect((await run('paris', 'create-root', 'other', 'paris')).text).toContain('hint: install it');
    expect((await run('paris', 'statu', 'shop')).text).toMatch(
      /unknown command 'statu'[\s\S]*Did you mean status/,
    );
  });

  it('refuses what would only fail later: letters of triggers, numbers of copies, tables without a key', async () => {
    const { run, json, paris, berlin } = await parisAndBerlin();
    await paris.query('create table item (id int primary key); create table heap (id int)');
    await berlin.query('create table item (id int primary key)');
    await run('paris', 'create-root', 'shop', 'paris');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris');
    const refused = { code: 2, text: expect.stringContaining('is invalid') };
    expect(await run('paris', 'add-table', 'shop', 'item', '--trigger-flags', 'IX')).toMatchObject(refused);
    expect(await run('paris', 'add-table', 'shop', 'item', '--max-parallel-copy', '0')).toMatchObject(
      refused,
    );
    expect((await run('paris', 'add-table', 'shop', 'heap')).text).toContain('hint: give it one');
    expect((await run('paris', 'add-table', 'shop', 'heap', '--dry-run')).text).toContain('no primary key');
    expect(await json('paris', 'tables', 'shop')).toEqual([]);
    await run('paris', 'add-table', 'shop', 'item', '--trigger-flags', 'iuJ');
    // There already: --create leaves it as it is, and says so.
    expect((await run('berlin', 'add-table', 'shop', 'item', '--create')).text).toContain('stays as it is');
    await run('berlin', 'remove-table', 'shop', 'item');
    await run('berlin', 'add-table', 'shop', 'item', '--expect-sync', '--skip-truncate');
    // A later resync must not keep the rows that are here.
    expect(await json('berlin', 'tables', 'shop')).toMatchObject([{ state: 'ok', attributes: null }]);
  });

  it('resync has nothing to copy at the root, nor for a handler that keeps no rows: neither waits for ever', async () => {
    const { run, json, paris } = await parisAndBerlin();
    await paris.query('create table item (id int primary key)');
    await run('paris', 'create-root', 'shop', 'paris');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris');
    await run('paris', 'add-table', 'shop', 'item');
    await run('berlin', 'add-table', 'shop', 'item', '--handler', 'vtable');
    expect(await run('paris', 'resync', 'shop', '--all')).toMatchObject({
      code: 2,
      text: expect.stringContaining('LONDISTE_ROOT_HAS_NO_SOURCE'),
    });
    expect(await run('berlin', 'resync', 'shop', '--all')).toMatchObject({
      code: 0,
      text: expect.stringContaining('nothing is copied'),
    });
    for (const database of ['paris', 'berlin'])
      expect(await json(database, 'tables', 'shop')).toMatchObject([{ state: 'ok' }]);
  });

  it('add-seq says what is missing where, leaves it out where told, and makes it with all that belongs to it', async () => {
    const { run, paris, berlin } = await parisAndBerlin();
    await paris.query(`create sequence one increment 5 minvalue -3 cycle; comment on sequence one is 'it''s one';
      grant usage on one to public`);
    await run('paris', 'create-root', 'shop', 'paris');
    await run('berlin', 'create-leaf', 'shop', 'berlin', '--provider', 'paris');
    expect(await run('paris', 'add-seq', 'shop', 'two')).toMatchObject({
      code: 2,
      text: expect.stringContaining('LONDISTE_SEQUENCE_NOT_AVAILABLE'),
    });
    expect((await run('paris', 'add-seq', 'shop', 'one', 'two', '--skip-non-existing')).text).toMatch(
      /public.two is not available[\s\S]*Sequence added: public.one/,
    );
    expect((await run('paris', 'add-seq', 'shop', '--all')).text).toContain('nothing is missing');
    expect((await run('berlin', 'add-seq', 'shop', 'one')).text).toMatch(/Sequence not found[\s\S]*--create/);
    expect(await run('berlin', 'add-seq', 'shop', 'one', '--skip-non-existing')).toMatchObject({
      code: 0,
      text: expect.stringContaining('does not exist here'),
    });
    expect((await run('berlin', 'add-seq', 'shop', 'one', '--create-full')).text).toContain('Sequence added');
    expect(
      await berlin.query(
        `select seqincrement::int4 as by, seqmin::int4 as least, seqcycle, obj_description(seqrelid) as comment,
                has_sequence_privilege('public', 'one', 'usage') as granted
           from pg_sequence where seqrelid = 'one'::regclass`,
      ),
    ).toEqual([{ by: 5, least: -3, seqcycle: true, comment: "it's one", granted: true }]);
    expect((await run('berlin', 'remove-seq', 'shop', '--all')).code).toBe(0);
    expect((await run('berlin', 'remove-seq', 'shop', '--all')).text).toContain(
      'no sequences are subscribed',
    );
  });

  it('lists its handlers with their arguments', async () => {
    const all = await skytools(['londiste', 'show-handlers']);
    expect(all.stdout).toMatch(/vtable, fake_local, noop\n.*\nqtable/);
    expect(all.stdout).toContain('ignore_truncate=0|1');
    expect(
      JSON.parse((await skytools(['londiste', 'show-handlers', 'noop', '--json'])).stdout),
    ).toMatchObject([{ name: 'vtable', holdsRows: false }]);
    expect((await skytools(['londiste', 'show-handlers', 'bulk'])).code).toBe(2);
  });

  it('status tells of a trigger that is missing on the provider, and of rows that were missing', async () => {
    const set = await cascade();
    for (const node of set.nodes)
      await node.query('create table public.item (id int primary key, name text)');
    await set.add('item', { expectSync: true });
    await set.root.query(`insert into item values (1, 'a'), (2, 'b')`);
    await set.tick();
    await set.replay();
    await set.leaf
      .query(
        `set session_replication_role = replica; delete from item where id = 2; reset session_replication_role`,
      )
      .catch(() =>
        set.leaf.query(
          `begin; select londiste.set_session_replication_role('replica', true); delete from item where id = 2; commit`,
        ),
      );
    await set.root.query(`update item set name = 'c'; drop trigger _londiste_${QUEUE} on item`);
    await set.tick();
    await set.replay();
    expect(await set.leaf.query('select table_name, missing_rows, fault from londiste.table_health')).toEqual(
      [
        {
          table_name: 'public.item',
          missing_rows: '1',
          fault: expect.stringContaining('row trigger missing at the provider'),
        },
      ],
    );
  });
});

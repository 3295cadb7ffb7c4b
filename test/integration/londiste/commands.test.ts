import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { testDatabase } from '../../support/postgres.ts';
import { cascade, QUEUE } from './cascade.ts';

describe('skytools londiste', () => {
  it('builds a cascade, fills it, shows it and takes it apart', async () => {
    const [paris, berlin] = [await testDatabase(), await testDatabase()];
    const directory = mkdtempSync(path.join(tmpdir(), 'skytools-londiste-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const config = path.join(directory, 'config.json');
    writeFileSync(
      config,
      JSON.stringify({ databases: { paris: { url: paris.url }, berlin: { url: berlin.url } } }),
    );
    const run = async (database: string, ...argv: string[]) => {
      const result = await skytools(['--config', config, '--database', database, 'londiste', ...argv]);
      return { code: result.code, text: result.stdout + result.stderr };
    };
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
      'LONDISTE_TABLE_NOT_PROVIDED',
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
    expect((await run('berlin', 'tables', 'shop')).text).toContain('no tables');
    expect(
      await paris.query(
        `select consumer_name from pgq.get_consumer_info('shop') where consumer_name ~ 'berlin'`,
      ),
    ).toEqual([]);
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
      [{ table_name: 'public.item', missing_rows: '1', fault: 'row trigger missing' }],
    );
    await set.root.query(`select londiste.restore_triggers('${QUEUE}', 'item')`);
    await set.tick();
    await set.replay();
    expect(await set.leaf.query('select fault from londiste.table_health')).toEqual([{ fault: null }]);
  });
});

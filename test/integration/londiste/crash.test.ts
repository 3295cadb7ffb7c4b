import { describe, expect, it } from 'vitest';
import { resyncTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';
import { dying } from './dying.ts';

const change = (set: Cascade, n: number) =>
  set.root.query(`insert into item values (${n}, 'new'), (${n + 1000}, 'gone');
    update item set name = name || '.' where id % 3 = ${n % 3}; delete from item where id = ${n + 1000} or id = ${n - 10};
    select pgq_node.set_global_watermark('set', null)`);

describe('a process killed before any of its statements', () => {
  it.each([
    ['leaf', ['leaf']],
    ['branch', ['branch', 'leaf']],
  ] as [string, ('branch' | 'leaf')[]][])(
    'leaves the replay of a %s to the next one',
    async (_name, types) => {
      const set = await cascade(types);
      for (const node of set.nodes)
        await node.query('create table public.item (id int primary key, name text)');
      await set.add('item', { expectSync: true });
      let finished = false;
      for (let at = 1; !finished; at++) {
        await change(set, at);
        await set.tick();
        const { scope, sent } = dying(set, at);
        // The first node below the root; those below it go on undisturbed.
        await replayBatch(scope, set.nodes[1]!.name, QUEUE).catch(() => {});
        finished = sent() < at;
        for (const node of set.nodes) await node.quiet();
        await set.replay();
        for (const node of set.nodes.slice(1))
          expect(await rowsOf(node, 'item')).toEqual(await rowsOf(set.root, 'item'));
      }
      expect(await set.leaf.query('select * from londiste.table_health')).toEqual([]);
      if (types.length > 1) {
        const ticks = 'select tick_id, tick_time::text from pgq.tick where tick_id > 1 order by 1';
        expect(await set.nodes[1]!.query(ticks)).toEqual(await set.root.query(ticks));
      }
    },
  );

  it('leaves a copy, in whatever state, to the next one', async () => {
    const set = await cascade(['leaf'], { chunkBytes: 8192 });
    for (const node of set.nodes) {
      await node.query(`create table public.item (id int primary key, name text, code int);
        create unique index item_code on item (code); create table public.part (id int primary key, item int references item)`);
    }
    await set.root.query(`insert into item select i, 'name', i from generate_series(1, 400) i; analyze item`);
    await set.add('item');
    for (const at of [4, 9, 17, 24, 33, 41, 58, 79, 110]) {
      const { scope, sent } = dying(set, at);
      for (let step = 0; step < 25 && sent() < at; step++) {
        const did = await copyStep(scope, set.leaf.name, QUEUE, 'public.item').catch(() => undefined);
        if (did?.did.step === 'in-sync') break;
        for (const node of set.nodes) await node.quiet();
        await set.root.query(`update item set code = -code where id % 25 = ${step}`);
        await set.tick();
        await set.replay();
      }
      await set.copy();
      expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
      await set.scope.database(set.leaf.name, (client) => resyncTable(set.scope, client, QUEUE, 'item'));
    }
    const names = `select conname from pg_constraint where contype = 'f' union select indexrelid::regclass::text from pg_index where indrelid = 'item'::regclass order by 1`;
    await set.copy();
    await set.tick();
    await set.replay();
    expect(await set.leaf.query(names)).toEqual(await set.root.query(names));
    expect(
      await set.root.query(
        `select consumer_name from pgq.get_consumer_info('set') where consumer_name ~ 'copy'`,
      ),
    ).toEqual([]);
  });
});

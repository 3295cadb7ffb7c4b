import { describe, expect, it } from 'vitest';
import { cascade, rowsOf } from './cascade.ts';

const CREATE = `create table public.item (id int primary key, name text, qty numeric(10,2), at timestamptz default now(), tags text[], doc jsonb)`;

describe('replay from a root to a leaf', () => {
  it.each([
    ['logutriga', []],
    ['jsontriga', ['tgflags=J']],
    ['sqltriga', ['tgflags=Q']],
  ])('rows written by %s arrive as they are', async (_name, triggerArgs) => {
    const set = await cascade();
    for (const node of set.nodes) await node.query(CREATE);
    await set.add('item', { expectSync: true, triggerArgs });
    await set.root.query(
      `insert into item (id, name, qty, tags, doc) values (1, 'a b&c=d%+é\\ü€', 1.5, '{x,"y z"}', '{"a": [1, "é"]}'), (2, null, null, null, null),
        (3, '', 0, '{}', 'null'), (4, E'tab\\tline\\nback\\\\', 3, null, '"x"')`,
    );
    await set.root.query(`update item set name = name || '!' where id = 1`);
    await set.tick();
    await set.replay();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
    await set.root.query(`update item set qty = 7 where id in (2, 3); delete from item where id = 1; insert into item (id) values (1);
      update item set name = 'again' where id = 1; delete from item where id = 4`);
    await set.tick();
    await set.replay();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
    const health = await set.leaf.query('select * from londiste.table_health');
    expect(health).toEqual([]);
  });

  it('a table is copied while it changes, and replayed from then on', async () => {
    const set = await cascade();
    await set.root.query(`${CREATE}; create unique index on item (name)`);
    await set.root.query(`insert into item (id, name) select i, 'n' || i from generate_series(1, 500) i`);
    await set.add('item', { create: 'plain' });
    await set.root.query(
      `update item set name = 'x' || id where id % 7 = 0; delete from item where id % 11 = 0`,
    );
    await set.copy();
    await set.root.query(`insert into item (id, name) values (1000, 'late')`);
    await set.tick();
    await set.replay();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
    expect(
      await set.root.query(
        `select consumer_name from pgq.get_consumer_info('set') where consumer_name like '%copy%'`,
      ),
    ).toEqual([]);
    expect(await set.leaf.query('select * from londiste.copy_job')).toEqual([]);
  });

  it('a branch hands on the same events, ids and ticks', async () => {
    const set = await cascade(['branch', 'leaf']);
    for (const node of set.nodes) await node.query(CREATE);
    await set.add('item', { expectSync: true });
    await set.root.query(`insert into item (id) values (1), (2)`);
    await set.tick();
    await set.replay();
    await set.root.query(`update item set qty = id; truncate item; insert into item (id) values (3)`);
    await set.tick();
    await set.replay();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
    const [root, branch] = set.nodes;
    const events = (node: typeof root) =>
      node!.query(
        `select ev_id, ev_type, ev_data, ev_extra1, ev_time::text from pgq.event_1 where ev_type not like 'pgq.%' order by ev_id`,
      );
    const ticks = (node: typeof root) =>
      node!.query('select tick_id, tick_time::text from pgq.tick where tick_id > 1 order by 1');
    expect(await events(branch)).toEqual(await events(root));
    expect(await ticks(branch)).toEqual(await ticks(root));
  });
});

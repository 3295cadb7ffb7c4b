import { expect, it } from 'vitest';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { cascade, QUEUE, rowsOf } from './cascade.ts';

const CREATE = 'create table public.item (id int primary key, code int unique, name text)';

async function replicated(settings: Record<string, unknown> = {}, triggerArgs: string[] = []) {
  const set = await cascade(['leaf'], settings);
  for (const node of set.nodes) await node.query(CREATE);
  await set.add('item', { expectSync: true, triggerArgs });
  return set;
}

it('a script in the middle of a batch changes the table for the rows behind it', async () => {
  const set = await replicated();
  const script = 'alter table public.item add column more text';
  await set.root.query(`insert into item values (1, 1, 'before');
    select * from londiste.execute_start('${QUEUE}', 'more.sql', '${script}', true); ${script};
    select * from londiste.execute_finish('${QUEUE}', 'more.sql');
    insert into item values (2, 2, 'behind', 'more'); update item set more = 'now' where id = 1`);
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'item')).toEqual(['(1,1,before,now)', '(2,2,behind,more)']);
});

it('an event that the tables refuse is named by table, key and number, without its values', async () => {
  const set = await replicated();
  await set.leaf.query(`alter table item add check (name <> 'secret')`);
  await set.root.query(
    `insert into item select i, i, case i when 7 then 'secret' else 'n' end from generate_series(1, 20) i`,
  );
  await set.tick();
  const error = await replayBatch(set.scope, set.leaf.name, QUEUE).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: 'LONDISTE_EVENT_REFUSED' });
  expect(String(error)).toMatch(/event \d+ of public\.item \(key id\) is refused/);
  const [stored] = await set.leaf.query<{ cur_error: string }>('select cur_error from pgq_node.local_state');
  for (const text of [JSON.stringify(error), String(error), stored!.cur_error])
    expect(text).not.toContain('secret');
  expect(await rowsOf(set.leaf, 'item')).toEqual([]);
  await set.leaf.query('alter table item drop constraint item_name_check');
  await set.replay();
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
});

it.each(['set', 'strict'])('refused events are set aside, and the others applied (%s)', async (apply) => {
  const set = await replicated({ refusedEvents: 'set-aside', apply });
  await set.leaf.query(`alter table item add check (name <> 'bad')`);
  await set.root.query(`insert into item values (1, 1, 'good'), (2, 2, 'bad'), (3, 3, 'good');
    update item set name = 'bad' where id = 1`);
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'item')).toEqual(['(1,1,good)', '(3,3,good)']);
  const dead = await set.leaf.query(
    'select ev_type, ev_data, sqlstate from londiste.dead_event order by ev_id',
  );
  expect(dead).toEqual([
    { ev_type: 'I:id', ev_data: 'id=2&code=2&name=bad', sqlstate: '23514' },
    { ev_type: 'U:id', ev_data: 'id=1&code=1&name=bad', sqlstate: '23514' },
  ]);
});

it('rows of one table written in three formats within a batch end in their order', async () => {
  const set = await replicated();
  for (const flag of ['J', 'Q', 'L']) {
    await set.root.query(`select londiste.local_change_handler('${QUEUE}', 'public.item', array['tgflags=${flag}'], null);
      insert into item values (ascii('${flag}'), ascii('${flag}'), 'new');
      insert into item values (1, 1, '${flag}') on conflict (id) do update set name = item.name || excluded.name;
      update item set code = code + 1000 where id <> 1`);
  }
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
});

it.each(['L', 'J'])('a value of many megabytes passes in pieces (tgflags=%s)', async (flag) => {
  const set = await replicated({}, [`tgflags=${flag}`]);
  await set.root.query(`insert into item values (1, 1, 'small');
    insert into item select 2, 2, repeat(E'é&=%+\\\\\\t"', 400000);
    update item set name = 'still' where id = 1; insert into item values (3, 3, 'behind')`);
  await set.tick();
  await set.replay();
  const sums = 'select id, code, md5(name) from item order by id';
  expect(await set.leaf.query(sums)).toEqual(await set.root.query(sums));
});

it('keys that have several texts for one value meet in their last event', async () => {
  const set = await cascade();
  for (const node of set.nodes)
    await node.query('create table public.price (amount numeric primary key, name text)');
  await set.add('price', { expectSync: true });
  await set.root.query(`insert into price values (1.0, 'a'), (2.50, 'b'); update price set name = 'c' where amount = 1;
    delete from price where amount = 2.5; insert into price values (2.5, 'd')`);
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'price')).toEqual(await rowsOf(set.root, 'price'));
});

it('a batch larger than memory holds is applied in segments; an event refused in the last one is set aside alone', async () => {
  const set = await cascade(['branch', 'leaf'], { refusedEvents: 'set-aside' });
  for (const node of set.nodes) await node.query(CREATE);
  await set.add('item', { expectSync: true });
  await set.leaf.query(`alter table item add check (name not like 'bad%')`);
  // 25 MB of events, where a segment is of 4 to 16.
  await set.root.query(`insert into item select i, i, repeat(md5(i::text), 10000) from generate_series(1, 40) i;
    update item set name = reverse(name); delete from item where id % 5 = 0;
    insert into item select i, i, 'anew' from generate_series(5, 40, 10) i;
    insert into item values (41, 41, 'bad'), (42, 42, 'good')`);
  await set.tick();
  await set.replay();
  const sums = 'select id, code, md5(name) from item where id <> 41 order by id';
  for (const node of set.nodes.slice(1)) expect(await node.query(sums)).toEqual(await set.root.query(sums));
  const dead = await set.leaf.query('select ev_data, sqlstate from londiste.dead_event');
  expect(dead).toEqual([{ ev_data: 'id=41&code=41&name=bad', sqlstate: '23514' }]);
});

it.each(['set', 'strict'])('changes of rows that are all key arrive (%s)', async (apply) => {
  const set = await cascade(['leaf'], { apply });
  for (const node of set.nodes)
    await node.query('create table public.pair (a int, b text, primary key (a, b))');
  await set.add('pair', { expectSync: true });
  for (const flag of ['L', 'J', 'Q']) {
    await set.root.query(`select londiste.local_change_handler('${QUEUE}', 'public.pair', array['tgflags=${flag}'], null);
      insert into pair values (1, '${flag}'), (2, '${flag}'), (3, '${flag}');
      update pair set b = b; delete from pair where a = 2;
      insert into pair values (1, '${flag}') on conflict (a, b) do update set a = excluded.a`);
  }
  await set.tick();
  await set.replay();
  // A row that went astray here is back after it was deleted and inserted there.
  await set.leaf.query(
    `select londiste.set_session_replication_role('replica', true); delete from pair where b = 'L'`,
  );
  await set.root.query(`delete from pair where a = 1; insert into pair values (1, 'L')`);
  await set.root.query(`delete from pair where (a, b) = (3, 'L')`);
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'pair')).toEqual(await rowsOf(set.root, 'pair'));
});

it('rules and policies of a table here see the rows that are new, which a COPY would go past', async () => {
  const set = await replicated();
  await set.leaf.query(
    `create table seen (id int); create rule seen as on insert to item do also insert into seen values (new.id)`,
  );
  await set.root.query(`insert into item values (1, 1, 'by rule')`);
  await set.tick();
  await set.replay();
  const [method] = await set.leaf.query<{ can: boolean }>(
    'select londiste.can_set_replication_role() as can',
  );
  expect(method).toEqual({ can: false });
  expect(await rowsOf(set.leaf, 'seen')).toEqual(['(1)']);
  await set.leaf.query(`drop rule seen on item; create policy mine on item with check (id > 0);
    create policy all_rows on item for select using (true);
    alter table item enable row level security, force row level security`);
  await set.root.query(`insert into item values (2, 2, 'by policy')`);
  await set.tick();
  await set.replay();
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
});

it.each(['set', 'strict'])(
  'foreign keys checked at once, and no right to switch them off, do not stand in the way (%s)',
  async (apply) => {
    const set = await cascade(['leaf'], { apply });
    for (const node of set.nodes)
      await node.query(`create table public.owner (id int primary key, name text);
      create table public.pet (id int primary key, owner int not null references owner)`);
    const [method] = await set.leaf.query<{ can: boolean }>(
      'select londiste.can_set_replication_role() as can',
    );
    expect(method).toEqual({ can: false });
    // The one that refers to the other comes first.
    await set.add('pet', { expectSync: true });
    await set.add('owner', { expectSync: true });
    await set.root.query(
      `insert into owner values (1, 'a'), (2, 'b'), (3, 'c'); insert into pet values (1, 1), (2, 2)`,
    );
    await set.tick();
    await set.replay();
    await set.root.query(`insert into owner values (4, 'd'); insert into pet values (4, 4); update pet set owner = 3 where id = 1;
    delete from owner where id = 1; delete from pet where id = 2; delete from owner where id = 2;
    insert into owner values (2, 'again'); insert into pet values (2, 2)`);
    await set.tick();
    await set.replay();
    for (const table of ['owner', 'pet'])
      expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));
  },
);

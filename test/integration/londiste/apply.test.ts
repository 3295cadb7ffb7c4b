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

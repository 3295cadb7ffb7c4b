import { expect, it } from 'vitest';
import { addTable } from '../../../lib/londiste/admin/tables.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

/** `seen` is split off into a queue of the leaf, `item` is an ordinary table. */
async function splitSet(settings: Record<string, unknown> = {}): Promise<Cascade> {
  const set = await cascade(['leaf'], settings);
  await set.root.query('create table public.seen (id int primary key, name text)');
  for (const node of set.nodes) await node.query('create table public.item (id int primary key, name text)');
  await set.leaf.query(`select pgq.create_queue('split')`);
  await set.add('item', { expectSync: true });
  for (const node of set.nodes)
    await set.scope.database(node.name, (client) =>
      addTable(set.scope, client, {
        queue: QUEUE,
        table: 'seen',
        ...(node === set.leaf ? { handler: 'qsplitter', handlerArguments: { queue: 'split' } } : {}),
      }),
    );
  return set;
}

const split = (set: Cascade) =>
  set.leaf.query(
    `select ev_type as type, ev_data as data, ev_extra1 as "table", ev_extra2 as before
       from pgq.event_template e where e.tableoid = pgq.current_event_table('split')::regclass order by ev_id`,
  );

it('a handler that looks at each event sees them in order, with all before it applied and nothing after it', async () => {
  const set = await splitSet();
  // What stands in `item` at the moment of each event.
  await set.leaf.query(`create table public.witness (type text, items text);
    create function public.note_items() returns trigger language plpgsql as $$ begin
      insert into public.witness select new.ev_type, coalesce(string_agg(i.name, ',' order by i.id), '') from public.item i;
      return null; end $$`);
  await set.leaf.query(`do $$ begin execute format(
      'create trigger note after insert on %s for each row execute function public.note_items()', pgq.current_event_table('split'));
      execute format('alter table %s enable always trigger note', pgq.current_event_table('split')); end $$`);
  await set.root.query(`insert into item values (1, 'a')`);
  await set.root.query(`insert into seen values (1, 'x')`);
  await set.root.query(`update item set name = 'b'; insert into item values (2, 'c')`);
  await set.root.query(`update seen set name = 'y'`);
  await set.root.query('truncate seen');
  await set.root.query('delete from item where id = 2');
  await set.root.query('delete from seen; insert into seen values (2, null)');
  await set.tick();
  await set.replay();
  expect(await split(set)).toEqual([
    { type: 'I:id', data: 'id=1&name=x', table: 'public.seen', before: null },
    { type: 'U:id', data: 'id=1&name=y', table: 'public.seen', before: null },
    { type: 'R', data: '', table: 'public.seen', before: null },
    { type: 'I:id', data: 'id=2&name', table: 'public.seen', before: null },
  ]);
  expect(await rowsOf(set.leaf, 'witness')).toEqual(['(I:id,a)', '(I:id,b)', '(R,"b,c")', '(U:id,"b,c")']);
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
});

it('the events that it has split off keep their time, and are there once although their batch was tried twice', async () => {
  const set = await splitSet();
  await set.leaf.query('alter table item add check (id < 100)');
  await set.root.query(`insert into seen values (1, 'x')`);
  await set.root.query(`insert into item values (100, 'refused')`);
  await set.tick();
  await expect(replayBatch(set.scope, set.leaf.name, QUEUE)).rejects.toMatchObject({
    code: 'LONDISTE_EVENT_REFUSED',
  });
  expect(await split(set)).toEqual([]);
  await set.leaf.query('alter table item drop constraint item_id_check');
  await set.replay();
  expect(await split(set)).toHaveLength(1);
  const time = (node: Cascade['root'], where: string) =>
    node.query(
      `select ev_time::text from pgq.event_template e where ev_extra1 = 'public.seen' and tableoid = pgq.current_event_table('${where}')::regclass`,
    );
  expect(await time(set.leaf, 'split')).toEqual(await time(set.root, QUEUE));
});

it('an event that it refuses stops the batch by its name, or is set aside where the node says so', async () => {
  const refusing = `create function public.refuse() returns trigger language plpgsql as
    $$ begin if new.ev_data like '%id=2%' then raise check_violation; end if; return new; end $$`;
  const guard = `do $$ begin execute format(
      'create trigger refuse before insert on %1$s for each row execute function public.refuse()', pgq.current_event_table('split'));
    execute format('alter table %s enable always trigger refuse', pgq.current_event_table('split')); end $$`;
  for (const refusedEvents of ['stop', 'set-aside']) {
    const set = await splitSet({ refusedEvents });
    await set.leaf.query(refusing);
    await set.leaf.query(guard);
    await set.root.query(`insert into seen values (1, 'x'), (2, 'secret'), (3, 'z')`);
    await set.tick();
    const replay = replayBatch(set.scope, set.leaf.name, QUEUE);
    if (refusedEvents === 'stop') {
      const error = await replay.catch((reason) => reason);
      expect(error).toMatchObject({ code: 'LONDISTE_EVENT_REFUSED', subject: { table: 'public.seen' } });
      expect(JSON.stringify(error)).not.toContain('secret');
    } else {
      await replay;
      expect(await split(set)).toHaveLength(2);
      expect(await set.leaf.query('select ev_type, ev_extra1 from londiste.dead_event')).toEqual([
        { ev_type: 'I:id', ev_extra1: 'public.seen' },
      ]);
    }
  }
});

import { describe, expect, it } from 'vitest';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

async function replicated(type: 'leaf' | 'branch' = 'leaf'): Promise<Cascade> {
  const set = await cascade([type]);
  for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
  await set.add('item', { expectSync: true });
  return set;
}

/** Lays the events of the batch into the table anew, in this order. */
const rearrange = (set: Cascade, order: string) =>
  set.root.query(`create temp table laid as select * from pgq.event_1_0;
    delete from pgq.event_1_0; insert into pgq.event_1_0 select * from laid order by ${order}; drop table laid`);

/** Replays one batch. @returns how its events were read: sorted or not */
async function replay(set: Cascade): Promise<string[]> {
  const read: string[] = [];
  const scope: NodeScope = {
    ...set.scope,
    database: (name, body) =>
      set.scope.database(name, (client) => {
        const query = client.query.bind(client) as (...parameters: unknown[]) => never;
        client.query = ((...parameters: unknown[]) => {
          const text = (parameters[0] as { text?: string }).text ?? '';
          if (text.startsWith('copy (select') && text.includes('ev_data'))
            read.push(text.includes('order by ev_id') ? 'sorted' : 'as they stand');
          return query(...parameters);
        }) as typeof client.query;
        return body(client);
      }),
  };
  expect((await replayBatch(scope, set.leaf.name, QUEUE)).did).toMatchObject({
    finished: true,
    missingRows: 0,
  });
  return read;
}

/** Four hundred keys come and go, with rows so long that they are several segments. */
const CHANGES = `do $$ begin
  perform setseed(0.5);
  for n in 1 .. 700 loop
    case n % 5
      when 0 then delete from item where id = (random() * 400)::int;
      when 1 then insert into item values ((random() * 400)::int, n || repeat('i', 30000)) on conflict do nothing;
      else update item set name = n || repeat('u', 30000) where id = (random() * 400)::int;
    end case;
  end loop;
end $$`;

describe('events that do not stand in the order of their ids', () => {
  it.each([
    ['as they were written', 'ev_id', ['as they stand']],
    ['by some who write side by side', 'ev_id + (hashint8(ev_id) & 7)', ['as they stand']],
    [
      'with one far behind its place',
      'case ev_id when (select min(ev_id) + 5 from laid where length(ev_data) > 10000) then 1e9 else ev_id end',
      ['as they stand', 'sorted'],
    ],
    ['in no order', 'hashint8(ev_id)', ['as they stand', 'sorted']],
    ['backwards', 'ev_id desc', ['as they stand', 'sorted']],
  ])('%s: the leaf ends as the root', async (_, order, read) => {
    const set = await replicated();
    await set.root.query(`insert into item select i, 'old' from generate_series(0, 300) i`);
    await set.tick();
    await set.replay();
    await set.root.query(CHANGES);
    await set.tick();
    await rearrange(set, order);
    expect(await replay(set)).toEqual(read);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('a script or a TRUNCATE has them sorted, also where what it makes possible comes before it', async () => {
    const set = await replicated('branch');
    const script = 'alter table public.item add column more text';
    await set.root.query(`insert into item values (1, 'before'); truncate item; insert into item values (2, 'behind');
      select * from londiste.execute_start('${QUEUE}', 'more.sql', '${script}', true); ${script};
      select * from londiste.execute_finish('${QUEUE}', 'more.sql'); update item set more = 'more'`);
    await set.tick();
    await rearrange(set, 'ev_id desc');
    expect(await replay(set)).toEqual(['as they stand', 'sorted']);
    expect(await rowsOf(set.leaf, 'item')).toEqual(['(2,behind,more)']);
    expect(
      await set.leaf.query(
        `select from londiste.table_health where fault is not null union all select from pgq_node.local_state where cur_error is not null`,
      ),
    ).toEqual([]);
  });
});

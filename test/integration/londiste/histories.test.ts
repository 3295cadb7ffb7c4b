import { describe, expect, it } from 'vitest';
import { type Cascade, cascade, rowsOf } from './cascade.ts';

/** Numbers from a seed, so that a failing history can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One random transaction on tables with a unique value that travels between rows, and a reference. */
async function change(set: Cascade, below: (limit: number) => number): Promise<void> {
  const id = () => below(30);
  const statements = Array.from({ length: 1 + below(5) }, () => {
    switch (below(9)) {
      case 0:
      case 1:
        return `insert into item (id, code, name) values (${id()}, ${100 + below(60)}, 'n${below(5)}') on conflict do nothing`;
      case 2:
        return `update item set name = repeat('é&=%+\\', ${below(4)}) where id = ${id()}`;
      case 3:
        return `update item set code = code + 1000 where id = ${id()} and code < 1000`;
      case 4:
        return `do $$ declare a int; b int; begin
          select id into a from item order by code limit 1; select id into b from item order by code desc limit 1;
          if a <> b then update item set code = -code where id in (a, b);
            update item x set code = -y.code from item y where x.id in (a, b) and y.id in (a, b) and x.id <> y.id and x.code < 0; end if; end $$`;
      case 5:
        return `insert into part (id, item) select ${id()}, min(id) from item having min(id) is not null on conflict do nothing`;
      case 6:
        return `delete from part where id = ${id()}; delete from item where id = ${id()} and id not in (select item from part)`;
      case 7:
        return below(10) === 0 ? 'truncate part' : `delete from part where id < ${below(4)}`;
      default:
        // In order: which of two rows meets the conflict must not hang on where they lie, or no seed tells its history again.
        return `with gone as (delete from item where id not in (select item from part) and id % 7 = ${below(7)} returning *)
          insert into item select id + 30, code + 2000, name from gone order by id on conflict do nothing`;
    }
  });
  await set.root.query(statements.join(';\n')).catch((error: { code?: string }) => {
    // A history may hold attempts that the root refused: nothing of them is in the queue.
    if (!/^23/.test(error.code ?? '')) throw error;
  });
}

const CREATE = `create table public.item (id int primary key, code int unique, name text);
  create table public.part (id int primary key, item int not null references public.item)`;
const TABLES = ['item', 'part'];

describe('random histories', () => {
  it.each([
    [1, 'tgflags=L'],
    [2, 'tgflags=J'],
  ])(
    'applied by net effect and event by event (seed %i, %s) end as the root ends, both the same',
    async (seed, flags) => {
      const ends: string[][][] = [];
      for (const apply of ['set', 'strict']) {
        const set = await cascade(['leaf'], { apply });
        for (const node of set.nodes) await node.query(CREATE);
        for (const table of TABLES) await set.add(table, { expectSync: true, triggerArgs: [flags] });
        const below = random(seed);
        for (let batch = 0; batch < 12; batch++) {
          for (let n = below(12); n >= 0; n--) await change(set, below);
          await set.tick();
          await set.replay();
          for (const table of TABLES)
            expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));
        }
        expect(await set.leaf.query('select * from londiste.table_health where missing_rows > 0')).toEqual(
          [],
        );
        ends.push([await rowsOf(set.leaf, 'item'), await rowsOf(set.leaf, 'part')]);
      }
      expect(ends[0]![0]!.length).toBeGreaterThan(0);
      expect(ends[1]).toEqual(ends[0]);
    },
  );

  it.each([4, 5])('during a copy in chunks (seed %i) end as the root ends', async (seed) => {
    const set = await cascade(['leaf'], { chunkBytes: 8192 });
    for (const node of set.nodes) await node.query(CREATE);
    await set.root.query(
      `insert into item select i, i + 5000, repeat('x', 200) from generate_series(0, 200) i; analyze item`,
    );
    for (const table of TABLES) await set.add(table);
    const below = random(seed);
    const copy = set.tick;
    // Every tick of the copy's rounds comes after more changes.
    set.tick = async () => {
      for (let n = below(6); n >= 0; n--) await change(set, below);
      await copy();
    };
    await set.copy();
    await copy();
    await set.replay();
    for (const table of TABLES) expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));
    expect(await set.leaf.query('select * from londiste.pending_fkeys')).toEqual([]);
  });
});

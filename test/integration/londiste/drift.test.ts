import { describe, expect, it } from 'vitest';
import { checkNode } from '../../../lib/londiste/admin/check.ts';
import { cascadeStatus, drawTree } from '../../../lib/londiste/admin/status.ts';
import { addTable, resyncTable, tableStatus } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import { examine } from '../../../lib/schema/doctor.ts';
import { until } from '../../support/cluster.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

const ITEM = 'public.item';

/** A set of two tables in sync: `item`, which gets the fault, and `other`, which has to go on. */
async function withTwo(
  types: ('branch' | 'leaf')[] = ['leaf'],
  settings: Record<string, unknown> = {},
): Promise<Cascade> {
  const set = await cascade(types, settings);
  for (const node of set.nodes)
    await node.query(
      'create table item (id int primary key, name text); create table other (id int primary key, name text)',
    );
  for (const table of ['item', 'other']) await set.add(table, { expectSync: true });
  return set;
}

let serial = 0;

/** A change of each table, brought as far as it goes. */
async function changeBoth(set: Cascade): Promise<void> {
  serial++;
  await set.root.query(
    `insert into item (id, name) values (${serial}, 'item'); insert into other values (${serial}, 'other');
     update item set name = name || '.' where id % 2 = 0`,
  );
  await set.tick();
  await set.replay();
}

const same = async (set: Cascade, table: string) =>
  expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));

const health = async (set: Cascade) => {
  const rows = await set.leaf.query<{ fault: string | null }>(
    `select fault from londiste.table_health where table_name = '${ITEM}'`,
  );
  return rows[0]?.fault ?? null;
};

const state = async (set: Cascade, table = ITEM) =>
  set.scope.database(set.leaf.name, async (client) =>
    (await tableStatus(client, QUEUE)).find((row) => row.table === table),
  );

/** Everything that an operator looks at names the table, the fault and the next step. */
async function isTold(set: Cascade, fault: RegExp): Promise<void> {
  expect(await health(set)).toMatch(fault);
  await set.scope.database(set.leaf.name, async (client) => {
    const tree = drawTree(await cascadeStatus(set.scope, client, QUEUE), { seconds: String, alarm: String });
    const told = tree.split('\n').filter((line) => line.includes(`${ITEM}: `));
    expect(told.join('\n')).toMatch(fault);
    const findings = await examine(client, '0');
    const found = findings.find(({ check }) => check === 'subscribed-table');
    expect(found).toMatchObject({ level: 'fault', subject: { table: ITEM } });
    expect(found!.message).toMatch(fault);
  });
}

/** Steps of the held table's catching up, as the tick wakes them. */
async function carryOn(set: Cascade): Promise<void> {
  await until('the held table', async () => {
    if ((await state(set))!.state === 'ok') return true;
    await copyStep(set.scope, set.leaf.name, QUEUE, ITEM);
    await set.tick();
    await set.replay();
    return false;
  });
  expect(await state(set)).toMatchObject({ state: 'ok', held: false, fault: null });
}

/** Copy consumers that are left at the provider. */
const copies = (set: Cascade) =>
  set.root.query(
    `select consumer_name from pgq.get_consumer_info('${QUEUE}') c where consumer_name like '%.copy.%'`,
  );

describe('a table whose columns differ is held back, and catches up when it is mended', () => {
  it.each([
    ['set', ['leaf']],
    ['strict', ['leaf']],
    ['set', ['branch']],
  ] as const)('a column that is missing here (%s, %s)', async (apply, types) => {
    const set = await withTwo([...types], { apply });
    await changeBoth(set);
    await set.root.query(`alter table item add size int default 1`);
    await changeBoth(set);
    await same(set, 'other');
    expect(await state(set)).toMatchObject({ state: 'catching-up', held: true });
    await isTold(set, /column size .*add the column here/);
    const before = await rowsOf(set.leaf, 'item');
    for (let n = 0; n < 3; n++) {
      await changeBoth(set);
      expect((await copyStep(set.scope, set.leaf.name, QUEUE, ITEM)).did.step).toBe('held');
    }
    await same(set, 'other');
    expect(await rowsOf(set.leaf, 'item')).toEqual(before);
    await set.root.query('delete from item where id % 3 = 0');
    const due = await set.leaf.query<{ table_name: string }>(
      'select table_name from londiste.due_work(4) where table_name is not null',
    );
    expect(due).toEqual([{ table_name: ITEM }]);
    // The rows that were there before the column have the root's default.
    await set.leaf.query('alter table item add size int default 1');
    await carryOn(set);
    await changeBoth(set);
    for (const table of ['item', 'other']) await same(set, table);
    expect(await copies(set)).toEqual([]);
    expect(await set.leaf.query('select * from londiste.copy_job')).toEqual([]);
  });

  it('values of a type that do not fit here hold back their table; one that is only wrong stops the batch', async () => {
    const set = await withTwo();
    for (const node of set.nodes) await node.query('alter table item add size int');
    await set.root.query(`alter table item alter size type text`);
    await changeBoth(set);
    expect((await state(set))!.state).toBe('ok');
    await isTold(set, /column size is text at the provider, integer here: make the types the same/);
    await set.root.query(`update item set size = 'large'`);
    await changeBoth(set);
    await same(set, 'other');
    expect(await state(set)).toMatchObject({ held: true });
    await set.leaf.query('alter table item alter size type text');
    await carryOn(set);
    await same(set, 'item');
    await set.leaf.query('alter table other add check (id < 0) not valid');
    await expect(changeBoth(set)).rejects.toMatchObject({ code: 'LONDISTE_EVENT_REFUSED' });
  });

  it('fault: the process that takes the table out dies after its consumer is registered; the next one does it again', async () => {
    const set = await withTwo();
    await set.root.query(`alter table item add size int`);
    await set.root.query(`select pgq.register_consumer('${QUEUE}', 'n2_worker.copy.${ITEM}')`);
    await set.root.query(`insert into item values (1, 'early', 1)`);
    await set.tick();
    await set.root.query(`insert into other values (1, 'early')`);
    await set.tick();
    await set.replay();
    await same(set, 'other');
    await set.leaf.query('alter table item add size int');
    await carryOn(set);
    await same(set, 'item');
  });

  it('fault: a script that ran here out of the turn of the held events has the table copied again', async () => {
    const set = await withTwo();
    await set.root.query(`insert into item values (1, '1')`);
    await set.root.query('alter table item add size int');
    await changeBoth(set);
    expect(await state(set)).toMatchObject({ held: true });
    const script = `update item set name = name || '!'`;
    await set.root.query(
      `begin; select londiste.set_session_replication_role('replica', true); ${script}; commit`,
    );
    await set.root.query(
      `select pgq.insert_event('${QUEUE}', 'EXECUTE', '${script.replaceAll("'", "''")}', 'mend.sql', null, null, null)`,
    );
    await changeBoth(set);
    await set.leaf.query('alter table item add size int');
    await set.copy();
    await changeBoth(set);
    await same(set, 'item');
  });

  it('a resync copies a held table as it is now, and does not ask for the events that it could not take', async () => {
    const set = await withTwo();
    await set.root.query('alter table item add size int');
    await changeBoth(set);
    expect(await state(set)).toMatchObject({ held: true });
    await set.root.query('alter table item drop size');
    await changeBoth(set);
    await set.scope.database(set.leaf.name, (client) => resyncTable(set.scope, client, QUEUE, 'item'));
    await set.copy();
    await changeBoth(set);
    await same(set, 'item');
    expect(await copies(set)).toEqual([]);
  });

  it('tables that are held back take no place of a copy', async () => {
    const set = await withTwo(['leaf'], { parallelCopies: 1 });
    await set.root.query('alter table item add size int');
    await changeBoth(set);
    for (const node of set.nodes) await node.query('create table late (id int primary key)');
    await set.add('late');
    await until('the copy', async () => {
      if ((await state(set, 'public.late'))!.state === 'ok') return true;
      await copyStep(set.scope, set.leaf.name, QUEUE, 'public.late');
      await changeBoth(set);
      return false;
    });
    expect(await state(set)).toMatchObject({ held: true });
  });
});

it('a table that is gone here waits to be copied again, the others go on', async () => {
  const set = await withTwo();
  await changeBoth(set);
  await set.leaf.query('drop table item');
  await changeBoth(set);
  await same(set, 'other');
  await isTold(set, /does not exist here: create it again|table missing here: create it again/);
  expect((await state(set))!.state).toBeNull();
  await set.leaf.query('create table item (id int primary key, name text)');
  await set.scope.database(set.leaf.name, async (client) => {
    await client.query(`select londiste.restore_triggers('${QUEUE}', '${ITEM}')`);
  });
  await set.copy();
  await changeBoth(set);
  await same(set, 'item');
  expect(await health(set)).toBeNull();
});

it('a branch that hands on a table without subscribing it is no fault of the leaf that copied it from above', async () => {
  const set = await cascade(['branch', 'leaf']);
  for (const node of [set.root, set.leaf])
    await node.query('create table public.item (id int primary key, name text)');
  await set.root.query(`insert into item values (1, 'a')`);
  await set.scope.database(set.root.name, (client) =>
    addTable(set.scope, client, { queue: QUEUE, table: 'item' }),
  );
  // The branch hears of the table.
  await set.tick();
  await set.replay();
  await set.scope.database(set.leaf.name, (client) =>
    addTable(set.scope, client, { queue: QUEUE, table: 'item', copyNode: '?' }),
  );
  await set.copy();
  await set.root.query(`update item set name = 'b'`);
  await set.tick();
  await set.replay();
  expect(await set.leaf.query('select * from item')).toEqual([{ id: 1, name: 'b' }]);
  const [table] = await set.scope.database(set.leaf.name, (client) => tableStatus(client, QUEUE));
  expect(table).toMatchObject({ state: 'ok', attributes: 'copy_node=%3f', fault: null });
  const found = await set.scope.database(set.leaf.name, (client) => checkNode(set.scope, client, QUEUE));
  expect(found.filter(({ object }) => object === ITEM)).toEqual([]);
});

it('a table without its key here is marked, and both go on', async () => {
  const set = await withTwo();
  await set.leaf.query('alter table item drop constraint item_pkey');
  await changeBoth(set);
  await changeBoth(set);
  await isTold(set, /primary key missing here: give it the same primary key again here/);
  for (const table of ['item', 'other']) await same(set, table);
  await set.leaf.query('alter table item add primary key (id)');
  await changeBoth(set);
  expect(await health(set)).toBeNull();
  for (const table of ['item', 'other']) await same(set, table);
});

it.each([
  ['missing', `drop trigger _londiste_${QUEUE} on item`],
  ['disabled', `alter table item disable trigger _londiste_${QUEUE}`],
])(
  'a trigger that is %s on the provider is told until the table is copied again, the others go on',
  async (word, fault) => {
    const set = await withTwo();
    await changeBoth(set);
    await set.root.query(fault);
    await changeBoth(set);
    await same(set, 'other');
    await isTold(
      set,
      new RegExp(`changes were lost: row trigger ${word} at the provider: .*restore_triggers.*resync`),
    );
    for (const node of [set.root, set.leaf]) {
      const status = await set.scope.database(node.name, (client) => tableStatus(client, QUEUE));
      expect(status.find(({ table }) => table === ITEM)!.fault).toContain(`row trigger ${word}`);
      const findings = await set.scope.database(node.name, (client) => checkNode(set.scope, client, QUEUE));
      expect(findings.map(({ object, problem }) => `${object} ${problem}`).join()).toContain(
        `${ITEM} row trigger ${word}`,
      );
    }
    await set.root.query(`select londiste.restore_triggers('${QUEUE}', 'item')`);
    await changeBoth(set);
    expect(await rowsOf(set.leaf, 'item')).not.toEqual(await rowsOf(set.root, 'item'));
    await isTold(set, /changes were lost: its trigger .*resync set public.item/);
    await set.scope.database(set.leaf.name, (client) => resyncTable(set.scope, client, QUEUE, 'item'));
    await set.copy();
    await changeBoth(set);
    await same(set, 'item');
    expect(await health(set)).toBeNull();
  },
);

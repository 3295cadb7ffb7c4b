import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { cascadeEvents, otherNode, outcome, positions, rootNode, tick } from './cascade.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('subscribers', () => {
  test('get a worker and a watermark on the provider, and lose both', async () => {
    await rootNode(database, 'subs');
    for (const node of ['n2', 'n3']) {
      expect(
        await database.query(
          `select * from pgq_node.register_subscriber('subs', $1, $1 || '_worker', null)`,
          [node],
        ),
      ).toEqual([{ ret_code: 200, ret_note: `Subscriber registered: ${node}`, global_watermark: '1' }]);
    }
    expect(await database.query(`select * from pgq_node.get_subscriber_info('subs')`)).toEqual([
      { node_name: 'n2', worker_name: 'n2_worker', node_watermark: '1' },
      { node_name: 'n3', worker_name: 'n3_worker', node_watermark: '1' },
    ]);
    expect(await outcome(database, `pgq_node.unregister_subscriber('subs', 'n3')`)).toEqual([
      200,
      'Subscriber unregistered: n3',
    ]);
    expect(await outcome(database, `pgq_node.unregister_subscriber('subs', 'n3')`)).toEqual([
      304,
      'Subscriber not found',
    ]);
    expect(await positions(database, 'subs')).toEqual([
      '.global_watermark: 1',
      '.n2.watermark: 1',
      'n2_worker: 1',
    ]);
  });

  test('may be registered again, so that an interrupted move can go on', async () => {
    await rootNode(database, 'again');
    await tick(database, 'again');
    const last = await tick(database, 'again');
    const register = (at: number | null) =>
      outcome(database, `pgq_node.register_subscriber('again', 'n2', 'n2_worker', $1)`, [at]);
    expect(await register(2)).toEqual([200, 'Subscriber registered: n2']);
    await database.query(`select pgq_node.set_subscriber_watermark('again', 'n2', 2)`);
    expect(await register(null)).toEqual([201, 'Subscriber already registered: n2']);
    expect(await positions(database, 'again')).toEqual([
      '.global_watermark: 1',
      '.n2.watermark: 2',
      'n2_worker: 2',
    ]);
    expect(await register(last)).toEqual([201, 'Subscriber already registered: n2']);
    expect(await positions(database, 'again')).toContain(`n2_worker: ${last}`);
    expect(
      await outcome(database, `pgq_node.register_subscriber('again', 'n2', 'other_worker', null)`),
    ).toEqual([401, 'Subscriber already registered with another worker: n2/n2_worker']);
  });

  test('are refused by a leaf, by an unknown queue and at a tick that is gone', async () => {
    await rootNode(database, 'refusing');
    await otherNode(database, 'refusing_leaf', 'leaf', 1);
    expect(await outcome(database, `pgq_node.register_subscriber('refusing_leaf', 'n3', 'w', null)`)).toEqual(
      [401, 'Cannot subscribe to leaf node'],
    );
    expect(await outcome(database, `pgq_node.register_subscriber('nothing', 'n3', 'w', null)`)).toEqual([
      404,
      'Unknown queue: nothing',
    ]);
    expect(await outcome(database, `pgq_node.register_subscriber('refusing', 'n2', 'w', 99)`)).toEqual([
      404,
      'cannot reposition, tick not found: 99',
    ]);
    expect(await positions(database, 'refusing')).toEqual(['.global_watermark: 1']);
  });
});

describe('watermarks', () => {
  test('of a subscriber only move forward, to ticks that exist', async () => {
    await rootNode(database, 'forward');
    await database.query(`select pgq_node.register_subscriber('forward', 'n2', 'n2_worker', null)`);
    await tick(database, 'forward');
    await tick(database, 'forward');
    const set = (node: string, watermark: number) =>
      outcome(database, `pgq_node.set_subscriber_watermark('forward', $1, $2)`, [node, watermark]);
    expect(await set('n2', 3)).toEqual([200, '.n2.watermark set to 3']);
    expect(await set('n2', 3)).toEqual([100, 'watermark already set']);
    expect(await set('n2', 2)).toEqual([405, 'watermark must not be moved backwards']);
    expect(await set('n9', 2)).toEqual([404, 'node n9 not subscribed to queue ']);
    await expect(set('n2', 99)).rejects.toThrow('cannot reposition, tick not found: 99');
    // The worker itself is still at tick 1.
    expect(
      await database.query(
        `select node_watermark, local_watermark from pgq_node.get_subscriber_info('forward'),
                pgq_node.get_node_info('forward')`,
      ),
    ).toEqual([{ node_watermark: '3', local_watermark: '1' }]);
  });

  test('of the root are the lowest position below it and travel as an event', async () => {
    await rootNode(database, 'global');
    await database.query(`select pgq_node.register_subscriber('global', 'n2', 'n2_worker', null)`);
    await tick(database, 'global');
    await tick(database, 'global');
    await database.query(
      `select pgq_node.set_subscriber_watermark('global', 'n2', 2), pgq.register_consumer_at('global', 'n2_worker', 3)`,
    );
    expect(await outcome(database, `pgq_node.set_global_watermark('global', null)`)).toEqual([
      200,
      'Global watermark set to 2',
    ]);
    expect(await positions(database, 'global')).toContain('.global_watermark: 2');
    expect(await cascadeEvents(database, 'global')).toEqual(['pgq.global-watermark 2 global -']);
    expect(await database.query(`select completed_tick from pgq_node.get_worker_state('global')`)).toEqual([
      { completed_tick: '2' },
    ]);
    await expect(database.query(`select pgq_node.set_global_watermark('global', 77)`)).rejects.toThrow(
      'cannot reposition, tick not found: 77',
    );
  });

  test('of a branch follow the event when the tick is there', async () => {
    await otherNode(database, 'branchmark', 'branch', 13);
    await database.query(`select pgq.ticker('branchmark', 14, now(), 20)`);
    const set = (watermark: number | null) =>
      outcome(database, `pgq_node.set_global_watermark('branchmark', $1)`, [watermark]);
    expect(await set(14)).toEqual([200, 'Global watermark set to 14']);
    expect(await set(15)).toEqual([200, 'Skipping global watermark update to 15']);
    expect(await set(null)).toEqual([500, 'bad usage: wm=null on branch node']);
    expect(await positions(database, 'branchmark')).toEqual(['.global_watermark: 14']);
  });

  test('mean nothing to a leaf and to no node', async () => {
    await otherNode(database, 'leafmark', 'leaf', 1);
    expect(await outcome(database, `pgq_node.set_global_watermark('leafmark', 1)`)).toEqual([
      100,
      'Ignoring global watermark in leaf',
    ]);
    expect(await outcome(database, `pgq_node.set_global_watermark('nothing', 1)`)).toEqual([
      404,
      'Queuenothing not found',
    ]);
  });

  test('of a partition move the leaf that waits behind a combined branch', async () => {
    await otherNode(database, 'cb', 'branch', 1);
    await otherNode(database, 'cb_part', 'leaf', 13, 'cb');
    await rootNode(database, 'cr');
    await otherNode(database, 'cr_part', 'leaf', 13, 'cr');
    const set = (combined: string, part: string) =>
      outcome(database, 'pgq_node.set_partition_watermark($1, $2, 15)', [combined, part]);
    expect(await set('cb', 'cb_part')).toEqual([200, 'Ok']);
    expect(await database.query(`select completed_tick from pgq_node.get_worker_state('cb_part')`)).toEqual([
      { completed_tick: '15' },
    ]);
    expect(await set('cr', 'cr_part')).toEqual([201, 'Part-queue does not exist']);
    expect(await set('cb', 'nothing')).toEqual([201, 'Part-queue does not exist']);
    await database.query(`select pgq_node.unregister_consumer('cb_part', 'n2_worker')`);
    expect(await set('cb', 'cb_part')).toEqual([401, 'Worker registration not found']);
  });
});

describe('maint_watermark', () => {
  const age = (queue: string) =>
    database.query(
      `update pgq.tick set tick_time = tick_time - interval '1 hour'
        where tick_queue = (select queue_id from pgq.queue where queue_name = $1)`,
      [queue],
    );
  const maintain = async (queue: string) => {
    const [row] = await database.query<{ result: number }>('select pgq_node.maint_watermark($1) as result', [
      queue,
    ]);
    return row?.result;
  };

  test('publishes on a root when the watermark is old, and is listed as maintenance', async () => {
    await rootNode(database, 'kept');
    expect(await maintain('kept')).toBe(0);
    expect(await cascadeEvents(database, 'kept')).toEqual([]);
    await tick(database, 'kept');
    await age('kept');
    expect(await maintain('kept')).toBe(0);
    expect(await cascadeEvents(database, 'kept')).toEqual(['pgq.global-watermark 2 kept -']);
    expect(
      await database.query(
        `select func_name from pgq.maint_operations() where func_name like 'pgq_node.%' and func_arg = 'kept'`,
      ),
    ).toEqual([{ func_name: 'pgq_node.maint_watermark' }]);
  });

  test('answers 0 for an unknown queue and for a branch', async () => {
    await otherNode(database, 'kept_branch', 'branch', 1);
    expect(await maintain('nothing')).toBe(0);
    expect(await maintain('kept_branch')).toBe(0);
  });

  test('does not fail between the steps of a demotion', async () => {
    await rootNode(database, 'between');
    await age('between');
    await database.query(`select pgq_node.demote_root('between', 1, 'n2')`);
    expect(await maintain('between')).toBe(0);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { cascadeEvents, members, otherNode, outcome, positions, rootNode, tick } from './cascade.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('locations', () => {
  test('are registered, changed, listed by name and removed', async () => {
    for (let n = 5; n >= 1; n--) {
      expect(
        await outcome(database, `pgq_node.register_location('places', $1, $2, false)`, [
          `node${n}`,
          `dbname=${n}`,
        ]),
      ).toEqual([200, 'Location registered']);
    }
    await database.query(`select pgq_node.register_location('places', 'node5', 'dbname=five', true)`);
    await database.query(`select pgq_node.register_location('places', 'node4', null, true)`);
    await database.query(`select pgq_node.register_location('places', 'unknown', null, false)`);
    expect(await outcome(database, `pgq_node.unregister_location('places', 'node1')`)).toEqual([200, 'Ok']);
    expect(await outcome(database, `pgq_node.unregister_location('places', 'node1')`)).toEqual([
      301,
      'Location not found: places/node1',
    ]);
    expect(await database.query(`select * from pgq_node.get_queue_locations('places')`)).toEqual([
      { node_name: 'node2', node_location: 'dbname=2', dead: false },
      { node_name: 'node3', node_location: 'dbname=3', dead: false },
      { node_name: 'node4', node_location: 'dbname=4', dead: true },
      { node_name: 'node5', node_location: 'dbname=five', dead: true },
    ]);
  });

  test('the root tells the cascade of a change, once', async () => {
    await rootNode(database, 'news');
    for (let call = 0; call < 2; call++) {
      await database.query(`select pgq_node.register_location('news', 'n5', 'dbname=n5', false)`);
      await database.query(`select pgq_node.register_location('news', 'n2', null, true)`);
      await database.query(`select pgq_node.unregister_location('news', 'n3')`);
    }
    expect(await cascadeEvents(database, 'news')).toEqual([
      'pgq.location-info n5 news dbname=n5 false',
      'pgq.location-info n2 news - true',
      'pgq.unregister-location n3 news -',
    ]);
  });

  test('of the node itself and of a provider are kept', async () => {
    await otherNode(database, 'kept', 'leaf', 3);
    await database.query(`select pgq_node.register_consumer('kept', 'extra', 'n3', 3)`);
    expect(await outcome(database, `pgq_node.unregister_location('kept', 'n2')`)).toEqual([
      403,
      "Cannot drop node's own location",
    ]);
    for (const provider of ['n1', 'n3']) {
      expect(await outcome(database, `pgq_node.unregister_location('kept', $1)`, [provider])).toEqual([
        403,
        "Cannot drop location of node's parent",
      ]);
    }
  });
});

describe('create_node', () => {
  test('makes a root with its queue, watermark and worker', async () => {
    await members(database, 'r', ['n1']);
    const create = `pgq_node.create_node('r', 'root', 'n1', 'w', null, null, null)`;
    expect(await outcome(database, create)).toEqual([
      200,
      'Node "n1" initialized for queue "r" with type "root"',
    ]);
    expect(await outcome(database, create)).toEqual([401, 'Node already initialized']);
    expect(await positions(database, 'r')).toEqual(['.global_watermark: 1']);
    expect(await database.query(`select * from pgq_node.get_node_info('r')`)).toEqual([
      {
        ret_code: 100,
        ret_note: 'Ok',
        node_type: 'root',
        node_name: 'n1',
        global_watermark: '1',
        local_watermark: '1',
        provider_node: 'n1',
        provider_location: 'dbname=n1',
        combined_queue: null,
        combined_type: null,
        worker_name: 'w',
        worker_paused: false,
        worker_uptodate: false,
        worker_last_tick: '1',
        node_attrs: null,
        target_for: null,
      },
    ]);
  });

  test('makes a branch whose queue begins at the global watermark and refuses inserts', async () => {
    await otherNode(database, 'b', 'branch', 13);
    expect(await database.query(`select * from pgq_node.get_worker_state('b')`)).toEqual([
      {
        ret_code: 100,
        ret_note: 'Ok',
        node_type: 'branch',
        node_name: 'n2',
        completed_tick: '13',
        provider_node: 'n1',
        provider_location: 'dbname=n1',
        paused: false,
        uptodate: false,
        cur_error: null,
        worker_name: 'n2_worker',
        global_watermark: '13',
        local_watermark: '13',
        local_queue_top: '13',
        combined_queue: null,
        combined_type: null,
      },
    ]);
    await expect(database.query(`select pgq.insert_event('b', 't', 'd')`)).rejects.toThrow(
      'Insert into queue disallowed',
    );
    await expect(database.query(`select pgq.ticker('b')`)).rejects.toThrow(
      'This queue has external tick source.',
    );
  });

  test('makes a leaf of a combined queue, which names it as its source', async () => {
    await otherNode(database, 'combined', 'branch', 1);
    await otherNode(database, 'part', 'leaf', 13, 'combined');
    expect(
      await database.query(
        `select node_type, completed_tick, global_watermark, local_watermark, local_queue_top, combined_queue,
                combined_type
           from pgq_node.get_worker_state('part')`,
      ),
    ).toEqual([
      {
        node_type: 'leaf',
        completed_tick: '13',
        global_watermark: null,
        local_watermark: '13',
        local_queue_top: null,
        combined_queue: 'combined',
        combined_type: 'branch',
      },
    ]);
    expect(await database.query(`select target_for from pgq_node.get_node_info('combined')`)).toEqual([
      { target_for: ['part'] },
    ]);
  });

  test('a leaf of a queue that is no node here reports it', async () => {
    await database.query(`select pgq.create_queue('plain')`);
    await otherNode(database, 'part2', 'leaf', 13, 'plain');
    expect(await outcome(database, `pgq_node.get_worker_state('part2')`)).toEqual([
      404,
      'Combinde queue node not found: plain',
    ]);
    expect(await database.query(`select combined_queue from pgq_node.get_node_info('part2')`)).toEqual([
      { combined_queue: null },
    ]);
  });

  test.each([
    [`'root', 'n1', 'w', 'n2', null, null`, 'unexpected args for root'],
    [`'root', 'n1', 'w', null, 1, null`, 'unexpected args for root'],
    [`'branch', 'n1', 'w', null, 3, null`, 'provider not set for branch'],
    [`'branch', 'n1', 'w', 'n2', null, null`, 'global watermark not set for branch'],
    [`'leaf', 'n1', 'w', 'n2', 3, 'nowhere'`, 'non-existing queue on leaf side: nowhere'],
    [`'twig', 'n1', 'w', 'n2', 3, null`, 'bad node type: twig'],
  ])('refuses %s', async (args, note) => {
    await members(database, 'refused', ['n1', 'n2']);
    expect(await outcome(database, `pgq_node.create_node('refused', ${args})`)).toEqual([401, note]);
  });

  test('of two creators at the same moment one is told that the node exists', async () => {
    await members(database, 'race', ['n1']);
    const create = () =>
      outcome(database, `pgq_node.create_node('race', 'root', 'n1', 'w', null, null, null)`);
    const codes = (await Promise.all([create(), create(), create()])).map(([code]) => code).sort();
    expect(codes).toEqual([200, 401, 401]);
  });
});

describe('node questions', () => {
  test('get_node_info of a queue that is no node is 404 with NULLs', async () => {
    const [row] = await database.query<{ ret_code: number; ret_note: string; node_type: null }>(
      `select * from pgq_node.get_node_info('nothing')`,
    );
    expect(row).toMatchObject({ ret_code: 404, ret_note: 'Unknown queue: nothing', node_type: null });
  });

  test('is_root_node and is_leaf_node answer, or raise for an unknown queue', async () => {
    await rootNode(database, 'asked');
    await otherNode(database, 'asked_leaf', 'leaf', 1);
    expect(
      await database.query(
        `select pgq_node.is_root_node('asked') as a, pgq_node.is_leaf_node('asked') as b,
                pgq_node.is_root_node('asked_leaf') as c, pgq_node.is_leaf_node('asked_leaf') as d`,
      ),
    ).toEqual([{ a: true, b: false, c: false, d: true }]);
    await expect(database.query(`select pgq_node.is_root_node('nothing')`)).rejects.toThrow(
      'queue does not exist: nothing',
    );
    await expect(database.query(`select pgq_node.is_leaf_node('nothing')`)).rejects.toThrow(
      'queue does not exist: nothing',
    );
  });

  test('attributes are stored with the node', async () => {
    await rootNode(database, 'attrs');
    expect(await outcome(database, `pgq_node.set_node_attrs('attrs', 'sync_watermark=n2%2cn3')`)).toEqual([
      200,
      'Node attributes updated',
    ]);
    expect(await outcome(database, `pgq_node.set_node_attrs('nothing', 'x=1')`)).toEqual([
      404,
      'Node not found',
    ]);
    expect(await database.query(`select node_attrs from pgq_node.get_node_info('attrs')`)).toEqual([
      { node_attrs: 'sync_watermark=n2%2cn3' },
    ]);
  });
});

describe('drop_node', () => {
  test('on the node itself leaves neither queue nor membership', async () => {
    await rootNode(database, 'gone');
    await database.query(`select pgq_node.register_subscriber('gone', 'n2', 'n2_worker', null)`);
    await database.query(`select pgq.insert_event('gone', 't', 'd')`);
    for (const node of ['n1', 'n1', 'n3']) {
      expect(await outcome(database, `pgq_node.drop_node('gone', $1)`, [node])).toEqual([
        200,
        `Node dropped: ${node}`,
      ]);
    }
    expect(
      await database.query(
        `select (select count(*)::int from pgq.queue where queue_name = 'gone') as queues,
                (select count(*)::int from pgq_node.node_location where queue_name = 'gone') as locations,
                (select count(*)::int from pgq_node.local_state where queue_name = 'gone') as states,
                (select count(*)::int from pgq_node.subscriber_info where queue_name = 'gone') as subscribers`,
      ),
    ).toEqual([{ queues: 0, locations: 0, states: 0, subscribers: 0 }]);
  });

  test('of another node ends its subscription, but not when it is our provider', async () => {
    await rootNode(database, 'other');
    await database.query(`select pgq_node.register_subscriber('other', 'n2', 'n2_worker', null)`);
    expect(await outcome(database, `pgq_node.drop_node('other', 'n2')`)).toEqual([200, 'Node dropped: n2']);
    expect(await positions(database, 'other')).toEqual(['.global_watermark: 1']);

    await otherNode(database, 'mine', 'leaf', 1);
    expect(await outcome(database, `pgq_node.drop_node('mine', 'n1')`)).toEqual([
      405,
      'Cannot drop provider node: n1',
    ]);
    expect(await outcome(database, `pgq_node.drop_node('mine', 'n3')`)).toEqual([200, 'Node dropped: n3']);
    expect(await outcome(database, `pgq_node.drop_node('nothing', 'n3')`)).toEqual([200, 'Node dropped: n3']);
  });

  test('never drops a plain queue that only has the name', async () => {
    await database.query(`select pgq.create_queue('innocent')`);
    await database.query(`select pgq_node.drop_node('innocent', 'n1')`);
    expect(await database.query(`select queue_name from pgq.get_queue_info('innocent')`)).toHaveLength(1);
  });
});

describe('cascaded consumers', () => {
  test('walk through their states', async () => {
    await otherNode(database, 'states', 'branch', 1);
    expect(await outcome(database, `pgq_node.register_consumer('states', 'c1', 'n1', 1)`)).toEqual([
      200,
      'Consumer c1 registered on queue states',
    ]);
    expect(await outcome(database, `pgq_node.register_consumer('states', 'c1', 'n1', 2)`)).toEqual([
      201,
      'Consumer already registered: states/c1',
    ]);
    expect(await outcome(database, `pgq_node.register_consumer('nothing', 'c1', 'n1', 2)`)).toEqual([
      404,
      'Unknown queue: nothing',
    ]);
    await database.query(`select pgq_node.register_consumer('states', 'a0', 'n3', 1)`);
    expect(await outcome(database, `pgq_node.set_consumer_uptodate('states', 'c1', true)`)).toEqual([
      200,
      'Consumer uptodate = 1',
    ]);
    expect(await outcome(database, `pgq_node.set_consumer_error('states', 'c1', 'test error')`)).toEqual([
      100,
      'Consumer c1 error = test error',
    ]);
    expect(await database.query(`select * from pgq_node.get_consumer_info('states')`)).toEqual([
      {
        consumer_name: 'a0',
        provider_node: 'n3',
        last_tick_id: '1',
        paused: false,
        uptodate: false,
        cur_error: null,
      },
      {
        consumer_name: 'c1',
        provider_node: 'n1',
        last_tick_id: '2',
        paused: false,
        uptodate: true,
        cur_error: 'test error',
      },
      {
        consumer_name: 'n2_worker',
        provider_node: 'n1',
        last_tick_id: '1',
        paused: false,
        uptodate: false,
        cur_error: null,
      },
    ]);
    expect(await outcome(database, `pgq_node.set_consumer_completed('states', 'c1', 10)`)).toEqual([
      100,
      'Consumer c1 completed tick = 10',
    ]);
    expect(await outcome(database, `pgq_node.set_consumer_paused('states', 'c1', true)`)).toEqual([
      200,
      'Consumer c1 tagged as paused',
    ]);
    await database.query(`select pgq_node.set_consumer_uptodate('states', 'c1', true)`);
    expect(await outcome(database, `pgq_node.set_consumer_paused('states', 'c1', true)`)).toEqual([
      201,
      'Consumer c1 already paused',
    ]);
    expect(await outcome(database, `pgq_node.change_consumer_provider('states', 'c1', 'n3')`)).toEqual([
      200,
      'Consumer provider node set to : n3',
    ]);
    expect(await database.query(`select * from pgq_node.get_consumer_state('states', 'c1')`)).toEqual([
      {
        ret_code: 100,
        ret_note: 'Ok',
        node_type: 'branch',
        node_name: 'n2',
        completed_tick: '10',
        provider_node: 'n3',
        provider_location: 'dbname=n3',
        paused: true,
        uptodate: false,
        cur_error: null,
      },
    ]);
    expect(await outcome(database, `pgq_node.unregister_consumer('states', 'c1')`)).toEqual([
      200,
      'Consumer c1 unregistered from states',
    ]);
    const [state] = await database.query(`select * from pgq_node.get_consumer_state('states', 'c1')`);
    expect(state).toMatchObject({
      ret_code: 404,
      ret_note: 'Unknown consumer: states/c1',
      node_type: 'branch',
      node_name: 'n2',
      completed_tick: null,
    });
  });

  test.each([
    [`set_consumer_uptodate('leafy', 'x', false)`, 404, 'Consumer not known: leafy/x'],
    [`set_consumer_completed('leafy', 'x', 1)`, 404, 'Consumer not known: leafy/x'],
    [`set_consumer_error('leafy', 'x', 'e')`, 101, 'Consumer not known, ignoring: leafy/x'],
    [`set_consumer_error('leafy', 'n2_worker', null)`, 100, null],
    [`set_consumer_paused('leafy', 'x', true)`, 404, 'Unknown consumer: x'],
    [`set_consumer_paused('leafy', 'n2_worker', false)`, 201, 'Consumer n2_worker already resumed'],
    [`change_consumer_provider('leafy', 'n2_worker', 'zz')`, 404, 'New node not found: zz'],
    [`change_consumer_provider('leafy', 'x', 'n3')`, 404, 'Unknown consumer: leafy/x'],
    [`unregister_consumer('nothing', 'x')`, 404, 'Unknown queue: nothing'],
    [`get_consumer_state('nothing', 'x')`, 404, 'Unknown queue: nothing'],
    [`get_worker_state('nothing')`, 404, 'Unknown queue: nothing'],
  ])('%s answers %i', async (call, code, note) => {
    if ((await database.query(`select 1 from pgq_node.node_info where queue_name = 'leafy'`)).length === 0) {
      await otherNode(database, 'leafy', 'leaf', 1);
    }
    expect(await outcome(database, `pgq_node.${call}`)).toEqual([code, note]);
  });

  test('on a root show the stored position, and the queue top beside it', async () => {
    await rootNode(database, 'tops');
    await tick(database, 'tops');
    await tick(database, 'tops');
    expect(
      await database.query(
        `select i.worker_last_tick, s.completed_tick, s.local_queue_top
           from pgq_node.get_node_info('tops') i, pgq_node.get_worker_state('tops') s`,
      ),
    ).toEqual([{ worker_last_tick: '3', completed_tick: '1', local_queue_top: '3' }]);
  });
});

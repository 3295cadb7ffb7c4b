import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { otherNode, outcome, rootNode, tick } from './cascade.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const demote = async (queue: string, step: number, provider: string | null = 'n2') => {
  const [row] = await database.query<{ ret_code: number; ret_note: string; last_tick: string | null }>(
    'select * from pgq_node.demote_root($1, $2, $3)',
    [queue, step, provider],
  );
  return [row?.ret_code, row?.ret_note, row?.last_tick];
};

describe('demote_root', () => {
  test('stops writers, adds the last tick, and becomes a branch; by a role that is no superuser', async () => {
    await rootNode(database, 'd');
    await tick(database, 'd');
    await tick(database, 'd');
    await expect(demote('d', 2)).rejects.toThrow('steps in wrong order');
    await expect(demote('d', 3)).rejects.toThrow('steps in wrong order');
    expect(await demote('d', 1)).toEqual([200, 'Step 1: Writing disabled for: d', null]);
    expect(await demote('d', 1)).toEqual([200, 'Step 1: Writing disabled for: d', null]);
    await expect(database.query(`select pgq.insert_event('d', 't', 'd')`)).rejects.toThrow(
      'Insert into queue disallowed',
    );
    expect(await demote('d', 2)).toEqual([200, 'Step 2: Inserted last tick: d', '4']);
    expect(await demote('d', 2)).toEqual([200, 'Step 2: Inserted last tick: d', '5']);
    await expect(demote('d', 4)).rejects.toThrow('incorrect step number');
    expect(await demote('d', 3)).toEqual([200, 'Step 3: Demoted root to branch: d', '5']);
    expect(await demote('d', 3)).toEqual([301, 'Node not root', null]);
    expect(
      await database.query(
        `select node_type, provider_node, completed_tick, uptodate from pgq_node.get_worker_state('d')`,
      ),
    ).toEqual([{ node_type: 'branch', provider_node: 'n2', completed_tick: '5', uptodate: false }]);
  });

  test('the last tick covers events of writers that were still open', async () => {
    await rootNode(database, 'open');
    await database.query(`select pgq.register_consumer('open', 'reader')`);
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(`select pgq.insert_event('open', 'late', 'write')`);
    await demote('open', 1);
    const last = demote('open', 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await writer.query('commit');
    const [, , tickId] = await last;
    const [batch] = await database.query<{ batch_id: string; cur_tick_id: string }>(
      `select * from pgq.next_batch_info('open', 'reader')`,
    );
    expect(batch?.cur_tick_id).toBe(tickId);
    expect(await database.query('select ev_type from pgq.get_batch_events($1)', [batch?.batch_id])).toEqual([
      { ev_type: 'late' },
    ]);
  });

  test('waits for a writer only as long as lock_timeout allows, and can be repeated', async () => {
    await rootNode(database, 'stuck');
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query(`select pgq.insert_event('stuck', 'late', 'write')`);
    await demote('stuck', 1);
    const admin = await database.connect();
    await admin.query('begin');
    await admin.query(`set local lock_timeout = '50ms'`);
    await expect(admin.query(`select pgq_node.demote_root('stuck', 2, 'n2')`)).rejects.toMatchObject({
      code: '55P03',
    });
    await admin.query('rollback');
    await writer.query('rollback');
    expect((await demote('stuck', 2))[0]).toBe(200);
  });

  test('leaves the time-out of the session as it was', async () => {
    await rootNode(database, 'timeouts');
    await demote('timeouts', 1);
    const admin = await database.connect();
    await admin.query('begin');
    await admin.query(`select pgq_node.demote_root('timeouts', 2, 'n2')`);
    const { rows } = await admin.query('show lock_timeout');
    await admin.query('rollback');
    expect(rows).toEqual([{ lock_timeout: '0' }]);
  });

  test('refuses a snapshot that may be older than the last writer', async () => {
    await rootNode(database, 'isolation');
    await demote('isolation', 1);
    const admin = await database.connect();
    await admin.query('begin isolation level repeatable read');
    await expect(admin.query(`select pgq_node.demote_root('isolation', 2, 'n2')`)).rejects.toThrow(
      'step 2 needs isolation level read committed',
    );
    await admin.query('rollback');
  });

  test('a producer with an older snapshot cannot write behind the last tick', async () => {
    await rootNode(database, 'late');
    const producer = await database.connect();
    await producer.query('begin isolation level repeatable read');
    await producer.query('select queue_disable_insert from pgq.queue');
    for (const step of [1, 2]) await demote('late', step);
    await expect(producer.query(`select pgq.insert_event('late', 't', 'd')`)).rejects.toThrow(
      'Insert into queue disallowed',
    );
    await producer.query('rollback');
    await demote('late', 3);
    const replay = await database.connect();
    await replay.query('begin');
    await replay.query(`select londiste.set_session_replication_role('replica', true)`);
    await replay.query(`select pgq.insert_event('late', 'copied', 'd')`);
    await replay.query('commit');
    await outcome(database, `pgq_node.promote_branch('late')`);
    await database.query(`select pgq.insert_event('late', 'open again', 'd')`);
  });

  test('answers for nodes that are no root', async () => {
    await otherNode(database, 'no_root', 'branch', 1);
    expect(await demote('no_root', 1)).toEqual([301, 'Node not root', null]);
    expect(await demote('nothing', 1)).toEqual([404, 'Node not initialized for queue: nothing', null]);
  });
});

describe('promote_branch', () => {
  test('opens the queue for events and ticks after the newest tick', async () => {
    await otherNode(database, 'p', 'branch', 7);
    await database.query(`select pgq.ticker('p', 8, now(), 40)`);
    expect(await outcome(database, `pgq_node.promote_branch('p')`)).toEqual([
      200,
      'Branch node promoted to root',
    ]);
    expect(await outcome(database, `pgq_node.promote_branch('p')`)).toEqual([301, 'Node not branch']);
    expect(await outcome(database, `pgq_node.promote_branch('nothing')`)).toEqual([
      404,
      'Node not initialized for queue: nothing',
    ]);
    expect(
      await database.query(
        `select node_type, provider_node, completed_tick, uptodate from pgq_node.get_worker_state('p')`,
      ),
    ).toEqual([{ node_type: 'root', provider_node: 'n2', completed_tick: '8', uptodate: false }]);
    const [event] = await database.query<{ id: string }>(`select pgq.insert_event('p', 't', 'd') as id`);
    expect(Number(event?.id)).toBeGreaterThan(40);
    await database.query(`select pgq.set_queue_config('p', 'ticker_max_lag', '0')`);
    expect(await tick(database, 'p')).toBe(9);
  });

  test('a demoted root can be promoted again', async () => {
    await rootNode(database, 'back');
    for (const step of [1, 2, 3]) await demote('back', step);
    expect(await outcome(database, `pgq_node.promote_branch('back')`)).toEqual([
      200,
      'Branch node promoted to root',
    ]);
    await database.query(`select pgq.insert_event('back', 't', 'd')`);
  });
});

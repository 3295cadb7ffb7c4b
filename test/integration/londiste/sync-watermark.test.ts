import { expect, it } from 'vitest';
import { checkNode } from '../../../lib/londiste/admin/check.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { type Cascade, cascade, QUEUE } from './cascade.ts';

/** A root, a branch whose attribute sync_watermark names the branch below it, and that one, which a consumer reads slowly. */
async function synchronisedSet() {
  const set = await cascade(['branch', 'branch']);
  const [root, branch, below] = set.nodes as [TestDatabase, TestDatabase, TestDatabase];
  await branch.query(`select pgq_node.set_node_attrs($1, 'sync_watermark=n2%2cn3')`, [QUEUE]);
  return { set, root, branch, below };
}

async function replayAll(set: Cascade, database: TestDatabase): Promise<void> {
  while ((await replayBatch(set.scope, database.name, QUEUE)).next === 'again');
}

/** As if the watermark of a subscriber had been told more than five minutes ago. */
const makeDue = (provider: TestDatabase, node: string) =>
  provider.query(
    `update pgq.subscription set sub_active = now() - interval '6 minutes'
      where sub_consumer = (select co_id from pgq.consumer where co_name = $1)`,
    [`.${node}.watermark`],
  );

const watermarks = async (database: TestDatabase) =>
  Object.fromEntries(
    (
      await database.query<{ name: string; tick: bigint }>(
        `select consumer_name as name, last_tick as tick from pgq.get_consumer_info($1) where consumer_name like '.%'`,
        [QUEUE],
      )
    ).map(({ name, tick }) => [name, Number(tick)]),
  );

it('a branch with sync_watermark keeps its events until every listed node can do without them, whatever the root says', async () => {
  const { set, root, branch, below } = await synchronisedSet();
  await below.query(`select pgq.register_consumer($1, 'slow')`, [QUEUE]);
  for (let tick = 0; tick < 3; tick++) {
    await set.tick();
    await set.replay();
  }
  await root.query('select pgq_node.set_subscriber_watermark($1, $2, 4)', [QUEUE, 'n2']);
  await branch.query('select pgq_node.set_subscriber_watermark($1, $2, 4)', [QUEUE, 'n3']);
  await root.query('select pgq_node.set_global_watermark($1, null)', [QUEUE]);
  await set.tick();
  await replayAll(set, branch);
  expect(await watermarks(root)).toMatchObject({ '.global_watermark': 4 });
  expect(await watermarks(branch)).toMatchObject({ '.global_watermark': 1 });

  // Below it goes on as its own.
  const events = (database: TestDatabase) =>
    database.query(
      `select ev_id, ev_time::text, ev_data, ev_extra1 from pgq.event_template where ev_type = 'pgq.global-watermark'`,
    );
  const [published] = await events(root);
  expect(await events(branch)).toEqual([{ ...published, ev_data: '1' }]);
  await replayAll(set, below);
  expect(await watermarks(below)).toMatchObject({ '.global_watermark': 1 });

  // The node of the list that is furthest behind decides; upstream only the last batch is asked for.
  await makeDue(root, 'n2');
  await set.tick();
  await replayAll(set, branch);
  expect(await watermarks(root)).toMatchObject({ '.n2.watermark': 5 });
  expect(await watermarks(branch)).toMatchObject({ '.global_watermark': 1 });
  await below.query(`select pgq.register_consumer_at($1, 'slow', 3)`, [QUEUE]);
  await makeDue(root, 'n2');
  await set.tick();
  await replayAll(set, branch);
  expect(await watermarks(branch)).toMatchObject({ '.global_watermark': 3 });

  // It stays where a listed node cannot be asked, and goes on without one that is dead.
  await below.query(`select pgq.unregister_consumer($1, 'slow')`, [QUEUE]);
  await branch.query(
    `update pgq_node.node_location set node_location = 'host=127.0.0.1 port=1' where node_name = 'n3'`,
  );
  await makeDue(root, 'n2');
  await set.tick();
  await replayAll(set, branch);
  expect(await watermarks(branch)).toMatchObject({ '.global_watermark': 3 });
  await branch.query(`update pgq_node.node_location set dead = true where node_name = 'n3'`);
  await makeDue(root, 'n2');
  await set.tick();
  await replayAll(set, branch);
  expect(await watermarks(branch)).toMatchObject({ '.global_watermark': 4 });
});

it('fault: the list names a node that is no member, and check tells which and what to do', async () => {
  const { set, branch } = await synchronisedSet();
  const found = () =>
    set.scope.database(branch.name, async (client) =>
      (await checkNode(set.scope, client, QUEUE)).filter(({ problem }) => problem.includes('sync_watermark')),
    );
  expect(await found()).toEqual([]);
  await branch.query(`select pgq_node.set_node_attrs($1, 'sync_watermark=n2%2cn9')`, [QUEUE]);
  const [finding] = await found();
  expect(finding).toMatchObject({
    object: 'n2',
    problem: expect.stringContaining('names n9, which is no member'),
  });
  await branch.query(finding!.hint.replace(/^.*: select/, 'select'));
  expect(await found()).toEqual([]);
});

import { expect, it } from 'vitest';
import { cascadeStatus, drawTree } from '../../../lib/londiste/admin/status.ts';
import { cascade, QUEUE } from './cascade.ts';

it('a branch that cannot be reached stands where its provider has it, and its own subscriber below it', async () => {
  const set = await cascade(['branch', 'leaf']);
  await set.tick();
  await set.replay();
  await set.root.query(
    `update pgq_node.node_location set node_location = 'host=127.0.0.1 port=1 dbname=gone' where node_name = 'n2'`,
  );
  const states = await set.scope.database(set.root.name, (client) => cascadeStatus(set.scope, client, QUEUE));
  const [newest] = await set.root.query<{ tick: string }>('select max(tick_id)::text as tick from pgq.tick');
  expect(states.find(({ node }) => node === 'n2')).toMatchObject({
    type: 'dead',
    provider: 'n1',
    tick: BigInt(newest!.tick),
    lagSeconds: expect.any(Number),
    unreachable: expect.stringMatching(/ECONNREFUSED/),
  });
  const tree = drawTree(states, { seconds: String, alarm: String, compact: true });
  expect(tree.replaceAll(/\).*/g, ')')).toBe('n1 (root)\n  +-n2 (dead)\n      +-n3 (leaf)\n');
});

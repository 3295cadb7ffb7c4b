import type pg from 'pg';
import { BusyError, errorMessage, UsageError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { copyConsumer } from '../copy/plan.ts';
import { call } from '../errors.ts';
import { hold, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { atRoot, type Member, members } from './create-node.ts';
import type { Patience } from './wait.ts';

/**
 * Pauses or resumes a node's replay. Nobody is waited for: the lock of the position shows that no batch is being applied,
 * and with it in hand the change is acknowledged at once.
 *
 * @throws BusyError while a batch is being applied: try again
 */
export async function setPaused(client: pg.Client, queue: string, paused: boolean): Promise<boolean> {
  return transaction(client, async () => {
    const { worker_name: worker } = await nodeState(client, queue);
    await hold(client, queue, worker);
    const { ret_code } = await call(client, 'pgq_node.set_consumer_paused($1, $2, $3)', [
      queue,
      worker,
      paused,
    ]);
    await call(client, 'pgq_node.set_consumer_uptodate($1, $2, true)', [queue, worker]);
    return ret_code === 200;
  });
}

/** As {@link setPaused}, waiting for a batch that is being applied. */
export async function setPausedSoon(
  client: pg.Client,
  queue: string,
  paused: boolean,
  { pause, allows }: Patience,
): Promise<boolean> {
  for (;;) {
    try {
      return await setPaused(client, queue, paused);
    } catch (error) {
      if (!(error instanceof BusyError) || !allows()) throw error;
      await pause();
    }
  }
}

/**
 * Removes a node from the cascade: from the root's list, its own database and every other member. Its tables and rows
 * stay.
 *
 * @param dryRun only look whether it could be done
 * @returns what could not be done, by node
 * @throws UsageError LONDISTE_NODE_UNKNOWN, LONDISTE_NODE_HAS_SUBSCRIBERS
 */
export async function dropNode(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  name: string,
  dryRun = false,
): Promise<Record<string, string>> {
  const here = await nodeState(client, queue);
  const all = await members(client, queue);
  const leaving = all.find((member) => member.node_name === name);
  if (leaving === undefined) {
    throw new UsageError('LONDISTE_NODE_UNKNOWN', `${name} is no member of ${queue}`, {
      subject: { queue, node: name },
      hint: 'skytools londiste members lists them',
    });
  }
  const failures: Record<string, string> = {};
  let worker: string | undefined;
  const visit = async (member: Member, body: (remote: pg.Client) => Promise<unknown>) => {
    try {
      if (member.node_name === here.node_name) await body(client);
      else await atLocation(scope, member.node_location, body);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      failures[member.node_name] = errorMessage(error);
    }
  };
  await visit(leaving, async (remote) => {
    const { rows } = await remote.query<{ node_name: string }>(
      'select node_name from pgq_node.get_subscriber_info($1)',
      [queue],
    );
    if (rows.length > 0) {
      throw new UsageError(
        'LONDISTE_NODE_HAS_SUBSCRIBERS',
        `${name} is the provider of ${rows.map((row) => row.node_name).join(', ')}`,
        {
          subject: { queue, node: name },
          hint: 'drop them first, or give them another provider',
        },
      );
    }
    const state = await nodeState(remote, queue);
    worker = state.worker_name;
    if (state.node_type !== 'root' && !dryRun) {
      await atRoot(scope, queue, state.provider_location, (root) =>
        call(root, 'pgq_node.unregister_location($1, $2)', [queue, name]),
      );
    }
  });
  if (dryRun) return failures;
  const others = all.filter((member) => member.node_name !== name);
  // Where the node cannot be asked, its provider knows its worker as well.
  for (const member of others) {
    if (worker !== undefined) break;
    await visit(member, async (remote) => {
      worker = await workerOf(remote, queue, name);
    });
  }
  for (const member of [leaving, ...others])
    await visit(member, async (remote) => {
      if (member !== leaving && worker !== undefined) await unregisterCopies(remote, queue, worker);
      await call(remote, 'pgq_node.drop_node($1, $2)', [queue, name]);
    });
  return failures;
}

async function workerOf(provider: pg.Client, queue: string, node: string): Promise<string | undefined> {
  const { rows } = await provider.query<{ worker_name: string }>(
    'select worker_name from pgq_node.get_subscriber_info($1) where node_name = $2',
    [queue, node],
  );
  return rows[0]?.worker_name;
}

/** Copies of the node that were under way: their consumers would keep events here for ever. */
async function unregisterCopies(client: pg.Client, queue: string, worker: string): Promise<void> {
  await client.query(
    `select pgq.unregister_consumer($1, c.consumer_name)
       from pgq.queue q
      cross join lateral pgq.get_consumer_info(q.queue_name) c
      where q.queue_name = $1 and starts_with(c.consumer_name, $2)`,
    [queue, copyConsumer(worker, '')],
  );
}

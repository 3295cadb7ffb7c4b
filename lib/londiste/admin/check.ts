import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { columnFaults, ownFaults, type TableFault } from '../drift.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { synchronised } from '../replay/watermark.ts';
import { holdsRows, type Subscription, subscriptions } from '../tables.ts';
import { members } from './create-node.ts';

/** Something about a node that is wrong, or will be. */
export interface Finding {
  /** The table, sequence, key or consumer; the node's name where it is about all of it. */
  object: string;
  problem: string;
  hint: string;
}

/** Looks at a node and its provider for what stops replication, loses changes or will do so. */
export async function checkNode(scope: NodeScope, client: pg.Client, queue: string): Promise<Finding[]> {
  const state = await nodeState(client, queue);
  const tables = await subscriptions(client, queue);
  const findings = [
    ...nodeFindings(state),
    ...(await watermarkFindings(client, queue, state)),
    ...handlerFindings(tables),
    ...(await ownFaults(client, queue, 'here')).map(findingOf),
    ...(await keyFindings(client)),
    ...(await eventFindings(client, queue)),
  ];
  if (state.node_type === 'root') return findings;
  const above = await atLocation(scope, state.provider_location, async (provider) => [
    ...(await registrationFindings(provider, queue, state)),
    ...(await copyFindings(provider, client, queue, state)),
    ...(await ownFaults(provider, queue, 'at the provider'))
      .filter(({ table }) => tables.some(({ name }) => name === table))
      .map(findingOf),
    ...(await columnFaults(provider, client, queue, tables)).map(findingOf),
  ]);
  return [...findings, ...above];
}

function nodeFindings(state: NodeState): Finding[] {
  const findings: Finding[] = [];
  const note = (problem: string, hint: string) => findings.push({ object: state.node_name, problem, hint });
  if (state.cur_error)
    note(`replay failed: ${state.cur_error.split('\n')[0]}`, 'mend what it names; replay goes on by itself');
  if (state.paused) note('replay is paused', 'skytools londiste resume');
  else if (!state.uptodate && state.node_type !== 'root')
    note('a change of its state is not acknowledged', 'the functions sweep, tick and replay must be running');
  return findings;
}

/** Nodes that a branch would keep its events for, if they were there. */
async function watermarkFindings(client: pg.Client, queue: string, state: NodeState): Promise<Finding[]> {
  const listed = (await synchronised(client, state)) ?? [];
  const all = (await members(client, queue)).map((member) => member.node_name);
  const attributes = encodeUrlencoded({
    sync_watermark: listed.filter((node) => all.includes(node)).join(','),
  });
  return listed
    .filter((node) => !all.includes(node))
    .map((node) => ({
      object: state.node_name,
      problem: `its attribute sync_watermark names ${node}, which is no member`,
      hint: `create that node, or leave it out: select pgq_node.set_node_attrs('${queue}', '${attributes}')`,
    }));
}

function handlerFindings(tables: readonly Subscription[]): Finding[] {
  return tables.flatMap((table) => {
    try {
      holdsRows(table);
      return [];
    } catch (error) {
      if (!(error instanceof SkytoolsError)) throw error;
      return [{ object: table.name, problem: error.message, hint: error.hint ?? '' }];
    }
  });
}

const findingOf = ({ table, problem, hint }: TableFault): Finding => ({ object: table, problem, hint });

/** Foreign keys that a copy took off and nobody will put back. */
async function keyFindings(client: pg.Client): Promise<Finding[]> {
  const { rows } = await client.query<{ from_table: string; fkey_name: string }>(
    'select from_table, fkey_name from londiste.get_orphan_pending_fkeys()',
  );
  return rows.map(({ from_table, fkey_name }) => ({
    object: from_table,
    problem: `foreign key ${fkey_name} was taken off for a copy and is not put back`,
    hint: `put it back: select londiste.restore_table_fkey('${from_table}', '${fkey_name}')`,
  }));
}

async function eventFindings(client: pg.Client, queue: string): Promise<Finding[]> {
  const { rows } = await client.query<{ object: string; events: number; missing: bigint }>(
    `select coalesce(e.ev_extra1, '') as object, count(*)::int4 as events, 0::int8 as missing
       from londiste.dead_event e where e.queue_name = $1 group by 1
     union all
     select h.table_name, 0, h.missing_rows from londiste.table_health h
      where h.queue_name = $1 and h.missing_rows > 0
      order by 1`,
    [queue],
  );
  return rows.map(({ object, events, missing }) =>
    events > 0
      ? {
          object,
          problem: `${events} events were refused and set aside`,
          hint: 'see londiste.dead_event; skytools londiste resync makes the table whole',
        }
      : {
          object,
          problem: `${missing} changes found no row`,
          hint: 'something else changes the table here; skytools londiste resync makes it whole',
        },
  );
}

/** What the provider must know of this node. */
async function registrationFindings(
  provider: pg.Client,
  queue: string,
  state: NodeState,
): Promise<Finding[]> {
  const { rows } = await provider.query<{ consumer: string }>(
    `select w.consumer from unnest($2::text[]) w (consumer)
      where not exists (select from pgq.get_consumer_info($1) c where c.consumer_name = w.consumer)`,
    [queue, [state.worker_name, `.${state.node_name}.watermark`]],
  );
  return rows.map(({ consumer }) => ({
    object: consumer,
    problem: `is not registered at the provider ${state.provider_node}`,
    hint: 'its events may be gone: drop this node and create it again',
  }));
}

/** Consumers of copies that nobody goes on with: they keep events at the provider for ever. */
async function copyFindings(
  provider: pg.Client,
  client: pg.Client,
  queue: string,
  state: NodeState,
): Promise<Finding[]> {
  const { rows: copying } = await client.query<{ name: string }>(
    'select consumer_name as name from londiste.copy_job where queue_name = $1',
    [queue],
  );
  const { rows } = await provider.query<{ consumer: string }>(
    `select c.consumer_name as consumer from pgq.get_consumer_info($1) c
      where starts_with(c.consumer_name, $2) and c.consumer_name <> all ($3)`,
    [queue, `${state.worker_name}.copy.`, copying.map(({ name }) => name)],
  );
  return rows.map(({ consumer }) => ({
    object: consumer,
    problem: `the consumer of a copy that is over is left at ${state.provider_node}`,
    hint: `skytools consumer unregister ${queue} '${consumer}' --database of the provider`,
  }));
}

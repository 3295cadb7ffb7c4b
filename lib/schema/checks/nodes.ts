import type { Client } from '../../postgres/connect.ts';
import { type Finding, fault, warning } from './finding.ts';

const CONSUMERS = `
select s.queue_name as queue, n.node_name as node, s.consumer_name as consumer, s.paused, s.cur_error as error,
       s.consumer_name = n.worker_name as worker
  from pgq_node.local_state s join pgq_node.node_info n using (queue_name)
 where s.paused or s.cur_error is not null
 order by 1, 3`;

const TRIGGER_FAULTS = `
select n.queue_name as queue, f.table_name as "table", f.fault
  from pgq_node.node_info n, londiste.find_trigger_faults(n.queue_name) f
 order by 1, 2, 3`;

const TABLE_FAULTS = `
select h.queue_name as queue, h.table_name as "table", h.fault
  from londiste.table_health h
 where h.fault is not null
 order by 1, 2`;

/** Cascaded nodes: workers that are paused or fail, and replicated tables whose triggers are not there. */
export async function checkNodes(client: Client): Promise<Finding[]> {
  const known = await client.query<{ nodes: boolean; faults: boolean; health: boolean }>(
    `select to_regclass('pgq_node.local_state') is not null as nodes,
            exists(select from pg_proc where proname = 'find_trigger_faults') as faults,
            to_regclass('londiste.table_health') is not null as health`,
  );
  const { nodes, faults, health } = known.rows[0]!;
  const findings: Finding[] = [];
  if (nodes) {
    for (const row of (await client.query(CONSUMERS)).rows) {
      const who = `${row.worker ? 'worker' : 'consumer'} "${row.consumer}" of node "${row.node}"`;
      if (row.paused) {
        findings.push(
          warning('node-paused', `${who} is paused`, 'resume it when it may go on', {
            queue: row.queue,
            node: row.node,
          }),
        );
      }
      if (row.error !== null) {
        findings.push(
          fault(
            'node-error',
            `${who} stopped at an error: ${row.error}`,
            'mend its cause; it tries again by itself',
            {
              queue: row.queue,
              node: row.node,
            },
          ),
        );
      }
    }
  }
  if (health) {
    for (const { queue, table, fault: noted } of (await client.query(TABLE_FAULTS)).rows) {
      // As replay notes it: the problem, then the next step.
      findings.push(
        fault(
          'subscribed-table',
          `table ${table}, subscribed from queue "${queue}": ${noted}`,
          'mend it; a table that was held back catches up by itself then',
          {
            queue,
            table,
          },
        ),
      );
    }
  }
  if (!faults) return findings;
  for (const row of (await client.query(TRIGGER_FAULTS)).rows) {
    findings.push(
      fault(
        'replicated-table',
        `table ${row.table}, replicated through queue "${row.queue}": ${row.fault}`,
        'make its triggers again with londiste.restore_triggers(queue, table), then copy the table again on the subscribers',
        { queue: row.queue, table: row.table },
      ),
    );
  }
  return findings;
}

import type pg from 'pg';
import { errorMessage } from '../platform/errors.ts';
import { type Finding, fault } from './checks/finding.ts';
import { checkInstallation } from './checks/installation.ts';
import { checkNodes } from './checks/nodes.ts';
import { checkQueues } from './checks/queues.ts';
import { checkRights } from './checks/rights.ts';
import { checkServer } from './checks/server.ts';
import { checkGeneratedTriggers, checkTriggers } from './checks/triggers.ts';
import { inspect } from './inspect.ts';

export type { Finding } from './checks/finding.ts';

/** Everything `skytools doctor` looks at, in the order in which it is printed. Changes nothing. */
export async function examine(client: pg.Client, version: string): Promise<Finding[]> {
  const state = await inspect(client);
  const findings = checkInstallation(state, version);
  findings.push(...(await guarded('server', () => checkServer(client))));
  if (state.schemas.includes('pgq')) {
    findings.push(...(await guarded('rights', () => checkRights(client))));
    findings.push(...(await guarded('queues', () => checkQueues(client))));
    findings.push(...(await guarded('triggers', () => checkTriggers(client))));
    findings.push(...(await guarded('triggers', () => checkGeneratedTriggers(client))));
    findings.push(...(await guarded('nodes', () => checkNodes(client))));
  }
  return findings;
}

/** A check that lacks a right or meets something unforeseen must not hide the others. */
async function guarded(check: string, run: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await run();
  } catch (error) {
    return [
      fault(
        check,
        `could not look at ${check}: ${errorMessage(error)}`,
        'run doctor as the owner of the database',
      ),
    ];
  }
}

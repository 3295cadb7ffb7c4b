// A process with a runner that has one frozen and one busy function, to be killed by its parent.

import { setTimeout as sleep } from 'node:timers/promises';
import { startRunner } from '../../../../lib/local/runner/runner.ts';
import { KEYS } from '../service.ts';

const [endpoint, bundle] = process.argv.slice(2) as [string, string];
const functions = ['frozen', 'busy'].map((name) => ({ name, bundle, timeoutSeconds: 60, events: [] }));
const runner = await startRunner(
  { functions, queues: [] },
  { ...KEYS, endpoint, region: 'us-east-1', freeze: true },
);
const pids = await Promise.all(
  functions.map(
    async ({ name }) => ((await runner.invoke(name, { do: 'process' })).value as { pid: number }).pid,
  ),
);
void runner.invoke('busy', { do: 'loop' });
await sleep(100);
process.send?.(pids);

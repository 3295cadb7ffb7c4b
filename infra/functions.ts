import type { JobKind } from '../lib/jobs/messages.ts';

/** What starts a function. */
export type FunctionTrigger =
  | { schedule: string }
  /** Messages of one kind of job. `maximumConcurrency` bounds the connections to the databases. */
  | { queue: JobKind; batchSize: number; maximumConcurrency: number }
  /** A URL of its own; requests carry a signature that the function checks. */
  | { functionUrl: true };

/** One deployed function. serverless.yml is checked against this list, and the local runner is driven by it. */
export interface FunctionSpec {
  name: string;
  /** Seconds; the queue's visibility time-out is six times this, as AWS asks for. */
  timeoutSeconds: number;
  memoryMb: number;
  triggers: FunctionTrigger[];
  /** Invocations at the same time, reserved: with `connections` the bound of what the databases see. */
  concurrency: number;
  /** Most connections that one invocation holds at a time, to all databases together. */
  connections: number;
  /** Kinds of messages it sends: the queues its role may send to. */
  sends: JobKind[];
  /** Reads connect strings, and so secrets. */
  connects: boolean;
  /** Access to the object with the idle hints. */
  hints: 'none' | 'read' | 'write';
  /** Access to the WAL archive; `expire` may delete as well, which writers must not. */
  archive?: 'read' | 'write' | 'expire';
}

/** AWS: "set the visibility timeout to at least six times the function timeout". */
export const VISIBILITY_FACTOR = 6;

/** A message is given up after so many receives; its work is woken again by the next tick. */
export const MAX_RECEIVES = 5;

export const functions: readonly FunctionSpec[] = [
  {
    name: 'sweep',
    timeoutSeconds: 10,
    memoryMb: 128,
    triggers: [{ schedule: 'rate(1 minute)' }],
    concurrency: 1,
    connections: 0,
    sends: ['tick'],
    connects: false,
    hints: 'read',
  },
  {
    name: 'tick',
    timeoutSeconds: 60,
    memoryMb: 256,
    triggers: [{ queue: 'tick', batchSize: 1, maximumConcurrency: 10 }],
    concurrency: 10,
    connections: 1,
    sends: ['tick', 'consume', 'maintain', 'replay', 'copy', 'wal-archive', 'backup'],
    connects: true,
    hints: 'write',
  },
  {
    name: 'maintain',
    timeoutSeconds: 300,
    memoryMb: 256,
    triggers: [{ queue: 'maintain', batchSize: 1, maximumConcurrency: 5 }],
    concurrency: 5,
    connections: 1,
    sends: ['maintain'],
    connects: true,
    hints: 'none',
  },
  {
    name: 'consume',
    timeoutSeconds: 300,
    memoryMb: 512,
    triggers: [{ queue: 'consume', batchSize: 1, maximumConcurrency: 20 }],
    concurrency: 20,
    connections: 2,
    sends: ['consume', 'tick'],
    connects: true,
    hints: 'none',
  },
  {
    name: 'replay',
    // The longest that there is: a branch cannot cut a batch.
    timeoutSeconds: 900,
    memoryMb: 512,
    triggers: [{ queue: 'replay', batchSize: 1, maximumConcurrency: 10 }],
    concurrency: 10,
    connections: 2,
    sends: ['replay', 'copy'],
    connects: true,
    hints: 'none',
  },
  {
    name: 'copy',
    timeoutSeconds: 300,
    memoryMb: 512,
    triggers: [{ queue: 'copy', batchSize: 1, maximumConcurrency: 8 }],
    concurrency: 8,
    connections: 2,
    sends: ['copy', 'replay'],
    connects: true,
    hints: 'none',
  },
  {
    name: 'wal-archive',
    timeoutSeconds: 300,
    memoryMb: 512,
    triggers: [{ queue: 'wal-archive', batchSize: 1, maximumConcurrency: 5 }],
    concurrency: 5,
    connections: 2,
    sends: ['wal-archive', 'backup'],
    connects: true,
    hints: 'none',
    archive: 'write',
  },
  {
    name: 'backup',
    timeoutSeconds: 900,
    memoryMb: 1024,
    triggers: [{ queue: 'backup', batchSize: 1, maximumConcurrency: 2 }],
    concurrency: 2,
    connections: 2,
    sends: ['wal-archive', 'backup'],
    connects: true,
    hints: 'none',
    archive: 'expire',
  },
  {
    name: 'wal-upload',
    timeoutSeconds: 10,
    memoryMb: 256,
    triggers: [{ functionUrl: true }],
    concurrency: 5,
    connections: 0,
    sends: [],
    connects: true,
    hints: 'none',
    archive: 'write',
  },
  {
    name: 'wal-restore',
    timeoutSeconds: 10,
    memoryMb: 256,
    triggers: [{ functionUrl: true }],
    concurrency: 5,
    connections: 0,
    sends: [],
    connects: true,
    hints: 'none',
    archive: 'read',
  },
  // Called by the deployment itself (`npm run deploy`), one call for all databases.
  {
    name: 'migrate',
    timeoutSeconds: 900,
    memoryMb: 256,
    triggers: [],
    concurrency: 1,
    connections: 1,
    sends: [],
    connects: true,
    hints: 'none',
  },
];

/** Most connections to all databases together, when every function is as busy as it may be. */
export const connectionBound = (): number =>
  functions.reduce((sum, { concurrency, connections }) => sum + concurrency * connections, 0);

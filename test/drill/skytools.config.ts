import { defineConfig } from '../../lib/index.ts';

/** What the drill deploys: each kind of consumer with its promise, and a replicated set beside them. */
export default defineConfig({
  databases: {
    provider: { url: 'env:DRILL_PROVIDER_URL', tick: { intervalSeconds: 1 } },
    subscriber: { url: 'env:DRILL_SUBSCRIBER_URL', tick: { intervalSeconds: 1 } },
  },
  consumers: {
    // At least once: the effect is a line in a file.
    deliver: {
      kind: 'handler',
      handler: './deliver.ts',
      database: 'provider',
      queue: 'events',
      transactional: false,
    },
    // Exactly once: the effect is an event in another database.
    move: {
      kind: 'queue-mover',
      database: 'provider',
      queue: 'events',
      target: 'subscriber',
      targetQueue: 'moved',
    },
    apply: { kind: 'apply-rows', database: 'provider', queue: 'rows', target: 'subscriber' },
  },
  londiste: { nodes: { leaf: { database: 'subscriber', queue: 'set', chunkBytes: 65_536 } } },
});

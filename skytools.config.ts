import { defineConfig } from './lib/index.ts';

/**
 * The configuration of the demonstration (`npm start`) and a template for your own: in a project that installs the package,
 * import `defineConfig` from 'skytools'.
 */
export default defineConfig({
  databases: {
    // A URL, a libpq connect string, or a reference: env:NAME, secretsmanager:ID, ssm:NAME.
    source: { url: 'env:SKYTOOLS_SOURCE_URL', tick: { intervalSeconds: 1 } },
    target: { url: 'env:SKYTOOLS_TARGET_URL', tick: { intervalSeconds: 1 } },
  },
  consumers: {
    replicate_rows: { kind: 'apply-rows', database: 'source', queue: 'demo', target: 'target' },
  },
});

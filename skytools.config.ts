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
    replicate_weather: { kind: 'apply-rows', database: 'source', queue: 'weather', target: 'target' },
  },
  londiste: {
    // Chunks so small that tables of some thousand rows are copied in several.
    nodes: { target: { database: 'target', queue: 'demo', chunkBytes: 131_072 } },
  },
});

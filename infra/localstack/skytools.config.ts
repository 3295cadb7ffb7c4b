import { defineConfig } from '../../lib/index.ts';

/** The demonstration's databases as a deployment has them: the connect strings are secrets, here of LocalStack. */
export default defineConfig({
  databases: {
    source: { url: 'secretsmanager:skytools/source', tick: { intervalSeconds: 1 } },
    target: { url: 'secretsmanager:skytools/target', tick: { intervalSeconds: 1 } },
  },
});

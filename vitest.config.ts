import { defineConfig } from 'vitest/config';

// Two projects: `unit` needs no server at all; `integration` starts embedded PostgreSQL once per run
// (test/support/global-postgres.ts) and gives every test file databases cloned from one template.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          env: { POWERTOOLS_LOG_LEVEL: 'SILENT' },
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          env: { POWERTOOLS_LOG_LEVEL: 'SILENT' },
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/global-build.ts', 'test/support/global-postgres.ts'],
          // Generous: what waits for a condition ends when it holds, and a loaded machine is no failure.
          testTimeout: 240_000,
          hookTimeout: 240_000,
          expect: { poll: { timeout: 50_000 } },
          pool: 'forks',
          maxWorkers: 2,
        },
      },
    ],
  },
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from 'esbuild';

const here = path.join(import.meta.dirname, 'slim');

/**
 * Leaves out of a bundle what its function can never reach: start-up time and the size limit of 300 kB for `tick` depend
 * on it. Together they save 150 kB of 457 (esbuild 0.28, SQS client 3.1169, pg 8.23).
 */
export const slim: Plugin = {
  name: 'slim',
  setup(build) {
    build.onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({
      path: path.join(here, 'credentials.ts'),
    }));
    build.onResolve({ filter: /^\.\/(s3\/)?credentials\.ts$/ }, ({ importer }) =>
      importer.includes(path.join('lib', 'platform'))
        ? { path: path.join(here, 'own-credentials.ts') }
        : undefined,
    );
    build.onResolve({ filter: /^pg-pool$/ }, () => ({ path: path.join(here, 'pool.cjs') }));
    build.onResolve({ filter: /\/(Sha256Js|Md5Js)$/ }, () => ({ path: path.join(here, 'software-hash.ts') }));
    // Only its version is asked for, for the user agent.
    build.onLoad({ filter: /client-sqs\/package\.json$/ }, ({ path }) => {
      const { name, version } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
      return { contents: JSON.stringify({ name, version }), loader: 'json' };
    });
    // lib/postgres/target.ts reads connect strings; pg is given their parts.
    build.onResolve({ filter: /^pg-connection-string$/ }, () => ({
      path: path.join(here, 'connection-string.cjs'),
    }));
    build.onResolve({ filter: /^\.\/lib\/binaryParsers$/ }, () => ({
      path: path.join(here, 'binary-parsers.cjs'),
    }));
    // SCRAM with channel binding is off in pg unless asked for; certificates are verified by TLS.
    build.onResolve({ filter: /^\.\/cert-signatures$/ }, () => ({
      path: path.join(here, 'cert-signatures.cjs'),
    }));
    // A function's password comes from its secret, never from a ~/.pgpass.
    build.onResolve({ filter: /^pgpass$/ }, ({ path }) => ({ path, external: true }));
    // pg's binding to libpq is optional and never installed.
    build.onResolve({ filter: /^\.\/native$/ }, () => ({ path: 'pg-native', external: true }));
    // Imported on demand, for operations that stream events; SQS has none.
    build.onResolve({ filter: /^@smithy\/core\/event-streams$/ }, ({ path }) => ({ path, external: true }));
  },
};

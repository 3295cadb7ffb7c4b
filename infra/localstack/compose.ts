import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { storeConnectStrings } from './secrets.ts';

/**
 * `npm run localstack:deploy`: starts PostgreSQL and LocalStack (infra/docker-compose.yml), deploys the whole stack there as
 * to AWS, with its migration, and has `skytools smoke` prove it. Both keep running: `docker compose -f
 * infra/docker-compose.yml down -v` ends them. Without Docker `npm run test:localstack` shows the same.
 */
const endpoint = `http://127.0.0.1:${process.env.LOCALSTACK_PORT ?? '4566'}`;
const outside = (name: string) =>
  `postgres://owner:local-only@127.0.0.1:${process.env.POSTGRES_PORT ?? '5433'}/${name}`;
const inside = (name: string) => `postgres://owner:local-only@postgres:5432/${name}`;

async function run(command: string, ...argv: string[]): Promise<void> {
  const child = spawn(command, argv, { stdio: 'inherit' });
  const [code] = await once(child, 'exit').catch((error: unknown) => {
    throw new Error(`${command} cannot be run: without Docker, use \`npm run test:localstack\``, {
      cause: error,
    });
  });
  if (code !== 0) throw new Error(`${command} ${argv.join(' ')} ended with ${code}`);
}

await run('docker', 'compose', '-f', 'infra/docker-compose.yml', 'up', '--detach', '--wait');
Object.assign(process.env, {
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  SKYTOOLS_CONFIG: 'infra/localstack/skytools.config.ts',
  SKYTOOLS_SOURCE_URL: outside('source'),
  SKYTOOLS_TARGET_URL: outside('target'),
});
await storeConnectStrings({ source: inside('source'), target: inside('target') });
await run('npm', 'run', '--silent', 'deploy');
await run(
  process.execPath,
  'dist/cli/main.mjs',
  'smoke',
  '--archive',
  's3://skytools-dev-wal-000000000000/wal',
);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedBinaries, startPostgres } from '../../lib/local/postgres.ts';
import { startRunner } from '../../lib/local/runner/runner.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { createStack } from './deploy.ts';
import { servedStack } from './functions.ts';
import { readmeDeployment } from './readme.ts';
import { ScheduleBridge } from './schedule.ts';
import { storeConnectStrings } from './secrets.ts';
import { startLocalStack } from './server.ts';
import { SCHEDULE_QUEUE, type Template, withoutFunctions } from './template.ts';

/**
 * `npm run test:localstack`: the packaged template, checked by cfn-lint, in a LocalStack without Docker. CloudFormation makes its queues, buckets,
 * policies, roles, rules and alarms; the functions run from their zip files in our local runner, called by LocalStack's SQS,
 * S3, Secrets Manager and EventBridge; `skytools smoke` proves the whole, and the contract of the emulator is asked of LocalStack as well.
 */

const OWNER = 'owner';

/** EventBridge fires a rate of one minute within two. */
const SCHEDULE_TIMEOUT_MS = 150_000;

/**
 * Promises of the contract suite that this LocalStack does not keep, by parts of their names, each tried and seen. None of
 * them is one that the functions rely on here.
 */
const CONTRACT_SKIP = [
  // Some conditional reads that must fail give the object.
  'conditional reads',
  // A part that is too small is refused as InvalidPart.
  'wrong parts',
  // A listing with a key that is not ASCII ends with an internal error.
  'page by page',
  // Signatures are not verified.
  'binds its condition',
  'altered or missing',
  // Deleting by an old receipt handle still removes the message.
  'old receipt',
  // A space in the key of an event is %20 where S3 writes +.
  'tells the queue',
];

const ARTIFACTS = '.serverless';
const TEMPLATE = path.join(ARTIFACTS, 'cloudformation-template-update-stack.json');

/** osls writes a DependsOn beside a reference, which says the same. */
const LINT_IGNORED = 'W3005';

const undo: (() => unknown)[] = [];
const say = (text: string) => console.log(`localstack: ${text}`);
const started = performance.now();
const elapsed = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;

/** Runs a program with our output. @throws Error unless it ends with 0 */
async function run(command: string, argv: readonly string[], environment = {}): Promise<void> {
  const child = spawn(command, argv, { stdio: 'inherit', env: { ...process.env, ...environment } });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command} ${argv.join(' ')} ended with ${code}`);
}

try {
  // The section on deploying of the README, word for word as far as this LocalStack goes: its stage and its smoke test.
  const readme = await readmeDeployment();
  const { stack } = readme;
  await run('npm', ['run', '--silent', 'package', '--', ...readme.deployArguments], {
    SKYTOOLS_CONFIG: 'infra/localstack/skytools.config.ts',
  });
  const template = JSON.parse(await readFile(TEMPLATE, 'utf8')) as Template;

  const localstack = await startLocalStack();
  undo.push(localstack.close);
  Object.assign(process.env, localstack.environment);
  say(`LocalStack at ${localstack.endpoint} after ${elapsed()}`);

  await run(path.join(localstack.programs, 'cfn-lint'), ['--ignore-checks', LINT_IGNORED, '--', TEMPLATE]);
  say(`cfn-lint has nothing to say after ${elapsed()}`);

  const ids = await createStack(stack, withoutFunctions(template));
  say(`stack ${stack} with ${ids.size} resources after ${elapsed()}`);

  const postgres = await startPostgres({ binaries: embeddedBinaries() });
  undo.push(() => postgres.stop());
  const admin = await connect(postgres.url());
  await admin.query(`create role ${OWNER} login createrole`);
  for (const name of ['source', 'target']) await admin.query(`create database ${name} owner ${OWNER}`);
  await disconnect(admin);
  const databases = { source: postgres.url('source', OWNER), target: postgres.url('target', OWNER) };
  await storeConnectStrings(databases);

  // Here, because the clients that Lambda's runtime brings are found from here.
  const unpacked = await mkdtemp(path.resolve('.cache', 'functions-'));
  undo.push(() => rm(unpacked, { recursive: true, force: true }));
  const served = await servedStack(template, stack, ids, ARTIFACTS, unpacked);
  const failed: string[] = [];
  const runner = await startRunner(served.manifest, {
    endpoint: localstack.endpoint,
    region: localstack.region,
    accessKeyId: localstack.environment.AWS_ACCESS_KEY_ID!,
    secretAccessKey: localstack.environment.AWS_SECRET_ACCESS_KEY!,
    queues: served.queues,
    log: (line) => {
      if (line.stream === 'platform' || line.text.includes('"level":"ERROR"'))
        failed.push(`${line.functionName}: ${line.text}`);
    },
  });
  undo.push(() => runner.close());
  undo.push(() => failed.length > 0 && say(`functions said:\n${failed.slice(-20).join('\n')}`));

  const migrated = await runner.invoke('migrate', {});
  if (migrated.error) throw new Error(`migrate: ${migrated.error.errorMessage}`);
  say(`migrated: ${JSON.stringify(migrated.value)}`);

  const bridge = new ScheduleBridge();
  undo.push(() => bridge.close());
  bridge.start(ids.get(SCHEDULE_QUEUE)!, runner, 'sweep');

  const urls = { SKYTOOLS_SOURCE_URL: databases.source, SKYTOOLS_TARGET_URL: databases.target };
  say(`the README says: ${readme.smoke}`);
  await run('sh', ['-c', readme.smoke], urls);
  await run(
    process.execPath,
    [
      'dist/cli/main.mjs',
      'smoke',
      '--stack',
      stack,
      '--endpoint',
      localstack.endpoint,
      '--archive',
      `s3://${ids.get('WalBucket')}/wal`,
    ],
    urls,
  );
  say(`smoke passed after ${elapsed()}`);

  const until = Date.now() + SCHEDULE_TIMEOUT_MS;
  while (bridge.fired === 0 && Date.now() < until) await sleep(500);
  const sweeps = runner.counts().functions.sweep;
  if (bridge.fired === 0 || sweeps?.errors !== 0)
    throw new Error('the rule of the template did not call sweep');
  say(`EventBridge called sweep ${bridge.fired} times after ${elapsed()}`);
  const crashed = Object.entries(runner.counts().functions).filter(([, { errors }]) => errors > 0);
  if (crashed.length > 0) throw new Error(`functions failed: ${crashed.map(([name]) => name).join(', ')}`);

  const vitest = path.resolve('node_modules/vitest/vitest.mjs');
  await run(
    process.execPath,
    [vitest, 'run', '--project', 'integration', 'test/integration/local/contract.test.ts'],
    {
      SKYTOOLS_CONTRACT_ENDPOINT: localstack.endpoint,
      SKYTOOLS_CONTRACT_SKIP: CONTRACT_SKIP.join(','),
    },
  );
  say(`contract kept after ${elapsed()}`);
} catch (error) {
  process.exitCode = 1;
  console.error('localstack: FAILED', error);
} finally {
  for (const step of undo.reverse()) await step();
}

import { randomBytes } from 'node:crypto';
import type { Config } from '../../../platform/config.ts';
import { errorMessage, SkytoolsError, UsageError } from '../../../platform/errors.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import { EXIT } from '../../exit.ts';

interface SmokeFlags {
  stack: string;
  endpoint?: string;
  only?: string[];
  archive?: string;
  timeout: number;
}

/** How one check ended. */
interface CheckResult {
  check: Check | 'dead letters';
  /** What it was about: a database, `from → to`, a location, the deployment. */
  subject: string;
  outcome: 'ok' | 'failed' | 'skipped';
  seconds: number;
  detail: string;
  code?: string;
}

const CHECKS = ['queue', 'replication', 'archive'] as const;
type Check = (typeof CHECKS)[number];

/** Messages that the checks send themselves. */
const SENT = ['tick', 'consume'] as const;

export function registerSmokeCommand(cli: Cli): void {
  cli.action<SmokeFlags>(
    cli.program
      .command('smoke')
      .description(
        'prove an installation: events, a replicated table and a WAL segment go through what is deployed',
      )
      .option('--stack <name>', 'the deployment, as SERVICE-STAGE', 'skytools-dev')
      .option('--endpoint <url>', 'where S3 and SQS answer, if not at AWS (LocalStack, the emulator)')
      .option('--only <check...>', `${CHECKS.join(', ')}: these only`)
      .option('--archive <url>', 's3://BUCKET/PREFIX to put a segment in; default: the configured clusters')
      .option('--timeout <seconds>', 'how long to wait for each effect', wholeNumber, 180)
      .addHelpText(
        'after',
        `
Makes queues, a set and a table named skytools_smoke… in the configured databases (all of them, or the one chosen with
--database), has the deployed functions work on them, and removes them again. At the end no message may have been given
up meanwhile. Account, region and credentials come from
the environment, as for every AWS tool. Exit code 3 if a check fails.`,
      ),
    [
      ['skytools smoke --stack skytools-prod', 'after a deployment'],
      ['skytools smoke --endpoint http://127.0.0.1:4566 --json', 'against LocalStack'],
      ['skytools smoke --only queue --database shop', 'one thing in one database'],
    ],
    async (context, _args, options) => {
      const checks = chosenChecks(options.only);
      if (options.endpoint !== undefined) process.env.AWS_ENDPOINT_URL = requireUrl(options.endpoint);
      const [{ smokeScope }, { deadLetters, useDeployedQueues }] = await Promise.all([
        import('./scope.ts'),
        import('../../../jobs/deployed-queues.ts'),
      ]);
      const scope = await smokeScope(context, options.timeout);
      const databases = chosenDatabases(scope.config, context.options.database);
      const locations = await archives(scope.config, options.archive);
      const sends = checks.has('queue') || checks.has('replication');
      if (sends) await useDeployedQueues(options.stack, SENT);
      const before = sends ? await deadLetters(options.stack) : undefined;

      const results: CheckResult[] = [];
      const run = async (check: CheckResult['check'], subject: string, body: () => Promise<string>) => {
        context.note(`${check} ${subject}`);
        const started = performance.now();
        const { detail, ...rest } = await body().then(
          (detail): Pick<CheckResult, 'outcome' | 'detail'> => ({ outcome: 'ok', detail }),
          failure,
        );
        context.signal.throwIfAborted();
        context.note(`  ${rest.outcome}: ${detail}`);
        results.push({ check, subject, ...rest, seconds: rounded(performance.now() - started), detail });
      };
      const skip = (check: Check, detail: string) =>
        results.push({ check, subject: '', outcome: 'skipped', seconds: 0, detail });

      if (checks.has('queue')) {
        const { checkQueue } = await import('./queue.ts');
        for (const database of databases) await run('queue', database, () => checkQueue(scope, database));
      }
      if (checks.has('replication')) {
        const [from, to] = databases;
        if (from === undefined || to === undefined) skip('replication', 'needs two configured databases');
        else {
          const { checkReplication } = await import('./replication.ts');
          await run('replication', `${from} → ${to}`, () => checkReplication(scope, from, to));
        }
      }
      if (checks.has('archive')) {
        if (locations.length === 0) skip('archive', 'no cluster under "walmgr", and no --archive');
        const { checkArchive } = await import('./archive.ts');
        const id = randomBytes(4).toString('hex');
        for (const location of locations) {
          const url = `s3://${[location.bucket, location.prefix].filter(Boolean).join('/')}`;
          await run('archive', url, () => checkArchive(scope, location, id));
        }
      }
      if (before !== undefined) {
        const { checkDeadLetters } = await import('./dead-letters.ts');
        await run('dead letters', options.stack, () => checkDeadLetters(options.stack, before));
      }
      await context.table(results, [
        { title: 'check', value: (row) => row.check },
        { title: 'subject', value: (row) => row.subject },
        { title: 'outcome', value: (row) => row.outcome },
        { title: 'seconds', value: (row) => row.seconds.toFixed(1), align: 'right' },
        { title: 'detail', value: (row) => row.detail },
      ]);
      return results.some(({ outcome }) => outcome === 'failed') ? EXIT.unhealthy : EXIT.ok;
    },
  );
}

/** A failed check is a result, not the end: the others are still worth knowing. */
function failure(error: unknown): Pick<CheckResult, 'outcome' | 'detail' | 'code'> {
  const known = error instanceof SkytoolsError ? error : undefined;
  const detail = [errorMessage(error), known?.hint].filter(Boolean).join('; ');
  return { outcome: 'failed', detail, code: known?.code ?? 'UNEXPECTED' };
}

function chosenChecks(only: readonly string[] | undefined): ReadonlySet<Check> {
  const wrong = only?.find((check) => !(CHECKS as readonly string[]).includes(check));
  if (wrong !== undefined) {
    throw new UsageError('SMOKE_CHECK_UNKNOWN', `there is no check "${wrong}"`, {
      hint: `choose from ${CHECKS.join(', ')}`,
    });
  }
  return new Set((only as Check[] | undefined) ?? CHECKS);
}

function chosenDatabases(config: Config, chosen: string | undefined): string[] {
  const names = Object.keys(config.databases);
  if (chosen === undefined) return names;
  if (names.includes(chosen)) return [chosen];
  throw new UsageError('CONFIG_UNKNOWN_DATABASE', `database "${chosen}" is not configured`, {
    hint: `configured are: ${names.join(', ') || 'none'}`,
  });
}

async function archives(config: Config, url: string | undefined) {
  if (url !== undefined) {
    const { parseArchiveUrl } = await import('../../../walmgr/archive/location.ts');
    return [parseArchiveUrl(url)];
  }
  const { clusterConfig } = await import('../../../walmgr/config.ts');
  return Object.keys(config.walmgr).map((name) => clusterConfig(config, name).location);
}

function requireUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError('SMOKE_ENDPOINT_INVALID', `not an endpoint: ${JSON.stringify(text)}`, {
    hint: 'write it as http://HOST:PORT',
  });
}

const rounded = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;

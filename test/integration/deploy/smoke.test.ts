import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOB_KINDS, type JobKind } from '../../../lib/jobs/messages.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { deadLetterQueue } from '../../../lib/local/demo/manifest.ts';
import { type Stack, startStack } from '../../../lib/local/demo/stack.ts';
import type { Runner } from '../../../lib/local/runner/runner.ts';
import { skytools } from '../../support/cli.ts';
import { until } from '../../support/cluster.ts';

/* The suite that proves an installation, run here against the emulator and the local runner; infra/localstack runs the same
   one against LocalStack, and a user runs it against AWS. */

interface Row {
  check: string;
  subject: string;
  outcome: string;
  detail: string;
  code?: string;
}

let stack: Stack;
let runner: Runner;
const before = { ...process.env };

beforeAll(async () => {
  stack = await startStack({ functions: path.resolve('dist/functions'), version: '0.0.0-smoke' });
  runner = await stack.startFunctions();
  Object.assign(process.env, {
    AWS_REGION: stack.emulator.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local-only',
    SKYTOOLS_SOURCE_URL: stack.sourceUrl,
    SKYTOOLS_TARGET_URL: stack.targetUrl,
    ...Object.fromEntries(JOB_KINDS.map((kind) => [queueVariable(kind), runner.queues.get(kind)!.url])),
  });
});

afterAll(async () => {
  process.env = before;
  await stack.close();
});

/** Everything of the smoke test that is still there. */
async function leftOvers(): Promise<string[]> {
  const left: string[] = [];
  for (const url of [stack.sourceUrl, stack.targetUrl]) {
    const client = await stack.connect(url);
    const { rows } = await client.query<{ what: string }>(
      `select 'queue ' || queue_name as what from pgq.queue where queue_name like 'skytools_smoke%'
       union all select 'schema ' || nspname from pg_namespace where nspname like 'skytools_smoke%'
       union all select 'node ' || node_name from pgq_node.node_info where queue_name like 'skytools_smoke%'
       union all select 'location ' || node_name from pgq_node.node_location where queue_name like 'skytools_smoke%'
       union all select 'table ' || table_name from londiste.table_info where queue_name like 'skytools_smoke%'
       union all select 'batch of ' || consumer_id from pgq_ext.completed_batch where consumer_id like 'skytools_smoke%'`,
    );
    left.push(...rows.map(({ what }) => what));
  }
  return left;
}

const smoke = (...more: string[]) =>
  skytools(['smoke', '--endpoint', stack.emulator.endpoint, '--json', ...more]);

describe('skytools smoke', () => {
  it('proves an installation: events, a replicated table and a WAL segment go through, and nothing stays behind', async () => {
    const result = await smoke('--archive', 's3://hints/wal');
    expect(result.stderr.split('\n').filter((line) => line.startsWith('  failed'))).toEqual([]);
    expect(result.json<Row[]>().map(({ check, subject, outcome }) => [check, subject, outcome])).toEqual([
      ['queue', 'source', 'ok'],
      ['queue', 'target', 'ok'],
      ['replication', 'source → target', 'ok'],
      ['archive', 's3://hints/wal', 'ok'],
      ['dead letters', 'skytools-dev', 'ok'],
    ]);
    expect(result.code).toBe(0);
    expect(await leftOvers()).toEqual([]);
  });

  it('runs again, also after a run that was cut short and left everything behind', async () => {
    const source = await stack.connect(stack.sourceUrl);
    await source.query(`select pgq.create_queue('skytools_smoke'), pgq.register_consumer('skytools_smoke', 'old'),
                               pgq.insert_event('skytools_smoke', 'old', 'event')`);
    const result = await smoke('--only', 'queue', '--database', 'source');
    expect(result.json<Row[]>().map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
    expect(await leftOvers()).toEqual([]);
  });

  it('refuses checks, databases and endpoints that do not exist before it touches anything', async () => {
    for (const [argv, code] of [
      [['--only', 'everything'], 'SMOKE_CHECK_UNKNOWN'],
      [['--database', 'nowhere'], 'CONFIG_UNKNOWN_DATABASE'],
      [['--archive', 'bucket'], 'WAL_ARCHIVE_URL_INVALID'],
    ] as const) {
      const result = await smoke(...argv);
      expect([result.code, result.stderr]).toEqual([2, expect.stringContaining(code)]);
    }
    expect((await skytools(['smoke', '--endpoint', 'localhost'])).stderr).toContain('SMOKE_ENDPOINT_INVALID');
  });

  it('fails where a message was given up meanwhile, and tells of older ones', async () => {
    const dead = (kind: JobKind) => {
      const input = { QueueUrl: deadLetterQueue(kind), MessageBody: '{}' };
      return stack.emulator.sqs.run('SendMessage', input, AbortSignal.abort());
    };
    await dead('replay');
    const told = async () => {
      const result = await smoke('--only', 'queue', '--database', 'source');
      return { code: result.code, row: result.json<Row[]>().at(-1) };
    };
    expect(await told()).toMatchObject({ code: 0, row: { check: 'dead letters', outcome: 'ok' } });
    expect((await told()).row?.detail).toBe('none is new; there from before: 1 of replay');

    // One of the run itself, which goes on when it is there.
    const [holder, source] = [await stack.connect(stack.sourceUrl), await stack.connect(stack.sourceUrl)];
    await holder.query('begin; lock table pgq.consumer in share mode');
    const waits = `select from pg_locks where not granted and relation = 'pgq.consumer'::regclass
                      and database = (select oid from pg_database where datname = current_database())`;
    const later = until('the smoke test at work', async () => (await source.query(waits)).rowCount! > 0)
      .then(() => dead('consume'))
      .finally(() => holder.query('commit'));
    expect(await told()).toMatchObject({
      code: 3,
      row: { outcome: 'failed', code: 'SMOKE_DEAD_LETTERS', detail: expect.stringContaining('1 of consume') },
    });
    await later;
  });

  it('fails with exit code 3 and the next step where nobody runs the functions, and still cleans up', async () => {
    await runner.close();
    const result = await smoke('--only', 'queue', '--database', 'target', '--timeout', '1');
    expect(result.json<Row[]>()).toMatchObject([
      { check: 'queue', subject: 'target', outcome: 'failed', code: 'SMOKE_TIMEOUT' },
      { check: 'dead letters', outcome: 'ok' },
    ]);
    expect(result.json<Row[]>()[0]!.detail).toContain('dead-letter queues');
    expect(result.code).toBe(3);
    expect(await leftOvers()).toEqual([]);
  });
});

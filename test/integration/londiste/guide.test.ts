import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { SkytoolsError } from '../../../lib/platform/errors.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { skytools } from '../../support/cli.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

/** The commands in the guide's blocks, one a line. */
function commandsOf(document: string): string[][] {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../../docs', document), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)]
    .flatMap(([, block]) => block!.split('\n'))
    .filter((line) => line.startsWith('npx skytools '))
    .map((line) =>
      [...line.slice('npx skytools '.length).matchAll(/'([^']*)'|\S+/g)].map(
        ([word, quoted]) => quoted ?? word,
      ),
    );
}

/** What the functions do in the meantime, for as long as the test lasts. */
function functionsAt(paris: TestDatabase, berlin: TestDatabase): { stop: () => Promise<void> } {
  const urls: Record<string, string> = { paris: paris.url, berlin: berlin.url };
  const scope: NodeScope = {
    config: parseConfig({ databases: { paris: { url: paris.url }, berlin: { url: berlin.url } } }),
    deadline: Deadline.after(300_000),
    async database(name, body) {
      const client = await connect(urls[name]!);
      try {
        return await body(client);
      } finally {
        await disconnect(client);
      }
    },
  };
  let on = true;
  const work = async () => {
    while (on) {
      try {
        await paris.query('select pgq.ticker()');
        await replayBatch(scope, 'berlin', 'shop');
        const open = await berlin.query<{ table_name: string }>(
          `select table_name from londiste.table_info where local and merge_state is distinct from 'ok'`,
        );
        for (const { table_name } of open) await copyStep(scope, 'berlin', 'shop', table_name);
      } catch (error) {
        // Nothing is installed yet, there is no node yet or any more, or somebody else is at it.
        if (!(error instanceof SkytoolsError) && (error as { severity?: string }).severity === undefined)
          throw error;
      }
      await sleep(20);
    }
  };
  const working = work();
  const stop = async () => {
    on = false;
    await working;
  };
  onTestFinished(stop);
  return { stop };
}

test('the guide to replication runs as it is written, while rows change', async () => {
  const [paris, berlin] = [await testDatabase({ from: 'empty' }), await testDatabase({ from: 'empty' })];
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-guide-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const config = path.join(directory, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({ databases: { paris: { url: paris.url }, berlin: { url: berlin.url } } }),
  );
  await paris.query(`create table customers (id int primary key, name text);
    create table orders (id serial primary key, customer int references customers, amount numeric);
    insert into customers select g, 'customer ' || g from generate_series(1, 100) g;
    insert into orders (customer, amount) select 1 + g % 100, g from generate_series(1, 1000) g`);
  const background = functionsAt(paris, berlin);
  const commands = commandsOf('guides/replication.md');
  expect(commands.length).toBeGreaterThan(20);
  let compared = false;
  for (const argv of commands) {
    const { code, stdout, stderr } = await skytools(['--config', config, ...argv]);
    expect({ command: argv.join(' '), code, stderr: code === 0 ? '' : stdout + stderr }).toMatchObject({
      code: 0,
    });
    if (argv[0] === 'londiste')
      await paris.query(`insert into orders (customer, amount) select g, 1 from generate_series(1, 10) g`);
    if (argv[1] !== 'compare') continue;
    compared = true;
    expect(stdout).toMatch(/public\.orders\s+same/);
  }
  expect(compared).toBe(true);
  await background.stop();
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { complete } from '../../../lib/cli/qadmin/complete.ts';
import { runLine } from '../../../lib/cli/qadmin/console.ts';
import { QadminSession } from '../../../lib/cli/qadmin/session.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { skytools } from '../../support/cli.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query("create table public.orders (id int primary key, note text default 'x')");
  await database.query('create sequence public.numbers');
});
afterAll(() => database.drop());

const qadmin = (...argv: string[]) => skytools(['qadmin', ...argv, database.url]);
const script = async (text: string, ...argv: string[]) => (await qadmin('-c', text, ...argv)).stdout;

async function console_(
  queue?: string,
): Promise<{ session: QadminSession; type: (line: string) => Promise<string> }> {
  const session = new QadminSession(parseTarget(database.url), queue, {});
  await session.open();
  onTestFinished(() => session.close());
  const type = async (line: string) => {
    let printed = '';
    await runLine(session, line, (text) => {
      printed += text;
    });
    return printed;
  };
  return { session, type };
}

describe('qadmin', () => {
  it('creates, alters, shows and drops queues', async () => {
    expect(await script('create queue a; create queue a; create queue "b-2"')).toBe(
      'CREATE\nQueue already exists\nCREATE\n',
    );
    expect(
      await script(`alter queue * set max_count = 7, max_lag = '5 s', idle_period='10 s', paused = 1`),
    ).toBe('ALTER\n');
    const shown = await script('show queue *');
    expect(shown).toMatch(/^Queue "\*":\nqueue_name +tables +max_count +max_lag/);
    expect(shown).toMatch(/^b-2 +0\/3 +7 +00:00:05 +00:00:10 +t /m);
    expect(await script('show queue', '-Q', 'a')).not.toContain('b-2');
    expect(await script('alter queue a set paused = 0; drop queue "b-2"')).toBe('ALTER\nDROP\n');
  });

  it('registers, copies, shows and removes consumers and subconsumers', async () => {
    const text = `register consumer c on a; register consumer c; register consumer d copy c at 1;
      register subconsumer 1 for g on a; register subconsumer 1 for g; show consumer * on a;
      unregister subconsumer * for g close batch; unregister consumer * from a; show consumer`;
    const printed = await script(text, '-Q', 'a');
    expect(printed).toMatch(
      /^REGISTER\nConsumer already registered\nREGISTER\nREGISTER\nSubconsumer already registered\nConsumer "\*" on queue "a":/,
    );
    expect(printed).toMatch(/^a +g\.1 +None/m);
    expect(printed).toMatch(/UNREGISTER\nUNREGISTER\nConsumer "\*" on queue "\*":\n.*\n.*\n\n$/);
  });

  it('runs what is piped into it, as a file; the first error ends it, and a file that is missing is named', async () => {
    const piped = (stdin: string) => skytools(['qadmin', database.url], { stdin });
    expect(await piped('create queue piped;\ndrop queue\n  piped;')).toMatchObject({
      code: 0,
      stdout: 'CREATE\nDROP\n',
    });
    expect(await piped('bogus; create queue piped;')).toMatchObject({ code: 1, stdout: '' });
    expect(await piped('')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await qadmin('-f', '/nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('QADMIN_FILE'),
    });
  });

  it('shows the events of an open batch', async () => {
    await script('register consumer reader on a');
    await database.query(`select pgq.insert_event('a', 'kind', 'payload')`);
    await database.query(`select pgq.force_tick('a')`);
    await database.query('select pgq.ticker()');
    const empty = await qadmin('-c', 'show batch reader', '-Q', 'a');
    expect(empty).toMatchObject({ code: 1, stderr: expect.stringContaining('consumer has no open batch') });
    const [batch] = await database.query<{ id: string }>(`select pgq.next_batch('a', 'reader') as id`);
    for (const which of ['reader', String(batch?.id)]) {
      expect(await script(`show batch ${which}`, '-Q', 'a')).toMatch(/Batch events:\nev_id[\s\S]*payload/);
    }
  });

  it('prints versions, help, and the DDL of tables and sequences between rulers', async () => {
    const printed = await script('show version; show help; show table orders; show sequence public.numbers');
    expect(printed).toMatch(/^qadmin version \d.*\nserver version \d+.*\npgq version 3\./);
    expect(printed).toContain('londiste add table');
    expect(printed).toContain(`${'-'.repeat(64)}\ncreate table orders (\n    id integer not null,`);
    expect(printed).toContain('alter table only orders add constraint orders_pkey PRIMARY KEY (id);');
    expect(printed).toContain('create sequence numbers as bigint');
  });

  it('sends everything else to the server', async () => {
    expect(
      await script(
        `create table plain (a int); insert into plain values (1), (null); select a from plain; drop table plain`,
      ),
    ).toBe('CREATE TABLE\nINSERT 0 2\na\n----------\n1\nNone\n\nSELECT 2\nDROP TABLE\n');
  });

  it('-f runs a file over several lines; -c with -f is refused; the first error ends it with 1', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'qadmin-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const file = path.join(directory, 'statements');
    await writeFile(file, 'create\n  queue -- a comment\n  from_file;\nshow\nqueue from_file;\n');
    expect((await qadmin('-f', file)).stdout).toMatch(/^CREATE\nQueue "from_file":/);
    expect(await qadmin('-c', 'exit', '-f', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot handle -c and -f together'),
    });
    const failed = await qadmin('-c', 'drop queue none; create queue never');
    expect(failed).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('No such event queue'),
    });
    expect((await qadmin('-c', 'show frob')).stderr).toContain('syntax error 2: frob');
    expect((await qadmin('-c', 'select 1/0')).stderr).toBe('error: division by zero (PG_22012)\n');
  });

  it('typed lines: errors are printed and the console goes on; unfinished statements are dropped', async () => {
    const { session, type } = await console_();
    expect(await type('select 1/0;')).toBe('ERROR: division by zero\n');
    expect(await type('create queue')).toBe('multi-line commands not supported: create queue\n');
    expect(await type('register consumer x;')).toBe('ERROR: No queue specified\n');
    expect(await type('connect queue=a;')).toBe('CONNECT\n');
    expect(session.queue).toBe('a');
    expect(await type('connect queue=none;')).toBe('ERROR: queue not found\n');
    expect(await type('connect queue=a node=none;')).toBe('ERROR: node not found\n');
    expect(await type('connect node=n dbname=d;')).toBe(
      'ERROR: node= cannot be used together with raw params\n',
    );
    const { host, port } = parseTarget(database.url);
    expect(host).toBe('127.0.0.1');
    expect(
      await type(`connect dbname="${database.name}" host=localhost port=${port} user=skytools_owner;`),
    ).toMatch(/^qadmin \(.*, server .*, pgq 3\..*\)\nCONNECT\n$/);
    expect(await type('exit;')).toBe('');
  });

  it('install makes a database ready', async () => {
    const empty = await createDatabase({ from: 'empty' });
    onTestFinished(() => empty.drop());
    expect((await skytools(['qadmin', '-c', 'install pgq; create queue q', empty.url])).stdout).toBe(
      'INSTALL\nCREATE\n',
    );
  });

  it('completes keywords, and names from the database, quoted where they have to be', async () => {
    const { session } = await console_('a');
    await database.query(`select pgq.create_queue('Odd Name')`);
    expect(await complete(session, 'show que')).toEqual([['queue '], 'que']);
    expect((await complete(session, 'drop queue '))[0]).toEqual(
      expect.arrayContaining(['a ', '"Odd Name" ']),
    );
    expect(await complete(session, 'drop queue "Od')).toEqual([['"Odd Name" '], '"Od']);
    expect((await complete(session, 'show table public.o'))[0]).toEqual(['public.orders ']);
    expect((await complete(session, 'connect port='))[0]).toEqual(['5432 ', '6432 ']);
    expect((await complete(session, 'show version; ins'))[0]).toEqual(['install ']);
    expect((await complete(session, "select 'unfinished"))[0]).toEqual([]);
  });
});

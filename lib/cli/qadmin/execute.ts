import { SkytoolsError } from '../../platform/errors.ts';
import { packageVersion } from '../version.ts';
import { sequenceDdl, tableDdl } from './ddl.ts';
import { HELP } from './help.ts';
import { executeLondiste } from './londiste.ts';
import type { QadminSession, TextResult } from './session.ts';
import type { ConnectParts, Statement } from './statement.ts';
import { formatRows } from './table.ts';

type Of<Kind extends Statement['kind']> = Extract<Statement, { kind: Kind }>;

const fail = (message: string, hint: string) => new SkytoolsError('QADMIN_REFUSED', message, { hint });

/** Line of dashes around DDL. */
const RULER = '-'.repeat(64);

/** `*` and an absent name both mean all. */
const orNull = (name: string | undefined): string | null =>
  name === undefined || name === '*' ? null : name;

const table = (title: string, { columns, rows }: TextResult) => formatRows(title, columns, rows);

/**
 * Runs one statement and returns what is printed, or undefined for `exit`.
 *
 * @param text the statement as it was typed, for those that go to the server as they are
 */
export async function execute(
  session: QadminSession,
  statement: Statement,
  text: string,
): Promise<string | undefined> {
  switch (statement.kind) {
    case 'connect':
      return connectTo(session, statement.parts);
    case 'install':
      return install(session);
    case 'show-version':
      return `qadmin version ${packageVersion()}\nserver version ${session.facts.serverVersion}\npgq version ${session.facts.pgqVersion}\n`;
    case 'show-help':
      return HELP;
    case 'show-queue':
      return showQueue(session, statement);
    case 'show-consumer':
      return showConsumer(session, statement);
    case 'show-node':
      return showNode(session, statement);
    case 'show-batch':
      return showBatch(session, statement);
    case 'show-table':
    case 'show-sequence':
      return showDdl(session, statement);
    case 'create-queue': {
      const created = await session.value('select pgq.create_queue($1)', [statement.queue]);
      return created === '0' ? 'Queue already exists\n' : 'CREATE\n';
    }
    case 'drop-queue':
      await session.query('select pgq.drop_queue($1)', [statement.queue]);
      return 'DROP\n';
    case 'alter-queue':
      return alterQueue(session, statement);
    case 'register-consumer':
      return registerConsumer(session, statement);
    case 'unregister-consumer':
      return unregisterConsumer(session, statement);
    case 'register-subconsumer': {
      const queue = session.needQueue(statement.queue);
      const answer = await session.value('select pgq_coop.register_subconsumer($1, $2, $3)', [
        queue,
        statement.consumer,
        statement.subconsumer,
      ]);
      return answer === '0' ? 'Subconsumer already registered\n' : 'REGISTER\n';
    }
    case 'unregister-subconsumer':
      return unregisterSubconsumer(session, statement);
    case 'exit':
      return undefined;
    case 'sql':
      return runSql(session, text);
    default:
      return executeLondiste(session, statement);
  }
}

/** One line for each new connection. */
const connectionLine = ({ facts }: QadminSession): string =>
  `qadmin (${packageVersion()}, server ${facts.serverVersion}, pgq ${facts.pgqVersion})\n`;

async function connectTo(session: QadminSession, parts: ConnectParts): Promise<string> {
  const { queue, node, ...raw } = parts;
  const isRaw = Object.keys(raw).length > 0;
  if (node !== undefined && isRaw) {
    throw fail('node= cannot be used together with raw params', 'give node= and queue=, or where to connect');
  }
  const of = queue ?? (node === undefined ? undefined : session.queue);
  if (node !== undefined && of === undefined)
    throw fail('node= needs a queue also', 'connect queue=… node=…;');
  let printed = '';
  if (isRaw) {
    const text = Object.entries(raw).map(([key, value]) => `${key}='${value.replace(/['\\]/g, '\\$&')}'`);
    await session.open(session.target(text.join(' ')));
    printed += connectionLine(session);
  }
  if (of !== undefined) {
    const known = await session.query('select queue_name from pgq.get_queue_info($1)', [of]);
    if (known.rows.length === 0) throw fail('queue not found', 'show queue *; lists the queues');
  }
  if (node !== undefined) {
    const location = await session.value(
      'select node_location from pgq_node.get_queue_locations($1) where node_name = $2',
      [of, node],
    );
    if (!location) throw fail('node not found', 'show node *; lists the nodes');
    await session.open(session.target(location));
    printed += connectionLine(session);
  }
  if (of !== undefined) session.queue = of;
  return `${printed}CONNECT\n`;
}

async function install(session: QadminSession): Promise<string> {
  const { install: run } = await import('../../schema/install.ts');
  await run(session.client, {
    version: packageVersion(),
    confirm: async (plan) => {
      if (plan.needsConfirmation) {
        throw fail(
          'another PgQ is installed here',
          'run `skytools install`, which says what it does and asks',
        );
      }
    },
  });
  await session.open();
  return 'INSTALL\n';
}

async function showQueue(session: QadminSession, { queue }: Of<'show-queue'>): Promise<string> {
  const name = queue ?? session.queue;
  const result = await session.query(
    `select queue_name, queue_cur_table || '/' || queue_ntables as tables, queue_ticker_max_count as max_count,
            queue_ticker_max_lag as max_lag, queue_ticker_idle_period as idle_period, queue_ticker_paused as paused,
            ticker_lag, ev_per_sec, ev_new
       from pgq.get_queue_info($1)`,
    [orNull(name)],
  );
  return table(`Queue "${name ?? '*'}":`, result);
}

async function showConsumer(
  session: QadminSession,
  { consumer, queue }: Of<'show-consumer'>,
): Promise<string> {
  const result = await session.query('select * from pgq.get_consumer_info($1, $2)', [
    orNull(queue),
    orNull(consumer),
  ]);
  return table(`Consumer "${consumer}" on queue "${queue}":`, result);
}

async function showNode(session: QadminSession, { node, queue }: Of<'show-node'>): Promise<string> {
  const result = await session.query(
    `select distinct queue_name, node_name, node_location, dead from pgq_node.node_location
      where ($1::text is null or queue_name = $1) and ($2::text is null or node_name = $2) order by 1, 2`,
    [orNull(queue), orNull(node)],
  );
  return table(`Node "${node}" on queue "${queue}":`, result);
}

async function showBatch(session: QadminSession, { batch, consumer }: Of<'show-batch'>): Promise<string> {
  const queue = session.needQueue(undefined, 'No default queue');
  let id = batch;
  if (consumer !== undefined) {
    const { rows } = await session.query('select current_batch from pgq.get_consumer_info($1, $2)', [
      queue,
      consumer,
    ]);
    if (rows.length === 0) throw fail('no such consumer', 'show consumer *; lists them');
    id = rows[0]![0] ?? undefined;
    if (id === undefined) throw fail('consumer has no open batch', 'it has finished its last one');
  }
  return table('Batch events:', await session.query('select * from pgq.get_batch_events($1)', [id]));
}

async function showDdl(
  session: QadminSession,
  { kind, name }: Of<'show-table' | 'show-sequence'>,
): Promise<string> {
  const ddl =
    kind === 'show-table' ? await tableDdl(session.client, name) : await sequenceDdl(session.client, name);
  if (ddl === undefined)
    throw fail(`${kind.slice(5)} not found: ${name}`, 'names are schema.name; public is the default');
  return `${RULER}\n${ddl}\n${RULER}\n`;
}

async function alterQueue(session: QadminSession, { queue, settings }: Of<'alter-queue'>): Promise<string> {
  const { rows } = await session.query('select queue_name from pgq.get_queue_info($1)', [orNull(queue)]);
  if (rows.length === 0 && queue !== '*') throw fail('queue not found', 'show queue *; lists the queues');
  for (const [name] of rows) {
    for (const [key, value] of settings) {
      await session.query('select pgq.set_queue_config($1, $2, $3)', [name, `ticker_${key}`, value]);
    }
  }
  return 'ALTER\n';
}

async function registerConsumer(session: QadminSession, statement: Of<'register-consumer'>): Promise<string> {
  const queue = session.needQueue(statement.queue);
  let position: string | undefined = statement.at;
  if (statement.copy !== undefined) {
    const { rows } = await session.query(
      'select coalesce(next_tick, last_tick) from pgq.get_consumer_info($1, $2)',
      [queue, statement.copy],
    );
    if (rows.length === 0) {
      throw fail(
        `Consumer ${statement.copy} not registered on queue ${queue}`,
        'show consumer *; lists them',
      );
    }
    position = rows[0]![0] ?? undefined;
  }
  if (position !== undefined) {
    await session.query('select pgq.register_consumer_at($1, $2, $3)', [queue, statement.consumer, position]);
    return 'REGISTER\n';
  }
  const answer = await session.value('select pgq.register_consumer($1, $2)', [queue, statement.consumer]);
  return answer === '0' ? 'Consumer already registered\n' : 'REGISTER\n';
}

async function unregisterConsumer(
  session: QadminSession,
  statement: Of<'unregister-consumer'>,
): Promise<string> {
  const queue = session.needQueue(statement.queue);
  const names =
    statement.consumer === '*'
      ? (await session.query('select consumer_name from pgq.get_consumer_info($1)', [queue])).rows.flat()
      : [statement.consumer];
  for (const name of names) await session.query('select pgq.unregister_consumer($1, $2)', [queue, name]);
  return 'UNREGISTER\n';
}

async function unregisterSubconsumer(
  session: QadminSession,
  { subconsumer, consumer, queue: named, close }: Of<'unregister-subconsumer'>,
): Promise<string> {
  const queue = session.needQueue(named);
  const prefix = `${consumer}.`;
  const names =
    subconsumer === '*'
      ? (await session.query('select consumer_name from pgq.get_consumer_info($1)', [queue])).rows
          .flat()
          .filter((name) => name?.startsWith(prefix))
          .map((name) => name!.slice(prefix.length))
      : [subconsumer];
  for (const name of names) {
    await session.query('select pgq_coop.unregister_subconsumer($1, $2, $3, $4)', [
      queue,
      consumer,
      name,
      close ? 1 : 0,
    ]);
  }
  return 'UNREGISTER\n';
}

/** COPY over this connection would wait for data for ever. */
const COPY_STDIN = /^\s*copy\b[\s\S]*\b(stdin|stdout)\b/i;

async function runSql(session: QadminSession, text: string): Promise<string> {
  if (COPY_STDIN.test(text)) throw fail('COPY from or to the client is not supported', 'use psql');
  const result = await session.query(text);
  const rows = result.columns.length > 0 ? formatRows(undefined, result.columns, result.rows) : '';
  return `${rows}${result.commandTag}\n`;
}

/** The name of the default queue in the prompt. */
export const promptOf = (session: QadminSession): string =>
  `${session.queue ?? '(noqueue)'}@${session.facts.database}> `;

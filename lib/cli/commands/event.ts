import type { PeekedEvent } from '../../pgq/peek.ts';
import { type Cli, wholeNumber } from '../cli.ts';
import type { Column } from '../output.ts';

const COLUMNS: Column<PeekedEvent>[] = [
  { title: 'id', value: (row) => row.id, align: 'right' },
  { title: 'time', value: (row) => row.time },
  { title: 'retry', value: (row) => row.retry, align: 'right' },
  { title: 'type', value: (row) => row.type },
  { title: 'data', value: (row) => row.data },
  { title: 'extra1', value: (row) => row.extra1 },
  { title: 'extra2', value: (row) => row.extra2 },
];

interface InsertFlags {
  extra1?: string;
  extra2?: string;
  extra3?: string;
  extra4?: string;
}

export function registerEventCommands(cli: Cli): void {
  const group = cli.group('event', 'insert events into a queue and look at them');

  const insert = group
    .command('insert')
    .description('insert one event, or one for each line of the standard input')
    .argument('<queue>')
    .argument('<type>')
    .argument('[data]', '- or nothing: one event for each line of the standard input');
  for (const n of [1, 2, 3, 4]) insert.option(`--extra${n} <text>`, `field ev_extra${n}`);
  cli.action<InsertFlags>(
    insert,
    [
      ['skytools event insert orders placed \'{"id": 7}\'', 'one event; prints its id'],
      ['skytools event insert orders placed - < events.ndjson', 'a file, in one transaction'],
    ],
    async (context, [queue, type, data], extras) => {
      const { Producer } = await import('../../pgq/producer.ts');
      const client = await context.connect();
      const producer = new Producer(queue!);
      if (data !== undefined && data !== '-') {
        const id = await producer.insert(client, { type: type!, data, ...extras });
        return context.json ? context.done({ id }, '') : context.write(`${id}\n`);
      }
      const [{ transaction }, { createInterface }] = await Promise.all([
        import('../../postgres/transaction.ts'),
        import('node:readline'),
      ]);
      async function* lines() {
        const input = createInterface({ input: context.io.stdin, crlfDelay: Number.POSITIVE_INFINITY });
        for await (const line of input) if (line !== '') yield { type: type!, data: line, ...extras };
      }
      const inserted = await transaction(client, () => producer.insertMany(client, lines()));
      return context.done({ inserted }, `${inserted} events inserted`);
    },
  );

  cli.action<{ consumer?: string; limit: number }>(
    group
      .command('peek')
      .description('look at events without consuming them: the newest, or those a consumer has yet to finish')
      .argument('<queue>')
      .option('--consumer <name>', 'what this consumer has not finished, oldest first')
      .option('--limit <n>', 'most events shown', wholeNumber, 10),
    [
      ['skytools event peek orders', 'the ten newest'],
      ['skytools event peek orders --consumer mailer --limit 1 --json', 'what mailer gets next'],
    ],
    async (context, [queue], options) => {
      const { peekEvents } = await import('../../pgq/peek.ts');
      const events = await peekEvents(await context.connect(), queue!, {
        limit: options.limit,
        ...(options.consumer === undefined ? {} : { consumer: options.consumer }),
      });
      await context.table(events, COLUMNS, 'no events');
    },
  );
}

import { QadminSyntaxError, type Token } from './lexer.ts';
import { Parser } from './parser.ts';
import type { ConnectParts, Expected, NameKind, NameOrAll, Statement } from './statement.ts';

/** Table options of `londiste add table … with`: flags, and those with a value, by the argument they become. */
const TABLE_FLAGS = ['skip_truncate', 'expect_sync', 'backup', 'skip', 'no_triggers'];
const TABLE_VALUES: Readonly<Record<string, string>> = {
  tgflags: 'tgflags',
  ev_ignore: 'ignore',
  pkey: 'pkey',
  when: 'when',
  ev_type: 'ev_type',
  ev_data: 'ev_data',
  ev_extra1: 'ev_extra1',
  ev_extra2: 'ev_extra2',
  ev_extra3: 'ev_extra3',
  ev_extra4: 'ev_extra4',
};

/** Queue settings and the kind of value each takes. */
const QUEUE_SETTINGS: Readonly<Record<string, 'string' | 'number'>> = {
  idle_period: 'string',
  max_count: 'number',
  max_lag: 'string',
  paused: 'number',
};

const CONNECT_PARTS: Readonly<Record<keyof ConnectParts, NameKind>> = {
  dbname: 'database',
  host: 'host',
  port: 'port',
  user: 'user',
  password: 'none',
  queue: 'queue',
  node: 'node',
};

/** First words that are ours with every continuation: what follows must fit, it is never SQL. */
const OURS = ['connect', 'install', 'show', 'register', 'unregister', 'londiste', 'exit'];
/** First words that are ours only before `queue`. */
const SHARED = ['create', 'drop', 'alter'];

/**
 * Parses the tokens of one statement.
 *
 * @throws QadminSyntaxError kind 2
 */
export function parseStatement(tokens: readonly Token[]): Statement {
  const parser = new Parser(tokens);
  const statement = parse(parser, tokens);
  if (statement.kind !== 'sql') parser.end();
  return statement;
}

/** What could follow these tokens. */
export function expectedAfter(tokens: readonly Token[]): Expected {
  const parser = new Parser(tokens);
  try {
    if (parse(parser, tokens).kind !== 'sql') parser.end();
  } catch (error) {
    if (!(error instanceof QadminSyntaxError)) throw error;
  }
  return parser.expected;
}

function parse(parser: Parser, tokens: readonly Token[]): Statement {
  const first = parser.word(...OURS, ...SHARED);
  if (first === undefined) return { kind: 'sql' };
  if (SHARED.includes(first)) {
    const second = tokens[1];
    if (second !== undefined && (second.quoted || second.value !== 'queue')) return { kind: 'sql' };
    parser.need('queue');
  }
  switch (first) {
    case 'connect':
      return parseConnect(parser);
    case 'install':
      return { kind: 'install', what: parser.need('pgq', 'londiste') };
    case 'show':
      return parseShow(parser);
    case 'create':
      return { kind: 'create-queue', queue: parser.needName('none') };
    case 'drop':
      return { kind: 'drop-queue', queue: parser.needName('queue') };
    case 'alter':
      return parseAlter(parser);
    case 'register':
      return parser.need('consumer', 'subconsumer') === 'consumer'
        ? parseRegister(parser)
        : parseRegisterSubconsumer(parser);
    case 'unregister':
      return parser.need('consumer', 'subconsumer') === 'consumer'
        ? parseUnregister(parser)
        : parseUnregisterSubconsumer(parser);
    case 'londiste':
      return parseLondiste(parser);
    default:
      return { kind: 'exit' };
  }
}

function parseConnect(parser: Parser): Statement {
  const parts: ConnectParts = {};
  const keys = Object.keys(CONNECT_PARTS) as (keyof ConnectParts)[];
  for (;;) {
    const key = parser.word(...keys);
    if (key === undefined) return { kind: 'connect', parts };
    parser.needSymbol('=');
    if (key === 'port') parts.port = parser.needNumber('port');
    else if (key === 'password') parts.password = parser.needAny();
    else parts[key] = parser.needName(CONNECT_PARTS[key]);
  }
}

function parseShow(parser: Parser): Statement {
  switch (parser.need('version', 'help', 'queue', 'consumer', 'node', 'batch', 'table', 'sequence')) {
    case 'version':
      return { kind: 'show-version' };
    case 'help':
      return { kind: 'show-help' };
    case 'queue':
      return { kind: 'show-queue', queue: parser.nameOrAll('queue') };
    case 'consumer':
      return { kind: 'show-consumer', ...parseOnQueue(parser, 'consumer', 'consumer') };
    case 'node':
      return { kind: 'show-node', ...parseOnQueue(parser, 'node', 'node') };
    case 'batch': {
      const consumer = parser.name('consumer');
      if (consumer !== undefined) return { kind: 'show-batch', batch: undefined, consumer };
      return { kind: 'show-batch', batch: parser.needNumber('batch'), consumer };
    }
    case 'table':
      return { kind: 'show-table', name: parser.needName('table') };
    case 'sequence':
      return { kind: 'show-sequence', name: parser.needName('sequence') };
  }
}

/** `[NAME | * [on QUEUE | *]]`, both all by default. */
function parseOnQueue<Key extends 'consumer' | 'node'>(
  parser: Parser,
  key: Key,
  kind: NameKind,
): { queue: NameOrAll } & Record<Key, NameOrAll> {
  const named = parser.nameOrAll(kind);
  const queue = named !== undefined && parser.word('on') ? parser.needNameOrAll('queue') : '*';
  return { [key]: named ?? '*', queue } as { queue: NameOrAll } & Record<Key, NameOrAll>;
}

function parseAlter(parser: Parser): Statement {
  const queue = parser.needNameOrAll('queue');
  parser.need('set');
  const settings = parser.list((): [string, string] => {
    const key = parser.need(...Object.keys(QUEUE_SETTINGS));
    parser.needSymbol('=');
    return [key, QUEUE_SETTINGS[key] === 'string' ? parser.needString() : parser.needNumber()];
  });
  return { kind: 'alter-queue', queue, settings };
}

function parseRegister(parser: Parser): Statement {
  const consumer = parser.needName('consumer');
  let queue: string | undefined;
  let at: string | undefined;
  let copy: string | undefined;
  for (;;) {
    const word = parser.word('on', 'at', 'copy');
    if (word === undefined) return { kind: 'register-consumer', consumer, queue, at, copy };
    if (word === 'on') queue = parser.needName('queue');
    else if (word === 'at') at = parser.needNumber();
    else copy = parser.needName('consumer');
  }
}

function parseUnregister(parser: Parser): Statement {
  const consumer = parser.needNameOrAll('consumer');
  const queue = parser.word('from') ? parser.needName('queue') : undefined;
  return { kind: 'unregister-consumer', consumer, queue };
}

function parseRegisterSubconsumer(parser: Parser): Statement {
  const subconsumer = parser.needAny();
  parser.need('for');
  const consumer = parser.needName('consumer');
  const queue = parser.word('on') ? parser.needName('queue') : undefined;
  return { kind: 'register-subconsumer', subconsumer, consumer, queue };
}

function parseUnregisterSubconsumer(parser: Parser): Statement {
  const subconsumer = parser.symbol('*') ? '*' : parser.needAny();
  parser.need('for');
  const consumer = parser.needName('consumer');
  let queue: string | undefined;
  let close = false;
  for (;;) {
    const word = parser.word('from', 'close');
    if (word === undefined) return { kind: 'unregister-subconsumer', subconsumer, consumer, queue, close };
    if (word === 'from') queue = parser.needName('queue');
    else {
      close = true;
      parser.word('batch');
    }
  }
}

function parseLondiste(parser: Parser): Statement {
  const verb = parser.need('add', 'remove', 'tables', 'seqs', 'missing');
  if (verb !== 'add' && verb !== 'remove') return { kind: 'londiste-list', what: verb };
  const isTable = parser.need('table', 'sequence') === 'table';
  if (verb === 'remove') {
    return isTable
      ? { kind: 'londiste-remove-table', tables: parser.list(() => parser.needName('known-table')) }
      : { kind: 'londiste-remove-sequence', sequences: parser.list(() => parser.needName('known-sequence')) };
  }
  if (!isTable) {
    return { kind: 'londiste-add-sequence', sequences: parser.list(() => parser.needName('new-sequence')) };
  }
  const tables = parser.list(() => parser.needName('new-table'));
  const options = parser.word('with') ? parser.list(() => parseTableOption(parser)) : [];
  return { kind: 'londiste-add-table', tables, options };
}

function parseTableOption(parser: Parser): string {
  const key = parser.need(...TABLE_FLAGS, ...Object.keys(TABLE_VALUES));
  const argument = TABLE_VALUES[key];
  if (argument === undefined) return key;
  parser.needSymbol('=');
  return `${argument}=${parser.needString()}`;
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedAfter, parseStatement } from '../../../lib/cli/qadmin/grammar.ts';
import { splitStatements, tokenize } from '../../../lib/cli/qadmin/lexer.ts';
import { formatRows } from '../../../lib/cli/qadmin/table.ts';

const parse = (text: string) => parseStatement(splitStatements(tokenize(text))[0]!.tokens);

describe('lexer', () => {
  it('lowers names unless quoted, keeps dotted names whole, skips blanks and comments', () => {
    const tokens = tokenize(`Foo "Bar ""x""" a."B c" /* no; */ 12 'it''s' $$a;b$$ $t$ $$ $t$ -- end;\n;`);
    expect(tokens.map(({ kind, value }) => [kind, value])).toEqual([
      ['name', 'foo'],
      ['name', 'Bar "x"'],
      ['name', 'a.B c'],
      ['number', '12'],
      ['string', "it's"],
      ['string', 'a;b'],
      ['string', ' $$ '],
      ['symbol', ';'],
    ]);
  });

  it.each(["'open", '"open', '$$open', '\u0001'])('calls %j a syntax error 1', (text) => {
    expect(() => tokenize(text)).toThrow(/^syntax error 1: /);
  });

  it('reads any name back from its quoted form', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        fc.pre(!name.includes('\0'));
        expect(tokenize(`"${name.replaceAll('"', '""')}"`)).toMatchObject([{ kind: 'name', value: name }]);
      }),
    );
  });

  it('splits at each semicolon and knows an unfinished statement', () => {
    const statements = splitStatements(tokenize(`show version;; select ';'; show`));
    expect(statements.map(({ tokens, complete }) => [tokens.length, complete])).toEqual([
      [2, true],
      [2, true],
      [1, false],
    ]);
  });
});

describe('grammar', () => {
  it.each<[string, object]>([
    ['connect;', { kind: 'connect', parts: {} }],
    [
      `connect dbname=shop host=db.local port=6432 user=me password='p w' queue=q;`,
      { parts: { dbname: 'shop', host: 'db.local', port: '6432', user: 'me', password: 'p w', queue: 'q' } },
    ],
    ['connect queue=q node=n;', { parts: { queue: 'q', node: 'n' } }],
    ['install pgq;', { kind: 'install', what: 'pgq' }],
    ['install londiste;', { kind: 'install', what: 'londiste' }],
    ['SHOW Version;', { kind: 'show-version' }],
    ['show help;', { kind: 'show-help' }],
    ['show queue;', { kind: 'show-queue', queue: undefined }],
    ['show queue *;', { kind: 'show-queue', queue: '*' }],
    ['show queue "My-Queue";', { kind: 'show-queue', queue: 'My-Queue' }],
    ['show consumer;', { kind: 'show-consumer', consumer: '*', queue: '*' }],
    ['show consumer c on q;', { kind: 'show-consumer', consumer: 'c', queue: 'q' }],
    ['show node * on q;', { kind: 'show-node', node: '*', queue: 'q' }],
    ['show batch 12;', { kind: 'show-batch', batch: '12', consumer: undefined }],
    ['show batch mailer;', { kind: 'show-batch', batch: undefined, consumer: 'mailer' }],
    ['show table a.b;', { kind: 'show-table', name: 'a.b' }],
    ['show sequence s;', { kind: 'show-sequence', name: 's' }],
    ['create queue q;', { kind: 'create-queue', queue: 'q' }],
    ['drop queue q;', { kind: 'drop-queue', queue: 'q' }],
    [
      `alter queue * set idle_period='1 min', max_count = 10, max_lag = '3s', paused=1;`,
      {
        kind: 'alter-queue',
        queue: '*',
        settings: [
          ['idle_period', '1 min'],
          ['max_count', '10'],
          ['max_lag', '3s'],
          ['paused', '1'],
        ],
      },
    ],
    [
      'register consumer c copy d at 5 on q;',
      { kind: 'register-consumer', consumer: 'c', queue: 'q', at: '5', copy: 'd' },
    ],
    ['unregister consumer * from q;', { kind: 'unregister-consumer', consumer: '*', queue: 'q' }],
    ['register subconsumer 7 for c on q;', { kind: 'register-subconsumer', subconsumer: '7', consumer: 'c' }],
    [
      `unregister subconsumer 's-1' for c from q close batch;`,
      { kind: 'unregister-subconsumer', subconsumer: 's-1', consumer: 'c', queue: 'q', close: true },
    ],
    ['unregister subconsumer * for c close;', { subconsumer: '*', close: true, queue: undefined }],
    [
      `londiste add table a, b.c with skip, expect_sync, ev_ignore='x', pkey='id,k', when='id > 5';`,
      {
        kind: 'londiste-add-table',
        tables: ['a', 'b.c'],
        options: ['skip', 'expect_sync', 'ignore=x', 'pkey=id,k', 'when=id > 5'],
      },
    ],
    ['londiste add sequence a, b;', { kind: 'londiste-add-sequence', sequences: ['a', 'b'] }],
    ['londiste remove table a;', { kind: 'londiste-remove-table', tables: ['a'] }],
    ['londiste remove sequence a;', { kind: 'londiste-remove-sequence', sequences: ['a'] }],
    ['londiste tables;', { kind: 'londiste-list', what: 'tables' }],
    ['londiste seqs;', { kind: 'londiste-list', what: 'seqs' }],
    ['londiste missing;', { kind: 'londiste-list', what: 'missing' }],
    ['exit;', { kind: 'exit' }],
    ['select * from pgq.queue;', { kind: 'sql' }],
    ['create table t (a int);', { kind: 'sql' }],
    ['alter table queue add b int;', { kind: 'sql' }],
  ])('%s', (text, statement) => {
    expect(parse(text)).toMatchObject(statement);
  });

  it.each([
    'show x;',
    `show queue 'q';`,
    'show queue my-queue;',
    `alter queue q set max_count = '5';`,
    'alter queue q set idle_period = 5;',
    'alter queue q set rotation = 5;',
    'connect host=10.0.0.1;',
    'connect port=x;',
    'register consumer;',
    'register consumer c at 1.5;',
    'install everything;',
    'londiste add view v;',
    'londiste add table t with frob;',
    'exit now;',
    'create queue;',
  ])('%s is a syntax error 2', (text) => {
    expect(() => parse(text)).toThrow(/^syntax error 2: /);
  });
});

describe('completion', () => {
  const expected = (text: string) => expectedAfter(tokenize(text));

  it('offers what the grammar allows next', () => {
    expect(expected('').words).toContain('register');
    expect(expected('show').words).toEqual(expect.arrayContaining(['queue', 'batch']));
    expect(expected('drop queue').names).toEqual(['queue']);
    expect(expected('alter queue q set').words).toEqual(['idle_period', 'max_count', 'max_lag', 'paused']);
    expect(expected('register consumer c on').names).toEqual(['queue']);
    expect(expected('register consumer c on q').words).toEqual(expect.arrayContaining(['at', 'copy', ';']));
    expect(expected('londiste remove table').names).toEqual(['known-table']);
    expect(expected('londiste add table t with').words).toContain('ev_extra4');
    expect(expected('select 1')).toEqual({ words: [], names: [] });
  });
});

describe('table output', () => {
  it('is at least ten wide, plus two, with an unpadded last column and None for NULL', () => {
    expect(
      formatRows(
        'Queue "x":',
        ['queue_name', 'n'],
        [
          ['a_long_queue_name', '1'],
          [null, '22'],
        ],
      ),
    ).toBe(
      [
        'Queue "x":',
        'queue_name         n',
        '-----------------  ----------',
        'a_long_queue_name  1',
        'None               22',
        '',
        '',
      ].join('\n'),
    );
  });
});

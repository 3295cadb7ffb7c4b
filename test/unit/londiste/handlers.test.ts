import { expect, test } from 'vitest';
import { formatHandler, HANDLERS, handlerOf, parseHandler } from '../../../lib/londiste/handlers/registry.ts';

test('a handler and its arguments are read as the original writes them, and written so that it reads them', () => {
  for (const text of [
    'vtable',
    'qtable',
    'londiste(ignore_truncate=1)',
    'londiste(encoding=utf8&ignore_truncate=0)',
    'qsplitter(queue=any+text)',
  ])
    expect(formatHandler(parseHandler(text))).toBe(text);
  expect(parseHandler('londiste(encoding=utf8,ignore_truncate=1)').arguments).toEqual({
    encoding: 'utf8',
    ignore_truncate: '1',
  });
  expect(formatHandler(parseHandler('londiste'))).toBeUndefined();
  // Names that nodes of the original would not know are not stored.
  expect(formatHandler(parseHandler('noop'))).toBe('vtable');
});

test('a subscription without a handler has the default one; the key may be the old one', () => {
  expect(handlerOf({}).handler.holdsRows).toBe(true);
  expect(handlerOf({ handler: 'fake_local' }).handler.holdsRows).toBe(false);
  expect(handlerOf({ handlers: 'qtable' }).handler.name).toBe('qtable');
});

test('an unknown handler, argument or value is refused by name', () => {
  for (const text of ['nop', '', 'bulk(method=1)'])
    expect(() => parseHandler(text)).toThrow(expect.objectContaining({ code: 'LONDISTE_HANDLER_UNKNOWN' }));
  for (const text of [
    'qsplitter',
    'qsplitter(queue)',
    'vtable(x=1)',
    'londiste(ignore_truncate=2)',
    'londiste(ignore_truncate)',
  ])
    expect(() => parseHandler(text)).toThrow(expect.objectContaining({ code: 'LONDISTE_HANDLER_ARGUMENT' }));
});

test('every name of a handler is its own', () => {
  const names = HANDLERS.flatMap(({ name, aliases }) => [name, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
});

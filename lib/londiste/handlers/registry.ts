import { decodeUrlencoded, encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { UsageError } from '../../platform/errors.ts';
import type { Handler } from './handler.ts';
import { londiste } from './londiste.ts';
import { qsplitter } from './qsplitter.ts';
import { qtable } from './qtable.ts';
import { vtable } from './vtable.ts';

export const HANDLERS: readonly Handler[] = [londiste, vtable, qtable, qsplitter];

/** A handler with its arguments. */
export interface HandlerUse {
  handler: Handler;
  arguments: Readonly<Record<string, string>>;
}

/** @throws UsageError LONDISTE_HANDLER_UNKNOWN */
export function findHandler(name: string): Handler {
  const handler = HANDLERS.find((each) => each.name === name || each.aliases.includes(name));
  if (handler !== undefined) return handler;
  throw new UsageError('LONDISTE_HANDLER_UNKNOWN', `there is no handler ${name}`, {
    hint: 'skytools londiste show-handlers lists them',
  });
}

/** @throws UsageError LONDISTE_HANDLER_UNKNOWN, LONDISTE_HANDLER_ARGUMENT */
export function useHandler(name: string, given: Readonly<Record<string, string | null>> = {}): HandlerUse {
  const handler = findHandler(name);
  for (const [argument, value] of Object.entries(given)) {
    const known = handler.arguments.find((each) => each.name === argument);
    if (value !== null && known && (known.values?.includes(value) ?? true)) continue;
    throw new UsageError(
      'LONDISTE_HANDLER_ARGUMENT',
      `invalid handler argument: ${argument} of ${handler.name}`,
      {
        hint: known
          ? `it may be ${known.values?.join(' or ') ?? 'any text'}`
          : `its arguments are: ${handler.arguments.map((each) => each.name).join(', ') || 'none'}`,
      },
    );
  }
  const missing = handler.arguments.find((each) => each.default === undefined && !(each.name in given));
  if (missing !== undefined) {
    throw new UsageError('LONDISTE_HANDLER_ARGUMENT', `${handler.name} needs the argument ${missing.name}`, {
      hint: `--handler-arg ${missing.name}=…: ${missing.meaning}`,
    });
  }
  return { handler, arguments: given as Record<string, string> };
}

/** Reads `name` or `name(arguments)` as `table_attrs` holds it; the arguments are urlencoded, a comma may stand for `&`. */
export function parseHandler(text: string): HandlerUse {
  const [, name, list] = /^([^(]*)(?:\((.*)\))?$/s.exec(text) ?? [];
  return useHandler(name ?? text, decodeUrlencoded((list ?? '').replaceAll(',', '&')));
}

/** The text that {@link parseHandler} reads; undefined for the default handler without arguments, which needs none. */
export function formatHandler({ handler, arguments: given }: HandlerUse): string | undefined {
  const list = encodeUrlencoded(given);
  if (list !== '') return `${handler.name}(${list})`;
  return handler === londiste ? undefined : handler.name;
}

/** The handler of a table by its decoded `table_attrs`. */
export const handlerOf = (attributes: Readonly<Record<string, string | null>>): HandlerUse =>
  parseHandler(attributes.handler ?? attributes.handlers ?? londiste.name);

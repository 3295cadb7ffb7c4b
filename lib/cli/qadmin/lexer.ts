import { SkytoolsError } from '../../platform/errors.ts';

/** A token. Names may be dotted (`schema.table` is one token); `start` and `end` are offsets in the input. */
export interface Token {
  kind: 'name' | 'string' | 'number' | 'symbol';
  /** The value: a name without its quotes (lower case where it was not quoted), a string's contents, the symbol itself. */
  value: string;
  /** True for a name with quotes, which is never a keyword. */
  quoted: boolean;
  start: number;
  end: number;
}

/** `syntax error 1`: characters that are no token; `syntax error 2`: a token where it cannot stand. */
export class QadminSyntaxError extends SkytoolsError {
  override name = 'QadminSyntaxError';

  constructor(kind: 1 | 2, text: string) {
    super('QADMIN_SYNTAX', `syntax error ${kind}: ${text}`, { hint: 'show help; lists the commands' });
  }
}

const WHITE = /(?:\s+|--[^\n]*|\/\*[\s\S]*?\*\/)+/y;
/** One part of a name; parts are joined by dots. */
const NAME_PART = /(?:"((?:[^"]|"")*)"|([\p{L}_][\p{L}\p{N}_$]*))/uy;
const STRING = /'((?:[^']|'')*)'/y;
const DOLLAR = /\$([\p{L}_][\p{L}\p{N}_]*)?\$/uy;
const NUMBER = /\d+(?:\.\d+)?/y;
const SYMBOL = /::|<=|>=|<>|!=|\|\||[;,=*()[\]{}<>+\-/%:.~^&|!@#?$]/y;

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** @throws QadminSyntaxError kind 1 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += matchAt(WHITE, text, at)?.[0].length ?? 0;
    if (at >= text.length) return tokens;
    const token = nextToken(text, at);
    tokens.push(token);
    at = token.end;
  }
}

function nextToken(text: string, start: number): Token {
  const name = readName(text, start);
  if (name) return name;
  const string = matchAt(STRING, text, start);
  if (string) return token('string', string[1]!.replaceAll("''", "'"), start, string[0].length);
  const dollar = matchAt(DOLLAR, text, start);
  if (dollar) {
    const from = start + dollar[0].length;
    const to = text.indexOf(dollar[0], from);
    if (to < 0) throw new QadminSyntaxError(1, text.slice(start));
    return token('string', text.slice(from, to), start, to + dollar[0].length - start);
  }
  const number = matchAt(NUMBER, text, start);
  if (number) return token('number', number[0], start, number[0].length);
  const symbol = matchAt(SYMBOL, text, start);
  if (symbol) return token('symbol', symbol[0], start, symbol[0].length);
  throw new QadminSyntaxError(1, text.slice(start));
}

const token = (kind: Token['kind'], value: string, start: number, length: number): Token => ({
  kind,
  value,
  quoted: false,
  start,
  end: start + length,
});

function readName(text: string, start: number): Token | undefined {
  const parts: string[] = [];
  let quoted = false;
  let at = start;
  for (;;) {
    const part = matchAt(NAME_PART, text, at);
    if (!part) {
      if (parts.length === 0) return undefined;
      // A dot at the end belongs to no name: leave it to the next token.
      at--;
      break;
    }
    quoted ||= part[1] !== undefined;
    parts.push(part[1] === undefined ? part[2]!.toLowerCase() : part[1].replaceAll('""', '"'));
    at += part[0].length;
    if (text[at] !== '.') break;
    at++;
  }
  return { kind: 'name', value: parts.join('.'), quoted, start, end: at };
}

/** A statement's tokens, and whether its `;` was there. */
export interface RawStatement {
  tokens: Token[];
  complete: boolean;
}

/** Cuts tokens at each `;`. Empty statements are left out. */
export function splitStatements(tokens: readonly Token[]): RawStatement[] {
  const statements: RawStatement[] = [];
  let current: Token[] = [];
  for (const item of tokens) {
    if (item.kind === 'symbol' && item.value === ';') {
      if (current.length > 0) statements.push({ tokens: current, complete: true });
      current = [];
    } else current.push(item);
  }
  if (current.length > 0) statements.push({ tokens: current, complete: false });
  return statements;
}

import { QadminSyntaxError, type Token } from './lexer.ts';
import type { Expected, NameKind, NameOrAll } from './statement.ts';

/**
 * Recursive descent over the tokens of one statement. Whatever is tried at the end of the input is remembered, which is
 * what completion offers.
 */
export class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  readonly expected: Expected = { words: [], names: [] };

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #token(): Token | undefined {
    return this.#tokens[this.#at];
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** One of these keywords, if it is next. */
  word<Word extends string>(...words: Word[]): Word | undefined {
    if (this.atEnd) this.expected.words.push(...words);
    const token = this.#token;
    if (token?.kind !== 'name' || token.quoted || !words.includes(token.value as Word)) return undefined;
    this.#at++;
    return token.value as Word;
  }

  symbol(symbol: string): boolean {
    if (this.atEnd) this.expected.words.push(symbol);
    if (this.#token?.kind !== 'symbol' || this.#token.value !== symbol) return false;
    this.#at++;
    return true;
  }

  need<Word extends string>(...words: Word[]): Word {
    return this.word(...words) ?? this.fail();
  }

  needSymbol(symbol: string): void {
    if (!this.symbol(symbol)) this.fail();
  }

  name(kind: NameKind): string | undefined {
    if (this.atEnd) this.expected.names.push(kind);
    return this.#take('name');
  }

  needName(kind: NameKind): string {
    return this.name(kind) ?? this.fail();
  }

  nameOrAll(kind: NameKind): NameOrAll | undefined {
    return this.symbol('*') ? '*' : this.name(kind);
  }

  needNameOrAll(kind: NameKind): NameOrAll {
    return this.nameOrAll(kind) ?? this.fail();
  }

  number(): string | undefined {
    if (this.#token?.kind === 'number' && this.#token.value.includes('.')) this.fail();
    return this.#take('number');
  }

  needNumber(kind: NameKind = 'none'): string {
    if (this.atEnd) this.expected.names.push(kind);
    return this.number() ?? this.fail();
  }

  needString(): string {
    return this.#take('string') ?? this.fail();
  }

  /** A name, a string or a number. */
  needAny(): string {
    return this.#take('name') ?? this.#take('string') ?? this.number() ?? this.fail();
  }

  /** `item [, item …]`. */
  list<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (this.symbol(',')) items.push(item());
    return items;
  }

  end(): void {
    if (this.atEnd) this.expected.words.push(';');
    else this.fail();
  }

  fail(): never {
    throw new QadminSyntaxError(2, this.atEnd ? 'unexpected end of the statement' : this.#token!.value);
  }

  #take(kind: Token['kind']): string | undefined {
    if (this.#token?.kind !== kind) return undefined;
    return this.#tokens[this.#at++]!.value;
  }
}

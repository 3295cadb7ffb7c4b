import { quoteLiteral } from '../../postgres/quote.ts';
import { setColumn, type TextRow } from './urlencoded.ts';

/**
 * The row format of `sqltriga`: the part of a statement behind the table's name (spec of the trigger functions,
 * section 14.1).
 *
 * - insert: `(col1,col2) values ('v1',null)`
 * - update: `col='v',col2=NULL where k1='x' and k2='y'`
 * - delete: `k1='x' and k2='y'`
 */
export interface SqlFragment {
  /** New values: all columns of an insert, the changed ones of an update, none of a delete. */
  values: TextRow;
  /** Key of the row before the change; empty for an insert. */
  key: TextRow;
}

export type RowOperation = 'I' | 'U' | 'D';

/** Identifiers are quoted only where PostgreSQL needs it; a keyword is indistinguishable here and is quoted as well. */
const BARE = /^[a-z_][a-z0-9_]*$/;
const identifier = (name: string) => (BARE.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
/** pg writes ` E'…'` with a leading space where a backslash has to be escaped. */
const literal = (value: string) => quoteLiteral(value).trimStart();

/** Writes a fragment. Keywords among the column names are left bare: for statements use the quoting helpers. */
export function encodeSqlFragment(operation: RowOperation, fragment: SqlFragment): string {
  const where = Object.entries(fragment.key).map(([column, value]) =>
    value === null ? `${identifier(column)} is null` : `${identifier(column)}=${literal(value)}`,
  );
  if (operation === 'D') return where.join(' and ');
  const columns = Object.entries(fragment.values);
  if (operation === 'I') {
    const names = columns.map(([column]) => identifier(column));
    const values = columns.map(([, value]) => (value === null ? 'null' : literal(value)));
    return `(${names.join(',')}) values (${values.join(',')})`;
  }
  const set = columns.map(
    ([column, value]) => `${identifier(column)}=${value === null ? 'NULL' : literal(value)}`,
  );
  return `${set.join(',')} where ${where.join(' and ')}`;
}

/**
 * Reads a fragment.
 *
 * @throws SyntaxError naming the position, never the text, which is row data
 */
export function decodeSqlFragment(operation: RowOperation, text: string): SqlFragment {
  const scanner = new Scanner(text);
  const values: TextRow = {};
  const key: TextRow = {};
  if (operation === 'I') {
    const columns: string[] = [];
    scanner.expect('(');
    do columns.push(scanner.name());
    while (scanner.accept(','));
    scanner.expect(')');
    scanner.expectWord('values');
    scanner.expect('(');
    columns.forEach((column, index) => {
      if (index > 0) scanner.expect(',');
      setColumn(values, column, scanner.value());
    });
    scanner.expect(')');
  } else {
    if (operation === 'U') {
      do scanner.pair(values);
      while (scanner.accept(','));
      scanner.expectWord('where');
    }
    do scanner.pair(key);
    while (scanner.acceptWord('and'));
  }
  scanner.end();
  return { values, key };
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #blanks(): void {
    while (this.#text[this.#at] === ' ') this.#at++;
  }

  #fail(): never {
    throw new SyntaxError(`SQL fragment not understood at position ${this.#at}`);
  }

  accept(mark: string): boolean {
    this.#blanks();
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  expect(mark: string): void {
    if (!this.accept(mark)) this.#fail();
  }

  acceptWord(word: string): boolean {
    this.#blanks();
    const end = this.#at + word.length;
    if (this.#text.slice(this.#at, end).toLowerCase() !== word) return false;
    if (/[a-z0-9_"$]/i.test(this.#text[end] ?? ' ')) return false;
    this.#at = end;
    return true;
  }

  expectWord(word: string): void {
    if (!this.acceptWord(word)) this.#fail();
  }

  end(): void {
    this.#blanks();
    if (this.#at < this.#text.length) this.#fail();
  }

  name(): string {
    this.#blanks();
    if (this.#text[this.#at] === '"') return this.#quoted('"', false);
    const match = /^[^\s"'(),=]+/.exec(this.#text.slice(this.#at, this.#at + 256));
    if (!match) this.#fail();
    this.#at += match[0].length;
    return match[0];
  }

  /** `col='value'`, `col=NULL` or `col is null`. */
  pair(into: TextRow): void {
    const column = this.name();
    if (this.acceptWord('is')) {
      this.expectWord('null');
      setColumn(into, column, null);
      return;
    }
    this.expect('=');
    setColumn(into, column, this.value());
  }

  value(): string | null {
    this.#blanks();
    const first = this.#text[this.#at];
    if (first === "'") return this.#quoted("'", false);
    if ((first === 'E' || first === 'e') && this.#text[this.#at + 1] === "'") {
      this.#at++;
      return this.#quoted("'", true);
    }
    if (this.acceptWord('null')) return null;
    return this.#fail();
  }

  #quoted(mark: string, escapes: boolean): string {
    let out = '';
    let from = ++this.#at;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) this.#fail();
      if (char === mark) {
        out += this.#text.slice(from, this.#at);
        this.#at++;
        if (this.#text[this.#at] !== mark) return out;
        from = this.#at++;
      } else if (escapes && char === '\\') {
        out += this.#text.slice(from, this.#at);
        const next = this.#text[this.#at + 1] ?? this.#fail();
        out += ESCAPES[next] ?? next;
        this.#at += 2;
        from = this.#at;
      } else {
        this.#at++;
      }
    }
  }
}

import { type CopyBytes, ESCAPES } from './copy-bytes.ts';

/*
 * Rows pass from an event's data into COPY's text format as bytes: no string, no object is made of them. PostgreSQL's own
 * functions for text took two fifths of a replay's time; this takes about a fiftieth.
 */

/** Turns the data of events of one layout into columns of COPY, each with a tab behind it, piece by piece. */
export interface Transcoder {
  /** Begins a row at the end of `out`. */
  begin(out: CopyBytes): void;
  /**
   * Goes on with the data from `pos` to `end`, for which `out` has room (see {@link room}).
   *
   * @returns up to where it was read: a code that the piece cuts is left. -1: not of this layout, `out` is to be reset
   */
  write(source: Buffer, pos: number, end: number): number;
  /** Ends the last column. False: not of this layout. */
  finish(): boolean;
  /** Where in `out` each column begins, and behind it where the next would: valid for a row that was written at once. */
  readonly starts: Int32Array;
}

/** Bytes that `out` needs for so many of data: a column that is NULL takes three, one byte at most two. */
export const room = (data: number, columns: number): number => data * 2 + columns * 4 + 16;

const TAB = 9;
const NEWLINE = 10;
const BACKSLASH = 92;
const LETTER_N = 78;
const AMPERSAND = 38;
const EQUALS = 61;
const PLUS = 43;
const PERCENT = 37;
const SPACE = 32;

/** Value of a hex digit; beyond a byte where it is none. */
const HEX = new Uint16Array(256).fill(0x1000);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** 1 for bytes of a urlencoded value that stand for themselves in COPY's text format as well. */
const PLAIN = new Uint8Array(256).fill(1);
for (const byte of [AMPERSAND, PERCENT, PLUS, BACKSLASH, TAB, NEWLINE, 13]) PLAIN[byte] = 0;

abstract class ColumnWriter {
  readonly starts: Int32Array;
  protected readonly names: readonly Buffer[];
  protected out!: CopyBytes;
  protected column = 0;

  constructor(names: readonly Buffer[]) {
    this.names = names;
    this.starts = new Int32Array(names.length + 1);
  }

  begin(out: CopyBytes): void {
    this.out = out;
    this.column = 0;
    this.starts[0] = out.length;
  }

  protected endColumn(at: number): number {
    this.out.bytes[at] = TAB;
    this.starts[++this.column] = at + 1;
    return at + 1;
  }

  protected endRow(): void {
    this.out.length = this.endColumn(this.out.length);
  }
}

/** `name=value&name2&…` of logutriga: `+` is a space, `%xx` a byte, a name alone NULL. */
export class UrlencodedTranscoder extends ColumnWriter implements Transcoder {
  /** Byte of the name that comes next; -1: within the value. */
  #at = 0;

  override begin(out: CopyBytes): void {
    super.begin(out);
    this.#at = 0;
  }

  write(source: Buffer, from: number, end: number): number {
    const { bytes } = this.out;
    let pos = from;
    let o = this.out.length;
    let at = this.#at;
    reading: while (pos < end) {
      if (at >= 0) {
        const name = this.names[this.column];
        if (name === undefined) return -1;
        const length = name.length;
        while (at < length && pos < end) if (source[pos++] !== name[at++]) return -1;
        if (pos === end) break;
        const byte = source[pos++];
        if (byte === EQUALS) at = -1;
        else if (byte === AMPERSAND) {
          bytes[o++] = BACKSLASH;
          bytes[o++] = LETTER_N;
          o = this.endColumn(o);
          at = 0;
        } else return -1;
        continue;
      }
      while (pos < end) {
        let byte = source[pos]!;
        // The bulk of the bytes.
        if (PLAIN[byte] === 1) {
          bytes[o++] = byte;
          pos++;
          continue;
        }
        if (byte === AMPERSAND) {
          pos++;
          o = this.endColumn(o);
          at = 0;
          continue reading;
        }
        if (byte === PERCENT) {
          if (pos + 2 >= end) break reading;
          byte = (HEX[source[pos + 1]!]! << 4) | HEX[source[pos + 2]!]!;
          if (byte > 255) return -1;
          pos += 2;
        } else if (byte === PLUS) byte = SPACE;
        pos++;
        const letter = ESCAPES[byte]!;
        if (letter === 0) bytes[o++] = byte;
        else {
          bytes[o++] = BACKSLASH;
          bytes[o++] = letter;
        }
      }
    }
    this.out.length = o;
    this.#at = at;
    return pos;
  }

  finish(): boolean {
    if (this.column !== this.names.length - 1) return this.names.length === 0;
    if (this.#at >= 0) {
      if (this.#at !== this.names[this.column]!.length) return false;
      this.out.bytes[this.out.length++] = BACKSLASH;
      this.out.bytes[this.out.length++] = LETTER_N;
    }
    this.endRow();
    return true;
  }
}

/** What comes next in a JSON row. */
const Json = { Row: 0, Name: 1, Colon: 2, Value: 3, Text: 4, Word: 5, Next: 6, End: 7 } as const;
type Json = (typeof Json)[keyof typeof Json];

/** `{"name":"value","n":1,"none":null}` of jsontriga: numbers and booleans as they stand, all else text. */
export class JsonTranscoder extends ColumnWriter implements Transcoder {
  #state: Json = Json.Row;
  #at = 0;

  override begin(out: CopyBytes): void {
    super.begin(out);
    this.#state = Json.Row;
  }

  write(source: Buffer, from: number, end: number): number {
    const { bytes } = this.out;
    let pos = from;
    let o = this.out.length;
    let state = this.#state;
    reading: while (pos < end) {
      const byte = source[pos]!;
      switch (state) {
        case Json.Text: {
          // The bulk of the bytes: from quote to quote.
          let next = byte;
          while (next !== QUOTE && next !== BACKSLASH) {
            bytes[o++] = next;
            if (++pos === end) break reading;
            next = source[pos]!;
          }
          if (next === QUOTE) {
            pos++;
            state = Json.Next;
            break;
          }
          if (pos + 1 >= end) break reading;
          const code = source[pos + 1]!;
          if (code === LETTER_U) {
            const high = unit(source, pos, end);
            if (high === undefined) break reading;
            pos += 6;
            let point = high;
            if (high >= 0xd800 && high < 0xdc00) {
              const low = unit(source, pos, end);
              if (low === undefined) {
                pos -= 6;
                break reading;
              }
              pos += 6;
              point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            }
            this.out.length = o;
            for (const part of Buffer.from(String.fromCodePoint(point))) this.out.byte(part);
            o = this.out.length;
          } else {
            const plain = UNESCAPED[code]!;
            if (plain === 0) return -1;
            pos += 2;
            const letter = ESCAPES[plain]!;
            if (letter !== 0) {
              bytes[o++] = BACKSLASH;
              bytes[o++] = letter;
            } else bytes[o++] = plain;
          }
          break;
        }
        case Json.Name: {
          const name = this.names[this.column];
          if (name === undefined) return -1;
          if (this.#at === 0 && isSpace(byte)) pos++;
          else if (byte !== name[this.#at]) return -1;
          else {
            pos++;
            if (++this.#at === name.length) state = Json.Colon;
          }
          break;
        }
        case Json.Word:
          if (byte === COMMA || byte === BRACE_END || isSpace(byte)) state = Json.Next;
          else {
            bytes[o++] = byte;
            pos++;
          }
          break;
        case Json.Value:
          if (byte === QUOTE) {
            pos++;
            state = Json.Text;
          } else if (byte === LETTER_SMALL_N) {
            if (pos + 4 > end) break reading;
            pos += 4;
            bytes[o++] = BACKSLASH;
            bytes[o++] = LETTER_N;
            state = Json.Next;
          } else if (isSpace(byte)) pos++;
          // An array or object stands for a value of another kind of trigger.
          else if (byte === BRACE || byte === BRACKET) return -1;
          else state = Json.Word;
          break;
        default: {
          pos++;
          if (isSpace(byte)) break;
          if (state === Json.Row && byte === BRACE) {
            state = Json.Name;
            this.#at = 0;
          } else if (state === Json.Colon && byte === COLON) state = Json.Value;
          else if (state === Json.Next && byte === COMMA) {
            o = this.endColumn(o);
            state = Json.Name;
            this.#at = 0;
          } else if (state === Json.Next && byte === BRACE_END) state = Json.End;
          else return -1;
        }
      }
    }
    this.out.length = o;
    this.#state = state;
    return pos;
  }

  finish(): boolean {
    if (this.#state !== Json.End || this.column !== this.names.length - 1) return false;
    this.endRow();
    return true;
  }
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BRACKET = 91;
const BRACE = 123;
const BRACE_END = 125;
const LETTER_SMALL_N = 110;
const LETTER_U = 117;

const isSpace = (byte: number) => byte === SPACE || (byte >= TAB && byte <= 13);

/** What a letter behind a backslash stands for in JSON. */
const UNESCAPED = new Uint8Array(256);
for (const [letter, byte] of [
  ['"', QUOTE],
  ['\\', BACKSLASH],
  ['/', 47],
  ['b', 8],
  ['f', 12],
  ['n', NEWLINE],
  ['r', 13],
  ['t', TAB],
] as const)
  UNESCAPED[letter.charCodeAt(0)] = byte;

/** The number of a `\uxxxx` at `pos`; undefined where the piece ends within it. */
function unit(source: Buffer, pos: number, end: number): number | undefined {
  if (pos + 6 > end) return undefined;
  let code = 0;
  for (let digit = pos + 2; digit < pos + 6; digit++) code = (code << 4) | HEX[source[digit]!]!;
  return code;
}

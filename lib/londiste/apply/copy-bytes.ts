const TAB = 9;
const NEWLINE = 10;
const BACKSLASH = 92;

/** The letter that stands for a byte behind a backslash in COPY's text format; 0 where the byte stands for itself. */
const ESCAPES = new Uint8Array(256);
for (const [byte, letter] of [
  [TAB, 't'],
  [NEWLINE, 'n'],
  [13, 'r'],
  [BACKSLASH, '\\'],
] as const)
  ESCAPES[byte] = letter.charCodeAt(0);

export { ESCAPES };

/** Bytes of COPY's text format, growing. Whoever writes to `bytes` directly reserves first. */
export class CopyBytes {
  bytes: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.length + more, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(source: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    source.copy(this.bytes, this.length, start, end);
    this.length += end - start;
  }

  /** Lets go of memory beyond `capacity`. Only where nothing is written. */
  shrink(capacity: number): void {
    if (this.bytes.length > capacity) this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Hands over what was written, and begins anew. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = Buffer.allocUnsafeSlow(this.bytes.length);
    this.length = 0;
    return taken;
  }

  /** Text that needs no escape. */
  plain(text: string): void {
    this.reserve(text.length);
    for (let index = 0; index < text.length; index++) this.bytes[this.length++] = text.charCodeAt(index);
  }

  /** A natural number, reserved for: at most 19 digits. */
  digits(value: number): void {
    let length = 1;
    for (let limit = 10; value >= limit; limit *= 10) length++;
    let rest = value;
    for (let at = this.length + length - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      this.bytes[at] = 48 + rest - next * 10;
      rest = next;
    }
    this.length += length;
  }

  /** A column of a decoded row, with the tab behind it. */
  column(text: string | null): void {
    if (text === null) this.plain('\\N');
    else this.#value(text);
    this.plain('\t');
  }

  #value(text: string): void {
    const raw = Buffer.from(text);
    this.reserve(raw.length * 2);
    for (const byte of raw) this.byte(byte);
  }

  /** One byte of a value, reserved for. */
  byte(byte: number): void {
    const letter = ESCAPES[byte]!;
    if (letter !== 0) {
      this.bytes[this.length++] = BACKSLASH;
      this.bytes[this.length++] = letter;
    } else this.bytes[this.length++] = byte;
  }
}

import { SkytoolsError } from '../../platform/errors.ts';

/** One member of a tar archive (ustar, as PostgreSQL writes it). */
export interface TarMember {
  name: string;
  size: number;
  mode: number;
  kind: 'file' | 'directory' | 'link';
}

/** What a {@link TarReader} does with what it reads; buffers are lent. */
export interface TarHandlers {
  onMember: (member: TarMember, header: Buffer) => void;
  onContent: (bytes: Buffer) => void;
  /** The member is over; `padding` bytes (fewer than a block) follow it in the archive. */
  onMemberEnd: (padding: number) => void;
}

export const TAR_BLOCK = 512;

/** Two zero blocks end an archive. */
export const TAR_END = Buffer.alloc(TAR_BLOCK * 2);

function number(header: Buffer, offset: number, length: number): number {
  // Sizes of 8 GiB and more are in base 256, marked by the top bit.
  if ((header[offset]! & 0x80) !== 0) {
    return Number(header.readBigUInt64BE(offset + length - 8));
  }
  const text = header
    .toString('latin1', offset, offset + length)
    .replace(/\0.*$/s, '')
    .trim();
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function parseHeader(header: Buffer): TarMember {
  let sum = 0;
  for (let index = 0; index < TAR_BLOCK; index++) sum += index >= 148 && index < 156 ? 0x20 : header[index]!;
  if (sum !== number(header, 148, 8)) {
    throw new SkytoolsError('WAL_TAR_INVALID', 'a tar header has a wrong checksum', {
      hint: 'the backup is damaged: use another one',
    });
  }
  const text = (offset: number, length: number) =>
    header.toString('utf8', offset, offset + length).replace(/\0.*$/s, '');
  const prefix = text(345, 155);
  const type = header[156]!;
  return {
    name: `${prefix === '' ? '' : `${prefix}/`}${text(0, 100)}`.replace(/\/+$/, ''),
    size: type === 0x35 || type === 0x32 ? 0 : number(header, 124, 12),
    mode: number(header, 100, 8) & 0o7777,
    kind: type === 0x35 ? 'directory' : type === 0x32 ? 'link' : 'file',
  };
}

/** Reads an archive that arrives in pieces of any size, holding at most one header. */
export class TarReader {
  readonly #handlers: TarHandlers;
  readonly #header = Buffer.alloc(TAR_BLOCK);
  #headerFill = 0;
  #content = 0;
  #padding = 0;
  #ended = false;

  constructor(handlers: TarHandlers) {
    this.#handlers = handlers;
  }

  write(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      if (this.#content > 0) {
        const piece = bytes.subarray(at, at + this.#content);
        this.#handlers.onContent(piece);
        this.#content -= piece.length;
        at += piece.length;
        if (this.#content === 0) this.#handlers.onMemberEnd(this.#padding);
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, bytes.length - at);
        this.#padding -= skipped;
        at += skipped;
      } else {
        const taken = bytes.copy(this.#header, this.#headerFill, at, at + TAR_BLOCK - this.#headerFill);
        this.#headerFill += taken;
        at += taken;
        if (this.#headerFill === TAR_BLOCK) this.#beginMember();
      }
    }
  }

  #beginMember(): void {
    this.#headerFill = 0;
    if (this.#header[0] === 0) {
      this.#ended = true;
      return;
    }
    const member = parseHeader(this.#header);
    this.#content = member.size;
    this.#padding = (TAR_BLOCK - (member.size % TAR_BLOCK)) % TAR_BLOCK;
    this.#handlers.onMember(member, this.#header);
    if (member.size === 0) this.#handlers.onMemberEnd(0);
  }

  /** True when no member is half read. */
  get isBetweenMembers(): boolean {
    return this.#content === 0 && this.#headerFill === 0;
  }
}

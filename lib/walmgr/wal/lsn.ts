import { UsageError } from '../../platform/errors.ts';

declare const lsnBrand: unique symbol;

/** A position in the write-ahead log: bytes since its beginning. */
export type Lsn = bigint & { readonly [lsnBrand]: true };

/**
 * Reads the text form `hi/lo`; any number of digits up to eight on each side.
 *
 * @throws UsageError WAL_LSN_INVALID
 */
export function parseLsn(text: string): Lsn {
  const parts = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text.trim());
  if (!parts) {
    throw new UsageError('WAL_LSN_INVALID', `not a wal position: ${JSON.stringify(text)}`, {
      hint: 'write it as postgresql prints it, such as 16/B374D848',
    });
  }
  return ((BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)) as Lsn;
}

/** The text form that every PostgreSQL version reads: `16/B374D848`. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Marks a number as a WAL position. */
export function asLsn(value: bigint): Lsn {
  return value as Lsn;
}

/** The lower of two positions. */
export function lowerLsn(a: Lsn, b: Lsn): Lsn {
  if (a < b) return a;
  return b;
}

/** The higher of two positions. */
export function higherLsn(a: Lsn, b: Lsn): Lsn {
  if (a > b) return a;
  return b;
}

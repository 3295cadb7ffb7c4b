import type { Random } from '../emulator/faults.ts';
import type { ValueType } from './tables.ts';

/** A value in PostgreSQL's text form, or NULL. */
export type Value = string | null;

const WORDS = [
  'Zürich',
  'São Paulo',
  'Łódź',
  'Besançon',
  'Ærø',
  '東京',
  'Ελλάδα',
  'naïve',
  'plain',
  '🦉 owl',
  "O'Hare",
  '"quoted"',
  'back\\slash',
  'a&b=c',
  '100%',
  '1+1',
  '{brace}',
  'tab\there',
  'two\nlines',
  'cr\r\nlf',
  ' space ',
  'null',
];

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
const whole = (random: Random, below: number): number => Math.floor(random() * below);

function text(random: Random): string {
  const words = whole(random, 20) === 0 ? 0 : 1 + whole(random, 4);
  return Array.from({ length: words }, () => pick(random, WORDS)).join(' ');
}

function date(random: Random): string {
  if (whole(random, 50) === 0) return pick(random, ['infinity', '-infinity', '0044-03-15 BC', '12026-01-01']);
  return new Date(Date.UTC(1900, 0, 1) + whole(random, 60_000) * 86_400_000).toISOString().slice(0, 10);
}

/** An element of an array literal. */
const element = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;

const array = (random: Random, make: () => string): string =>
  `{${Array.from({ length: whole(random, 4) }, () => (whole(random, 8) === 0 ? 'NULL' : make())).join(',')}}`;

const float = (random: Random): string =>
  whole(random, 40) === 0
    ? pick(random, ['Infinity', '-Infinity', 'NaN', '-0', '1e-300'])
    : String((random() - 0.5) * 360);

const MAKE: { readonly [Type in ValueType]: (random: Random) => string } = {
  int2: (random) => String(whole(random, 65_536) - 32_768),
  int4: (random) => String(whole(random, 2 ** 32) - 2 ** 31),
  // Beyond 2^53, where a JavaScript number would round.
  int8: (random) =>
    String(9_007_199_254_740_993n * BigInt(1 + whole(random, 1000)) - BigInt(whole(random, 2 ** 32))),
  numeric: (random) =>
    whole(random, 40) === 0
      ? pick(random, ['NaN', '0.00', '123456789012345678901234567890.123456789'])
      : (random() * 1000).toFixed(whole(random, 6)),
  float8: float,
  'float8[]': (random) => array(random, () => float(random)),
  text,
  'text[]': (random) => array(random, () => element(text(random))),
  date,
  timestamptz: (random) =>
    whole(random, 50) === 0
      ? pick(random, ['infinity', '-infinity', '0044-03-15 12:00:00+00 BC'])
      : new Date(whole(random, 2 ** 31) * 1000 + whole(random, 1000)).toISOString(),
  bool: (random) => String(random() < 0.5),
  jsonb: (random) =>
    JSON.stringify({ note: text(random), list: [whole(random, 9), null, true], deep: { é: random() } }),
};

/** A random value of a type, with the values that are easily lost on the way: NULL, empty, extreme, to be escaped. */
export function randomValue(random: Random, type: ValueType): Value {
  return whole(random, 12) === 0 ? null : MAKE[type](random);
}

/** A value for a key column that no row has: `serial` is different for each call. */
export function freshKey(random: Random, type: ValueType, serial: number): string {
  if (type === 'text') return `${pick(random, WORDS)} ${serial}`;
  if (type === 'date') return date(random);
  return String(1_000_000 + serial);
}

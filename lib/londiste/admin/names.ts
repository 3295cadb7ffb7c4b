import { UsageError } from '../../platform/errors.ts';

/** A name as the tables of londiste hold it: without a schema it is in `public`. */
export const qualified = (name: string): string => (name.includes('.') ? name : `public.${name}`);

/** Whether a name on the command line stands for several. */
const isMask = (name: string): boolean => /[*?]/.test(name);

/**
 * The names of `known` that masks and names on the command line stand for, each once, in the order of `known`. `*` stands for any
 * text, `?` for one character.
 *
 * @returns `unknown`: what stands for nothing
 */
export function expand(
  given: readonly string[],
  known: readonly string[],
): { names: string[]; unknown: string[] } {
  const chosen = new Set<string>();
  const unknown: string[] = [];
  for (const each of given.map(qualified)) {
    const found = known.filter((name) => (isMask(each) ? maskPattern(each).test(name) : name === each));
    for (const name of found) chosen.add(name);
    if (found.length === 0) unknown.push(each);
  }
  return { names: known.filter((name) => chosen.has(name)), unknown };
}

function maskPattern(mask: string): RegExp {
  const source = mask.replace(/[\\^$.*+?()[\]{}|]/g, (char) =>
    char === '*' ? '.*' : char === '?' ? '.' : `\\${char}`,
  );
  return new RegExp(`^${source}$`, 'su');
}

/**
 * As {@link expand}, of a command that works on what is there.
 *
 * @param all every known name
 * @param adding the names are of what could be added, not of what is subscribed
 * @throws UsageError LONDISTE_NOTHING_NAMED, LONDISTE_NOT_SUBSCRIBED; LONDISTE_SEQUENCE_NOT_AVAILABLE of `adding`
 */
export function choose(
  given: readonly string[],
  known: readonly string[],
  {
    all = false,
    what = 'tables',
    adding = false,
  }: { all?: boolean | undefined; what?: 'tables' | 'sequences'; adding?: boolean } = {},
): string[] {
  if (all) return [...known];
  if (given.length === 0) {
    throw new UsageError('LONDISTE_NOTHING_NAMED', `which ${what}?`, {
      hint: 'name them, by masks such as app.* too, or give --all',
    });
  }
  const { names, unknown } = expand(given, known);
  if (unknown.length > 0 && adding) {
    throw new UsageError(
      'LONDISTE_SEQUENCE_NOT_AVAILABLE',
      `not available: ${unknown.join(', ')}: cannot proceed`,
      {
        hint: 'skytools londiste missing lists what could be added; --skip-non-existing leaves the others out',
      },
    );
  }
  if (unknown.length > 0) {
    throw new UsageError('LONDISTE_NOT_SUBSCRIBED', `not subscribed here: ${unknown.join(', ')}`, {
      hint: `skytools londiste ${what === 'tables' ? 'tables' : 'seqs'} lists what is`,
    });
  }
  return names;
}

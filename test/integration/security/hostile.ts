/** Left behind by a shell that ran what it was given. */
export const TRACE = '/tmp/skytools-injected';

/** Names that PostgreSQL takes, and that become something else where they are not quoted, bound or escaped. */
export const HOSTILE = [
  `'; drop table public.victim; --`,
  `"; drop table public.victim; --`,
  `x'); select pg_sleep(100); --`,
  `$$; drop table public.victim; $$`,
  `$(touch ${TRACE})`,
  `\`touch ${TRACE}\``,
  `; touch ${TRACE} #`,
  'two\nlines\tand \\backslash\\',
  '%s %I %L $1 {0}',
  'ünïcødé 名前 🦆',
  'null',
  'constructor',
  '__proto__',
  `../../${'../'.repeat(8)}tmp/skytools-injected`,
  `${'long '.repeat(100)}end`,
];

/** Text that PostgreSQL has no encoding for. */
export const UNENCODABLE = ['nul\0byte'];

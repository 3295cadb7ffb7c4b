/** A name between braces. */
const PLACEHOLDER = /\{([^{}]*)\}/g;

/** The names that a template such as `{queue}/{year}` asks for. */
export const placeholdersOf = (template: string): string[] =>
  [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!);

/** The text before a template's first placeholder: what every filled form of it starts with. */
export const constantPrefixOf = (template: string): string => template.split('{', 1)[0]!;

/** Fills a template; NULL is the empty text, and so is a name that is not there. */
export const fillTemplate = (
  template: string,
  values: Readonly<Record<string, string | null | undefined>>,
): string => template.replace(PLACEHOLDER, (_, name: string) => values[name] ?? '');

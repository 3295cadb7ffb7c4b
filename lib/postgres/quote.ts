import pg from 'pg';

/** One identifier, always quoted: `Odd "name"` becomes `"Odd ""name"""`. */
export const quoteIdent = (name: string): string => pg.escapeIdentifier(name);

/** One string literal. */
export const quoteLiteral = (value: string): string => pg.escapeLiteral(value);

/** A name split at its first dot into schema and object, as pgq.quote_fqname does; without a dot the schema is `public`. */
export function splitQualified(name: string): { schema: string; name: string } {
  const dot = name.indexOf('.');
  return dot < 0 ? { schema: 'public', name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}

/** `schema.table` as a quoted, qualified identifier. */
export function quoteQualified(name: string): string {
  const parts = splitQualified(name);
  return `${quoteIdent(parts.schema)}.${quoteIdent(parts.name)}`;
}

/** A comma-separated list of quoted identifiers. */
export const quoteColumns = (columns: readonly string[]): string => columns.map(quoteIdent).join(', ');

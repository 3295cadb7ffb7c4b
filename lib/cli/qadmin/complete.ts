import { readFileSync } from 'node:fs';
import { SCHEMAS } from '../../schema/inspect.ts';
import { expectedAfter } from './grammar.ts';
import { splitStatements, type Token, tokenize } from './lexer.ts';
import type { QadminSession } from './session.ts';
import type { NameKind } from './statement.ts';

const OUTSIDE = `n.nspname not in ('information_schema', ${SCHEMAS.map((schema) => `'${schema}'`).join(', ')}) and n.nspname !~ '^pg_'`;
const relations = (kinds: string, condition = 'true') => `
  select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in (${kinds}) and ${OUTSIDE} and ${condition}`;
const TABLES = `'r', 'p'`;

/** Where the names of each kind come from. A schema that is missing gives nothing. */
const SOURCES: Partial<Record<NameKind, string>> = {
  queue: 'select queue_name from pgq.queue',
  consumer: 'select co_name from pgq.consumer',
  node: 'select distinct node_name from pgq_node.node_location',
  database: 'select datname from pg_database where not datistemplate',
  user: 'select usename from pg_user',
  batch: `select current_batch::text from pgq.get_consumer_info($1) where current_batch is not null`,
  'new-table': relations(
    TABLES,
    `not exists (select from londiste.table_info t where t.local and t.table_name = n.nspname || '.' || c.relname)`,
  ),
  'new-sequence': relations(
    `'S'`,
    `not exists (select from londiste.seq_info s where s.local and s.seq_name = n.nspname || '.' || c.relname)`,
  ),
  'known-table': 'select table_name from londiste.table_info where local',
  'known-sequence': 'select seq_name from londiste.seq_info where local',
  table: relations(TABLES),
  sequence: relations(`'S'`),
};

const PORTS = ['5432', '6432'];

/** Host names of /etc/hosts without the helpers of IPv6. */
function hosts(): string[] {
  try {
    return readFileSync('/etc/hosts', 'utf8')
      .split('\n')
      .flatMap((line) => line.replace(/#.*/, '').trim().split(/\s+/).slice(1))
      .filter((name) => !/^ip6-/.test(name));
  } catch {
    return [];
  }
}

/** A name as it has to be typed: each part in quotes unless it is plain and in lower case. */
function typed(name: string, kind: NameKind): string {
  if (kind === 'batch' || kind === 'port') return name;
  const part = (text: string) =>
    /^[a-z_][a-z0-9_$]*$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
  const dotted = kind.endsWith('table') || kind.endsWith('sequence');
  return dotted ? name.split('.').map(part).join('.') : part(name);
}

async function namesOf(session: QadminSession, kind: NameKind): Promise<string[]> {
  if (kind === 'port') return PORTS;
  if (kind === 'host') return hosts();
  const source = SOURCES[kind];
  if (source === undefined) return [];
  try {
    const { rows } = await session.query(source, kind === 'batch' ? [session.queue ?? null] : undefined);
    return rows.map(([name]) => name!).sort();
  } catch {
    return [];
  }
}

/**
 * The completions of the last word of a line, in the form readline asks for: the candidates, and the part of the line that
 * they replace.
 */
export async function complete(session: QadminSession, line: string): Promise<[string[], string]> {
  const partial = /(?:"[^"]*|[\p{L}\p{N}_$.]+)$/u.exec(line)?.[0] ?? '';
  let before: Token[];
  try {
    before = splitStatements([...tokenize(line.slice(0, line.length - partial.length))]).at(-1)?.tokens ?? [];
    if (/;\s*$/.test(line.slice(0, line.length - partial.length))) before = [];
  } catch {
    return [[], partial];
  }
  const { words, names } = expectedAfter(before);
  const candidates = [...words];
  for (const kind of names) {
    candidates.push(...(await namesOf(session, kind)).map((name) => typed(name, kind)));
  }
  const matching = [...new Set(candidates)].filter((candidate) => candidate.startsWith(partial));
  return [matching.map((word) => (word === ';' || word === '=' ? word : `${word} `)), partial];
}

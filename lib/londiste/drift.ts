import type { Client } from '../postgres/connect.ts';
import { quoteQualified } from '../postgres/quote.ts';
import { holdsRows, type Subscription } from './tables.ts';

/** What makes a subscribed table lose changes, or will stop them. */
export interface TableFault {
  /** Name in the queue. */
  table: string;
  problem: string;
  /** The next step. */
  hint: string;
  /** Changes that were made meanwhile are in no queue: mending it does not bring them back. */
  losesChanges: boolean;
}

/** Faults of the tables that are subscribed here: at their provider, here, and between the two. */
export async function tableFaults(
  provider: Client,
  target: Client,
  queue: string,
  tables: readonly Subscription[],
): Promise<TableFault[]> {
  const names = new Set(tables.map(({ name }) => name));
  const above = await ownFaults(provider, queue, 'at the provider');
  const here = await ownFaults(target, queue, 'here');
  return [
    ...above.filter(({ table }) => names.has(table)),
    ...here.map((fault) => ({ ...fault, losesChanges: false })),
    ...(await columnFaults(provider, target, queue, tables)),
  ];
}

/**
 * What a node finds wrong with the triggers and keys of its own tables.
 *
 * @param place where the node is, seen from the reader
 */
export async function ownFaults(
  client: Client,
  queue: string,
  place: 'here' | 'at the provider',
): Promise<TableFault[]> {
  const known = await client.query<{ known: boolean }>(
    `select to_regprocedure('londiste.find_trigger_faults(text)') is not null as known`,
  );
  // The original cannot tell.
  if (!known.rows[0]!.known) return [];
  const { rows } = await client.query<{ table: string; fault: string }>(
    'select table_name as "table", fault from londiste.find_trigger_faults($1)',
    [queue],
  );
  return rows.map(({ table, fault }) => {
    const losesChanges = fault.includes('trigger');
    return {
      table,
      problem: `${fault} ${place}`,
      hint: losesChanges
        ? `select londiste.restore_triggers('${queue}', '${table}') ${place}, then skytools londiste resync ${queue} ${table} on the subscribers`
        : fault === 'table missing'
          ? `create it again ${place}${place === 'here' ? ': it is copied again then' : ''}, or take it out with skytools londiste remove-table ${queue} ${table}`
          : `give it the same primary key again ${place}`,
      losesChanges,
    };
  });
}

/** Columns that are at the provider and not here, or of another type, and those here that its rows cannot fill. */
export async function columnFaults(
  provider: Client,
  target: Client,
  queue: string,
  tables: readonly Subscription[],
): Promise<TableFault[]> {
  const held = tables.filter(isHeld);
  const there = await provider.query<{ table: string; dest: string; local: boolean }>(
    'select table_name as "table", coalesce(dest_table, table_name) as dest, local from londiste.get_table_list($1)',
    [queue],
  );
  const listed = new Set(there.rows.map((row) => row.table));
  const dest = new Map(there.rows.filter(({ local }) => local).map((row) => [row.table, row.dest]));
  const shared = held.filter(({ name }) => dest.has(name));
  const above = await columnsOf(
    provider,
    shared.map(({ name }) => ({ name, real: dest.get(name)! })),
  );
  const here = await columnsOf(
    target,
    shared.map(({ name, dest: real }) => ({ name, real })),
  );
  const faults: TableFault[] = [];
  const note = (table: string, problem: string, hint: string) =>
    faults.push({ table, problem, hint, losesChanges: false });
  // A branch hands on the events of every table of the set, also of those that it does not subscribe itself.
  for (const { name } of held)
    if (!listed.has(name)) note(name, 'the set does not have it', 'add it at the root, or remove it here');
  for (const { name } of shared) {
    const [theirs, ours] = [above.get(name), here.get(name)];
    // A table that is missing altogether is a fault of its own.
    if (theirs === undefined || ours === undefined) continue;
    for (const [column, { type }] of theirs) {
      const mine = ours.get(column);
      if (mine === undefined)
        note(name, `column ${column} of the provider is missing here`, 'add the column here');
      else if (mine.type !== type)
        note(
          name,
          `column ${column} is ${type} at the provider, ${mine.type} here`,
          'make the types the same, or make sure that every value fits',
        );
    }
    for (const [column, { required }] of ours)
      if (required && !theirs.has(column))
        note(
          name,
          `column ${column} must be filled here and is missing at the provider`,
          'give it a default here, or let it be NULL',
        );
  }
  return faults;
}

/** An unknown handler is a finding of its own. */
function isHeld(table: Subscription): boolean {
  try {
    return holdsRows(table);
  } catch {
    return false;
  }
}

interface ColumnShape {
  type: string;
  /** NOT NULL without a value of its own. */
  required: boolean;
}

async function columnsOf(
  client: Client,
  tables: readonly { name: string; real: string }[],
): Promise<Map<string, Map<string, ColumnShape>>> {
  const { rows } = await client.query<{ table: string; column: string } & ColumnShape>(
    `select t.name as "table", a.attname as "column", format_type(a.atttypid, a.atttypmod) as type,
            a.attnotnull and not a.atthasdef and a.attidentity = '' as required
       from unnest($1::text[], $2::text[]) t (name, quoted)
       join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.quoted) and a.attnum > 0 and not a.attisdropped
      order by a.attnum`,
    [tables.map(({ name }) => name), tables.map(({ real }) => quoteQualified(real))],
  );
  const shapes = new Map<string, Map<string, ColumnShape>>();
  for (const { table, column, type, required } of rows) {
    if (!shapes.has(table)) shapes.set(table, new Map());
    shapes.get(table)!.set(column, { type, required });
  }
  return shapes;
}

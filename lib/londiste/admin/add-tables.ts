import type pg from 'pg';
import { UsageError } from '../../platform/errors.ts';
import { useHandler } from '../handlers/registry.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { expand, qualified } from './names.ts';
import { rowsAbove, syncList } from './provider.ts';
import { type AddTable, missingObjects, subscribeTable } from './tables.ts';

export interface AddTables extends Omit<AddTable, 'table'> {
  /** Names and masks. */
  tables: readonly string[];
  /** Every table that could be added. */
  all?: boolean | undefined;
  /** Names that the set does not list are taken all the same. */
  force?: boolean | undefined;
  /** Tables that are not there, here or at the provider, are left out instead of refused. */
  skipNonExisting?: boolean | undefined;
  /** Only say what would be done. */
  dryRun?: boolean | undefined;
}

/** What became of one table. */
export interface AddedTable {
  table: string;
  outcome: 'added' | 'would add' | 'would be refused' | 'already there' | 'left out';
  note: string;
  /** What `create: 'full'` could not make as it is at the provider, and why. */
  left: string[];
}

/**
 * Subscribes tables, one transaction each.
 *
 * @param heard called after each table
 * @throws UsageError LONDISTE_NOTHING_NAMED, LONDISTE_TABLE_NOT_AVAILABLE, and those of {@link subscribeTable}
 */
export async function addTables(
  scope: NodeScope,
  client: pg.Client,
  request: AddTables,
  heard: (done: AddedTable) => void = () => {},
): Promise<AddedTable[]> {
  const { queue, tables: given, all, force, skipNonExisting, dryRun, ...options } = request;
  if (given.length === 0 && !all) {
    throw new UsageError('LONDISTE_NOTHING_NAMED', 'which tables?', {
      hint: 'name them, by masks such as app.* too, or give --all',
    });
  }
  const { handler } = useHandler(options.handler ?? 'londiste', options.handlerArguments);
  const state = await nodeState(client, queue);
  const isRoot = state.node_type === 'root';
  if (!isRoot) {
    await atLocation(scope, state.provider_location, (provider) => syncList(client, provider, queue));
  }
  const candidates = (await missingObjects(client, queue))
    .filter(({ kind }) => kind === 'table')
    .map(({ name }) => name);
  const local = await client.query<{ name: string }>(
    'select table_name as name from londiste.table_info where queue_name = $1 and local',
    [queue],
  );
  const subscribed = local.rows.map(({ name }) => name);
  const create = !isRoot && options.create !== undefined;
  const done: AddedTable[] = [];
  const note = (table: string, outcome: AddedTable['outcome'], text: string, left: string[] = []) => {
    done.push({ table, outcome, note: text, left });
    heard(done.at(-1)!);
  };

  const { names, unknown } = all ? { names: candidates, unknown: [] } : expand(given, candidates);
  const unavailable: string[] = [];
  for (const name of unknown) {
    const matching = expand([name], subscribed).names;
    for (const table of matching) note(table, 'already there', `${table} already processed`);
    if (matching.length > 0) continue;
    if (force || !handler.holdsRows) names.push(name);
    else if (skipNonExisting) note(name, 'left out', `${name} is not available on the queue`);
    else unavailable.push(name);
  }
  if (unavailable.length > 0) {
    throw new UsageError(
      'LONDISTE_TABLE_NOT_AVAILABLE',
      `not available: ${unavailable.join(', ')}: cannot proceed`,
      {
        subject: { queue, table: unavailable[0]! },
        hint: 'skytools londiste missing lists what could be added; --skip-non-existing leaves the others out',
      },
    );
  }
  if (options.dest !== undefined && names.length > 1) {
    throw new UsageError('LONDISTE_ONE_TABLE', '--dest-table goes with one table', {
      hint: 'add the tables one by one',
    });
  }

  for (const table of names) {
    const source =
      !isRoot && handler.holdsRows
        ? await rowsAbove(scope, client, queue, state, qualified(table), options.copyNode)
        : undefined;
    const needsRows = !isRoot && handler.holdsRows && !options.expectSync;
    if (needsRows && source === undefined && skipNonExisting) {
      note(
        table,
        'left out',
        `${table} does not exist on the provider, need to switch to a different provider`,
      );
      continue;
    }
    if (handler.holdsRows && skipNonExisting && !options.create) {
      const dest = qualified(options.dest ?? table);
      const { rows } = await client.query<{ there: boolean }>(
        'select londiste.find_table_oid($1) is not null as there',
        [dest],
      );
      if (!rows[0]!.there) {
        note(table, 'left out', `${dest} does not exist here`);
        continue;
      }
    }
    if (dryRun) {
      const refused = handler.holdsRows
        ? await refusalOf(client, qualified(options.dest ?? table), create)
        : undefined;
      if (refused !== undefined) {
        note(table, 'would be refused', refused);
        continue;
      }
      const steps = [
        ...(create ? ['made like the one of its source where it is missing'] : []),
        isRoot ? 'joins the set' : 'subscribed',
        isRoot || !handler.holdsRows || options.expectSync
          ? 'no copy'
          : `copied from ${source?.node ?? state.provider_node}`,
      ];
      note(table, 'would add', `${table}: ${steps.join(', ')}`);
      continue;
    }
    const answer = await subscribeTable(scope, client, state, { queue, table, ...options }, source);
    note(table, 'added', answer.ret_note ?? '', answer.left);
  }
  return done;
}

/** Why a table cannot be subscribed as it is here. */
async function refusalOf(client: pg.Client, dest: string, create: boolean): Promise<string | undefined> {
  const { rows } = await client.query<{ there: boolean; keyed: boolean }>(
    `select londiste.find_table_oid($1) is not null as there,
            strpos(londiste.find_column_types($1), 'k') > 0 as keyed`,
    [dest],
  );
  const { there, keyed } = rows[0]!;
  if (!there) return create ? undefined : `${dest} does not exist here`;
  return keyed ? undefined : `${dest} has no primary key here`;
}

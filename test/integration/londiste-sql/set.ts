import type { TestDatabase } from '../../support/postgres.ts';
import { members, outcome } from '../pgq-node/cascade.ts';

type Queryable = Pick<TestDatabase, 'query'>;

/** Makes the database a node of a set; leaves and branches read from `n1`. */
export async function node(
  database: Queryable,
  queue: string,
  type: 'root' | 'branch' | 'leaf',
  combined: string | null = null,
): Promise<void> {
  await members(database, queue, ['n1', 'n2']);
  const [code, note] =
    type === 'root'
      ? await outcome(database, `pgq_node.create_node($1, 'root', 'n1', 'w', null, null, null)`, [queue])
      : await outcome(database, `pgq_node.create_node($1, $2, 'n2', 'w', 'n1', 1, $3)`, [
          queue,
          type,
          combined,
        ]);
  if (code !== 200) throw new Error(`${code} ${note}`);
}

/** Subscribes a table: `[ret_code, ret_note]` of londiste.local_add_table. */
export function addTable(
  database: Queryable,
  queue: string,
  table: string,
  args: string[] | null = null,
  attributes: string | null = null,
  destination: string | null = null,
): Promise<[number, string | null]> {
  return outcome(database, 'londiste.local_add_table($1, $2, $3, $4, $5)', [
    queue,
    table,
    args,
    attributes,
    destination,
  ]);
}

/** The subscribed tables of a set as `table_name state attrs dest`, in their order. */
export async function localTables(database: Queryable, queue: string): Promise<string[]> {
  const rows = await database.query<{ line: string }>(
    `select concat_ws(' ', table_name, coalesce(merge_state, '-'), coalesce(table_attrs, '-'), dest_table) as line
       from londiste.get_table_list($1) where local`,
    [queue],
  );
  return rows.map((row) => row.line);
}

/** Definitions of a table's triggers, by name, without the words that all of them share. */
export async function triggers(database: Queryable, table: string): Promise<string[]> {
  const rows = await database.query<{ definition: string }>(
    `select regexp_replace(pg_get_triggerdef(t.oid),
                           '^CREATE TRIGGER | ON \\S+| FOR EACH \\w+ EXECUTE FUNCTION', '', 'g') as definition
       from pg_trigger t where t.tgrelid = $1::regclass and not t.tgisinternal order by t.tgname`,
    [table],
  );
  return rows.map((row) => row.definition);
}

/** The events of a queue as `type | data | extra1`, in their order, without the cascade's own. */
export async function events(database: Queryable, queue: string): Promise<string[]> {
  const [target] = await database.query<{ prefix: string }>(
    'select queue_data_pfx as prefix from pgq.queue where queue_name = $1',
    [queue],
  );
  const rows = await database.query<{ event: string }>(
    `select concat_ws(' | ', ev_type, ev_data, ev_extra1) as event
       from ${target?.prefix} where ev_type not like 'pgq.%' order by ev_id`,
  );
  return rows.map((row) => row.event);
}

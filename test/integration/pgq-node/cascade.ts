import type { TestDatabase } from '../../support/postgres.ts';

type Queryable = Pick<TestDatabase, 'query'>;

/** Calls a function of the result-code protocol and returns `[ret_code, ret_note]`. */
export async function outcome(
  database: Queryable,
  call: string,
  values: unknown[] = [],
): Promise<[number, string | null]> {
  const [row] = await database.query<{ ret_code: number; ret_note: string | null }>(
    `select * from ${call}`,
    values,
  );
  if (row === undefined) throw new Error(`no row from ${call}`);
  return [row.ret_code, row.ret_note];
}

/** Registers `n1` … as members of a queue. */
export async function members(database: Queryable, queue: string, names: string[]): Promise<void> {
  for (const name of names) {
    await database.query('select pgq_node.register_location($1, $2, $3, false)', [
      queue,
      name,
      `dbname=${name}`,
    ]);
  }
}

/** Makes the database the root `n1` of a queue that ticks at every call; n2 to n4 are members too. */
export async function rootNode(database: Queryable, queue: string): Promise<void> {
  await members(database, queue, ['n1', 'n2', 'n3', 'n4']);
  await database.query(`select pgq_node.create_node($1, 'root', 'n1', 'n1_worker', null, null, null)`, [
    queue,
  ]);
  await database.query(
    `select pgq.set_queue_config($1, 'ticker_max_lag', '0'), pgq.set_queue_config($1, 'ticker_idle_period', '0')`,
    [queue],
  );
}

/** Makes the database a branch or leaf `n2` that reads from `n1`. */
export async function otherNode(
  database: Queryable,
  queue: string,
  type: 'branch' | 'leaf',
  watermark: number,
  combined: string | null = null,
): Promise<void> {
  await members(database, queue, ['n1', 'n2', 'n3']);
  const [code, note] = await outcome(
    database,
    `pgq_node.create_node($1, $2, 'n2', 'n2_worker', 'n1', $3, $4)`,
    [queue, type, watermark, combined],
  );
  if (code !== 200) throw new Error(`${code} ${note}`);
}

/** Adds one tick and returns its id. */
export async function tick(database: Queryable, queue: string): Promise<number> {
  const [row] = await database.query<{ id: string }>('select pgq.ticker($1) as id', [queue]);
  return Number(row?.id);
}

/** Positions of the queue's consumers as `name: tick`, by name. */
export async function positions(database: Queryable, queue: string): Promise<string[]> {
  const rows = await database.query<{ position: string }>(
    `select consumer_name || ': ' || coalesce(last_tick::text, '-') as position from pgq.get_consumer_info($1)`,
    [queue],
  );
  return rows.map((row) => row.position);
}

/** The cascade's own events in a queue as `type data extra1 extra2 extra3`, in their order. */
export async function cascadeEvents(database: Queryable, queue: string): Promise<string[]> {
  const [target] = await database.query<{ prefix: string }>(
    'select queue_data_pfx as prefix from pgq.queue where queue_name = $1',
    [queue],
  );
  const rows = await database.query<{ event: string }>(
    `select concat_ws(' ', ev_type, ev_data, coalesce(ev_extra1, '-'), coalesce(ev_extra2, '-'), ev_extra3) as event
       from ${target?.prefix} order by ev_id`,
  );
  return rows.map((row) => row.event);
}

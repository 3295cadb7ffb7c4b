import type pg from 'pg';

/**
 * Makes a tick on a root, so that what is committed by now need not wait for one. An installation of the original has no
 * `pgq.tick_now`: there the queue is made due, and its ticker is called where this role may do so.
 *
 * @returns the tick; undefined where it is still to come, on a queue that is paused or ticked from elsewhere, and where a
 *   transaction with one snapshot was overtaken by another tick
 */
export async function makeRootTick(client: pg.Client, queue: string): Promise<bigint | undefined> {
  const { rows } = await client.query<{ now: boolean | null; ticker: boolean }>(
    `select has_function_privilege(to_regprocedure('pgq.tick_now(text)'), 'execute') as now,
            has_function_privilege('pgq.ticker(text)', 'execute') as ticker
       from pgq.queue where queue_name = $1 and not queue_external_ticker and not queue_ticker_paused`,
    [queue],
  );
  const may = rows[0];
  if (may === undefined) return undefined;
  if (!may.now) await client.query('select pgq.force_tick($1)', [queue]);
  if (!may.now && !may.ticker) return undefined;
  const made = await client.query<{ tick: bigint | null }>(
    may.now ? 'select pgq.tick_now($1) as tick' : 'select pgq.ticker($1) as tick',
    [queue],
  );
  return made.rows[0]!.tick ?? undefined;
}

import type { Client } from '../postgres/connect.ts';

/** How a function differs from the one that was installed. */
export interface Drift {
  function: string;
  change: 'missing' | 'changed';
}

/** What makes a function what it is: code, language, settings, and whose rights it runs with. */
const HASH = `md5(concat_ws('|', p.prosrc, l.lanname, p.prosecdef, p.provolatile, p.proisstrict, p.proconfig::text))`;

const FUNCTIONS = `
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang`;

/** Records the functions just installed, so that {@link findDrift} can compare. */
export async function recordFunctions(client: Client, names: ReadonlySet<string>): Promise<void> {
  await client.query('delete from skytools.installed_function');
  await client.query(
    `insert into skytools.installed_function (signature, hash)
     select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), ${HASH}
     ${FUNCTIONS}
      where n.nspname || '.' || p.proname = any($1)`,
    [[...names]],
  );
}

/** How many functions are named in a message before the rest is counted. */
const NAMED = 5;

/** For a message: `pgq.version() (changed), pgq.tick_now(text) (missing) and 3 more`. */
export function describeDrift(drift: readonly Drift[]): string {
  const named = drift.slice(0, NAMED).map((item) => `${item.function} (${item.change})`);
  return `${named.join(', ')}${drift.length > NAMED ? ` and ${drift.length - NAMED} more` : ''}`;
}

/** Functions that somebody replaced or dropped since the installation. */
export async function findDrift(client: Client): Promise<Drift[]> {
  const { rows } = await client.query<Drift>(
    `select i.signature as "function", case when f.hash is null then 'missing' else 'changed' end as change
       from skytools.installed_function i
       left join (
            select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
                   ${HASH} as hash
            ${FUNCTIONS}
            where n.nspname in (select split_part(signature, '.', 1) from skytools.installed_function)) f
         using (signature)
      where f.hash is distinct from i.hash
      order by 1`,
  );
  return rows;
}

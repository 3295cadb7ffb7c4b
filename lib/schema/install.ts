import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { hasSqlState, toSkytoolsError } from '../postgres/errors.ts';
import { createdNames, type InstallSql, installSql } from './compose.ts';
import { recordFunctions } from './drift.ts';
import { COMPONENT, type DatabaseState, inspect } from './inspect.ts';
import { patiently } from './patience.ts';
import { type InstallPlan, planInstall } from './plan.ts';

export interface InstallOptions {
  version: string;
  /** Install again even if this version is recorded as installed. */
  repair?: boolean;
  /** Called with the plan inside the transaction, before anything is done; a throw cancels. */
  confirm?: (plan: InstallPlan, state: DatabaseState) => Promise<void>;
  sql?: InstallSql;
}

export interface InstallResult {
  /** False if this version was already in place. */
  changed: boolean;
  plan: InstallPlan;
  /** Functions whose result type or argument names had to change: dropped and created anew. */
  recreated: string[];
}

/** What {@link install} would do now. */
export async function planFor(client: Client, version: string, repair = false): Promise<InstallPlan> {
  return planInstall(await inspect(client), version, installSql().checksum, repair);
}

/**
 * Installs, upgrades or takes over, in one transaction, with a lock that lets a second installer wait and then find
 * everything in place. Nothing that is in a queue is touched.
 *
 * @throws SkytoolsError INSTALL_RIGHTS with the list of what is missing; INSTALL_DEPENDENTS if something of the user's
 * depends on a function whose signature has to change; PostgresError for everything else. Nothing was changed then.
 */
export async function install(client: Client, options: InstallOptions): Promise<InstallResult> {
  const sql = options.sql ?? installSql();
  // Questions are asked before the transaction, which must not wait for a person.
  const state = await inspect(client);
  const plan = planInstall(state, options.version, sql.checksum, options.repair);
  refuseWithoutRights(plan);
  if (plan.kind === 'current') return { changed: false, plan, recreated: [] };
  await options.confirm?.(plan, state);

  return patiently(client, (inside) => apply(inside, sql, options));
}

async function apply(client: Client, sql: InstallSql, options: InstallOptions): Promise<InstallResult> {
  const plan = planInstall(await inspect(client), options.version, sql.checksum, options.repair);
  refuseWithoutRights(plan);
  if (plan.kind === 'current') return { changed: false, plan, recreated: [] };
  const recreated: string[] = [];
  if (plan.kind === 'fresh') {
    await client.query(sql.text);
  } else {
    for (const file of sql.files) recreated.push(...(await runFile(client, file.path, file.text)));
  }
  await client.query(
    `insert into skytools.installation (component, version, checksum, installed_at) values ($1, $2, $3, now())
     on conflict (component) do update
        set version = excluded.version, checksum = excluded.checksum, installed_at = excluded.installed_at`,
    [COMPONENT, options.version, sql.checksum],
  );
  await recordFunctions(client, createdNames(sql, 'function'));
  return { changed: true, plan, recreated };
}

function refuseWithoutRights(plan: InstallPlan): void {
  if (plan.missing.length === 0) return;
  throw new SkytoolsError('INSTALL_RIGHTS', `cannot install: missing ${plan.missing.join('; missing ')}`, {
    hint: 'grant what is missing, or run the command as the role named',
  });
}

/** How many functions of one file may have to be dropped before something else must be wrong. */
const MOST_DROPS = 20;

/**
 * Runs one file. `create or replace` cannot change a function's result type or argument names (42P13): such a function,
 * left by another version, is dropped and the file run again. Triggers are not concerned: their functions have neither.
 */
async function runFile(client: Client, path: string, text: string): Promise<string[]> {
  const dropped: string[] = [];
  for (;;) {
    try {
      await client.query(`savepoint skytools_file;\n${text}\n;release savepoint skytools_file`);
      return dropped;
    } catch (error) {
      const mapped = toSkytoolsError(error, { file: path });
      const drop = hasSqlState(error, '42P13') && /DROP FUNCTION (.+\))/.exec(mapped.hint ?? '')?.[1];
      if (!drop || dropped.length >= MOST_DROPS) throw mapped;
      await client.query('rollback to savepoint skytools_file');
      await dropFunction(client, drop);
      dropped.push(drop);
    }
  }
}

async function dropFunction(client: Client, signature: string): Promise<void> {
  try {
    // The signature comes from the server, quoted by it.
    await client.query(`drop function ${signature}`);
  } catch (error) {
    if (!hasSqlState(error, '2BP01')) throw error;
    throw new SkytoolsError(
      'INSTALL_DEPENDENTS',
      `function ${signature} must change and other objects depend on it`,
      {
        cause: error,
        hint: `drop these first and create them again afterwards: ${(error as { detail?: string }).detail ?? 'see \\d+'}`,
      },
    );
  }
}

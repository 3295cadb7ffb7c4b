import { type Config, databaseConfig } from '../platform/config.ts';
import { errorMessage, SkytoolsError } from '../platform/errors.ts';
import { logError, logger } from '../platform/logger.ts';
import { resolveSecret } from '../platform/secrets.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { parseTarget } from '../postgres/target.ts';
import { install } from './install.ts';

/** What a deployment asks for. */
export interface MigrateEvent {
  /** Databases by their names in the configuration; all of them by default. */
  databases?: string[];
  /** Also where a running PgQ is replaced, which is not done unasked. */
  takeOver?: boolean;
}

/** What was done in one database. */
export interface Migration {
  database: string;
  /** False where this version was in place. */
  changed: boolean;
  /** `fresh`, `upgrade`, `current` … */
  kind: string;
  steps: string[];
  warnings: string[];
}

/**
 * Installs this version in each database, one after another. A database that fails does not keep the others from theirs.
 *
 * @throws SkytoolsError MIGRATE_FAILED with every database that failed, and why; UsageError CONFIG_UNKNOWN_DATABASE
 */
export async function migrate(
  config: Config,
  event: MigrateEvent,
  version: string,
): Promise<{ version: string; migrations: Migration[] }> {
  const names = event.databases ?? Object.keys(config.databases);
  const urls = names.map((name) => [name, databaseConfig(config, name).url] as const);
  const migrations: Migration[] = [];
  const failures: string[] = [];
  for (const [name, url] of urls) {
    try {
      const migration = await migrateOne(name, url, event.takeOver === true, version);
      logger.info('migrated', { ...migration, version });
      migrations.push(migration);
    } catch (error) {
      logError(`database ${name} not migrated`, error);
      const hint = error instanceof SkytoolsError && error.hint ? ` (${error.hint})` : '';
      failures.push(`${name}: ${errorMessage(error)}${hint}`);
    }
  }
  if (failures.length > 0) {
    throw new SkytoolsError(
      'MIGRATE_FAILED',
      `${failures.length} of ${names.length} databases not migrated: ${failures.join('; ')}`,
      { hint: 'nothing was changed in those named; mend what is said and invoke the function again' },
    );
  }
  return { version, migrations };
}

async function migrateOne(
  database: string,
  url: string,
  takeOver: boolean,
  version: string,
): Promise<Migration> {
  const client = await connect(parseTarget(await resolveSecret(url)), {
    applicationName: 'skytools migrate',
    subject: { database },
  });
  try {
    const { changed, plan } = await install(client, {
      version,
      confirm: async ({ needsConfirmation, steps }) => {
        if (!needsConfirmation || takeOver) return;
        throw new SkytoolsError('MIGRATE_TAKE_OVER', `a running pgq would be replaced: ${steps.join('; ')}`, {
          subject: { database },
          hint: 'invoke the function with {"takeOver":true}, or run `skytools install`, which asks',
        });
      },
    });
    return { database, changed, kind: plan.kind, steps: plan.steps, warnings: plan.warnings };
  } finally {
    await disconnect(client);
  }
}

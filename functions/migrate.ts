import { bundledConfig } from '../lib/platform/config.ts';
import { type MigrateEvent, migrate } from '../lib/schema/migrate.ts';

/** Part of a deployment: installs or upgrades the SQL of this version in every configured database, and reports. */
export const handler = (event: MigrateEvent) =>
  // The build puts the version in.
  migrate(bundledConfig(import.meta.url), event, process.env.SKYTOOLS_VERSION ?? '0.0.0');

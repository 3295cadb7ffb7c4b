import pg from 'pg';
import { UsageError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { toSkytoolsError } from '../../postgres/errors.ts';
import type { ArchiveIdentity } from '../archive/identity.ts';
import { checkSlotName } from '../replication/source.ts';

/** How a server's WAL gets into the archive. */
export type ArchivingWay =
  | { by: 'push'; archiveCommand: string; timeoutSeconds: number }
  | { by: 'pull'; slot: string };

/** What has to be changed on a server, one statement each, in this order. */
export interface SettingsPlan {
  statements: string[];
  /** What a person should know or decide. */
  notes: string[];
  /** Settings that count only after a restart of the server. */
  needsRestart: string[];
}

/** Of the settings that are asked about, those that a reload does not change. */
const AT_START = ['wal_level', 'archive_mode', 'max_wal_senders'];

/** Connections that pull and one base backup take, with one to spare for a connection that is being given up. */
const WAL_SENDERS = 4;

const RECOMMENDED_SLOT_LIMIT = "alter system set max_slot_wal_keep_size = '50GB'";

/** Collects changes of settings. */
class Changes implements SettingsPlan {
  readonly statements: string[] = [];
  readonly notes: string[] = [];
  readonly needsRestart: string[] = [];

  set(name: string, value: string): void {
    this.statements.push(`alter system set ${pg.escapeIdentifier(name)} = ${pg.escapeLiteral(value)}`);
    if (AT_START.includes(name)) this.needsRestart.push(name);
  }
}

async function settingsOf(client: Client): Promise<(name: string) => string> {
  const { rows } = await ask<{ name: string; setting: string }>(
    client,
    `select name, setting from pg_catalog.pg_settings
      where name in ('wal_level', 'archive_mode', 'archive_command', 'archive_library', 'archive_timeout',
                     'max_wal_senders', 'max_slot_wal_keep_size', 'synchronous_standby_names')`,
  );
  const values = new Map(rows.map(({ name, setting }) => [name, setting]));
  return (name) => values.get(name) ?? '';
}

async function ask<Row extends pg.QueryResultRow>(client: Client, text: string, values: unknown[] = []) {
  try {
    return await client.query<Row>(text, values);
  } catch (error) {
    throw toSkytoolsError(error);
  }
}

/** What an archive of this server has to say about itself. */
export async function serverIdentity(client: Client): Promise<ArchiveIdentity> {
  const { rows } = await ask<{ id: string; size: string; version: string }>(
    client,
    `select system_identifier::text as id, (select setting from pg_catalog.pg_settings where name = 'wal_segment_size') as size,
            pg_catalog.current_setting('server_version_num') as version
       from pg_catalog.pg_control_system()`,
  );
  const { id, size, version } = rows[0]!;
  return {
    systemIdentifier: BigInt.asUintN(64, BigInt(id)),
    segmentSize: Number(size),
    major: Math.floor(Number(version) / 10_000),
  };
}

/**
 * Works out what a server needs so that its WAL is archived; changes nothing.
 *
 * @throws UsageError WAL_SETUP_TAKEN when somebody else's archiving would be switched off, WAL_SYNCHRONOUS
 */
export async function planSetup(
  client: Client,
  way: ArchivingWay,
  options: { replace?: boolean } = {},
): Promise<SettingsPlan> {
  const value = await settingsOf(client);
  const plan = new Changes();
  if (value('wal_level') === 'minimal') plan.set('wal_level', 'replica');
  if (Number(value('max_wal_senders')) < WAL_SENDERS) {
    plan.set('max_wal_senders', String(WAL_SENDERS));
  }
  if (way.by === 'push') {
    const others = [value('archive_library'), value('archive_command')].filter(
      (text) => text !== '' && text !== '(disabled)' && text !== way.archiveCommand,
    );
    if (value('archive_mode') !== 'off' && others.length > 0 && !options.replace) {
      throw new UsageError('WAL_SETUP_TAKEN', `the server is being archived already: ${others[0]}`, {
        hint: 'give --replace to switch over to this archive; the other one ends there',
      });
    }
    if (value('archive_library') !== '') plan.set('archive_library', '');
    if (value('archive_command') !== way.archiveCommand) {
      plan.set('archive_command', way.archiveCommand);
    }
    if (value('archive_mode') === 'off') plan.set('archive_mode', 'on');
    if (value('archive_timeout') !== String(way.timeoutSeconds)) {
      plan.set('archive_timeout', String(way.timeoutSeconds));
    }
    plan.notes.push('alert on pg_stat_archiver.failed_count: pg_wal grows while archiving fails');
  } else {
    if (value('synchronous_standby_names').includes('*')) {
      throw new UsageError('WAL_SYNCHRONOUS', 'synchronous_standby_names would count the archive', {
        hint: 'name the standbys one by one: commits must not wait for an archive that comes and goes',
      });
    }
    const { rowCount } = await ask(
      client,
      'select 1 from pg_catalog.pg_replication_slots where slot_name = $1',
      [checkSlotName(way.slot)],
    );
    if (rowCount === 0) {
      plan.statements.push(
        `select pg_catalog.pg_create_physical_replication_slot(${pg.escapeLiteral(way.slot)}, true)`,
      );
    }
    if (value('max_slot_wal_keep_size') === '-1') {
      plan.notes.push(`an archive that is down holds WAL back without limit: ${RECOMMENDED_SLOT_LIMIT}`);
    }
  }
  return plan;
}

/** Works out what ends the archiving of a server; changes nothing, and nothing in the archive goes. */
export async function planStop(client: Client, way: 'push' | { slot: string }): Promise<SettingsPlan> {
  const plan = new Changes();
  if (way !== 'push') {
    const slot = checkSlotName(way.slot);
    const { rows } = await ask<{ active: boolean }>(
      client,
      'select active from pg_catalog.pg_replication_slots where slot_name = $1',
      [slot],
    );
    if (rows[0]?.active) {
      throw new UsageError('WAL_SLOT_ACTIVE', `replication slot ${slot} is in use`, {
        hint: 'stop its pull first: take `pull` out of the configuration, or end `skytools wal pull`',
      });
    }
    if (rows.length > 0) {
      plan.statements.push(`select pg_catalog.pg_drop_replication_slot(${pg.escapeLiteral(slot)})`);
    }
  } else {
    const value = await settingsOf(client);
    if (value('archive_mode') === 'off') return plan;
    // An empty command would keep all WAL until the restart that switches archiving off.
    plan.set('archive_command', '/bin/true');
    plan.set('archive_mode', 'off');
  }
  plan.notes.push('the archive ends here; a new backup is needed once it goes on');
  return plan;
}

/** Carries a plan out: each statement, and a reload. */
export async function applyPlan(client: Client, plan: SettingsPlan): Promise<void> {
  for (const statement of plan.statements) await ask(client, statement);
  await ask(client, 'select pg_catalog.pg_reload_conf()');
}

import { installSql } from '../compose.ts';
import { type Drift, describeDrift } from '../drift.ts';
import type { DatabaseState } from '../inspect.ts';
import { encodingProblem, OLDEST_SERVER, OTHER_FORMAT } from '../plan.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

/** Server version, what is installed, whether it is still what was installed, roles. */
export function checkInstallation(state: DatabaseState, version: string): Finding[] {
  const findings: Finding[] = [];
  const major = Math.floor(state.serverVersion / 10_000);
  findings.push(
    state.serverVersion < OLDEST_SERVER
      ? fault('server', `PostgreSQL ${major} is too old`, 'PostgreSQL 14 is the oldest version supported')
      : ok('server', `PostgreSQL ${major}`),
  );
  const encoding = encodingProblem(state);
  if (encoding !== undefined) findings.push(warning('encoding', encoding, OTHER_FORMAT));
  findings.push(checkVersion(state, version));
  if (state.installed) findings.push(checkDrift(state.drift));
  const missing = state.missingRoles.filter((role) =>
    state.schemas.some(
      (schema) => role === `${schema}_reader` || role === `${schema}_writer` || role === `${schema}_admin`,
    ),
  );
  if (missing.length > 0) {
    const roles = missing.join(', ');
    findings.push(
      warning(
        'roles',
        `roles missing: ${roles}`,
        `run \`${missing.map((role) => `create role ${role}`).join('; ')}\` as a role with CREATEROLE, then \`skytools install --repair\``,
      ),
    );
  }
  return findings;
}

function checkVersion(state: DatabaseState, version: string): Finding {
  if (state.extensions.length > 0) {
    const names = state.extensions.map((extension) => `${extension.name} ${extension.version}`).join(', ');
    return warning(
      'version',
      `PgQ runs as the C extension (${names})`,
      'run `skytools install` to take it over in place; nothing is lost',
    );
  }
  if (state.plainPgq) {
    return warning(
      'version',
      `PgQ ${state.plainPgq} is installed, not by skytools`,
      'run `skytools install` to take it over in place; nothing is lost',
    );
  }
  if (!state.installed) {
    return state.unrecorded
      ? warning('version', 'installed by hand, version not recorded', 'run `skytools install` to record it')
      : fault('version', 'not installed in this database', 'run `skytools install`');
  }
  if (state.installed.version === version && state.installed.checksum === installSql().checksum) {
    return ok('version', `version ${version} installed`);
  }
  return warning(
    'version',
    `version ${state.installed.version} is installed, this program is ${version}${state.installed.version === version ? ' with other SQL' : ''}`,
    'run `skytools install` to bring the database up to this program, or use the program of that version',
  );
}

function checkDrift(drift: readonly Drift[]): Finding {
  if (drift.length === 0) return ok('drift', 'every function is as installed');
  // A changed function may be a wish; one that is gone breaks those who call it.
  const finding = drift.some((item) => item.change === 'missing') ? fault : warning;
  return finding(
    'drift',
    `${drift.length} functions differ from what was installed: ${describeDrift(drift)}`,
    'run `skytools install --repair` to put them back',
  );
}

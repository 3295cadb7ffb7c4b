import { describeDrift } from './drift.ts';
import type { DatabaseState } from './inspect.ts';

/** Which of its jobs the installer has in this database. */
export type InstallKind =
  | 'fresh'
  | 'current'
  | 'repair'
  | 'upgrade'
  | 'take-over'
  | 'upgrade-pgq-2'
  | 'replace-pgq-3';

export interface InstallPlan {
  kind: InstallKind;
  fromVersion: string | undefined;
  toVersion: string;
  /** What will be done, sentence by sentence. */
  steps: string[];
  /** What stands against it; the installer refuses while there is any. */
  missing: string[];
  /** What will work less well. */
  warnings: string[];
  /** True if something that runs is replaced, which is asked about first. */
  needsConfirmation: boolean;
}

/** The oldest server, as server_version_num. */
export const OLDEST_SERVER = 140_000;

/** How many objects of one kind are named in a message before the rest is counted. */
const NAMED = 5;

/**
 * Decides what installing this version here means. Pure: reads nothing, changes nothing.
 *
 * @param repair install this version again where it is in place
 */
export function planInstall(
  state: DatabaseState,
  version: string,
  checksum: string,
  repair = false,
): InstallPlan {
  const found = kindOf(state, checksum);
  const kind = found === 'current' && repair ? 'repair' : found;
  return {
    kind,
    fromVersion: state.extensions.find(({ name }) => name === 'pgq')?.version ?? state.installed?.version,
    toVersion: version,
    steps: stepsOf(kind, state, version),
    missing: kind === 'current' ? [] : missingRights(state),
    warnings: [...(kind === 'current' ? driftWarning(state) : []), ...warningsOf(state)],
    needsConfirmation: kind === 'take-over' || kind === 'upgrade-pgq-2' || kind === 'replace-pgq-3',
  };
}

function kindOf(state: DatabaseState, checksum: string): InstallKind {
  if (state.extensions.length > 0) return 'take-over';
  if (state.installed) return state.installed.checksum === checksum ? 'current' : 'upgrade';
  if (state.unrecorded) return 'upgrade';
  if (state.plainPgq === '2.1') return 'upgrade-pgq-2';
  if (state.plainPgq === '3') return 'replace-pgq-3';
  return 'fresh';
}

function stepsOf(kind: InstallKind, state: DatabaseState, version: string): string[] {
  const kept = `keep ${state.queues} queues, ${state.consumers} consumers, ${state.openBatches} open batches, ${state.retryEvents} events waiting for retry and every event`;
  const triggers =
    state.triggers.length > 0
      ? [`keep ${state.triggers.length} triggers running, on the replaced functions`]
      : [];
  switch (kind) {
    case 'fresh':
      return [`create the schemas and functions of version ${version}`];
    case 'current':
      return [
        `${state.drift.length > 0 ? 'nothing was changed' : 'nothing to do'}: version ${state.installed?.version} is installed`,
      ];
    case 'repair':
      return [
        `install version ${version} again`,
        ...(state.drift.length > 0
          ? [`put back what was changed or dropped since: ${describeDrift(state.drift)}`]
          : []),
      ];
    case 'upgrade':
      return [
        `replace the functions of ${state.installed ? `version ${state.installed.version}` : 'an unrecorded version'} by those of ${version}`,
        kept,
        ...triggers,
      ];
    case 'take-over':
      return [
        `record the extensions ${state.extensions.map((e) => `${e.name} ${e.version}`).join(', ')}, for \`skytools uninstall\` to restore`,
        'detach their objects and drop the empty extensions',
        `replace their functions in place by those of version ${version}`,
        kept,
        ...triggers,
      ];
    case 'upgrade-pgq-2':
      return [
        'add the columns that PgQ 2.1 lacks and move its retry queue to the new form',
        `replace its functions by those of version ${version}`,
        kept,
        ...triggers,
      ];
    case 'replace-pgq-3':
      return [`replace the functions of PgQ 3 by those of version ${version}`, kept, ...triggers];
  }
}

function missingRights(state: DatabaseState): string[] {
  const missing: string[] = [];
  if (state.serverVersion < OLDEST_SERVER) {
    missing.push(`PostgreSQL 14 or newer; this server is ${Math.floor(state.serverVersion / 10_000)}`);
  }
  if (state.inRecovery) missing.push('a server that accepts writes; this one is a standby');
  if (!state.mayCreateSchemas) {
    missing.push(
      `CREATE on database ${state.database}: grant create on database "${state.database}" to "${state.user}"`,
    );
  }
  for (const kind of ['extension', 'schema', 'function', 'table', 'sequence'] as const) {
    const objects = state.notOwned.filter((object) => object.kind === kind);
    if (objects.length === 0) continue;
    const names = objects.slice(0, NAMED).map((object) => object.name);
    const more = objects.length > NAMED ? ` and ${objects.length - NAMED} more` : '';
    const owners = [...new Set(objects.map((object) => object.owner))].join(', ');
    missing.push(`ownership of ${kind} ${names.join(', ')}${more}: run as ${owners} or a superuser`);
  }
  return missing;
}

function driftWarning({ drift }: DatabaseState): string[] {
  if (drift.length === 0) return [];
  return [`not as installed any more: ${describeDrift(drift)}; \`skytools install --repair\` puts them back`];
}

/** What to do about {@link encodingProblem}. */
export const OTHER_FORMAT = 'capture with jsontriga, which has no such limit';

/**
 * `logutriga` writes the bytes of the database's encoding, as in the original, and every consumer reads them as UTF-8, as in the
 * original: what is not ASCII is refused then. Undefined where the encoding is UTF-8.
 */
export const encodingProblem = ({ encoding }: DatabaseState): string | undefined =>
  encoding === 'UTF8'
    ? undefined
    : `the database is in ${encoding}: consumers refuse url-encoded rows (logutriga) with values that are not ASCII`;

function warningsOf(state: DatabaseState): string[] {
  const encoding = encodingProblem(state);
  return [...(encoding === undefined ? [] : [`${encoding}; ${OTHER_FORMAT}`]), ...roleWarning(state)];
}

function roleWarning(state: DatabaseState): string[] {
  if (state.missingRoles.length === 0 || state.mayCreateRoles) return [];
  return [
    `roles ${state.missingRoles.join(', ')} do not exist and ${state.user} may not create roles: their grants are left out; have them created, then install again`,
  ];
}

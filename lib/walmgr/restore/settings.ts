import type { RecoveryTarget } from './target.ts';

const quote = (value: string) => `'${value.replaceAll("'", "''")}'`;

/** The form that PostgreSQL reads before it knows any time zone's name, with every digit that was given. */
function serverTime(time: string): string {
  return time.trim().replace('T', ' ').replace(/Z$/, '+00');
}

const HEAD = '\n# written by skytools wal restore\n';

const format = (lines: readonly (readonly [string, string])[]) =>
  HEAD + lines.map(([name, value]) => `${name} = ${quote(value)}\n`).join('');

/**
 * Every kind of target, set or emptied: a cluster that came from a restore itself still has its own in
 * postgresql.auto.conf, and a server with two of them does not start. The empty ones come first, because PostgreSQL looks
 * at them one by one.
 */
function targetLines(target: RecoveryTarget): [string, string][] {
  const lines: [string, string][] = [
    ['recovery_target_time', target.time === undefined ? '' : serverTime(target.time)],
    ['recovery_target_lsn', target.lsn ?? ''],
    ['recovery_target_name', target.name ?? ''],
    ['recovery_target_xid', target.xid ?? ''],
    ['recovery_target', target.immediate ? 'immediate' : ''],
  ];
  return [...lines.filter(([, value]) => value === ''), ...lines.filter(([, value]) => value !== '')];
}

/**
 * The lines of postgresql.auto.conf that make a standby, which follows its primary and, where that has no WAL for it, the
 * archive.
 *
 * @param command how PostgreSQL starts `wal fetch`, with %f and %p
 * @param primary connect string of the primary; without it the standby lives on the archive alone
 */
export function standbySettings(command: string, primary: string | undefined): string {
  return format([
    // A standby tries again by itself: a fault must not end it.
    ['restore_command', command.replace(' wal fetch ', ' wal fetch --standby ')],
    ['recovery_target_timeline', 'latest'],
    ...targetLines({}),
    ['primary_conninfo', primary ?? ''],
    // One of the old primary's, which the new one does not have, would keep the standby from streaming.
    ['primary_slot_name', ''],
    ['archive_mode', 'off'],
  ]);
}

/**
 * The lines of postgresql.auto.conf that lead PostgreSQL 12 to 18 to a target.
 *
 * @param command how PostgreSQL starts `wal fetch`, with %f and %p
 * @param timeline the one the backup was chosen for, by its number: one that appears meanwhile changes nothing
 */
export function recoverySettings(target: RecoveryTarget, command: string, timeline: number): string {
  return format([
    ['restore_command', command],
    ['recovery_target_timeline', String(timeline)],
    ...targetLines(target),
    ['recovery_target_inclusive', target.inclusive === false ? 'off' : 'on'],
    ['recovery_target_action', 'promote'],
    // The copy must not write into the archive it came from before somebody has looked at it.
    ['archive_mode', 'off'],
  ]);
}

import { SkytoolsError } from '../../platform/errors.ts';
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';

/** One step of a timeline's ancestry: `timeline` was left at `end` for the next one. */
export interface Ancestor {
  timeline: number;
  end: Lsn;
}

/** A timeline with the way that leads to it, oldest first. */
export interface TimelineHistory {
  timeline: number;
  ancestors: Ancestor[];
}

/**
 * Reads a `.history` file: lines of parent timeline, switch position and reason, oldest first; `#` starts a comment.
 *
 * @throws SkytoolsError WAL_HISTORY_INVALID
 */
export function parseHistory(timeline: number, text: string): TimelineHistory {
  const ancestors: Ancestor[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const fields = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
    const parent = Number(fields?.[1]);
    const previous = ancestors.at(-1);
    if (!fields || parent >= timeline || (previous && parent <= previous.timeline)) {
      throw new SkytoolsError('WAL_HISTORY_INVALID', `the history of timeline ${timeline} cannot be read`, {
        hint: 'fetch the history file again from the server that wrote it',
      });
    }
    ancestors.push({ timeline: parent, end: parseLsn(fields[2]!) });
  }
  return { timeline, ancestors };
}

/** A history file's text, as PostgreSQL writes it. */
export function formatHistory(history: TimelineHistory, reason: string): string {
  return history.ancestors.map((step) => `${step.timeline}\t${formatLsn(step.end)}\t${reason}\n`).join('');
}

/** Where the path to `history.timeline` leaves `timeline`: undefined on the last one, null if not on the path. */
export function switchPoint(history: TimelineHistory, timeline: number): Lsn | undefined | null {
  if (timeline === history.timeline) return undefined;
  return history.ancestors.find((step) => step.timeline === timeline)?.end ?? null;
}

/** The timeline whose bytes hold `lsn` on the path to `history.timeline`. */
export function timelineAt(history: TimelineHistory, lsn: bigint): number {
  return history.ancestors.find((step) => lsn < step.end)?.timeline ?? history.timeline;
}

/** True if recovery can go from a backup that ended on `timeline` at `stop` to the end of the path. */
export function isReachable(history: TimelineHistory, timeline: number, stop: bigint): boolean {
  const end = switchPoint(history, timeline);
  return end === undefined || (end !== null && stop <= end);
}

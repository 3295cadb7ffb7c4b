import type { PgqEvent } from '../../event.ts';
import { EventRefused } from './destination.ts';

/** How ev_data appears in the JSON form of an event. */
export type DataForm = 'text' | 'json';

/**
 * One event as one line of JSON: `id`, `time` (ISO 8601, microseconds), `txid`, `retry`, `type`, `data`, and those of `extra1` to
 * `extra4` that are not NULL.
 *
 * @throws EventRefused where the data shall be JSON and is not
 */
export function eventJson(event: PgqEvent, form: DataForm): string {
  const data = form === 'json' && event.data !== null ? jsonLine(event.data) : JSON.stringify(event.data);
  const extras = (['extra1', 'extra2', 'extra3', 'extra4'] as const)
    .filter((name) => event[name] !== null)
    .map((name) => `,"${name}":${JSON.stringify(event[name])}`);
  return `{"id":${event.id},"time":${JSON.stringify(isoTime(event.timeText))},"txid":${event.txid},"retry":${event.retryCount},"type":${JSON.stringify(event.type)},"data":${data}${extras.join('')}}`;
}

/** Digits and spaces stay as they are: parsing and writing again would lose digits. In JSON a line break is never inside a text. */
function jsonLine(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    throw new EventRefused('ev_data is not JSON');
  }
  return text.replace(/[\r\n]+/g, ' ');
}

/** `2026-01-02 03:04:05.678+00` as `2026-01-02T03:04:05.678+00:00`. */
const isoTime = (text: string): string => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00');

/** What templates may name of an event and its batch. */
export const eventFields = (event: PgqEvent, batch: { queue: string; consumer: string; id: bigint }) => ({
  id: String(event.id),
  type: event.type,
  extra1: event.extra1,
  extra2: event.extra2,
  extra3: event.extra3,
  extra4: event.extra4,
  queue: batch.queue,
  consumer: batch.consumer,
  batch: String(batch.id),
});

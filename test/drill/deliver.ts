import { appendFileSync } from 'node:fs';
import type { PgqEvent } from '../../lib/index.ts';

/** Writes down every delivery, in the order in which it happens (an append of so little is one write). */
export function handleEvent(event: PgqEvent): void {
  appendFileSync(process.env.DRILL_DELIVERIES!, `${event.data}\n`);
}

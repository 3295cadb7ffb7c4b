import { BusyError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';

/** First number of the advisory locks that count the copies at work in a database: `LOND` in ASCII. */
const LOCK_CLASS = 0x4c4f4e44;

/**
 * Takes one of the database's places for copies until the transaction ends. Whatever wakes up beyond them ends quietly.
 *
 * @throws BusyError where all are taken
 */
export async function takeSlot(target: Client, limit: number): Promise<void> {
  const { rowCount } = await target.query(
    'select from generate_series(1, $2::int4) n where pg_try_advisory_xact_lock($1::int4, n) limit 1',
    [LOCK_CLASS, limit],
  );
  if (rowCount === 0) throw new BusyError('each of the places for copies in this database');
}

/** First number of the advisory locks that count the copies at work in a database: `LOND` in ASCII. */
const LOCK_CLASS = 0x4c4f4e44;

/**
 * A statement that takes one of the database's places for copies until the transaction ends: one row, or none where all are
 * taken. Whatever wakes up beyond them ends quietly.
 */
export const takeSlot = (limit: number): string =>
  `select from generate_series(1, ${limit}) n where pg_try_advisory_xact_lock(${LOCK_CLASS}, n) limit 1`;

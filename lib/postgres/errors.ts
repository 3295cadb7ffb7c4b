import type pg from 'pg';
import { type ErrorSubject, errorMessage, SkytoolsError } from '../platform/errors.ts';

/** The fields of a PostgreSQL error report (protocol section "Error and Notice Message Fields"). */
export interface ServerReport {
  sqlstate: string;
  severity: string | undefined;
  message: string;
  detail: string | undefined;
  hint: string | undefined;
  where: string | undefined;
  schema: string | undefined;
  table: string | undefined;
  column: string | undefined;
  constraint: string | undefined;
}

/**
 * Classes whose message, detail and context quote the values of a row: 22 data exception, 23 integrity violation.
 * PL/pgSQL's own `raise` (P0001) belongs to the functions called, which name objects only.
 */
const QUOTES_VALUES = /^(22|23)/;

/**
 * What the server reported, whole in `report`; `message` and `toJSON()` leave out whatever may quote row data, so they can
 * be logged.
 */
export class PostgresError extends SkytoolsError {
  override name = 'PostgresError';
  readonly report: ServerReport;

  constructor(cause: pg.DatabaseError, subject: ErrorSubject = {}) {
    const sqlstate = cause.code ?? 'XX000';
    super(`PG_${sqlstate}`, QUOTES_VALUES.test(sqlstate) ? withoutValues(cause) : cause.message, {
      ...withHint(cause.hint ?? nextStep(sqlstate)),
      retryable: isRetryable(sqlstate),
      subject: {
        ...subject,
        ...(cause.table ? { table: cause.schema ? `${cause.schema}.${cause.table}` : cause.table } : {}),
        ...(cause.column ? { column: cause.column } : {}),
        ...(cause.constraint ? { constraint: cause.constraint } : {}),
      },
    });
    this.report = {
      sqlstate,
      severity: cause.severity,
      message: cause.message,
      detail: cause.detail,
      hint: cause.hint,
      where: cause.where,
      schema: cause.schema,
      table: cause.table,
      column: cause.column,
      constraint: cause.constraint,
    };
    // The original error is the cause in spirit, but its message and detail may quote rows: keep it out of log output.
    Object.defineProperty(this, 'cause', { value: cause, enumerable: false });
    Object.defineProperty(this, 'report', { enumerable: false });
  }
}

/** The next step for states, or classes of them, to which the server adds no hint itself. */
const NEXT_STEPS = [
  ['22', 'a value does not fit: compare the column types of both sides; the work comes again until it does'],
  ['23', 'mend the row or the constraint that refuses it; the work comes again until then'],
  ['28', 'check user and password of the connect string, and pg_hba.conf'],
  ['3D000', 'check the database name of the connect string'],
  ['42501', 'grant the missing right; `skytools doctor` names those that our functions need'],
  ['42P01', 'check the name and its schema'],
  ['53300', 'lower the concurrency of the functions, raise max_connections, or put a pooler in between'],
  ['57P', 'the server is stopping or starting: try again when it is up'],
] as const;

const nextStep = (sqlstate: string): string | undefined =>
  NEXT_STEPS.find(([states]) => sqlstate.startsWith(states))?.[1];

const withHint = (hint: string | undefined) => (hint ? { hint } : {});

function withoutValues(error: pg.DatabaseError): string {
  const place = [error.table && `table ${error.table}`, error.column && `column ${error.column}`];
  const names = [...place, error.constraint && `constraint ${error.constraint}`].filter(Boolean).join(', ');
  const kind = error.code?.startsWith('23')
    ? 'integrity constraint violated'
    : 'value refused by its data type';
  return names === '' ? `${kind} (sqlstate ${error.code})` : `${kind} (sqlstate ${error.code}) in ${names}`;
}

/** The connection failed or was ended: nothing more can be sent over it. */
export class ConnectionError extends SkytoolsError {
  override name = 'ConnectionError';

  constructor(cause: unknown, subject: ErrorSubject = {}) {
    const code = (cause as { code?: string }).code;
    super('PG_CONNECTION', `connection to postgresql failed: ${code ?? errorMessage(cause)}`, {
      cause,
      subject,
      retryable: true,
      hint: 'check that the server is up and reachable from here (host, port, security group, TLS), then try again',
    });
  }
}

/** The answer to COMMIT was lost: the work may or may not be there. Read the checkpoint before doing it again. */
export class CommitUnknownError extends SkytoolsError {
  override name = 'CommitUnknownError';

  constructor(cause: unknown, subject: ErrorSubject = {}) {
    super('PG_COMMIT_UNKNOWN', 'the connection was lost while committing', {
      cause,
      subject,
      retryable: true,
      hint: 'the next run reads the checkpoint and continues from what was really committed',
    });
  }
}

/** 40001 and 40P01: the server rolled the whole transaction back and asks for it to be run again. */
const TRANSACTION_RETRY = new Set(['40001', '40P01']);

/** States that pass by themselves: connection limits, start and stop, lock and statement time-outs, standby conflicts. */
const PASSING = new Set([
  ...TRANSACTION_RETRY,
  '53300',
  '55P03',
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '25P03',
  '25P04',
]);

const isRetryable = (sqlstate: string) => PASSING.has(sqlstate) || sqlstate.startsWith('08');

/** True when running the same transaction again from its start is safe and likely to succeed. */
export const isTransactionRetry = (error: unknown): boolean =>
  error instanceof PostgresError && TRANSACTION_RETRY.has(error.report.sqlstate);

/** True if the error has this SQLSTATE, mapped or not. */
export const hasSqlState = (error: unknown, ...states: string[]): boolean => {
  const state = error instanceof PostgresError ? error.report.sqlstate : (error as { code?: string })?.code;
  return state !== undefined && states.includes(state);
};

/** Wraps whatever `pg` throws; errors of this project pass through. */
export function toSkytoolsError(error: unknown, subject: ErrorSubject = {}): SkytoolsError {
  if (error instanceof SkytoolsError) return error;
  const candidate = error as pg.DatabaseError;
  if (typeof candidate?.severity === 'string' && /^[0-9A-Z]{5}$/.test(candidate.code ?? '')) {
    return new PostgresError(candidate, subject);
  }
  return new ConnectionError(error, subject);
}

/** The object an error is about. Names only: never a secret, never row data. */
export interface ErrorSubject {
  database?: string;
  queue?: string;
  consumer?: string;
  node?: string;
  table?: string;
  column?: string;
  cluster?: string;
  segment?: string;
  key?: string;
  file?: string;
  [name: string]: string | undefined;
}

/** What a {@link SkytoolsError} carries besides its code and message. */
export interface ErrorDetails {
  /** The next step for the reader, one sentence. */
  hint?: string;
  subject?: ErrorSubject;
  cause?: unknown;
  /** True where the same call may succeed later without a change by anybody. */
  retryable?: boolean;
}

/**
 * Base of every error this project raises on purpose.
 *
 * `code` is stable and upper case (`PGQ_QUEUE_MISSING`); programs branch on it, never on the message.
 * Messages are lower case without a full stop; `hint` says what to do next.
 */
export class SkytoolsError extends Error {
  override name = 'SkytoolsError';
  readonly code: string;
  readonly hint: string | undefined;
  readonly subject: ErrorSubject;
  readonly retryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.subject = details.subject ?? {};
    this.retryable = details.retryable ?? false;
  }

  /** The form written to logs and printed by `--json`. */
  toJSON(): Record<string, unknown> {
    return {
      error: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(Object.keys(this.subject).length === 0 ? {} : { subject: this.subject }),
    };
  }
}

/** Wrong arguments or configuration: the caller has to change something. CLI exit code 2. */
export class UsageError extends SkytoolsError {
  override name = 'UsageError';
}

/** The work did not fit before the deadline; progress is checkpointed and the next run goes on from it. */
export class DeadlineError extends SkytoolsError {
  override name = 'DeadlineError';

  constructor(what: string, details: ErrorDetails = {}) {
    super('DEADLINE_NEAR', `${what} stopped before its deadline`, {
      hint: 'the next invocation continues from the last checkpoint; give the function a longer timeout if this repeats',
      retryable: true,
      ...details,
    });
  }
}

/** Another invocation holds the same unit of work (law 7): end quietly. */
export class BusyError extends SkytoolsError {
  override name = 'BusyError';

  constructor(what: string, details: ErrorDetails = {}) {
    super('UNIT_BUSY', `${what} is being worked on by another invocation`, { retryable: true, ...details });
  }
}

/** The message of anything thrown, on one line. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

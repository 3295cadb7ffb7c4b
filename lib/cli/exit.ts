import { SkytoolsError, UsageError } from '../platform/errors.ts';

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** Something failed that the command could not do. */
  fault: 1,
  /** The command line or the configuration is wrong: nothing was tried. */
  usage: 2,
  /** The command worked and found something that needs attention (`doctor`, `status --check`). */
  unhealthy: 3,
  /** 128 + SIGINT, as shells report it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The user answered no, or could not be asked. */
export class CancelledError extends SkytoolsError {
  override name = 'CancelledError';

  constructor(what: string) {
    super('CANCELLED', `${what}: nothing was changed`, { hint: 'answer yes, or give --yes' });
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  return EXIT.fault;
}

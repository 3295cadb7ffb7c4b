import type { ErrorSubject } from '../../platform/errors.ts';

/** What a check of `skytools doctor` found. */
export interface Finding {
  /** `fault`: something does not work; `warning`: it will not for long, or not as well as it could. */
  level: 'ok' | 'warning' | 'fault';
  /** The check, stable: `rotation`, `tick-age`, … */
  check: string;
  message: string;
  /** How to mend it. */
  hint?: string;
  subject?: ErrorSubject;
}

export const ok = (check: string, message: string): Finding => ({ level: 'ok', check, message });

export const warning = (check: string, message: string, hint: string, subject?: ErrorSubject): Finding => ({
  level: 'warning',
  check,
  message,
  hint,
  ...(subject ? { subject } : {}),
});

export const fault = (check: string, message: string, hint: string, subject?: ErrorSubject): Finding => ({
  level: 'fault',
  check,
  message,
  hint,
  ...(subject ? { subject } : {}),
});

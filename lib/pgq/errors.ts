import { type ErrorSubject, SkytoolsError } from '../platform/errors.ts';
import { PostgresError, toSkytoolsError } from '../postgres/errors.ts';

/** A consumer's handler failed: its transaction was rolled back, and the batch comes again. */
export class HandlerError extends SkytoolsError {
  override name = 'HandlerError';

  constructor(cause: unknown, subject: ErrorSubject) {
    super('PGQ_HANDLER_FAILED', `the consumer's handler failed: ${nameOf(cause)}`, {
      cause,
      subject,
      retryable: true,
      hint: 'the batch stays open and comes again; call event.retry(seconds) for an event that cannot be handled now, or configure retries',
    });
  }
}

const nameOf = (cause: unknown) =>
  cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);

/** What the functions of schema pgq raise, by the start of their message (spec: the text is part of the contract). */
const RAISED: readonly [start: string, code: string, hint: string][] = [
  ['Not subscriber to queue', 'PGQ_NOT_SUBSCRIBED', 'register it: skytools consumer register QUEUE CONSUMER'],
  ['No such event queue', 'PGQ_QUEUE_MISSING', 'create it: skytools queue create QUEUE'],
  ['No such queue', 'PGQ_QUEUE_MISSING', 'create it: skytools queue create QUEUE'],
  [
    'no such queue/consumer',
    'PGQ_NOT_SUBSCRIBED',
    'skytools consumer list shows the consumers; register it: skytools consumer register QUEUE CONSUMER',
  ],
  ['event not found', 'PGQ_EVENT_MISSING', 'skytools dead list shows the dead letters'],
  ['no such queue', 'PGQ_QUEUE_MISSING', 'create it: skytools queue create QUEUE'],
  ['Event queue not found', 'PGQ_QUEUE_MISSING', 'create it: skytools queue create QUEUE'],
  ['Event queue not created yet', 'PGQ_QUEUE_MISSING', 'create it: skytools queue create QUEUE'],
  [
    'Insert into queue disallowed',
    'PGQ_INSERT_DISABLED',
    'events of this queue come from its provider only; insert there',
  ],
  [
    'Writing to queue disabled',
    'PGQ_INSERT_DISABLED',
    'events of this queue come from its provider only; insert there',
  ],
  [
    'cannot drop queue, consumers still attached',
    'PGQ_QUEUE_IN_USE',
    'unregister its consumers first, or drop it with force (--force)',
  ],
  [
    'cannot reposition, tick not found',
    'PGQ_TICK_MISSING',
    'choose a tick that pgq.tick still has (skytools consumer show)',
  ],
  ['No ticks for this queue', 'PGQ_TICK_MISSING', 'tick the database first: skytools queue tick'],
  [
    'main consumer has batch open',
    'PGQ_COOP_MAIN_BUSY',
    'somebody took a batch for the whole group with pgq.next_batch: finish it with pgq.finish_batch',
  ],
  [
    'subconsumer not found',
    'PGQ_COOP_NAME_TAKEN',
    'an ordinary consumer has the name of a subconsumer: unregister it or choose other names',
  ],
];

/** pgq.close_batch, where the batch was closed or moved while it was being worked on. */
const BATCH_LOST = /^batch \d+ is not open/;

/** Gives what schema pgq raises a code of its own; everything else as `toSkytoolsError` does. */
export function pgqError(error: unknown, subject: ErrorSubject = {}): SkytoolsError {
  const mapped = toSkytoolsError(error, subject);
  if (!(mapped instanceof PostgresError)) return mapped;
  if (lacksOurs(mapped)) {
    return new SkytoolsError('PGQ_NOT_INSTALLED', 'this database lacks the queue or an update of it', {
      cause: mapped,
      subject,
      hint: 'install it: skytools install',
    });
  }
  if (BATCH_LOST.test(mapped.message)) {
    return new SkytoolsError('PGQ_BATCH_LOST', mapped.message, {
      cause: mapped,
      subject,
      retryable: true,
      hint: 'nothing was recorded; another worker or an operator (unregister, seek, finish_batch) has taken it',
    });
  }
  const known = RAISED.find(([start]) => mapped.message.startsWith(start));
  if (!known) return mapped;
  return new SkytoolsError(known[1], mapped.message, {
    cause: mapped,
    subject,
    hint: named(known[2], subject),
  });
}

/** A function, a schema, or a table of ours is not there. */
const lacksOurs = ({ report: { sqlstate }, message }: PostgresError) =>
  sqlstate === '42883' ||
  sqlstate === '3F000' ||
  (sqlstate === '42P01' && message.startsWith('relation "pgq.'));

/** The words of a command that stand for names, replaced where the names are known and need no quotes. */
const named = (hint: string, subject: ErrorSubject) =>
  hint.replace(/QUEUE|CONSUMER/g, (word) => {
    const name = word === 'QUEUE' ? subject.queue : subject.consumer;
    return name !== undefined && /^[\w.-]+$/.test(String(name)) ? String(name) : word;
  });

/**
 * What a handler threw: errors of PostgreSQL, of the connection and of this project keep their kind, the rest becomes a
 * HandlerError.
 */
export function handlerError(error: unknown, subject: ErrorSubject): SkytoolsError {
  if (error instanceof SkytoolsError) return error;
  const { code, severity } = (error ?? {}) as { code?: string; severity?: string };
  const fromServer = severity !== undefined && /^[0-9A-Z]{5}$/.test(code ?? '');
  const fromSocket =
    /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET)/.test(code ?? '') ||
    (error instanceof Error && /^(Connection terminated|Client .* not queryable)/.test(error.message));
  return fromServer || fromSocket ? toSkytoolsError(error, subject) : new HandlerError(error, subject);
}

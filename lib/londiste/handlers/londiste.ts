import type { Handler } from './handler.ts';

/** The default: every event becomes a row, a change of a row, or the end of one. */
export const londiste: Handler = {
  name: 'londiste',
  aliases: [],
  summary: 'applies every event to the table; the default',
  arguments: [
    {
      name: 'ignore_truncate',
      meaning: '1: a TRUNCATE on the root leaves the rows here alone',
      default: '0',
      values: ['0', '1'],
    },
    {
      name: 'encoding',
      meaning: 'accepted for the sake of old subscriptions: the server itself lets no invalid text in',
      default: 'utf8',
      values: ['utf8', 'utf-8'],
    },
  ],
  triggerArguments: [],
  holdsRows: true,
};

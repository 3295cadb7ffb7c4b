import type { Handler } from './handler.ts';

/** Events of one table become a queue of their own, for consumers that want no others. */
export const qsplitter: Handler = {
  name: 'qsplitter',
  aliases: [],
  summary: 'subscribes without a table: its events go into a queue of this database',
  arguments: [{ name: 'queue', meaning: 'the queue here, which must exist' }],
  triggerArguments: ['virtual_table'],
  holdsRows: false,
  async onEvent(client, { time, type, data, extra1, extra2, extra3, extra4 }, { queue }) {
    // As the owner of the queue: with an id of its own, and the time at which the row changed.
    await client.query('select pgq.insert_event_raw($1, null, $2, null, null, $3, $4, $5, $6, $7, $8)', [
      queue,
      time,
      type,
      data,
      extra1,
      extra2,
      extra3,
      extra4,
    ]);
  },
};

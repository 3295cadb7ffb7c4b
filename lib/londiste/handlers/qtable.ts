import type { Handler } from './handler.ts';

/** A table of the root that is an entrance to the queue: what is inserted becomes an event, and no row. */
export const qtable: Handler = {
  name: 'qtable',
  aliases: [],
  summary: 'makes the table an entrance to the queue: an INSERT becomes an event and leaves no row',
  arguments: [],
  // B and SKIP: the trigger fires before the insert and drops the row.
  triggerArguments: ['tgflags=BI', 'SKIP', 'expect_sync'],
  holdsRows: false,
};

import type { Handler } from './handler.ts';

/** A table that is subscribed in name only, so that nodes below may have it through this one. */
export const vtable: Handler = {
  name: 'vtable',
  aliases: ['fake_local', 'noop'],
  summary: 'subscribes without a table: events pass by, a branch hands them on',
  arguments: [],
  triggerArguments: ['virtual_table'],
  holdsRows: false,
};

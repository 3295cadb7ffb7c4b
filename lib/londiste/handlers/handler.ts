import type { Client } from '../../postgres/connect.ts';
import type { QueueEvent } from '../apply/event-type.ts';

/** An argument of a handler, as `add-table --handler-arg name=value` takes it. */
export interface HandlerArgument {
  name: string;
  meaning: string;
  /** Undefined: it has to be given. */
  default?: string;
  /** Every value that it may have; undefined: any text. */
  values?: readonly string[];
}

/**
 * Looks at one event of a table, in the order of the queue. What came before it is applied by then, to other tables too; what
 * comes after is not: the batch is split at this point. All it does is done by `client`, in the transaction that moves the
 * node's position, and so once in effect. It may be called again for an event whose transaction was rolled back.
 *
 * @throws what the server says to it: an event that is refused stops the batch, or is set aside, as one of a table is
 */
export type EventHook = (
  client: Client,
  event: QueueEvent,
  given: Readonly<Record<string, string>>,
) => Promise<void>;

/**
 * How a subscribed table's events are treated on a node. One object per file, listed in `registry.ts`; names and arguments are
 * those of the original, because nodes that it runs read them in `table_attrs`.
 */
export interface Handler {
  name: string;
  /** Other names that `table_attrs` or a user may have for it. */
  aliases: readonly string[];
  summary: string;
  arguments: readonly HandlerArgument[];
  /** What `add-table` adds to the arguments of `londiste.local_add_table`: words of its own and trigger flags. */
  triggerArguments: readonly string[];
  /** Takes every event of the table, a TRUNCATE too, instead of the set-based way into its rows. */
  onEvent?: EventHook;
  /**
   * Whether the events become rows of the table here. If not, they pass by; the table need not be at the provider, has no copy
   * and is no source of one.
   */
  holdsRows: boolean;
}

/** An argument of a handler, as `add-table --handler-arg name=value` takes it. */
export interface HandlerArgument {
  name: string;
  meaning: string;
  default: string;
  /** Every value that it may have. */
  values: readonly string[];
}

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
  /**
   * Whether the events become rows of the table here. If not, they pass by; the table need not be at the provider, has no copy
   * and is no source of one.
   */
  holdsRows: boolean;
}

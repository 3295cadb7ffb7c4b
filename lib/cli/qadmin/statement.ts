/** What a name in a statement refers to, for completion. */
export type NameKind =
  | 'queue'
  | 'consumer'
  | 'node'
  | 'database'
  | 'host'
  | 'user'
  | 'port'
  | 'batch'
  | 'new-table'
  | 'new-sequence'
  | 'known-table'
  | 'known-sequence'
  | 'table'
  | 'sequence'
  | 'none';

/** A name, or `*` for all. */
export type NameOrAll = string | '*';

export interface ConnectParts {
  dbname?: string;
  host?: string;
  port?: string;
  user?: string;
  password?: string;
  queue?: string;
  node?: string;
}

export type Statement =
  | { kind: 'connect'; parts: ConnectParts }
  | { kind: 'install'; what: 'pgq' | 'londiste' }
  | { kind: 'show-version' }
  | { kind: 'show-help' }
  | { kind: 'show-queue'; queue: NameOrAll | undefined }
  | { kind: 'show-consumer'; consumer: NameOrAll; queue: NameOrAll }
  | { kind: 'show-node'; node: NameOrAll; queue: NameOrAll }
  | { kind: 'show-batch'; batch: string | undefined; consumer: string | undefined }
  | { kind: 'show-table'; name: string }
  | { kind: 'show-sequence'; name: string }
  | { kind: 'create-queue'; queue: string }
  | { kind: 'drop-queue'; queue: string }
  | { kind: 'alter-queue'; queue: NameOrAll; settings: [key: string, value: string][] }
  | {
      kind: 'register-consumer';
      consumer: string;
      queue: string | undefined;
      at: string | undefined;
      copy: string | undefined;
    }
  | { kind: 'unregister-consumer'; consumer: NameOrAll; queue: string | undefined }
  | { kind: 'register-subconsumer'; subconsumer: string; consumer: string; queue: string | undefined }
  | {
      kind: 'unregister-subconsumer';
      subconsumer: NameOrAll;
      consumer: string;
      queue: string | undefined;
      close: boolean;
    }
  | { kind: 'londiste-add-table'; tables: string[]; options: string[] }
  | { kind: 'londiste-add-sequence'; sequences: string[] }
  | { kind: 'londiste-remove-table'; tables: string[] }
  | { kind: 'londiste-remove-sequence'; sequences: string[] }
  | { kind: 'londiste-list'; what: 'tables' | 'seqs' | 'missing' }
  | { kind: 'exit' }
  | { kind: 'sql' };

/** What could stand at the end of an unfinished statement. */
export interface Expected {
  words: string[];
  names: NameKind[];
}

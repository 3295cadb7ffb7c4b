/** The answer to `show help;`. */
export const HELP = `
Connection:
  connect [dbname=D] [host=H] [port=P] [user=U] [password=W] [queue=Q] [node=N];
  exit;

Install:
  install pgq | londiste;

Look:
  show version;
  show queue [QUEUE | *];
  show consumer [CONSUMER | * [on QUEUE | *]];
  show node [NODE | * [on QUEUE | *]];
  show batch BATCH_ID | CONSUMER;
  show table TABLE;
  show sequence SEQUENCE;

Queues:
  create queue QUEUE;
  drop queue QUEUE;
  alter queue QUEUE | * set KEY = VALUE [, ...];
     idle_period = '1 minute', max_count = 500, max_lag = '3 seconds', paused = 0 | 1

Consumers:
  register consumer CONSUMER [on QUEUE] [at TICK] [copy CONSUMER];
  unregister consumer CONSUMER | * [from QUEUE];
  register subconsumer SUBCONSUMER for CONSUMER [on QUEUE];
  unregister subconsumer SUBCONSUMER | * for CONSUMER [from QUEUE] [close [batch]];

Replication:
  londiste add table TABLE [, ...] [with OPTION [, ...]];
     skip_truncate, expect_sync, backup, skip, no_triggers,
     tgflags = '..', ev_ignore = '..', pkey = '..', when = '..', ev_type = '..', ev_data = '..', ev_extra1..4 = '..'
  londiste add sequence SEQUENCE [, ...];
  londiste remove table TABLE [, ...];
  londiste remove sequence SEQUENCE [, ...];
  londiste tables; londiste seqs; londiste missing;

Anything else goes to the server as SQL. A statement ends with ';'.
`;

import type { Cli } from '../../cli.ts';
import { registerCompareCommand } from './compare.ts';
import { registerHandlerCommands } from './handlers.ts';
import { registerNodeCommands } from './nodes.ts';
import { registerSequenceCommands } from './sequences.ts';
import { registerTableCommands } from './tables.ts';
import { registerWaitCommands } from './waiting.ts';

/** `skytools londiste …`: replicated sets of tables. */
export function registerLondisteCommands(cli: Cli): void {
  const group = cli.group('londiste', 'replicate tables from a root to branches and leaves');
  registerNodeCommands(cli, group);
  registerTableCommands(cli, group);
  registerSequenceCommands(cli, group);
  registerWaitCommands(cli, group);
  registerCompareCommand(cli, group);
  registerHandlerCommands(cli, group);
}

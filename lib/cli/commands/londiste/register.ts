import type { Cli } from '../../cli.ts';
import { registerNodeCommands } from './nodes.ts';
import { registerTableCommands } from './tables.ts';

/** `skytools londiste …`: replicated sets of tables. */
export function registerLondisteCommands(cli: Cli): void {
  const group = cli.group('londiste', 'replicate tables from a root to branches and leaves');
  registerNodeCommands(cli, group);
  registerTableCommands(cli, group);
}

import type { NodeScope } from '../../../londiste/place.ts';
import { Deadline } from '../../../platform/deadline.ts';
import type { ChosenDatabase, CommandContext } from '../../context.ts';

/** A scope for one worker, with connections of its own. */
export interface CopyScope extends NodeScope {
  close(): Promise<void>;
}

/** @param into the database that rows go to; others go by their names in the configuration */
export async function copyScope(context: CommandContext, into: ChosenDatabase): Promise<CopyScope> {
  const { WarmConnections } = await import('../../../postgres/warm.ts');
  const connections = new WarmConnections();
  return {
    config: await context.config(),
    deadline: Deadline.whenAborted(context.signal),
    database: async (name, body) => {
      const { target } = name === into.name ? into : await context.configured(name);
      return connections.use(name, target, body, { applicationName: 'skytools copy' });
    },
    close: () => connections.close(),
  };
}

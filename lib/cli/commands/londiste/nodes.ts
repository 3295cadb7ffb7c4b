import type { Command } from 'commander';
import { UsageError } from '../../../platform/errors.ts';
import type { Cli } from '../../cli.ts';
import { EXIT } from '../../exit.ts';
import { formatSeconds } from '../../output.ts';
import { londisteContext, patience } from './scope.ts';

interface CreateFlags {
  location?: string;
  worker?: string;
  provider?: string;
  merge?: string;
}

/** Longest wait for a batch that is being applied, in seconds: a function's life. */
const BATCH_SECONDS = 900;

/** Nodes: making, looking at, pausing and dropping them. */
export function registerNodeCommands(cli: Cli, group: Command): void {
  for (const type of ['root', 'branch', 'leaf'] as const) {
    const command = group
      .command(`create-${type}`)
      .description(
        {
          root: 'make the database the root of a set, where its changes are born',
          branch: 'make the database a node that others can read from as well',
          leaf: 'make the database a node that only receives',
        }[type],
      )
      .argument('<queue>', 'name of the set')
      .argument('<node>', 'name of the node')
      .option(
        '--location <place>',
        'where other nodes reach it: a configured database (default: this one) or a connect string',
      )
      .option('--worker <name>', 'name of its worker as a consumer (default: <node>_worker)');
    if (type !== 'root')
      command.requiredOption(
        '--provider <place>',
        'the node it reads from: a configured database or a connect string',
      );
    if (type === 'leaf')
      command.option('--merge <queue>', 'merge its events into this queue of the same database');
    cli.action<CreateFlags>(
      command,
      type === 'root'
        ? [['skytools londiste create-root shop paris --database paris', 'begins a set']]
        : [
            [
              `skytools londiste create-${type} shop berlin --provider paris --database berlin`,
              'reads from paris',
            ],
          ],
      async (context, [queue, name], options) => {
        const { createNode } = await import('../../../londiste/admin/create-node.ts');
        const { client, scope, name: own } = await londisteContext(context);
        const location = options.location ?? own;
        if (location === undefined) {
          throw new UsageError('CLI_LOCATION', 'where do the other nodes reach this database?', {
            hint: 'choose it with --database and a name of the configuration, or give --location',
          });
        }
        const created = await createNode(scope, client, {
          queue: queue!,
          type,
          name: name!,
          location,
          worker: options.worker,
          provider: options.provider,
          combined: options.merge,
        });
        await context.done(
          created,
          created.created ? `${type} ${name} of ${queue} created` : `${name} is ${type} of ${queue} already`,
        );
      },
    );
  }

  cli.action<{ check?: boolean }>(
    group
      .command('status')
      .description('draw the cascade: state, lag and troubles of every node')
      .argument('<queue>')
      .option('--check', 'exit code 3 if a node has an error, or a table loses changes or lacks rows'),
    [['skytools londiste status shop', 'asks every node at its location']],
    async (context, [queue], options) => {
      const { cascadeStatus, drawTree } = await import('../../../londiste/admin/status.ts');
      const { client, scope } = await londisteContext(context);
      const states = await cascadeStatus(scope, client, queue!);
      if (context.json) await context.record(states, []);
      else context.write(`Queue: ${queue}\n${drawTree(states, formatSeconds)}`);
      const ill = states.some(
        (state) => state.error !== null || state.unreachable !== undefined || state.troubled.length > 0,
      );
      return options.check && ill ? EXIT.unhealthy : EXIT.ok;
    },
  );

  cli.action(
    group.command('members').description('nodes of the set and where they are').argument('<queue>'),
    [['skytools londiste members shop', 'as this node knows them']],
    async (context, [queue]) => {
      const { members } = await import('../../../londiste/admin/create-node.ts');
      const { client } = await londisteContext(context);
      await context.table(
        (await members(client, queue!)).map(({ node_name, node_location, dead }) => ({
          node: node_name,
          // A connect string may hold a password.
          location: node_location.replace(
            /(password=)('[^']*'|\S+)|(:\/\/[^:/@]+:)[^@]+@/gi,
            (_, key, __, user) => (key ? `${key}***` : `${user}***@`),
          ),
          dead,
        })),
        [
          { title: 'node', value: (row) => row.node },
          { title: 'location', value: (row) => row.location },
          { title: 'dead', value: (row) => row.dead },
        ],
        'no members',
      );
    },
  );

  for (const paused of [true, false]) {
    const verb = paused ? 'pause' : 'resume';
    cli.action(
      group
        .command(verb)
        .description(
          paused
            ? 'stop the replay of this node after the batch it is at'
            : 'let the replay of this node go on',
        )
        .argument('<queue>'),
      [
        [
          `skytools londiste ${verb} shop --database berlin`,
          paused ? 'nothing is applied once it returns' : 'the next tick wakes it',
        ],
      ],
      async (context, [queue]) => {
        const { setPausedSoon } = await import('../../../londiste/admin/node.ts');
        const { client } = await londisteContext(context);
        const { pause, allows } = patience(context, BATCH_SECONDS);
        const changed = await setPausedSoon(client, queue!, paused, pause, allows);
        await context.done(
          { queue, paused, changed },
          `${changed ? '' : 'was '}${paused ? 'paused' : 'resumed'} ${changed ? '' : 'already'}`.trim(),
        );
      },
    );
  }

  cli.action<{ yes?: boolean }>(
    group
      .command('drop-node')
      .description('remove a node from the set: its tables and rows stay')
      .argument('<queue>')
      .argument('<node>')
      .option('--yes', 'do not ask'),
    [
      [
        'skytools londiste drop-node shop berlin --database paris',
        'run it at any node that stays, or at itself',
      ],
    ],
    async (context, [queue, node], options) => {
      const { dropNode } = await import('../../../londiste/admin/node.ts');
      const { client, scope } = await londisteContext(context);
      await context.confirm(`Drop node ${node} of ${queue}?`, options.yes);
      const failures = await dropNode(scope, client, queue!, node!);
      for (const [member, reason] of Object.entries(failures)) context.warn(`at ${member}: ${reason}`);
      await context.done({ queue, node, failures }, `${node} dropped`);
    },
  );
}

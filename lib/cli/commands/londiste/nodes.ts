import { styleText } from 'node:util';
import type { Command } from 'commander';
import { UsageError } from '../../../platform/errors.ts';
import type { Cli } from '../../cli.ts';
import { EXIT } from '../../exit.ts';
import { formatSeconds } from '../../output.ts';
import { dryRunOption, londisteContext, patience, withoutPassword } from './scope.ts';

interface CreateFlags {
  location?: string;
  worker?: string;
  provider?: string;
  merge?: string;
  syncWatermark?: string;
  check: boolean;
  dryRun?: boolean;
}

/** Longest wait for a batch that is being applied, in seconds: a function's life. */
const BATCH_SECONDS = 900;

/** Nodes: making, looking at, pausing and dropping them. */
export function registerNodeCommands(cli: Cli, group: Command): void {
  for (const type of ['root', 'branch', 'leaf'] as const) {
    const command = dryRunOption(
      group
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
        .option('--worker <name>', 'name of its worker as a consumer (default: <node>_worker)')
        .option('--no-check', 'do not try whether the location leads to this database'),
    );
    if (type !== 'root')
      command.requiredOption(
        '--provider <place>',
        'the node it reads from: a configured database or a connect string',
      );
    if (type === 'leaf')
      command.option('--merge <queue>', 'merge its events into this queue of the same database');
    if (type === 'branch')
      command.option('--sync-watermark <nodes>', 'keep the events that these nodes need: names with commas');
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
        if (
          !(location in scope.config.databases) &&
          !/\b(host|hostaddr|service)\s*=|^postgres(ql)?:|^(env|ssm|secretsmanager):/.test(location)
        )
          context.warn('no host= in the location: other machines will look for it at home');
        const created = await createNode(scope, client, {
          queue: queue!,
          type,
          name: name!,
          location,
          worker: options.worker,
          provider: options.provider,
          combined: options.merge,
          syncWatermark: options.syncWatermark?.split(',').map((node) => node.trim()),
          unchecked: !options.check,
          dryRun: options.dryRun,
        });
        const known = `${name} is ${type} of ${queue} already`;
        const done = options.dryRun
          ? `${type} ${name} of ${queue} can be created`
          : `${type} ${name} of ${queue} created`;
        await context.done(
          { ...created, dryRun: options.dryRun === true },
          created.created || options.dryRun ? done : known,
        );
      },
    );
  }

  cli.action<{ check?: boolean; compact?: boolean }>(
    group
      .command('status')
      .description('draw the cascade: state, lag and troubles of every node')
      .argument('<queue>')
      .option('--compact', 'one line for a node')
      .option('--check', 'exit code 3 if a node has an error, or a table loses changes or lacks rows'),
    [
      ['skytools londiste status shop', 'asks every node at its location'],
      ['skytools londiste status shop --check --quiet', 'for a monitor'],
    ],
    async (context, [queue], options) => {
      const { cascadeStatus, drawTree } = await import('../../../londiste/admin/status.ts');
      const { client, scope } = await londisteContext(context);
      const states = await cascadeStatus(scope, client, queue!);
      if (context.json) await context.record(states, []);
      else {
        const local = states.find((state) => state.here)?.node ?? '';
        const tree = drawTree(states, {
          seconds: formatSeconds,
          alarm: (text) => (context.color ? styleText('red', text) : text),
          compact: options.compact,
        });
        context.write(`Queue: ${queue}   Local node: ${local}\n${tree}`);
      }
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
          location: withoutPassword(node_location),
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

  cli.action(
    group
      .command('node-info')
      .description('this node: type, state, provider, subscribers')
      .argument('<queue>'),
    [['skytools londiste node-info shop --database berlin', 'asks nobody but this database']],
    async (context, [queue]) => {
      const { nodeInfo } = await import('../../../londiste/admin/node-info.ts');
      const { client } = await londisteContext(context);
      const info = await nodeInfo(client, queue!);
      const shown = (location: string | null) => (location === null ? null : withoutPassword(location));
      const safe = {
        ...info,
        location: shown(info.location),
        providerLocation: shown(info.providerLocation),
      };
      await context.record(safe, [
        ['node', safe.node],
        ['type', safe.type],
        ['queue', safe.queue],
        ['status', safe.status],
        ['worker', safe.worker],
        ['completed tick', safe.completedTick],
        ['location', safe.location],
        ['provider', safe.provider],
        ['provider location', safe.providerLocation],
        ['subscribers', safe.subscribers.join(', ')],
        ['global watermark', safe.globalWatermark],
        ['local watermark', safe.localWatermark],
        ['combined queue', safe.combinedQueue && `${safe.combinedQueue} (${safe.combinedType})`],
        ['attributes', safe.attributes],
        ['error', safe.error],
      ]);
    },
  );

  for (const paused of [true, false]) {
    const verb = paused ? 'pause' : 'resume';
    cli.action<{ dryRun?: boolean }>(
      dryRunOption(
        group
          .command(verb)
          .description(
            paused
              ? 'stop the replay of this node after the batch it is at'
              : 'let the replay of this node go on',
          )
          .argument('<queue>'),
      ),
      [
        [
          `skytools londiste ${verb} shop --database berlin`,
          paused ? 'nothing is applied once it returns' : 'the next tick wakes it',
        ],
      ],
      async (context, [queue], options) => {
        const { setPausedSoon } = await import('../../../londiste/admin/node.ts');
        const { nodeState } = await import('../../../londiste/node-state.ts');
        const { client } = await londisteContext(context);
        if (options.dryRun) {
          const changed = (await nodeState(client, queue!)).paused !== paused;
          await context.done(
            { queue, paused, changed, dryRun: true },
            changed ? `would ${verb}` : `is ${verb}d already`,
          );
          return;
        }
        const changed = await setPausedSoon(client, queue!, paused, patience(context, BATCH_SECONDS));
        await context.done(
          { queue, paused, changed },
          `${changed ? '' : 'is '}${verb}d${changed ? '' : ' already'}`,
        );
      },
    );
  }

  cli.action<{ yes?: boolean; dryRun?: boolean }>(
    dryRunOption(
      group
        .command('drop-node')
        .description('remove a node from the set: its tables and rows stay')
        .argument('<queue>')
        .argument('<node>')
        .option('--yes', 'do not ask'),
    ),
    [
      [
        'skytools londiste drop-node shop berlin --database paris',
        'run it at any node that stays, or at itself',
      ],
    ],
    async (context, [queue, node], options) => {
      const { dropNode } = await import('../../../londiste/admin/node.ts');
      const { client, scope } = await londisteContext(context);
      if (!options.dryRun) await context.confirm(`Drop node ${node} of ${queue}?`, options.yes);
      const failures = await dropNode(scope, client, queue!, node!, options.dryRun);
      for (const [member, reason] of Object.entries(failures)) context.warn(`at ${member}: ${reason}`);
      await context.done(
        { queue, node, failures, dryRun: options.dryRun === true },
        options.dryRun ? `${node} can be dropped` : `${node} dropped`,
      );
    },
  );

  cli.action(
    group
      .command('replay')
      .description('replay what the provider has for this node, without a time limit')
      .argument('<queue>'),
    [
      [
        'skytools londiste replay shop --database berlin',
        'for a batch that does not fit into the time of a function',
      ],
    ],
    async (context, [queue]) => {
      const { replayBatch } = await import('../../../londiste/replay/replay.ts');
      const { scope, name } = await londisteContext(context);
      if (name === undefined) {
        throw new UsageError('CLI_NOT_CONFIGURED', 'the database is not one of the configuration', {
          hint: 'name it with --database: its node is replayed with the settings that it has there',
        });
      }
      let batches = 0;
      for (let more = true; more; ) {
        const { did, next } = await replayBatch(scope, name, queue!);
        if (did?.finished) batches++;
        more = next === 'again';
      }
      await context.done({ queue, batches }, `${batches} ${batches === 1 ? 'batch' : 'batches'} replayed`);
    },
  );

  cli.action(
    group
      .command('check')
      .description(
        'look at this node and its provider for what loses changes or stops replication; exit code 3 if there is any',
      )
      .argument('<queue>'),
    [
      [
        'skytools londiste check shop --database berlin',
        'triggers, columns, keys, registrations, leftovers of copies',
      ],
    ],
    async (context, [queue]) => {
      const { checkNode } = await import('../../../londiste/admin/check.ts');
      const { client, scope } = await londisteContext(context);
      const findings = await checkNode(scope, client, queue!);
      await context.table(
        findings,
        [
          { title: 'object', value: (row) => row.object },
          { title: 'problem', value: (row) => row.problem },
          { title: 'what to do', value: (row) => row.hint },
        ],
        'nothing is wrong',
      );
      return findings.length > 0 ? EXIT.unhealthy : EXIT.ok;
    },
  );
}

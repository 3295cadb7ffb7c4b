import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { dryRunOption, londisteContext } from './scope.ts';

interface SequenceFlags {
  all?: boolean;
  create?: boolean;
  createFull?: boolean;
  skipNonExisting?: boolean;
  dryRun?: boolean;
}

const admin = () => import('../../../londiste/admin/sequences.ts');

/** Sequences of a set. */
export function registerSequenceCommands(cli: Cli, group: Command): void {
  const command = (name: string, description: string) =>
    dryRunOption(
      group
        .command(name)
        .description(description)
        .argument('<queue>')
        .argument('[sequence...]', 'names, or masks with * and ?'),
    );

  cli.action<SequenceFlags>(
    command('add-seq', 'add sequences to the set (on the root) or subscribe them here (elsewhere)')
      .option('--all', 'every sequence that could be added')
      .option('--create', 'make it like the one of the provider where it is missing')
      .option('--create-full', 'also its comment, grants and owner')
      .option('--skip-non-existing', 'leave out sequences that are missing here'),
    [
      ['skytools londiste add-seq shop orders_id_seq --database paris', 'on the root'],
      ['skytools londiste add-seq shop --all --create --database berlin', 'on a leaf'],
    ],
    async (context, [queue, ...given], options) => {
      const { addSequence, refreshSequences, sequenceExists, sequenceStatus } = await admin();
      const { choose, expand } = await import('../../../londiste/admin/names.ts');
      const { missingObjects } = await import('../../../londiste/admin/tables.ts');
      const { client, scope } = await londisteContext(context);
      const create = options.createFull ? 'full' : options.create ? 'plain' : undefined;
      await refreshSequences(scope, client, queue!);
      const missing = (await missingObjects(client, queue!))
        .filter(({ kind }) => kind === 'sequence')
        .map(({ name }) => name);
      const subscribed = (await sequenceStatus(client, queue!))
        .filter(({ local }) => local)
        .map(({ sequence }) => sequence);
      const known = options.all ? missing : [...missing, ...subscribed];
      const { names: available, unknown } = expand(given, known);
      const names =
        options.skipNonExisting && given.length > 0
          ? available
          : choose(given, known, { all: options.all, what: 'sequences', adding: true });
      if (options.skipNonExisting) for (const name of unknown) context.warn(`${name} is not available`);
      const sequences: string[] = [];
      const notes: string[] = [];
      for (const name of names) {
        if (options.skipNonExisting && create === undefined && !(await sequenceExists(client, name))) {
          context.warn(`${name} does not exist here`);
          continue;
        }
        sequences.push(name);
        if (options.dryRun) notes.push(`${name} would be added`);
        else {
          const { ret_note, left } = await addSequence(scope, client, queue!, name, create);
          for (const what of left) context.warn(`not made as at the provider: ${what}`);
          notes.push(ret_note ?? '');
        }
        if (!context.json) context.note(notes.at(-1)!);
      }
      if (context.json)
        await context.record({ queue, sequences, notes, dryRun: options.dryRun === true }, []);
      else if (options.all && names.length === 0) context.note('nothing is missing');
    },
  );

  cli.action<SequenceFlags>(
    command('remove-seq', 'end the subscription of sequences; on the root they leave the whole set').option(
      '--all',
      'every subscribed sequence',
    ),
    [['skytools londiste remove-seq shop orders_id_seq --database berlin', 'its value stays']],
    async (context, [queue, ...given], options) => {
      const { removeSequence, sequenceStatus } = await admin();
      const { choose } = await import('../../../londiste/admin/names.ts');
      const { client } = await londisteContext(context);
      const subscribed = (await sequenceStatus(client, queue!))
        .filter(({ local }) => local)
        .map(({ sequence }) => sequence);
      const names = choose(given, subscribed, { all: options.all, what: 'sequences' });
      const notes: string[] = [];
      for (const name of names) {
        notes.push(
          options.dryRun
            ? `${name} would be removed`
            : ((await removeSequence(client, queue!, name)).ret_note ?? ''),
        );
        if (!context.json) context.note(notes.at(-1)!);
      }
      if (context.json)
        await context.record({ queue, sequences: names, notes, dryRun: options.dryRun === true }, []);
      else if (names.length === 0) context.note('no sequences are subscribed');
    },
  );

  cli.action(
    group.command('seqs').description('sequences of the set as this node knows them').argument('<queue>'),
    [['skytools londiste seqs shop --database berlin', 'the last value is what the root has published']],
    async (context, [queue]) => {
      const { sequenceStatus } = await admin();
      const { client } = await londisteContext(context);
      await context.table(
        await sequenceStatus(client, queue!),
        [
          { title: 'sequence', value: (row) => row.sequence },
          { title: 'local', value: (row) => row.local },
          { title: 'last value', value: (row) => row.lastValue, align: 'right' },
        ],
        'the set has no sequences',
      );
    },
  );
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { exampleLines } from '../../../lib/cli/cli.ts';
import { processIo } from '../../../lib/cli/io.ts';
import { createProgram } from '../../../lib/cli/program.ts';

const { program } = createProgram(processIo());
const root = path.resolve(import.meta.dirname, '../../..');

/** The words of a shell line up to the first operator; quotes are taken off. */
function words(line: string): string[] {
  const found = line.match(/"[^"]*"|'[^']*'|[^\s'"]+/g) ?? [];
  const end = found.findIndex((word) => /^(\||\|\||&&|;|>>?|<|2>)$/.test(word));
  return (end < 0 ? found : found.slice(0, end)).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'));
}

/** Commander keeps the name of a default command to itself. */
const defaultOf = (group: Command): Command | undefined => {
  const { _defaultCommandName: name } = group as unknown as { _defaultCommandName?: string | null };
  return group.commands.find((candidate) => candidate.name() === name);
};

/** What is wrong with a command line, or nothing. A mention in running text may leave out arguments. */
function fault(line: string, mention = false): string | undefined {
  let command: Command = program;
  let args = 0;
  const [, ...rest] = words(line);
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    const sub = args === 0 ? command.commands.find((candidate) => candidate.name() === word) : undefined;
    // A group's command whose name may be left out, as in `skytools copy orders`.
    const implied = args === 0 && sub === undefined ? defaultOf(command) : undefined;
    if (sub) command = sub;
    else if (implied) {
      command = implied;
      i--;
    } else if (word.startsWith('-') && word !== '-') {
      const name = word.replace(/=.*/, '');
      if (name === '--help') continue;
      const option = [...command.options, ...program.options].find(
        ({ long, short }) => name === long || name === short,
      );
      if (!option) return `${command.name()} has no option ${name}`;
      if (option.required && !word.includes('=')) i++;
    } else args++;
  }
  if (command.commands.length > 0 && rest.length > 0)
    return args > 0 ? `no command ${rest.join(' ')}` : undefined;
  if (mention) return undefined;
  const wanted = command.registeredArguments;
  const variadic = wanted.some((argument) => argument.variadic);
  const required = wanted.filter((argument) => argument.required).length;
  if (args < required || (args > wanted.length && !variadic)) return `${command.name()}: ${args} arguments`;
  return undefined;
}

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

describe('examples', () => {
  it('of each command are command lines that it takes', () => {
    for (const command of leaves(program)) {
      for (const [line] of exampleLines(command)) {
        if (line.startsWith('skytools ')) expect(fault(line), line).toBeUndefined();
      }
    }
  });

  const documents = [
    'README.md',
    ...['docs', 'docs/guides', 'docs/operations', 'docs/reference'].flatMap((directory) =>
      existsSync(path.join(root, directory))
        ? readdirSync(path.join(root, directory)).map((file) => path.join(directory, file))
        : [],
    ),
  ].filter((file) => file.endsWith('.md') && existsSync(path.join(root, file)));

  it.each(documents)('in the running text of %s are commands and options that exist', (file) => {
    const text = readFileSync(path.join(root, file), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
    for (const [, command] of text.matchAll(/`(?:npx )?(skytools [^`:]*)`/g)) {
      expect(fault(command!, true), command).toBeUndefined();
    }
  });

  it.each(documents)('in the code blocks of %s are command lines that exist', (file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, block] of text.matchAll(/^```(?:sh|bash|console)\n([\s\S]*?)^```/gm)) {
      for (const line of block!.replaceAll('\\\n', ' ').split('\n')) {
        const [, command] = /^(?:\$ )?(?:npx )?(skytools .*)$/.exec(line.trim()) ?? [];
        if (command) expect(fault(command.replace(/\s#\s.*/, '')), command).toBeUndefined();
      }
    }
  });
});

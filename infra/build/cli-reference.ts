import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { exampleLines } from '../../lib/cli/cli.ts';
import { processIo } from '../../lib/cli/io.ts';
import { createProgram } from '../../lib/cli/program.ts';

/** Where the reference lies. */
export const CLI_REFERENCE = path.resolve(import.meta.dirname, '../../docs/reference/cli.md');

const HEAD = `# Command line

Generated from the command definitions by \`npm run docs\`; do not edit.

\`skytools\` prints data on stdout and messages on stderr. Its exit codes are 0 ok, 1 fault, 2 usage (nothing was tried),
3 unhealthy (the command worked and found something that needs attention).

With \`--json\` data and errors are JSON documents: int8 values (ids of events, ticks and batches) are strings, because many
JSON readers round numbers above 2^53; smaller counts are numbers; times are ISO 8601 in UTC; durations are seconds.

The database is the one named by \`--url\` or \`--database\`; without them the one that libpq's \`PGSERVICE\`, \`PGHOST\`,
\`PGDATABASE\` or \`PGPORT\` name; without those the only one in the configuration.
`;

const cell = (text: string) => text.replaceAll('|', '\\|');

function options(command: Command): string[] {
  const visible = command.options.filter((option) => !option.hidden);
  if (visible.length === 0) return [];
  return [
    '| option | meaning |',
    '|---|---|',
    ...visible.map((option) => {
      const fallback = option.defaultValue;
      const shown =
        fallback === undefined || typeof fallback === 'boolean' || Array.isArray(fallback)
          ? ''
          : ` (default: ${fallback})`;
      return `| \`${cell(option.flags)}\` | ${cell(`${option.description}${shown}`)} |`;
    }),
    '',
  ];
}

function usage(command: Command): string {
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const hasOptions = command.options.some((option) => !option.hidden);
  return [pathOf(command), ...(hasOptions ? ['[options]'] : []), ...args].join(' ');
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function section(command: Command): string[] {
  const described = command.registeredArguments.filter((argument) => argument.description !== '');
  const examples = exampleLines(command);
  return [
    `### ${pathOf(command)}`,
    '',
    `${command.description()}.`,
    '',
    '```text',
    usage(command),
    '```',
    '',
    ...described.flatMap((argument) => [`\`${argument.name()}\`: ${argument.description}`, '']),
    ...options(command),
    ...(examples.length === 0
      ? []
      : ['```sh', ...examples.flatMap(([line, explanation]) => [`# ${explanation}`, line]), '```', '']),
  ];
}

function leaves(command: Command): Command[] {
  const visible = command
    .createHelp()
    .visibleCommands(command)
    .filter((sub) => sub.name() !== 'help');
  return visible.length === 0 ? [command] : visible.flatMap(leaves);
}

/** The reference of all commands, as it should lie in docs/reference/cli.md. */
export function cliReference(): string {
  const { program } = createProgram(processIo());
  const groups = program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help');
  const lines = [
    HEAD,
    '## Options of every command',
    '',
    ...options(program),
    ...groups.flatMap((group) => [`## ${group.name()}`, '', ...leaves(group).flatMap(section)]),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

if (import.meta.main) await writeFile(CLI_REFERENCE, cliReference());

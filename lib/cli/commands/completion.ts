import type { Command } from 'commander';
import { UsageError } from '../../platform/errors.ts';
import type { Cli } from '../cli.ts';

/** Shell functions that ask `skytools __complete` for the words possible at the cursor. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_skytools() {
  local IFS=$'\\n'
  COMPREPLY=($(skytools __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _skytools skytools
`,
  zsh: `#compdef skytools
_skytools() {
  local -a candidates
  candidates=(\${(f)"$(skytools __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#candidates} )); then compadd -a candidates; else _files; fi
}
compdef _skytools skytools
`,
  fish: `function __skytools_complete
  set -l words (commandline -opc) (commandline -ct)
  skytools __complete -- $words[2..-1] 2>/dev/null
end
complete -c skytools -f -a '(__skytools_complete)'
`,
};

export function registerCompletionCommand(cli: Cli): void {
  cli.action(
    cli.program
      .command('completion')
      .description('print the completion script for a shell')
      .argument('<shell>', Object.keys(SCRIPTS).join(', ')),
    [
      ['skytools completion bash >> ~/.bashrc', 'bash, for every new shell'],
      ['skytools completion zsh > ~/.zfunc/_skytools', 'zsh, with ~/.zfunc in fpath'],
      ['skytools completion fish > ~/.config/fish/completions/skytools.fish', 'fish'],
    ],
    async (context, [shell]) => {
      const script = SCRIPTS[shell ?? ''];
      if (script === undefined) {
        throw new UsageError('CLI_UNKNOWN_SHELL', `no completion for "${shell}"`, {
          hint: `known shells: ${Object.keys(SCRIPTS).join(', ')}`,
        });
      }
      context.write(script);
    },
  );
  cli.action(
    cli.program.command('__complete', { hidden: true }).argument('[words...]').allowUnknownOption(),
    [],
    async (context, words) => {
      for (const candidate of candidates(cli.program, words)) context.write(`${candidate}\n`);
    },
  );
}

/** The words that can stand at the place of the last one of `words`. */
export function candidates(program: Command, words: readonly string[]): string[] {
  const typed = words.at(-1) ?? '';
  let command = program;
  for (let i = 0; i < words.length - 1; i++) {
    const word = words[i]!;
    if (word.startsWith('-')) {
      const option = [...command.options, ...program.options].find(
        (o) => o.long === word || o.short === word,
      );
      // The value of an option is no command.
      if (option?.required) i++;
      continue;
    }
    command = command.commands.find((sub) => sub.name() === word || sub.aliases().includes(word)) ?? command;
  }
  const visible = command
    .createHelp()
    .visibleCommands(command)
    .map((sub) => sub.name());
  const options = [...new Set([...command.options, ...program.options])].map((option) => option.long ?? '');
  const pool = typed.startsWith('-') ? [...options, '--help'] : visible;
  return pool.filter((candidate) => candidate !== '' && candidate.startsWith(typed)).sort();
}

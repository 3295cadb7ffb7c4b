import { describe, expect, it } from 'vitest';
import { candidates } from '../../../lib/cli/commands/completion.ts';
import { processIo } from '../../../lib/cli/io.ts';
import { createProgram } from '../../../lib/cli/program.ts';
import { skytools } from '../../support/cli.ts';

describe('command line', () => {
  it('ends with 2 for an unknown command or option, with the message on stderr', async () => {
    const unknown = await skytools(['quueue']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain("unknown command 'quueue'");
    expect((await skytools(['install', '--frobnicate'])).code).toBe(2);
  });

  it('prints its version and its help on stdout and ends with 0', async () => {
    expect(await skytools(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    expect(await skytools(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('doctor') });
  });

  it('ends with 2 when the database is named twice, and prints the error as JSON on request', async () => {
    const result = await skytools(['doctor', '--url', 'postgres://x', '--database', 'y', '--json']);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(JSON.parse(result.stderr)).toMatchObject({ error: 'CLI_TWO_DATABASES' });
  });

  it('ends with 1 and a hint when the server cannot be reached', async () => {
    const result = await skytools(['doctor', '--url', 'postgres://me:secret@127.0.0.1:1/none']);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^error: connection to postgresql failed/);
    expect(result.stderr).toContain('hint: ');
    expect(result.stderr).not.toContain('secret');
  });

  it('gives every command a description and an example', () => {
    const { program } = createProgram(processIo());
    const leaves = (command = program): typeof program.commands =>
      command.commands.length === 0 ? [command] : command.commands.flatMap((sub) => leaves(sub));
    for (const leaf of leaves()) {
      if (leaf.name().startsWith('__')) continue;
      expect(leaf.description(), leaf.name()).not.toBe('');
    }
  });
});

describe('completion', () => {
  const { program } = createProgram(processIo());

  it('offers commands, options, and nothing hidden', () => {
    expect(candidates(program, ['ins'])).toEqual(['install']);
    expect(candidates(program, ['install', '--d'])).toEqual(['--database', '--dry-run']);
    expect(candidates(program, ['--database', 'shop', 'do'])).toEqual(['doctor']);
    expect(candidates(program, ['__'])).toEqual([]);
  });

  it.each(['bash', 'zsh', 'fish'])('prints a script for %s', async (shell) => {
    const result = await skytools(['completion', shell]);
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('skytools __complete');
  });

  it('answers the script through the hidden command', async () => {
    expect((await skytools(['__complete', '--', 'unin'])).stdout).toBe('uninstall\n');
  });
});

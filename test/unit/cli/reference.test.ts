import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CLI_REFERENCE, cliReference } from '../../../infra/build/cli-reference.ts';

it('docs/reference/cli.md is what the command definitions say (npm run docs)', () => {
  expect(readFileSync(CLI_REFERENCE, 'utf8')).toBe(cliReference());
});

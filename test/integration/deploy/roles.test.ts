import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { bundleOptions } from '../../../infra/build/functions.ts';
import { type FunctionSpec, functions } from '../../../infra/functions.ts';
import { receives, s3Rights } from '../../support/rights.ts';

/* What a function may do is in infra/functions.ts, and the template test holds the roles to it. Here the other side: the AWS
   calls that are in its bundle, derived from the modules that esbuild keeps. Modules hold more calls of S3 than a function
   reaches; that it makes none beyond its role is seen where the functions run (../walmgr/functions.test.ts). */

/** A command class of the SQS client and the IAM action it needs; batches need that of the single call. */
const SQS_ACTIONS: Record<string, string> = {
  SendMessageBatchCommand: 'sqs:SendMessage',
  SendMessageCommand: 'sqs:SendMessage',
  ChangeMessageVisibilityCommand: 'sqs:ChangeMessageVisibility',
};

/** The clients that Lambda's runtime brings, by the names under which a bundle loads them. */
const LOADED_CLIENTS: Record<string, string> = {
  '@aws-sdk/client-secrets-manager': 'secretsmanager:GetSecretValue',
  '@aws-sdk/client-ssm': 'ssm:GetParameter',
};

/** Where S3 is called by requests of our own, and what the callers in a module may do. */
const S3_CALLS: readonly [RegExp, string][] = [
  [/\bstore\.(get|open|head)\(|method: 'GET', key: KEY/, 's3:GetObject'],
  [/\bstore\.(put|beginUpload|putPart|completeUpload)\(|method: 'PUT',\s+key: KEY/, 's3:PutObject'],
  [/\bstore\.abortUpload\(/, 's3:AbortMultipartUpload'],
  [/\bstore\.delete\(/, 's3:DeleteObject'],
];

/** The actions that the code of a bundle asks for. S3's by module, so a bundle may hold more than its function reaches. */
async function actionsInBundle(name: string): Promise<Set<string>> {
  const { metafile, outputFiles } = await build({
    ...bundleOptions,
    entryPoints: [path.resolve('functions', `${name}.ts`)],
    outfile: path.resolve('dist', 'unused', `${name}.mjs`),
    write: false,
    metafile: true,
  });
  const [output] = Object.values(metafile.outputs);
  const kept = Object.entries(output!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const actions = new Set<string>();
  for (const [file] of kept) {
    const command = /@aws-sdk\/client-sqs\/.*\/commands\/(\w+)\.js$/.exec(file)?.[1];
    if (command !== undefined) actions.add(SQS_ACTIONS[command] ?? `unknown: ${command}`);
    if (!file.startsWith('lib/')) continue;
    const source = await readFile(file, 'utf8');
    for (const [call, action] of S3_CALLS) if (call.test(source)) actions.add(action);
  }
  const text = outputFiles[0]!.text;
  for (const [client, action] of Object.entries(LOADED_CLIENTS))
    if (text.includes(client)) actions.add(action);
  return actions;
}

/** Needed for the answer to a look at what is missing, whoever looks. */
const IMPLIED = 's3:ListBucket';

/** The actions that infra/functions.ts grants for calls of the function's own code. */
function granted(spec: FunctionSpec): Set<string> {
  return new Set([
    ...(spec.sends.length > 0 ? ['sqs:SendMessage'] : []),
    ...(receives(spec).length > 0 ? ['sqs:ChangeMessageVisibility'] : []),
    ...(spec.connects ? Object.values(LOADED_CLIENTS) : []),
    ...Object.values(s3Rights(spec))
      .flat()
      .filter((action) => action !== IMPLIED),
  ]);
}

describe('the role of a function', () => {
  it.each(functions)('$name: allows nothing that is not in the bundle', async (spec) => {
    const called = await actionsInBundle(spec.name);
    expect([...granted(spec)].filter((action) => !called.has(action))).toEqual([]);
  });

  it.each(functions)('$name: allows what the bundle calls of SQS and of the secrets', async (spec) => {
    const called = await actionsInBundle(spec.name);
    const needed = [...called].filter((action) => !action.startsWith('s3:'));
    expect(needed.filter((action) => !granted(spec).has(action))).toEqual([]);
  });
});

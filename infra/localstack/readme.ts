import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** The README's commands of a deployment, as a reader copies them. */
export interface Deployment {
  /** `npm run deploy -- …` */
  deploy: string;
  /** What it gives to osls. */
  deployArguments: string[];
  /** `npx skytools smoke …` */
  smoke: string;
  /** The stack that it proves. */
  stack: string;
}

const README = path.resolve(import.meta.dirname, '../../README.md');

/** Reads the section on deploying. @throws Error where it no longer says what is followed here */
export async function readmeDeployment(): Promise<Deployment> {
  const text = await readFile(README, 'utf8');
  const block = /^\*\*Deploy\*\*.*?```sh\n(.*?)^```/ms.exec(text)?.[1] ?? '';
  const commands = block
    .split('\n')
    .map((line) => line.replace(/\s+#.*/, '').trim())
    .filter(Boolean);
  const [deploy = '', smoke = '', ...more] = commands;
  const given = /^npm run deploy -- (.+)$/.exec(deploy)?.[1];
  const stack = /^npx skytools smoke --stack (\S+)$/.exec(smoke)?.[1];
  if (given === undefined || stack === undefined || more.length > 0)
    throw new Error(`the README deploys otherwise than it is followed here: ${commands.join('; ')}`);
  return { deploy, deployArguments: given.split(/\s+/), smoke, stack };
}

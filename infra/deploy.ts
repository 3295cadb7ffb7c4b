import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * `npm run deploy -- --stage prod --param subnets=…`: brings the stack to the account of the environment, then has its own
 * migrate function install or upgrade the SQL in every configured database. Arguments go to osls as they are.
 */
const argv = process.argv.slice(2);

async function osls(...command: string[]): Promise<void> {
  const child = spawn('osls', [...command, ...argv], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) {
    console.error(`deploy: \`osls ${command.join(' ')}\` ended with ${code}`);
    process.exit(1);
  }
}

await osls('deploy');
await osls('invoke', '--function', 'migrate');

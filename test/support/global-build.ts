import { execFileSync } from 'node:child_process';

/** Builds the bundles, the command line and the SQL once per run: the tests use what users run. */
export default function setup(): void {
  execFileSync(process.execPath, ['infra/build/build.ts'], { stdio: 'inherit' });
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The last LocalStack that needs no account. */
export const LOCALSTACK_VERSION = '4.14.0';

/** Its sources use type parameters (PEP 695), though its package claims Python 3.10. */
const LEAST_PYTHON = [3, 12] as const;

const CONSTRAINTS = path.join(import.meta.dirname, 'constraints.txt');

/** `python3` of the PATH may be too old where another one is installed beside it. */
function candidates(): string[] {
  const versions = path.join(process.env.PYENV_ROOT ?? path.join(homedir(), '.pyenv'), 'versions');
  const managed = existsSync(versions) ? readdirSync(versions).sort().reverse() : [];
  return [
    ...(process.env.SKYTOOLS_PYTHON ? [process.env.SKYTOOLS_PYTHON] : []),
    'python3.13',
    'python3.12',
    'python3',
    ...managed.map((version) => path.join(versions, version, 'bin', 'python3')),
  ];
}

/** A Python that is new enough. @throws Error that says which were tried */
async function findPython(): Promise<string> {
  const tried: string[] = [];
  for (const candidate of candidates()) {
    const found = await run(candidate, ['-c', 'import sys; print(*sys.version_info[:2])']).catch(
      () => undefined,
    );
    if (found === undefined) continue;
    const [major = 0, minor = 0] = found.stdout.trim().split(' ').map(Number);
    if (major === LEAST_PYTHON[0] && minor >= LEAST_PYTHON[1]) return candidate;
    tried.push(`${candidate} is ${major}.${minor}`);
  }
  throw new Error(
    `LocalStack ${LOCALSTACK_VERSION} needs Python ${LEAST_PYTHON.join('.')} or newer (${tried.join(', ') || 'none found'}): install it, or name it in SKYTOOLS_PYTHON`,
  );
}

/**
 * A virtual environment of its own with some Python packages, made on first use below .cache and used again afterwards.
 *
 * @param packages as pip takes them
 * @returns its directory of programs
 * @throws Error where Python or a package cannot be had
 */
async function virtualEnvironment(name: string, packages: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(packages.join(' ')).update(readFileSync(CONSTRAINTS));
  const directory = path.resolve('.cache', `${name}-${hash.digest('hex').slice(0, 12)}`);
  const complete = path.join(directory, 'complete');
  if (!existsSync(complete)) {
    const python = await findPython();
    await rm(directory, { recursive: true, force: true });
    await mkdir(path.dirname(directory), { recursive: true });
    await run(python, ['-m', 'venv', directory]);
    const arguments_ = ['install', '--quiet', '--disable-pip-version-check', '-c', CONSTRAINTS, ...packages];
    await run(path.join(directory, 'bin', 'pip'), arguments_, { maxBuffer: 1 << 26 });
    await writeFile(complete, '');
  }
  return path.join(directory, 'bin');
}

/** LocalStack from PyPI, and cfn-lint, which it needs itself: some 500 MB on disk, a minute or two the first time. */
export const installLocalStack = (): Promise<string> =>
  virtualEnvironment('localstack', [`localstack-core[runtime]==${LOCALSTACK_VERSION}`]);

if (import.meta.main) console.log(await installLocalStack());

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The directory of this package's package.json: above lib/cli in a checkout, above dist/cli in the package. */
export function packageDirectory(from: string = import.meta.dirname): string {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const manifest = path.join(directory, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'skytools')
      return directory;
    if (directory === path.dirname(directory)) return from;
  }
}

/** The version of this package. */
export function packageVersion(): string {
  const manifest = path.join(packageDirectory(), 'package.json');
  return existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')).version as string) : '0.0.0';
}

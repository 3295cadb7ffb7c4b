// Every dependency in package-lock.json comes from the registry (or says which one, over https) with a SHA-512 of its
// content, and the direct ones have exact versions: what was tested is what is installed.

import { readFileSync } from 'node:fs';

const read = (file) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
const faults = [];
for (const [place, entry] of Object.entries(read('package-lock.json').packages)) {
  if (place === '' || entry.link || entry.inBundle) continue;
  if (entry.resolved && !entry.resolved.startsWith('https://')) faults.push(`${place}: not from a registry`);
  if (!entry.integrity?.startsWith('sha512-')) faults.push(`${place}: no SHA-512`);
}
const manifest = read('package.json');
for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
  for (const [name, version] of Object.entries(manifest[kind] ?? {}))
    if (!/^(npm:[^@]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      faults.push(`${name}: ${version} is not an exact version`);
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log('lock file: every dependency has its hash and, where it is ours, its exact version');

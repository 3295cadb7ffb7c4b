#!/usr/bin/env bash
# Packs the package, installs it in an empty directory as a user would, and uses the command, the library and the types.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" >/dev/null
tarball=$(ls "$work"/skytools-*.tgz)
npx publint --strict "$tarball"
# Kept out of package.json: a tool with TypeScript of its own, for this check alone. The package is an ES module, and the
# SQL is a file that is read, not imported.
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work/attw" @arethetypeswrong/cli@0.18.5
"$work/attw/node_modules/.bin/attw" "$tarball" --profile esm-only --exclude-entrypoints skytools.sql
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --omit=optional "$tarball"
npx skytools --version
npx skytools --help >/dev/null
grep -q "function pgq.insert_event" node_modules/skytools/dist/skytools.sql
cat >use.mjs <<'JS'
import { defineConfig, parseConfig } from 'skytools';
const config = parseConfig(defineConfig({ databases: { app: { url: 'env:APP_URL' } } }));
if (config.databases.app.tick.intervalSeconds !== 5) throw new Error('defaults are not applied');
JS
node use.mjs

# The README's own words, as an application: its configuration and its handler compile and are read by the command.
readme="$OLDPWD/README.md"
snippet() { awk -v first="$1" '/^```ts$/ { on = 1; text = ""; next } /^```$/ { if (on && index(text, first)) { printf "%s", text; exit } on = 0 } on { text = text $0 "\n" }' "$readme"; }
snippet 'defineConfig' >skytools.config.ts
snippet 'handleEvent' >mailer.ts
[ -s skytools.config.ts ] && [ -s mailer.ts ]
npm pkg set type=module >/dev/null
npm install --no-audit --no-fund --save-dev typescript@6.0.3 @types/node@24.19.2 @types/pg@8.23.1
npx tsc --noEmit --strict --module nodenext --target es2023 --types node --skipLibCheck skytools.config.ts mailer.ts
told=$(npx skytools status --database nowhere 2>&1) && exit 1
grep -q 'configured are: app, stats' <<<"$told" || { echo "$told"; exit 1; }
echo 'packed package: installs, runs, and is importable'

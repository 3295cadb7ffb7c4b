#!/usr/bin/env bash
# Packs the package, installs it in an empty directory as a user would, and uses the command, the library and the types.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" >/dev/null
tarball=$(ls "$work"/skytools-*.tgz)
npx publint --strict "$tarball"
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
echo 'packed package: installs, runs, and is importable'

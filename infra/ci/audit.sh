#!/usr/bin/env bash
# Audits the dependencies: what is known to be vulnerable, and whether what is installed is what the lock file says.
# A registry mirror may not answer the audit; then this says so, and the checks that need no audit still have to pass.
set -euo pipefail
cd "$(dirname "$0")/../.."

node infra/ci/check-lock.mjs

report=$(mktemp)
trap 'rm -f "$report"' EXIT
if npm audit --audit-level=high >"$report" 2>&1; then
  tail -1 "$report"
elif grep -q 'audit endpoint returned an error' "$report"; then
  echo '!!! npm audit: the registry of this machine does not answer it; nothing is known about advisories'
else
  cat "$report"
  exit 1
fi

#!/usr/bin/env bash
# Installs the original PgQ from Debian's packages, which the take-over tests run against. Ends with 1 where that cannot be
# done; the tests then say loudly that they were left out.
set -euo pipefail
packages=(postgresql-15 postgresql-15-pgq3 postgresql-15-pgq-node postgresql-15-londiste-sql pgqd python3-pgq)
present() { dpkg -s "${packages[@]}" >/dev/null 2>&1; }
present && exit 0
command -v apt-get >/dev/null || exit 1
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -n)
"${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${packages[@]}" || exit 1
present

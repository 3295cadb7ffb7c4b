#!/usr/bin/env bash
# Installs Debian's PgBouncer, through which the integration tests run a second time. Ends with 1 where that cannot be done.
set -euo pipefail
present() { command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; }
present && exit 0
command -v apt-get >/dev/null || exit 1
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -n)
"${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q pgbouncer || exit 1
present

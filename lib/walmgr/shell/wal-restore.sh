#!/bin/sh
# restore_command without Node.js: fetches one WAL file from S3 through the wal-restore function.
#
#   restore_command = '/usr/local/bin/wal-restore.sh %f %p'
#
# Needs sh, curl, openssl, zstd (gzip for files that were uploaded so), sha256sum. Settings as for wal-upload.sh:
#   SKYTOOLS_RESTORE_URL, SKYTOOLS_CLUSTER, SKYTOOLS_RESTORE_KEY
# Exit 0: delivered, checked. 1: the archive has no such file, which ends recovery. 255: anything else, which aborts it.
umask 077
settings=${SKYTOOLS_WAL_ENV:-/etc/skytools/wal.env}
[ -r "$settings" ] && . "$settings"
name=$1
target=$2
work=$(mktemp -d) || exit 255
trap 'rm -rf "$work" "$target.skytools"' EXIT
fail() {
  echo "wal-restore: $name: $1" >&2
  exit 255
}

printf 'cluster=%s\nname=%s\ntime=%s\n' "$SKYTOOLS_CLUSTER" "$name" "$(date +%s)" >"$work/request"
signature=$(openssl dgst -sha256 -hmac "$SKYTOOLS_RESTORE_KEY" "$work/request" | sed 's/^.*= *//')
status=$(curl -sS --retry 5 --max-time 30 -o "$work/answer" -w '%{http_code}' --data-binary "@$work/request" \
  -H "x-skytools-signature: $signature" -H 'content-type: text/plain' "$SKYTOOLS_RESTORE_URL") || fail 'no answer'
if [ "$status" = 404 ] && [ "$(cat "$work/answer")" = absent ]; then exit 1; fi
[ "$status" = 200 ] || fail "$status $(head -c 500 "$work/answer")"
{ read -r _ url; read -r _ codec; read -r _ sum; } <"$work/answer"
curl -sS --fail --retry 5 --max-time 300 -o "$work/object" "$url" || fail 's3 did not deliver it'
case $codec in
  zstd) zstd -q -d -c "$work/object" >"$target.skytools" ;;
  gzip) gzip -d -c "$work/object" >"$target.skytools" ;;
  none) cat "$work/object" >"$target.skytools" ;;
  *) fail "unknown codec $codec" ;;
esac || fail 'it cannot be decompressed'
[ "$(sha256sum "$target.skytools" | cut -d ' ' -f 1)" = "$sum" ] || fail 'its checksum is wrong'
sync -d "$target.skytools" 2>/dev/null || sync
mv "$target.skytools" "$target" || fail 'it cannot be put in place'

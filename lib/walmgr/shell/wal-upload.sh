#!/bin/sh
# archive_command without Node.js: sends one WAL file to S3 through the wal-upload function.
#
#   archive_command = '/usr/local/bin/wal-upload.sh %p'
#
# Needs sh, curl, openssl, zstd (or gzip), od, sha256sum. Settings, in the environment or in the file that
# SKYTOOLS_WAL_ENV names (default /etc/skytools/wal.env, readable by the server's account alone):
#   SKYTOOLS_UPLOAD_URL   the function's URL
#   SKYTOOLS_CLUSTER      the cluster's name in skytools.config.ts
#   SKYTOOLS_UPLOAD_KEY   its upload key
# Exit 0 only when S3 has said that the file is durable; 1 otherwise, and PostgreSQL tries again.
set -eu
umask 077
settings=${SKYTOOLS_WAL_ENV:-/etc/skytools/wal.env}
[ -r "$settings" ] && . "$settings"
file=$1
name=${file##*/}
work=$(mktemp -d) || exit 1
# Whatever fails, a command that is missing too (127): PostgreSQL counts only what is not above 125.
trap 'code=$?; rm -rf "$work"; [ "$code" -eq 0 ] || exit 1' EXIT

if command -v zstd >/dev/null; then
  codec=zstd
  zstd -q -1 -c "$file" >"$work/object"
else
  codec=gzip
  gzip -1 -c "$file" >"$work/object"
fi
sha256() { sha256sum "$1" | cut -d ' ' -f 1; }
cat >"$work/request" <<REQUEST
cluster=$SKYTOOLS_CLUSTER
name=$name
size=$(($(wc -c <"$file")))
sha256=$(sha256 "$file")
object_size=$(($(wc -c <"$work/object")))
object_sha256=$(sha256 "$work/object")
codec=$codec
header=$(od -An -v -tx1 -N 40 "$file" | tr -d ' \n')
time=$(date +%s)
REQUEST
signature=$(openssl dgst -sha256 -hmac "$SKYTOOLS_UPLOAD_KEY" "$work/request" | sed 's/^.*= *//')

# Twice: an upload that S3 refuses because the file is there by now is looked at again, and compared.
for attempt in 1 2; do
  status=$(curl -sS --max-time 30 -o "$work/answer" -w '%{http_code}' --data-binary "@$work/request" \
    -H "x-skytools-signature: $signature" -H 'content-type: text/plain' "$SKYTOOLS_UPLOAD_URL") || exit 1
  if [ "$status" != 200 ]; then
    echo "wal-upload: $name: $(head -c 500 "$work/answer")" >&2
    exit 1
  fi
  read -r word url <"$work/answer"
  [ "$word" = have ] && exit 0
  sed 1d "$work/answer" >"$work/headers"
  status=$(curl -sS --max-time 300 -o "$work/reason" -w '%{http_code}' -T "$work/object" -H "@$work/headers" \
    -H 'Expect:' "$url") || exit 1
  [ "$status" = 200 ] && exit 0
done
echo "wal-upload: $name: s3 answered $status: $(head -c 500 "$work/reason")" >&2
exit 1

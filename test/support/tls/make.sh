#!/bin/sh
# Made the certificates beside it, which are good for a hundred years and for nothing but the tests of TLS:
# an authority, a server named localhost, a server of another name, and an authority that signed neither.
set -eu
cd "$(dirname "$0")"
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=$2" \
    -keyout "$1.key" -out "$1.pem" -addext 'basicConstraints=critical,CA:TRUE' 2>/dev/null
}
server() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'subjectAltName=%s\n' "$3" > ext
  openssl x509 -req -in "$1.csr" -CA authority.pem -CAkey authority.key -CAcreateserial -days 36500 \
    -extfile ext -out "$1.pem" 2>/dev/null
  rm "$1.csr" ext
}
authority authority 'SkyTools tests'
authority stranger 'Somebody else'
server localhost localhost 'DNS:localhost,IP:127.0.0.1'
server elsewhere db.example.com 'DNS:db.example.com'
rm -f authority.key stranger.key authority.srl

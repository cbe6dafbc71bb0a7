#!/bin/sh
# Keys and containers of the fleet in compose.yaml. The first call makes the keys (deploy/compose/keys, secret), each call starts what
# is not running. With --keys only the keys. An operator's key for this machine: keys/operators/admin.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
weft() { "$here/../../cli/weft" "$@"; }
export WEFT_KEYS="${WEFT_KEYS:-$here/keys}"
if [ ! -e "$WEFT_KEYS/keys.json" ]; then
    weft keys init "$WEFT_KEYS" --server=nats1 --server=nats2 --server=nats3
    for host in host1 host2 host3; do weft keys host "$host"; done
    weft keys relay relay
    weft keys operator admin
fi
[ "${1:-}" != --keys ] || exit 0
docker image inspect "${WEFT_IMAGE:-weft:latest}" >/dev/null 2>&1 || sh "$here/../image/build.sh" "${WEFT_IMAGE:-weft:latest}"
docker compose -f "$here/compose.yaml" up -d

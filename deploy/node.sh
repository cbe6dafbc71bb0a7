#!/bin/sh
# The pinned Node (docs/adr/0001): deploy/node.sh FILE.ts ARGS...
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64 | arm64) arch=arm64 ;;
*)
    echo "weft: no pinned Node for $(uname -m): x86_64 and aarch64 are supported" >&2
    exit 1
    ;;
esac
node=$root/node_modules/node-linux-$arch/bin/node
if [ ! -x "$node" ]; then
    echo "weft: $node is missing: run deploy/setup.sh first" >&2
    exit 1
fi
exec "$node" "$@"

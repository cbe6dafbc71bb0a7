#!/bin/sh
# The main job on real input, in a home of its own that only the trace outlives: a daemon, a program of the distribution traced through
# a preload helper, a C++ service with its own provider.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sh "$root/deploy/setup.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/weft-demo-XXXXXX")
export WEFT_HOME="$work/home"
mkdir -p "$WEFT_HOME"
weft() { "$root/cli/weft" "$@"; }
finish() { weft -q -n sessiond --stop >/dev/null 2>&1 || true; }
trap finish EXIT INT TERM
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

say "A session that records the memory of python3 and all that the service says"
weft create demo --output="$work/trace"
weft enable-channel --userspace memory --subbuf-size=1M --num-subbuf=8
weft enable-channel --userspace service --subbuf-size=1M --num-subbuf=8
weft enable-event --userspace --channel=memory 'lttng_ust_libc:*'
weft enable-event --userspace --channel=service 'shop:*' --loglevel=DEBUG
weft add-context --userspace --channel=memory --type=procname --type=vtid
weft start

say "python3, which knows nothing of Weft, with LD_PRELOAD=libweft-libc.so"
LD_PRELOAD="$root/native/build/libweft-libc.so" python3 -c '
import json
table = {str(n): list(range(n % 50)) for n in range(20000)}
print(len(json.dumps(table)), "bytes of JSON made and forgotten")'

say "examples/service, a C++ program with its own provider"
c++ -O2 -I"$root/native/include" -I"$root/examples/service" "$root/examples/service/service.cc" -o "$work/service" -lpthread
printf 'not traced:  '; env -u WEFT_HOME WEFT_HOME="$work/nobody" "$work/service" 1000000
printf 'traced:      '; LD_LIBRARY_PATH="$root/native/build" "$work/service" 1000000

weft stop
say "The first events of each"
babeltrace2 "$work/trace" 2>/dev/null | grep -m 4 lttng_ust_libc || true
babeltrace2 "$work/trace" 2>/dev/null | grep -m 4 shop: || true

say "What was recorded, and what was not"
weft list demo | grep -E '^- |Recorded events|Discarded|:  *[0-9]+$' | grep -vE 'size|count|timer|timeout'
weft destroy
bytes=$(find "$work/trace" -type f ! -path '*/index/*' -printf '%s\n' | awk '{s += $1} END {print s}')
say "The trace: $work/trace ($bytes bytes)"
echo "Look at it with: babeltrace2 $work/trace | less"

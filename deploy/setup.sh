#!/bin/sh
# Makes a bare Debian or Ubuntu machine ready for Weft, and a ready one in a moment. Safe to run again, and at the same time.
#   deploy/setup.sh           what running and building needs
#   deploy/setup.sh --tests   also what only tests and side-by-side measurements use (LTTng, clang, gdb, an arm64 compiler, a container engine)
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

# program:package, where the program is proof enough that the package is there
NEEDED='cc:build-essential c++:build-essential make:build-essential babeltrace2:babeltrace2 nats-server:nats-server npm:npm flock:util-linux'
FOR_TESTS='lttng:lttng-tools xmllint:libxml2-utils clang:clang gdb:gdb aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu qemu-aarch64:qemu-user python3:python3 ip:iproute2 dockerd:docker.io'
LIBRARIES_FOR_TESTS='liblttng-ust-dev libc6-dev-arm64-cross'

say() { printf 'setup: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

missing_programs() {
    for pair in $1; do
        has "${pair%%:*}" || printf '%s\n' "${pair#*:}"
    done | sort -u
}

missing_libraries() {
    for package in $1; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# nats-server's package would run a bus for everybody on port 4222. Weft uses the program only.
install_packages() {
    keep_quiet=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        keep_quiet=yes
        printf '#!/bin/sh\nexit 101\n' | as_root sh -c 'cat > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d'
    fi
    status=0
    { as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2; } || status=$?
    [ -z "$keep_quiet" ] || as_root rm -f /usr/sbin/policy-rc.d
    case " $* " in
    *' nats-server '*) as_root systemctl disable nats-server.service >/dev/null 2>&1 || true ;;
    esac
    return "$status"
}

# What cannot be installed is named; whether that ends the set-up is the caller's to say.
provide() {
    [ $# -gt 0 ] || return 0
    if ! has apt-get; then
        say "this is no Debian or Ubuntu; install by hand: $*"
        return 1
    fi
    if [ "$(id -u)" != 0 ] && ! has sudo; then
        say "run as root or install sudo; missing packages: $*"
        return 1
    fi
    say "installing $*"
    install_packages "$@" || { say "apt-get could not install: $*"; return 1; }
}

# npm removes node_modules before it fills it: only when the lock file is not the one that filled it.
provide_npm_packages() {
    stamp=node_modules/.weft-setup
    wanted=$(cksum < package-lock.json)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return 0
    fi
    say 'installing npm packages'
    # No install scripts: nothing here needs one, and many machines forbid them.
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    sh deploy/node.sh --version >/dev/null
    printf '%s\n' "$wanted" > "$stamp"
}

build() {
    jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    make -s -C native -q all 2>/dev/null && return 0
    say 'building the native parts'
    make -s -C native -j"$jobs" all >&2
}

# clang's sanitizer and fuzzer libraries are a package of their own, named after its version, on some systems.
missing_clang_runtime() {
    has clang || return 0
    [ -n "$(find "$(clang -print-resource-dir)/lib" -name 'libclang_rt.fuzzer*.a' 2>/dev/null)" ] ||
        printf 'libclang-rt-%s-dev\n' "$(clang -dumpversion | cut -d. -f1)"
}

# The engine's command line is a package of its own on newer systems, and part of the engine's on others.
missing_docker_command() {
    ! has dockerd || has docker || echo docker-cli
}

provide $(missing_programs "$NEEDED")
exec 9<.
flock 9
provide_npm_packages
build
if [ "${1:-}" = --tests ]; then
    { provide $(missing_programs "$FOR_TESTS") $(missing_libraries "$LIBRARIES_FOR_TESTS") &&
        provide $(missing_clang_runtime) && provide $(missing_docker_command); } ||
        say 'going on without; the tests that need them say so and are skipped'
fi

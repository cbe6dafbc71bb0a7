#!/bin/sh
# Makes the root directory of Weft's container image from this machine's own files: deploy/image/root.sh DIR
# The programs named below with the libraries that they load, Weft itself, and nothing else. Needs a Weft that is set up (deploy/setup.sh).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
target=$(CDPATH='' cd -- "$1" && pwd)
case $(uname -m) in
x86_64) arch=x64 ;;
aarch64) arch=arm64 ;;
*) echo "$0: x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac

# What cli/weft and a person in the container call, and the bus. The machine's own must be what distributions ship (no wrappers).
PROGRAMS='sh id uname readlink mkdir chown cat ls env sleep kill nats-server'

# Where /bin and its kin are links into /usr, they are here too.
for folder in bin sbin lib lib64; do
    if [ -L "/$folder" ]; then
        mkdir -p "$target/usr/$folder"
        [ -e "$target/$folder" ] || ln -s "usr/$folder" "$target/$folder"
    fi
done
mkdir -p "$target/bin" "$target/usr/bin" "$target/usr/sbin" "$target/etc" "$target/tmp" "$target/run/weft" "$target/var/lib/weft" "$target/var/lib/weft-fleet" \
    "$target/root" "$target/proc" "$target/dev" "$target/sys" "$target/opt/weft"
chmod 1777 "$target/tmp"
chmod 700 "$target/var/lib/weft" "$target/root"
chmod 750 "$target/var/lib/weft-fleet"
[ "$(id -u)" != 0 ] || chown 991:991 "$target/var/lib/weft-fleet"

# A file under the name by which it is loaded; what it points to goes with it.
put() {
    [ -e "$target$1" ] || install -D -m "$(stat -L -c %a "$1")" "$1" "$target$1"
}
libraries_of() {
    # "name => /path (address)" and "/path/of/the/loader (address)"
    ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'
}
put_with_libraries() {
    put "$1"
    libraries_of "$1" | while read -r library; do put "$library"; done
}

for program in $PROGRAMS; do
    path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program") || { echo "$0: $program is not installed" >&2; exit 1; }
    case $path in
    /*) put_with_libraries "$path" ;;
    *) put_with_libraries "/bin/$program" ;; # built into this shell
    esac
done

node=node_modules/node-linux-$arch/bin/node
for file in "$node" native/build/weft-keeper native/build/weft.node; do
    libraries_of "$root/$file" | while read -r library; do put "$library"; done
done
# Names of users and groups: the C library loads these by itself.
for library in $(ldd /bin/sh | sed -n 's/.*=> \(\/[^ ]*\)\/libc\.so\.6 .*/\1/p'); do
    for name in "$library"/libnss_files.so.2 "$library"/libnss_dns.so.2 "$library"/libresolv.so.2; do
        [ ! -e "$name" ] || put "$name"
    done
done

cd "$root"
{
    find actors cli ctf machines rules transport native/addon deploy/nats -type f \( -name '*.ts' -o -name '*.conf' -o -name weft \)
    find native/build -maxdepth 1 -name 'libweft*.so*'
    printf '%s\n' package.json LICENSE "$node" native/build/weft-keeper native/build/weft.node
} | tar -cf - -T - | tar -xf - -C "$target/opt/weft"
# Run-time packages only: what package-lock.json does not mark as for development.
npm_packages=$("$node" -e '
const { packages } = JSON.parse(require("node:fs").readFileSync("package-lock.json", "utf8"));
for (const [path, { dev, optional, devOptional }] of Object.entries(packages))
  if (path && !dev && !devOptional && !/node-linux-/.test(path) && require("node:fs").existsSync(path)) console.log(path);')
tar -cf - $npm_packages | tar -xf - -C "$target/opt/weft"

printf 'root:x:0:0:root:/root:/bin/sh\nweft:x:991:991:Weft fleet:/var/lib/weft-fleet:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' > "$target/etc/passwd"
printf 'root:x:0:\ntracing:x:990:\nweft:x:991:\nnogroup:x:65534:\n' > "$target/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$target/etc/nsswitch.conf"

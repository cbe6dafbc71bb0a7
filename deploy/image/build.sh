#!/bin/sh
# Builds the container image without a registry: deploy/image/build.sh [TAG] (default: weft:latest)
# Without a container engine it leaves root.tar, which `docker import`, `podman import` or `machinectl import-tar` take.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tag=${1:-weft:latest}
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-image-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
sh "$here/root.sh" "$work/root"
mkdir "$work/context"
tar --numeric-owner --owner=0 --group=0 --exclude=./var/lib/weft-fleet -C "$work/root" -cf "$work/context/root.tar" .
# The home of the user `weft` (root.sh).
tar --numeric-owner --owner=991 --group=991 -C "$work/root" -rf "$work/context/root.tar" ./var/lib/weft-fleet
cp "$here/Dockerfile" "$work/context"
for engine in docker podman; do
    if command -v "$engine" >/dev/null 2>&1 && "$engine" info >/dev/null 2>&1; then
        "$engine" build -t "$tag" "$work/context"
        echo "built $tag with $engine"
        exit 0
    fi
done
mv "$work/context/root.tar" ./weft-root.tar
echo "no container engine answers; the image's root is weft-root.tar: docker import weft-root.tar $tag"

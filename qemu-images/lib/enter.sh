#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The inner half of `sandbox run`, already in a mount namespace of its own:
# enter.sh ROOT FOLDER PATH CMD... shows the host's kernel interfaces, the checkout, the cache and
# /tmp inside ROOT and runs CMD there in FOLDER. The mounts vanish with the namespace.
set -euo pipefail
root=$1 folder=$2 paths=$3
shift 3

# The cache first: it contains ROOT, which has no mounts below it yet.
show() {
	mkdir -p "$root$1"
	mount --rbind "$1" "$root$1"
}
show /tmp
show "$CACHE"
case $TOP/ in
/tmp/* | "$CACHE"/*) ;;
*) show "$TOP" ;;
esac
# One folder more, for a kernel build folder of the user's own.
case ${SANDBOX_SHOW:-/tmp/}/ in
/tmp/* | "$CACHE"/* | "$TOP"/*) ;;
*) show "$SANDBOX_SHOW" ;;
esac
case $folder/ in
/tmp/* | "$CACHE"/* | "$TOP"/*) ;;
*) folder=$TOP ;;
esac
for place in /proc /sys /dev; do
	mount --rbind "$place" "$root$place"
done

# Names and certificates are the host's.
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
	if [ -e "$file" ]; then
		[ ! -L "$root$file" ] || rm "$root$file"
		[ -e "$root$file" ] || : >"$root$file"
		mount --bind "$(readlink -f "$file")" "$root$file"
	fi
done

export PATH=$paths LANG=C.UTF-8 LC_ALL=C.UTF-8
exec chroot "$root" /usr/bin/env --chdir="$folder" "$@"

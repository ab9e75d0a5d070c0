#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: C files pass the kernel's checkpatch
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP"
checkpatch=$("$IMAGES/kernel" path)/source/scripts/checkpatch.pl
# uapi/ repeats an ABI: its names and its packing are given. MAINTAINERS entries are the tree's business.
mapfile -t files < <(find rust_binder uapi userspace-tests -path userspace-tests/target -prune -o \( -name '*.c' -o -name '*.h' \) -print | sort)
[ ${#files[@]} -gt 0 ] || { echo "no C files found"; exit 1; }
"$IMAGES/sandbox" run -- perl "$checkpatch" --no-tree --no-signoff --terse --strict --file --summary-file \
	--ignore FILE_PATH_CHANGES,LINUX_VERSION_CODE,CAMELCASE "${files[@]}"

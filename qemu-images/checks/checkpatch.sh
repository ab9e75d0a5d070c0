#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: C files pass the kernel's checkpatch
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP"
# checkpatch keeps what it learned about names in the folder it runs in.
trap 'rm -f "$TOP"/.checkpatch-camelcase.*' EXIT
checkpatch=$("$IMAGES/kernel" path)/source/scripts/checkpatch.pl
run=("$IMAGES/sandbox" run -- perl "$checkpatch" --no-tree --no-signoff --terse --file --summary-file)

# patch FOLDER OPTIONS... : the C files below FOLDER
patch() {
	local folder=$1 files
	shift
	mapfile -t files < <(git ls-files --cached --others --exclude-standard "$folder/*.c" "$folder/*.h")
	[ ${#files[@]} -eq 0 ] || "${run[@]}" "$@" "${files[@]}"
}

patch rust_binder --strict
# User space has the C library's types, and no __packed.
patch uapi --strict --ignore PREFER_DEFINED_ATTRIBUTE_MACRO
patch userspace-tests
patch qemu-images

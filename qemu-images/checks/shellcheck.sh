#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: shell scripts pass shellcheck
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP"
mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r file; do
	[ ! -f "$file" ] || ! head -n 2 "$file" | grep -qE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' || echo "$file"
done)
"$IMAGES/sandbox" run -- shellcheck --external-sources --source-path="$TOP" "${files[@]}"

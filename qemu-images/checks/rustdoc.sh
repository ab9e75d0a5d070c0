#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: the driver's documentation builds without warnings (build/rustdoc/)
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

"$IMAGES/module" build >/dev/null
"$IMAGES/sandbox" run -- python3 -B "$IMAGES/lib/rustdoc.py" "$BUILD/module/$(readlink "$BUILD/current")" "$BUILD/rustdoc"

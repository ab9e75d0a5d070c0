#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: no way to panic is left in the module
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

# Undefined symbols of core's panic machinery are the trace that every panicking path leaves. An entry
# of checks/panics.allowed is a symbol and, after it, the proof that it is never reached.
"$IMAGES/module" build >/dev/null
undefined=$("$IMAGES/sandbox" run -- nm --undefined-only --demangle "$BUILD/current/rust_binder.ko" | sed 's/^ *U //')
found=$(grep -E 'panicking|panic_|unwrap_failed|expect_failed|slice_.*_fail|_overflow$|rust_build_error|rust_begin_unwind' <<<"$undefined" |
	grep -vE '^__stack_chk_fail|^rust_helper_' || true)
while IFS= read -r symbol; do
	[ -n "$symbol" ] || continue
	if proof=$(grep -F "$symbol " "$IMAGES/checks/panics.allowed"); then
		echo "note: allowed: $proof"
	else
		echo "the module refers to $symbol"
		bad=1
	fi
done <<<"$found"
[ -z "${bad:-}" ]

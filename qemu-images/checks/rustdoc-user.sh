#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: the documentation of user space builds without warnings
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP/userspace-tests"
RUSTDOCFLAGS="-D warnings" "$IMAGES/sandbox" cargo doc --locked --quiet --workspace --no-deps --document-private-items

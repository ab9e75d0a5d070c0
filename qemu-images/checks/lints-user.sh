#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: clippy has no warning for user space
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP/userspace-tests"
"$IMAGES/sandbox" cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
# These tests take the place of others, so neither build has both.
"$IMAGES/sandbox" cargo clippy --locked --quiet -p rooms --features loom --all-targets -- -D warnings

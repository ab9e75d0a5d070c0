#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: uapi/, the raw ABI crate and the kernel's own headers agree number by number
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP/userspace-tests"
BINDER_KERNEL_UAPI=$("$IMAGES/kernel" path)/source/include/uapi
export BINDER_KERNEL_UAPI
"$IMAGES/sandbox" cargo test --locked --quiet -p binder-abi

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: the driver is formatted by the kernel's rustfmt
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP"
mapfile -t files < <(find rust_binder -name '*.rs' | sort)
"$IMAGES/sandbox" run -- rustfmt --check --color never --edition 2021 "${files[@]}"

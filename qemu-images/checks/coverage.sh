#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: every constant of the ABI, every row of requirements and every listed difference has a case
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

cd "$TOP/userspace-tests"
"$IMAGES/sandbox" cargo test --locked --quiet -p conformance -- coverage --nocapture --test-threads 1

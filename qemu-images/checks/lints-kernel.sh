#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Proves: clippy of the kernel's compiler has no warning for the driver
set -euo pipefail
# shellcheck source=qemu-images/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib/common.sh"

# In an output folder of its own: objects made by clippy are never linked into the module.
"$IMAGES/module" clippy

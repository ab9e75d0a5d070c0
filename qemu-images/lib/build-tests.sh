#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs in the sandbox: build-tests.sh CRATE VERSION WORK TARGET. Builds the unit tests of the published
# library CRATE, of which userspace-tests/ locks VERSION, as its authors locked what it depends on.
# WORK/tests is the result.
set -euo pipefail
crate=$1 version=$2 work=$3 target=$4
top=$(cd "$(dirname "$0")/../.." && pwd)

# The source as cargo has fetched it for the workspace.
manifest=$(cargo metadata --locked --format-version 1 --manifest-path "$top/userspace-tests/Cargo.toml" |
	python3 -c '
import json, sys
crate, version = sys.argv[1:]
found = [p["manifest_path"] for p in json.load(sys.stdin)["packages"] if (p["name"], p["version"]) == (crate, version)]
print(found[0] if found else "")' "$crate" "$version")
[ -n "$manifest" ] || {
	echo "userspace-tests/Cargo.lock has no $crate $version: packages/published-tests names another version"
	exit 1
}
cp -r "$(dirname "$manifest")" "$work/source"
cd "$work/source"
CARGO_TARGET_DIR=$work/output cargo test --locked --lib --no-run --target "$target" --message-format json |
	python3 -c '
import json, sys
made = [m.get("executable") for m in map(json.loads, filter(str.strip, sys.stdin)) if m.get("reason") == "compiler-artifact"]
print(next(path for path in made if path))' >"$work/path"
cp "$(cat "$work/path")" "$work/tests"
strip --strip-debug "$work/tests"

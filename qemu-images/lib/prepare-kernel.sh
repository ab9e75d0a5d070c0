#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs in the sandbox: prepare-kernel.sh PART WORK RELEASE, for the parts fetch, unpack, metadata
# and finish in this order. WORK/kernel is the result; the caller publishes it.
#
# The result is Debian's headers packages with the Rust metadata added where kbuild looks for it:
# rust/*.rmeta, the procedural macros, scripts/target.json. It is small and may be moved.
set -euo pipefail
part=$1 work=$2 release=$3
images=$(cd "$(dirname "$0")/.." && pwd)
version=${release%%+*}     # 7.3.4
abi=${release%-*}          # 7.3.4+deb13
series=${version%.*}       # 7.3
result=$work/kernel
headers=$result/usr/src/linux-headers-$release
common=$result/usr/src/linux-headers-$abi-common
source=$work/linux-source-$series
output=$work/output
mkdir -p "$result" "$work/debs"

refuse() {
	echo "refused: $*"
	exit 1
}

fetch() {
	local debian
	debian=$(apt-cache show --no-all-versions "linux-headers-$release" | sed -n 's/^Version: //p')
	cd "$work/debs"
	apt-get download "linux-headers-$release=$debian" "linux-headers-$abi-common=$debian" "linux-kbuild-$abi=$debian" \
		"linux-modules-$release=$debian" "linux-source-$series=$debian"
	# Series before 7.3 have the image in linux-image-*, later ones in linux-binary-*.
	apt-get download "linux-binary-$release=$debian" || apt-get download "linux-image-$release=$debian"
}

unpack() {
	local deb modules
	cd "$work/debs"
	for deb in linux-headers-* linux-kbuild-*; do
		dpkg-deb -x "$deb" "$result"
	done
	rm -rf "${result:?}/usr/share" "$result/usr/lib/modules"
	for deb in linux-binary-* linux-image-* linux-modules-* linux-source-*; do
		[ ! -e "$deb" ] || dpkg-deb -x "$deb" "$work/stock"
	done
	rm -rf "$work/debs"
	modules=$work/stock/usr/lib/modules/$release
	[ -d "$modules" ] || modules=$work/stock/lib/modules/$release
	cp "$(find "$work/stock" -name 'vmlinuz*' -type f | head -n 1)" "$result/vmlinuz"
	pick_modules "$modules"
	# Most of the source is drivers that nobody builds here: what they are configured by stays, their code
	# does not, except that of binder.
	local bulk=() place top=linux-source-$series
	for place in drivers/{clk,crypto,gpu,hwmon,iio,infiniband,md,media,mfd,mtd,net,pinctrl,platform,scsi,staging,usb,video} \
		fs sound net 'arch/[!x]*' tools/testing/selftests/{bpf,net,kvm}; do
		bulk+=("--exclude=$top/$place/"*.{c,dts,dtsi,S})
	done
	tar -C "$work" -xf "$work/stock/usr/src/linux-source-$series.tar.xz" --anchored --wildcards "${bulk[@]}" \
		"--exclude=$top/drivers/gpu/drm/amd/include/asic_reg/*" "--exclude=$top/Documentation/*".{rst,yaml,svg}
	rm -rf "$work/stock"
}

# Copies what the guest loads, dependencies first, and writes the order down.
pick_modules() {
	local name
	declare -A seen=()
	mkdir -p "$result/modules"
	: >"$result/modules/order"
	take() {
		local name=$1 file need
		[ -z "${seen[$name]:-}" ] || return 0
		seen[$name]=1
		file=$(find "$2" -name "$name.ko*" -o -name "${name//_/-}.ko*" | head -n 1)
		[ -n "$file" ] || { echo "no module $name: built in, or not there"; return 0; }
		for need in $(modinfo -F depends "$file" | tr ',' ' '); do
			take "$need" "$2"
		done
		case $file in
		*.xz) xz -dc "$file" ;;
		*.zst) zstd -dcq "$file" ;;
		*) cat "$file" ;;
		esac >"$result/modules/$name.ko"
		echo "$name $3" >>"$result/modules/order"
	}
	while read -r name; do
		take "$name" "$1" "$name"
	done < <(sed -n 's/^module //p' "$images/packages/kernel")
}

metadata() {
	local wanted have
	grep -qx CONFIG_RUST=y "$headers/.config" || refuse "kernel $release is built without Rust (CONFIG_RUST)"
	wanted=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$headers/.config")
	have=$(rustc --version)
	[ "$wanted" = "$have" ] || refuse "wrong rustc: kernel $release was built by '$wanted', the sandbox has '$have'"
	case $(bindgen --version) in
	"bindgen 0.73.1") refuse "bindgen 0.73.1 miscompiles bit fields; 0.71.1 and 0.73.2 do not" ;;
	esac
	mkdir -p "$output"
	cp "$headers/.config" "$output/.config"
	local settings=(-C "$source" ARCH=x86 O="$output" CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14 "-j$(nproc)")
	make "${settings[@]}" olddefconfig
	diff -u "$headers/.config" "$output/.config" || refuse "the configuration of kernel $release changed under this tool chain (see above)"
	# The tool that works on type information is for linking kernels, and takes a quarter of the time.
	make "${settings[@]}" CONFIG_DEBUG_INFO_BTF= modules_prepare
}

finish() {
	local kept
	mkdir -p "$headers/rust"
	cp "$output"/rust/*.rmeta "$output"/rust/*.so "$headers/rust/"
	[ ! -e "$output/scripts/target.json" ] || cp "$output/scripts/target.json" "$headers/scripts/"
	cp "$source/.clippy.toml" "$source/.rustfmt.toml" "$common/"
	# Debian's paths are absolute; ours are found from the file itself.
	cat >"$headers/Makefile" <<-'TEXT'
	prepared := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
	KBUILD_OUTPUT := $(prepared)
	TEXT
	echo "include \$(prepared)/../linux-headers-$abi-common/Makefile" >>"$headers/Makefile"
	ln -s "usr/src/linux-headers-$release" "$result/build"
	# Sources that checks and readers want; the rest of 1.8 GB goes.
	mkdir "$result/source"
	for kept in rust scripts/checkpatch.pl scripts/spelling.txt scripts/const_structs.checkpatch drivers/android \
		include/uapi include/linux/compiler_types.h tools/testing/selftests/filesystems/binderfs \
		tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h \
		samples/rust .rustfmt.toml .clippy.toml COPYING; do
		if [ -e "$source/$kept" ]; then
			mkdir -p "$result/source/$(dirname "$kept")"
			cp -a "$source/$kept" "$result/source/$kept"
		fi
	done
	# What bindgen wrote, and the crate sources it goes with, serve rustdoc and editors.
	for kept in bindings/bindings_generated.rs bindings/bindings_helpers_generated.rs uapi/uapi_generated.rs; do
		[ ! -e "$output/rust/$kept" ] || cp "$output/rust/$kept" "$result/source/rust/$kept"
	done
	rm -rf "$output" "$source"
}

"$part"

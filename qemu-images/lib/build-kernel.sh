#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs in the sandbox: build-kernel.sh PART WORK RELEASE LANE, for the parts fetch, unpack, configure,
# compile and finish in this order. Builds the kernel of a lane from the source of the stock kernel
# RELEASE. WORK/kernel is the result, laid out like a prepared stock kernel; the caller publishes it.
set -euo pipefail
part=$1 work=$2 release=$3 lane=$4
images=$(cd "$(dirname "$0")/.." && pwd)
version=${release%%+*}
series=${version%.*}
result=$work/kernel
source=$work/linux-source-$series
output=$work/output
fragment=$images/lanes/$lane.config
compiler=$(sed -n 's/^compiler //p' "$images/lanes/$lane")
settings=(-C "$source" ARCH=x86 "O=$output" "CC=$compiler" HOSTCC=gcc-14 "-j$(nproc)")
mkdir -p "$result" "$work/debs"

refuse() {
	echo "refused: $*"
	exit 1
}

fetch() {
	local debian
	debian=$(apt-cache show --no-all-versions "linux-headers-$release" | sed -n 's/^Version: //p')
	cd "$work/debs"
	apt-get download "linux-source-$series=$debian"
}

# Drivers and file systems that no lane has are most of the source: what they are configured by stays.
unpack() {
	local bulk=() place top=linux-source-$series
	dpkg-deb -x "$work"/debs/linux-source-*.deb "$work/deb"
	for place in drivers/{accel,clk,comedi,crypto,gpu,hid,hwmon,i2c,iio,infiniband,md,media,mfd,misc,mmc,mtd,net/[!l]*,perf,pinctrl,platform,power,scsi,soc,spi,staging,thunderbolt,usb} \
		fs/{btrfs,ceph,ext4,f2fs,gfs2,jfs,nfs,nfsd,nilfs2,ntfs3,ocfs2,smb,ubifs,udf,xfs} \
		net/{batman-adv,bluetooth,bridge,ceph,ipv6/netfilter,mac80211,mptcp,netfilter,rxrpc,sctp,smc,sunrpc,tipc,wireless} \
		sound 'arch/[!x]*' tools/{perf,testing/selftests/{bpf,net,kvm}}; do
		bulk+=("--exclude=$top/$place/"*.{c,dts,dtsi,S})
	done
	tar -C "$work" -xf "$work/deb/usr/src/linux-source-$series.tar.xz" --anchored --wildcards "${bulk[@]}" \
		"--exclude=$top/drivers/gpu/drm/amd/include/asic_reg/*" "--exclude=$top/Documentation/*".{rst,yaml,svg}
	rm -rf "$work/deb" "$work/debs"
}

# What is not in the fragment is off. What is in it, and came out otherwise, is named.
configure() {
	local line lost=()
	case $(bindgen --version) in
	"bindgen 0.73.1") refuse "bindgen 0.73.1 miscompiles bit fields; 0.71.1 and 0.73.2 do not" ;;
	esac
	mkdir -p "$output"
	make "${settings[@]}" "KCONFIG_ALLCONFIG=$fragment" allnoconfig
	while read -r line; do
		grep -qxF -e "$line" "$output/.config" || lost+=("${line#\# }")
	done < <(grep -E '^(# )?CONFIG_' "$fragment")
	[ ${#lost[@]} -eq 0 ] || refuse "the configuration does not take ${lost[*]}"
}

compile() {
	make "${settings[@]}" bzImage modules
}

finish() {
	local kept name need file
	mkdir -p "$result/modules" "$result/build/rust" "$result/source"
	cp "$output/arch/x86/boot/bzImage" "$result/vmlinuz"
	# What modules are built with: the tools, the settings, the metadata.
	cp -a "$output"/{.config,include,scripts,Module.symvers} "$result/build/"
	mkdir -p "$result/build/arch/x86/include" "$result/build/tools/objtool"
	cp -a "$output/arch/x86/include/generated" "$result/build/arch/x86/include/"
	cp "$output/tools/objtool/objtool" "$result/build/tools/objtool/"
	cp "$output"/rust/*.rmeta "$output"/rust/*.so "$result/build/rust/"
	cat >"$result/build/Makefile" <<-'TEXT'
	prepared := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
	KBUILD_OUTPUT := $(prepared)
	include $(prepared)/../source/Makefile
	TEXT
	# The source's Makefile reads this one, Debian's way to name the compiler.
	printf '%s\n' 'override ARCH = x86' "CC = $compiler" 'HOSTCC = gcc-14' >"$result/build/.kernelvariables"
	for kept in Makefile Kbuild Kconfig scripts include rust drivers/android samples/rust arch/x86/{Makefile,Makefile.postlink,include} \
		tools/{build,include,scripts} tools/testing/selftests/{filesystems/binderfs,kselftest.h,kselftest_harness.h} \
		.rustfmt.toml .clippy.toml COPYING; do
		if [ -e "$source/$kept" ]; then
			mkdir -p "$result/source/$(dirname "$kept")"
			cp -a "$source/$kept" "$result/source/$kept"
		fi
	done
	for kept in bindings/bindings_generated.rs bindings/bindings_helpers_generated.rs uapi/uapi_generated.rs; do
		[ ! -e "$output/rust/$kept" ] || cp "$output/rust/$kept" "$result/source/rust/$kept"
	done
	find "$result/build" \( -name '*.o' -o -name '*.cmd' -o -name '*.a' \) -delete
	while read -r name; do
		file=$(find "$output" -name "$name.ko" | head -n 1)
		[ -n "$file" ] || refuse "the kernel has no module $name"
		cp "$file" "$result/modules/$name.ko"
		need=$(modinfo -F depends "$file")
		[ -z "$need" ] || refuse "module $name depends on $need, which should be built in"
	done < <(sed -n 's/^module //p' "$images/packages/kernel")
	rm -rf "$output" "$source"
}

"$part"

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes Debian roots with mmdebstrap: the sandbox and the bigger guest root come from here.
#
# As root mmdebstrap works directly. Without root it works in a user namespace, for which the host
# must offer `newuidmap` and a range of subordinate ids. mmdebstrap itself need not be installed:
# the package is downloaded and unpacked in the cache.

# has_range FILE NAME : has NAME subordinate ids in FILE?
has_range() {
	grep -q "^\($2\|$(id -u)\):" "$1" 2>/dev/null
}

# Prints the way commands get their namespaces here: "root" or "user"; a clear word when neither works.
namespace_mode() {
	local name
	need unshare util-linux
	if is_root; then
		unshare --mount true 2>/dev/null ||
			die "root without the right to mount: this container needs CAP_SYS_ADMIN (for example podman or docker run --privileged)"
		echo root
		return
	fi
	name=$(id -un)
	command -v newuidmap >/dev/null 2>&1 ||
		die "neither root nor user namespaces: newuidmap is missing (package uidmap); or run as root"
	if ! has_range /etc/subuid "$name" || ! has_range /etc/subgid "$name"; then
		die "neither root nor user namespaces: no subordinate ids for $name (as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $name); or run as root"
	fi
	unshare --map-auto --map-root-user --mount true 2>/dev/null ||
		die "neither root nor user namespaces: unshare --map-auto does not work here (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, or util-linux before 2.38); or run as root"
	echo user
}

# in_namespace MODE CMD... : CMD with the rights of root, over a private set of mounts.
in_namespace() {
	local mode=$1
	shift
	case $mode in
	root) unshare --mount --propagation private -- "$@" ;;
	user) unshare --map-auto --map-root-user --mount --propagation private -- "$@" ;;
	esac
}

# apt_private CMD... : apt-get with its own state, so that neither root nor the host's lists are needed.
apt_private() {
	local state=$CACHE/apt
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	apt-get -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status=/var/lib/dpkg/status \
		-o Dir::Cache="$state" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}

# fetch_host_package NAME : downloads a package of the host's release and unpacks it in the cache.
fetch_host_package() {
	local name=$1 target=$CACHE/host/$1 work unreachable=''
	[ -d "$target" ] && return
	need apt-get "apt; on a system without apt install mmdebstrap and $name by its own package manager"
	need dpkg-deb dpkg
	mkdir -p "$CACHE/host"
	work=$(mktemp -d "$CACHE/host/.$name.XXXXXX")
	# A source of the host's that fails is no obstacle as long as the package is found in another.
	if ! step "package lists of the host" apt_private -o APT::Update::Error-Mode=any update && network_failed; then unreachable=1; fi
	if ! (cd "$work" && step "fetching $name" apt_private download "$name"); then
		rm -rf "$work"
		[ -z "$unreachable" ] || die "no network: the host's package mirror could not be reached"
		die "missing tool: $name could not be downloaded; install it (package $name)"
	fi
	dpkg-deb -x "$work/$name"_*.deb "$work/root"
	mv -T "$work/root" "$target"
	rm -rf "$work"
	rm -rf "$CACHE/apt"
}

# Sets MMDEBSTRAP to the command and MMDEBSTRAP_OPTIONS to what this host needs.
find_mmdebstrap() {
	local keys='' line
	if command -v mmdebstrap >/dev/null 2>&1; then
		MMDEBSTRAP=$(command -v mmdebstrap)
	else
		fetch_host_package mmdebstrap
		MMDEBSTRAP=$CACHE/host/mmdebstrap/usr/bin/mmdebstrap
		perl -MPOSIX -MTime::HiRes -MDigest::SHA -MFile::Find -e 1 2>/dev/null || die "missing tool: perl with its modules (package perl)"
	fi
	MMDEBSTRAP_OPTIONS=()
	if [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ] && [ ! -e /usr/share/keyrings/debian-archive-keyring.pgp ]; then
		fetch_host_package debian-archive-keyring
		keys=$CACHE/host/debian-archive-keyring/usr/share/keyrings
		MMDEBSTRAP_OPTIONS+=("--keyring=$keys")
	fi
	# The way to the network is the host's: its proxies hold in the new root's making too.
	while IFS= read -r line; do
		[ -n "$line" ] && MMDEBSTRAP_OPTIONS+=("--aptopt=$line")
	done < <(apt-config dump 2>/dev/null | grep -iE '^Acquire::[a-z]+::Proxy[ :]' || true)
}

# The backports line is the line of the updates with the suite renamed, so no host is named here.
# What dpkg leaves out is said here because mmdebstrap's own option for it needs Python on the host.
# A hook of mmdebstrap; $1 there is the new root.
# shellcheck disable=SC2016 # expanded by the hook's shell
SETUP_HOOK='
	list=$1/etc/apt/sources.list
	line=$(sed -n "s/ '$SUITE'-updates / '$SUITE'-backports /p" "$list" "$1"/etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
	[ -n "$line" ] || line=$(sed -n "s/ '$SUITE' / '$SUITE'-backports /p" "$list" "$1"/etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
	[ -n "$line" ] || { echo "no sources line of '$SUITE' to derive the backports from"; exit 1; }
	echo "$line" >"$1/etc/apt/sources.list.d/backports.list"
	echo "APT::Sandbox::User \"root\";" >"$1/etc/apt/apt.conf.d/90sandbox"
	echo "APT::Install-Recommends \"false\";" >>"$1/etc/apt/apt.conf.d/90sandbox"
	mkdir -p "$1/etc/dpkg/dpkg.cfg.d"
	printf "path-exclude=/usr/share/%s/*\n" man doc locale >"$1/etc/dpkg/dpkg.cfg.d/90sandbox"'

# What decides, beside the packages, what a root holds.
bootstrap_identity() {
	echo "$SUITE ${MIRROR:-} $SETUP_HOOK"
}

# Names of the packages listed in a file of packages/.
package_list() {
	sed 's/#.*//' "$IMAGES/packages/$1" | tr -s ' \n' '\n' | sed '/^$/d'
}

# bootstrap MODE TARGET VARIANT PACKAGES HOOK : a Debian root with the comma-separated PACKAGES in the
# folder TARGET; VARIANT is mmdebstrap's word for what else is in it; HOOK is shell text run with the
# new root as $1 once everything is installed.
bootstrap() {
	local mode=$1 target=$2 variant=$3 packages=$4 hook=$5
	local common=("--variant=$variant" "--include=$packages" "--setup-hook=$SETUP_HOOK" "--customize-hook=$hook"
		--aptopt='APT::Install-Recommends "false"' "${MMDEBSTRAP_OPTIONS[@]}")
	mkdir -p "$target"
	# A checkout or home folder that others may not enter is no place to be in for mapped ids.
	cd /
	case $mode in
	root)
		"$MMDEBSTRAP" --mode=root "${common[@]}" --format=directory "$SUITE" "$target" ${MIRROR:+"$MIRROR"}
		;;
	user)
		# mmdebstrap maps its own range of ids; unpacking under our mapping makes the caller the root's owner.
		# Device nodes cannot be made in a user namespace, and the sandbox shows the host's.
		"$MMDEBSTRAP" --mode=unshare "${common[@]}" --format=tar "$SUITE" - ${MIRROR:+"$MIRROR"} |
			in_namespace user tar --extract --file=- --directory="$target" --exclude='./dev/*' --numeric-owner
		;;
	esac
}

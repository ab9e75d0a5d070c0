# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What every script of qemu-images/ shares: where things live, how progress and errors are shown,
# how something heavy is published in the cache so that an interruption leaves nothing half-made.
#
# Only bash, coreutils and util-linux are assumed of the host; everything else is in the sandbox.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
IMAGES=$TOP/qemu-images
CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/rust-binder
BUILD=$TOP/build
LOGS=$CACHE/logs
SUITE=trixie
export TOP IMAGES CACHE BUILD SUITE

# Colours only where a person looks.
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' yellow='' plain=''
fi
export bold dim red green yellow plain

# One clear line for the user, then a non-zero exit.
die() {
	printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
	exit 1
}

note() {
	printf '%snote:%s %s\n' "$yellow" "$plain" "$*" >&2
}

say() {
	printf '%s\n' "$*" >&2
}

STEP_LOG=
# network_failed : does the log of the step that failed last speak of an unreachable mirror?
network_failed() {
	grep -qE 'Temporary failure resolving|Could not (resolve|connect)|Unable to connect|Network is unreachable|Connection (refused|timed out)|network-error|Proxy' \
		"$STEP_LOG" 2>/dev/null
}

# step TEXT CMD... : runs CMD with its output in a log file, one line on the terminal with the time
# it took; a terminal sees the seconds pass, a plain log gets a sign of life every half minute.
# On failure the end of the log is shown.
step() {
	local text=$1 log pid start seconds rc=0 beat=30
	shift
	mkdir -p "$LOGS"
	log=$(mktemp "$LOGS/step.XXXXXX")
	STEP_LOG=$log
	start=$SECONDS
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	# shellcheck disable=SC2064 # the values of now are wanted
	trap "kill -TERM -- $pid 2>/dev/null; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		seconds=$((SECONDS - start))
		if [ -t 2 ]; then
			printf '\r  %s… %s%ds%s ' "$text" "$dim" "$seconds" "$plain" >&2
		elif [ "$seconds" -ge "$beat" ]; then
			printf '  %s… %ds\n' "$text" "$seconds" >&2
			beat=$((beat + 30))
		fi
		sleep 0.2
	done
	wait "$pid" || rc=$?
	trap - INT TERM
	seconds=$((SECONDS - start))
	[ -t 2 ] && printf '\r\e[K' >&2
	if [ "$rc" -eq 0 ]; then
		printf '  %s %s(%ds)%s\n' "$text" "$dim" "$seconds" "$plain" >&2
		rm -f "$log"
	else
		printf '  %s %sfailed%s after %ds; end of its output:\n' "$text" "$red" "$plain" "$seconds" >&2
		tail -n 30 "$log" | sed 's/^/    /' >&2
		printf '  (all of it: %s)\n' "$log" >&2
	fi
	return "$rc"
}

# with_lock NAME CMD... : one process at a time per cache, across checkouts.
with_lock() {
	local name=$1 fd rc=0
	shift
	mkdir -p "$CACHE/locks"
	exec {fd}>"$CACHE/locks/$name"
	if ! flock --nonblock "$fd"; then
		note "waiting for another process that is making $name"
		flock "$fd"
	fi
	"$@" || rc=$?
	exec {fd}>&-
	return "$rc"
}

# need_space MEGABYTES WHAT
need_space() {
	local free
	mkdir -p "$CACHE" || die "cannot create the cache folder $CACHE (set XDG_CACHE_HOME to another place)"
	free=$(df --output=avail --block-size=1M "$CACHE" | tail -n 1)
	[ "$free" -ge "$1" ] ||
		die "too little disk: $2 needs $1 MB below $CACHE, $((free)) MB are free (XDG_CACHE_HOME= names another place)"
}

# need TOOL PACKAGE : a tool of the host that cannot be fetched by ourselves.
need() {
	command -v "$1" >/dev/null 2>&1 || die "missing tool: $1 (package $2)"
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

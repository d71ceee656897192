# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# lib.sh - what the tests of dm-sync share
#
# A script sources this, says which disks it needs, defines one function for
# each test and ends with "run_tests FUNCTION...". Each runs in a subshell with
# set -e: the first command that fails, or "fail TEXT", ends that test only;
# "skip TEXT" leaves it. After each, all device-mapper devices named dmst-* are
# removed, background processes of the test are ended and its files in $TMP are
# forgotten.
#
# Pairs are given by the name of their source door without the prefix. Nothing
# here needs udev.

export DM_DISABLE_UDEV=1
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../kselftest/ktap_helpers.sh
. "$here/../kselftest/ktap_helpers.sh"

P=dmst-				# prefix of all names
BASE=$(mktemp -d)
TMP=$BASE/test			# for files of one test
mkdir "$TMP"
PATH=$here:$here/../../../synctl:$PATH

#----------------------------------------------------------------
# Devices
#----------------------------------------------------------------

_own_loops=
_disks=

# disks COUNT [MEGABYTES]: sets D0, D1, ... from DM_SYNC_DISKS, or the disks of
# the test machine, or makes loop devices on memory.
disks() {
	_n=0
	if [ -n "${DM_SYNC_DISKS-}" ]; then
		_disks=$DM_SYNC_DISKS
	elif [ -e /dev/vm/d0 ]; then
		_disks=$(echo /dev/vm/d*)
	fi
	for _d in $_disks; do
		[ "$_n" -lt "$1" ] || break
		eval "D$_n=$_d"
		_n=$((_n + 1))
	done
	while [ "$_n" -lt "$1" ]; do
		truncate -s "${2:-64}M" "$BASE/disk$_n"
		_d=$(losetup -f --show --direct-io=off "$BASE/disk$_n") ||
			ktap_skip_all "not enough disks, and no loop devices"
		_own_loops="$_own_loops $_d"
		_disks="$_disks $_d"
		eval "D$_n=$_d"
		_n=$((_n + 1))
	done
}

# sectors DEVICE
sectors() {
	read -r _x <"/sys/class/block/$(kname "$1")/size" && echo "$_x"
}

# The kernel's name of a device: vda, dm-3
kname() {
	if [ -L "$1" ]; then
		_x=$(readlink -f "$1")
		echo "${_x##*/}"
	else
		echo "${1##*/}"
	fi
}

# dev NAME: the block device of a device-mapper device of ours
dev() {
	for _sys in /sys/block/dm-*; do
		read -r _x 2>/dev/null <"$_sys/dm/name" || continue
		[ "$_x" != "$P$1" ] || { echo "/dev/${_sys##*/}"; return; }
	done
	echo "/dev/no-$1"
	return 1
}

# sysdir NAME: where the fields of a pair are; NAME@IMAGE for those of an image
sysdir() {
	_x=$(dev "${1%%@*}") || return 1
	_x=/sys/block/${_x#/dev/}/dm-sync
	case $1 in
	*@*)	echo "$_x/images/${1#*@}" ;;
	*)	echo "$_x" ;;
	esac
}

# table NAME LINE...: make a device-mapper device; several lines by newlines
table() {
	_name=$1
	shift
	printf '%s\n' "$*" | dmsetup create "$P$_name"
}

# slice NAME DEVICE SECTORS [OFFSET]: a piece of a device
slice() {
	table "$1" "0 $3 linear $2 ${4:-0}"
}

# mirror_line SOURCE REPLICA META|- REGION [OPTION...]: table line of a source
# door, as large as the source or SECTORS
mirror_line() {
	_line="0 ${SECTORS:-$(sectors "$1")} sync mirror $1 $2 $3 $4"
	shift 4
	[ $# -eq 0 ] || _line="$_line $# $*"
	echo "$_line"
}

# mirror NAME SOURCE REPLICA META|- REGION [OPTION...]
mirror() {
	_name=$1
	shift
	mirror_line "$@" | dmsetup create "$P$_name"
}

# replica_door NAME PAIR [IMAGE]: make the replica door of a pair, or one of an image
replica_door() {
	table "$1" "0 $(sectors "$(dev "$2")") sync-replica $(dev "$2")${3:+ $3}"
}

remove() {
	_names=
	for _name; do
		_names="$_names $P$_name"
	done
	dmsetup remove $_names
}

# Forget a pair's metadata: the next mirror formats it.
blank() {
	for _d; do
		dd if=/dev/zero of="$_d" bs=64k count=32 oflag=direct conv=notrunc status=none \
			2>/dev/null || :
	done
}

# Counters of a block device, as in Documentation/block/stat.rst.
disk_stat() {
	read -r _line <"/sys/block/$(kname "$1")/stat"
	# shellcheck disable=SC2086 # words
	set -- "$2" $_line
	case $1 in
	reads)		echo "$2" ;;
	read_sectors)	echo "$4" ;;
	writes)		echo "$6" ;;
	write_merges)	echo "$7" ;;
	write_sectors)	echo "$8" ;;
	discards)	shift 12; echo "$1" ;;
	flushes)	shift 16; echo "$1" ;;
	esac
}

#----------------------------------------------------------------
# Pairs
#----------------------------------------------------------------

# f NAME FIELD: a field of a pair from sysfs
f() {
	read -r _x <"$(sysdir "$1")/$2" && echo "$_x"
}

# msg NAME WORD...: a message, its errors on standard output for the log
msg() {
	_name=$1
	shift
	dmsetup message "$P$_name" 0 "$@"
}

# message NAME WORD...: prints 0 or the name of the error
message() {
	_name=$1
	shift
	if dmsetup message "$P$_name" 0 "$@" >"$TMP/message" 2>&1; then
		echo 0
		return
	fi
	case $(cat "$TMP/message") in
	*"not permitted"*)	echo EPERM ;;
	*"not supported"*)	echo EOPNOTSUPP ;;
	*"busy"*)		echo EBUSY ;;
	*"Invalid argument"*)	echo EINVAL ;;
	*"timed out"*)		echo ETIMEDOUT ;;
	*"File exists"*)	echo EEXIST ;;
	*"No such file"*)	echo ENOENT ;;
	*"No space left"*)	echo ENOSPC ;;
	*"Input/output"*)	echo EIO ;;
	*)			cat "$TMP/message" ;;
	esac
}

# states NAME: CopyState/ProgressStatus/SyncState of one status line
states() {
	# shellcheck disable=SC2046
	set -- $(dmsetup status "$P$1")
	echo "$6/$7/${10}"
}

# status_word NAME NUMBER: a word of the status line, 1 is "mirror"
status_word() {
	_number=$((3 + $2))
	# shellcheck disable=SC2046
	set -- $(dmsetup status "$P$1")
	[ $# -lt "$_number" ] || eval "echo \"\${$_number}\""
}

# fields NAME FIELD=VALUE...: fail unless all are so
fields() {
	_pair=$1
	_dir=$(sysdir "$1")
	shift
	for _want; do
		read -r _got <"$_dir/${_want%%=*}" || fail "$_pair: no ${_want%%=*}"
		[ "$_got" = "${_want#*=}" ] ||
			fail "$_pair: ${_want%%=*} is \"$_got\", expected \"${_want#*=}\""
	done
}

# all_fields NAME: every field of a pair, one a line
all_fields() {
	(cd "$(sysdir "$1")" && grep -s . ./*)
}

#----------------------------------------------------------------
# Waiting: always for a condition, always with a deadline. DM_SYNC_PATIENCE
# multiplies the deadlines, for slow machines.
#----------------------------------------------------------------

# Starting a program takes long on an emulated machine: "date" is not used.
_now() {
	read -r _up _ </proc/uptime
	_now=${_up%.*}
}

# until_true SECONDS COMMAND...
until_true() {
	_now
	_end=$((_now + $1 * ${DM_SYNC_PATIENCE:-1}))
	shift
	until "$@"; do
		_now
		[ "$_now" -le "$_end" ] || return 1
		sleep 0.05
	done
}

_is_field() {
	read -r _x 2>/dev/null <"$1" && [ "$_x" = "$2" ]
}

# wait_field NAME FIELD VALUE [SECONDS]
wait_field() {
	_file=$(sysdir "$1")/$2
	until_true "${4:-30}" _is_field "$_file" "$3" ||
		fail "$1: $2 is \"$(cat "$_file")\", not \"$3\" after ${4:-30} s ($(dmsetup status "$P$1"))"
}

# wait_state NAME COPY_STATE [SECONDS]
wait_state() {
	wait_field "$1" copy_state "$2" "${3:-30}"
}

_has_settled() {
	read -r _x <"$1/progress_status"
	case $_x in
	*ing|"Failing "*) return 1 ;;
	esac
}

# wait_settled NAME [SECONDS]: until nothing is under way
wait_settled() {
	until_true "${2:-30}" _has_settled "$(sysdir "$1")" ||
		fail "$1: $(states "$1") is not over after ${2:-30} s"
}

# synced NAME [SECONDS]: until Synchronized and nothing under way
synced() {
	wait_state "$1" Synchronized "${2:-60}"
}

_gone() {
	! kill -0 "$1" 2>/dev/null
}

# wait_exit PID [SECONDS]: its status; fails when it does not end
wait_exit() {
	until_true "${2:-30}" _gone "$1" || fail "process $1 did not end in ${2:-30} s"
	wait "$1"
}

#----------------------------------------------------------------
# Comparing
#----------------------------------------------------------------

# same A B [dmsio option...]: two devices are equal
same() {
	_a=$1 _b=$2
	shift 2
	dmsio compare "$_a" "$_b" "$@" >"$TMP/compare" 2>&1 ||
		fail "$_a and $_b differ: $(cat "$TMP/compare")"
}

# different A B: they are not, so that a comparison means something
different() {
	! dmsio compare "$1" "$2" >/dev/null 2>&1 || fail "$1 and $2 are equal"
}

# equal WHAT GOT WANTED
equal() {
	[ "$2" = "$3" ] || fail "$1: \"$2\", expected \"$3\""
}

# at_most WHAT GOT LIMIT, at_least
at_most() {
	[ "$2" -le "$3" ] || fail "$1: $2, expected at most $3"
}

at_least() {
	[ "$2" -ge "$3" ] || fail "$1: $2, expected at least $3"
}

# The kernel's log from a mark on.
log_mark() {
	read -r _up _ </proc/uptime
	_mark="dmst mark $$ $_up"
	echo "$_mark" >/dev/kmsg
}

log_since() {
	dmesg | sed "1,/$_mark/d"
}

# logged PATTERN: it says so since the mark
logged() {
	log_since | grep -q -- "$1" || fail "the kernel's log does not say \"$1\": $(log_since | tail -n 5)"
}

#----------------------------------------------------------------
# Running
#----------------------------------------------------------------

fail() {
	ktap_print_msg "$@" | sed '2,$s/^/# /'
	exit 1
}

skip() {
	echo "$*" >"$BASE/skip"
	exit 4
}

# need_program NAME...: or the whole script is skipped
need_program() {
	for _name; do
		command -v "$_name" >/dev/null || ktap_skip_all "$_name is not installed"
	done
}

# need_target NAME...: device-mapper targets
need_target() {
	for _name; do
		modprobe -q "dm-$_name" 2>/dev/null || :
		dmsetup targets | grep -q "^$_name " ||
			ktap_skip_all "device-mapper target $_name is not there"
	done
}

_kill_jobs() {
	# shellcheck disable=SC2046
	set -- $(cat "$BASE/pids" 2>/dev/null)
	: >"$BASE/pids"
	for _pid; do
		kill "$_pid" 2>/dev/null || :
	done
}

# background COMMAND...: run it, output to $TMP/bg.log; PID is in BG and it is
# ended with the test
background() {
	"$@" >"$TMP/bg.log" 2>&1 &
	BG=$!
	echo "$BG" >>"$BASE/pids"
}

# The names of ours, the last ones first: what was made of others comes before those.
_devices() {
	_found=
	for _sys in /sys/block/dm-? /sys/block/dm-??*; do
		read -r _x 2>/dev/null <"$_sys/dm/name" || continue
		case $_x in
		"$P"*)	_found="$_x $_found" ;;
		esac
	done
	echo "$_found"
}

# What keeps a source door in use: writes that a mirror holds, or that wait for an
# image or for space in its store, which a suspend ends.
_let_go() {
	_door=$(dev "${1#"$P"}") || return 0
	_door=/sys/block/${_door#/dev/}/dm-sync
	if [ -e "$_door/copy_state" ]; then
		dmsetup message "$1" 0 deactivate >/dev/null 2>&1
	elif [ -d "$_door/images" ]; then
		dmsetup suspend --nolockfs "$1"
		dmsetup resume "$1"
	fi
}

# Whatever a test left: end processes, let held writes go, take the stack down from the
# top. Several rounds, because the order is not known for sure.
cleanup() {
	_kill_jobs
	while read -r _ _dir _; do
		case $_dir in
		"$BASE"/*)	umount "$_dir" ;;
		esac
	done </proc/mounts
	_round=0
	while [ $((_round += 1)) -le 60 ]; do
		_left=$(_devices)
		[ -n "$_left" ] || break
		! dmsetup remove $_left 2>/dev/null || continue
		_left=$(_devices)
		for _name in $_left; do
			dmsetup resume "$_name" 2>/dev/null
		done
		for _name in $_left; do
			_let_go "$_name"
			dmsetup remove "$_name" 2>/dev/null
		done
		[ "$_round" -lt 2 ] || sleep 0.2
	done
	[ -z "$(_devices)" ] || {
		echo "# cannot remove: $(_devices)"
		return 1
	}
}

_at_exit() {
	cleanup
	for _d in $_own_loops; do
		losetup -d "$_d"
	done
	rm -rf "$BASE"
}

_run_one() {
	rm -rf "$BASE/skip" "$TMP"
	mkdir "$TMP"
	log_mark
	read -r _up _ </proc/uptime
	_begin=${_up%.*}${_up#*.}0
	(set -e; "$1")
	_rc=$?
	_text=$(echo "${1#t_}" | tr _ ' ')
	cleanup || _rc=1
	read -r _up _ </proc/uptime
	_took=$((${_up%.*}${_up#*.}0 - _begin))
	case $_rc in
	0)	ktap_test_pass "$_text" ;;
	4)	ktap_test_skip "$_text" "$(cat "$BASE/skip" 2>/dev/null)" ;;
	*)	log_since | tail -n 30 | sed 's/^/#   /'
		ktap_test_fail "$_text" ;;
	esac
	ktap_print_msg "took $_took ms"
}

# run_tests FUNCTION...: all of them, or those named in DM_SYNC_TEST
run_tests() {
	[ -z "${DM_SYNC_TEST-}" ] || set -- $DM_SYNC_TEST
	ktap_set_plan $#
	for _t; do
		_run_one "$_t"
	done
	ktap_finished
}

ktap_print_header
[ "$(id -u)" -eq 0 ] || ktap_skip_all "needs root"
trap _at_exit EXIT
need_program dmsetup dmsio
modprobe -q dm-sync 2>/dev/null || :
dmsetup targets 2>/dev/null | grep -q '^sync ' || ktap_skip_all "the module dm-sync is not loaded"
cleanup >/dev/null || ktap_skip_all "devices of an earlier run are in use"
: >"$BASE/pids"

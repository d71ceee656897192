#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# race_storm.sh - everything at once, under verified I/O
#
# Suspend, resume, table swaps, operations, settings, dumps and sysfs reads from
# many processes at random. Most operations are refused most of the time: what
# counts is that nothing hangs, no host I/O fails, nothing acknowledged is lost,
# the sides end equal and nothing is left behind.

# shellcheck disable=SC2119,SC2317,SC2329 # functions with options; called by name
. "$(dirname "$0")/lib.sh"
. "$here/fault.inc"
disks 3

SECONDS_OF_STORM=${DM_SYNC_STORM:-12}

_random()
{
	_seed=$(((_seed * 1103515245 + 12345) % 2147483648))
	_random=$((_seed / 65536 % $1))
}

# loop SEED COMMAND...: again and again until the storm is over
loop()
{
	_seed=$1
	shift
	while [ ! -e "$TMP/calm" ]; do
		"$@" >/dev/null 2>&1 || :
	done
}

storm()
{
	loop "$@" &
	STORM="${STORM-} $!"
	echo $! >>"$BASE/pids"
}

# The last swap may have left a table that is refused.
_live()
{
	dmsetup clear "${P}m" && dmsetup resume "${P}m"
}

# calm: the end of it; nothing of it may hang
calm()
{
	: >"$TMP/calm"
	for _pid in $STORM; do
		until_true 60 _gone "$_pid" || fail "process $_pid hangs: $(cat "/proc/$_pid/stack")"
	done
	STORM=
	if ! until_true 5 _live; then
		# A table that was refused may stand in the live one's place.
		echo "$LINE" | dmsetup load "${P}m"
		until_true 10 _live || fail "the device cannot be resumed"
	fi
}

some_operation()
{
	_random 9
	case $_random in
	0)	msg m fracture ;;
	1)	msg m split ;;
	2|3|4)	msg m resync ;;
	5)	msg m suspend ;;
	6)	msg m resume ;;
	7)	msg m abort ;;
	8)	msg m resync force ;;
	esac
}

some_setting()
{
	_random 6
	case $_random in
	0)	msg m set priority low ;;
	1)	msg m set priority high ;;
	2)	msg m set rate 16777216 ;;
	3)	msg m set rate 0 ;;
	4)	msg m set hold_max 1 ;;
	5)	msg m set recovery manual; msg m set recovery auto ;;
	esac
}

suspend_resume()
{
	_random 3
	case $_random in
	0)	dmsetup suspend "${P}m" ;;
	1)	dmsetup suspend --noflush "${P}m" ;;
	2)	dmsetup suspend --nolockfs "${P}m" ;;
	esac
	dmsetup resume "${P}m"
}

swap_table()
{
	echo "$LINE" | dmsetup load "${P}m"
	_random 4
	case $_random in
	0)	dmsetup clear "${P}m" ;;
	*)	dmsetup suspend --noflush "${P}m" ;;
	esac
	dmsetup resume "${P}m"
}

# A table that must be refused, at load or at resume, and leaves the other be.
wrong_table()
{
	mirror_line "$S" "$R" "$META" $((REGION * 2)) | dmsetup load "${P}m" &&
		! dmsetup resume "${P}m"
	mirror_line "$S" "$S" "$META" $REGION | dmsetup load "${P}m"
	dmsetup clear "${P}m"
	dmsetup resume "${P}m"
}

read_all()
{
	dmsetup status
	dmsetup table
	all_fields m
}

dump_all()
{
	synctl status --json
	synctl show "${P}m"
	synctl events --all
}

# at_rest: from wherever the storm left the pair to Synchronized
at_rest()
{
	wait_settled m
	msg m set rate 0
	msg m set priority high
	case $(f m copy_state) in
	Suspended)	msg m resume ;;
	Synchronized|Unsynchronized) ;;
	*)		msg m resync ;;
	esac
	synced m
	wait_settled m
}

# ends_well: the pair can be brought to Synchronized, and all is there
ends_well()
{
	stop_writers
	at_rest
	fields m replica_errors=0 source_errors=0 held=0
	whole
	remove m
	equal "devices left" "$(_devices | grep -c m$ || :)" 0
	! ls /sys/block/dm-*/dm-sync 2>/dev/null || fail "a sysfs directory was left"
}

begin()
{
	following hold_max:2 priority:high
	LINE=$(dmsetup table "${P}m")
	writers --threads 8 --hot 50
	rm -f "$TMP/calm"
	STORM=
}

t_suspend_and_resume()
{
	begin
	storm 1 suspend_resume
	storm 2 suspend_resume
	storm 3 read_all
	until_true "$SECONDS_OF_STORM" _gone "$WRITERS" && fail "writers: $(cat "$TMP/bg.log")"
	calm
	ends_well
}

t_table_swaps()
{
	begin
	storm 1 swap_table
	storm 2 wrong_table
	storm 3 read_all
	until_true "$SECONDS_OF_STORM" _gone "$WRITERS" && fail "writers: $(cat "$TMP/bg.log")"
	calm
	ends_well
}

t_operations_from_eight_processes()
{
	begin
	for i in 1 2 3 4 5 6; do
		storm $i some_operation
	done
	storm 7 some_setting
	storm 8 dump_all
	until_true "$SECONDS_OF_STORM" _gone "$WRITERS" && fail "writers: $(cat "$TMP/bg.log")"
	calm
	ends_well
}

t_all_of_it()
{
	begin
	storm 1 suspend_resume
	storm 2 swap_table
	storm 3 some_operation
	storm 4 some_operation
	storm 5 some_operation
	storm 6 some_setting
	storm 7 dump_all
	storm 8 read_all
	until_true $((2 * SECONDS_OF_STORM)) _gone "$WRITERS" &&
		fail "writers: $(cat "$TMP/bg.log")"
	calm
	ends_well
}

create_remove()
{
	echo "$LINE" | dmsetup create "${P}m"
	dmsetup remove --retry "${P}m"
}

# Pairs that come and go while everybody looks.
t_creation_and_removal_while_watched()
{
	following
	LINE=$(dmsetup table "${P}m")
	remove m
	rm -f "$TMP/calm"
	STORM=
	storm 1 create_remove
	storm 2 dump_all
	storm 3 read_all
	storm 4 some_operation
	storm 5 cat "/sys/block/${M#/dev/}/dm-sync/"*
	until_true "$SECONDS_OF_STORM" false || :
	: >"$TMP/calm"
	for pid in $STORM; do
		until_true 60 _gone "$pid" || fail "process $pid hangs: $(cat "/proc/$pid/stack")"
	done
	! dev m >/dev/null || remove m
	pair
	at_rest
	whole
	remove m
}

t_the_module_can_be_unloaded()
{
	rmmod dm-sync || fail "the module is still in use"
	! dmsetup targets | grep -q '^sync' || fail "a target was left"
	modprobe -q dm-sync || insmod "$here/../../../../build/$(uname -r)/dm-sync.ko"
}

run_tests t_suspend_and_resume t_table_swaps t_operations_from_eight_processes t_all_of_it \
	t_creation_and_removal_while_watched t_the_module_can_be_unloaded

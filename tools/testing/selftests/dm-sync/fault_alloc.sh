#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# fault_alloc.sh - memory is refused to the operations of control
#
# Needs a kernel with fault injection (make check-debug). Each call is tried with
# its first allocation failing, then its second, and so on, until it succeeds:
# every failure must be clean, and leave what was there. The kernel tells about
# leaks at the end of a run with kmemleak.

# shellcheck disable=SC2119,SC2317,SC2329 # functions with options; called by name
. "$(dirname "$0")/lib.sh"
. "$here/fault.inc"
[ -e /proc/self/fail-nth ] || ktap_skip_all "this kernel has no fault injection"
disks 3
need_program python3

DEBUG=/sys/kernel/debug

# quiet: failures are many, their stack traces say nothing
quiet()
{
	for _kind in failslab fail_page_alloc; do
		[ -e "$DEBUG/$_kind/verbose" ] || skip "no debugfs of $_kind"
		echo 0 >"$DEBUG/$_kind/verbose"
		echo N >"$DEBUG/$_kind/ignore-gfp-wait"
		echo 0 >"$DEBUG/$_kind/probability"
		echo 0 >"$DEBUG/$_kind/times"
	done
}

# The calls of a pair's whole life, see fail_nth.py.
t_every_allocation_of_every_call()
{
	quiet
	following
	LINE=$(dmsetup table "${P}m")
	remove m
	/usr/bin/env python3 "$here/fail_nth.py" "${P}m" "$LINE"
	! dev m >/dev/null || fail "a device was left"
	! ls -d /sys/block/dm-*/dm-sync >/dev/null 2>&1 || fail "a pair was left"
	pair
	msg m resync || :
	synced m
	whole
}

t_every_allocation_of_the_replica_door()
{
	quiet
	following
	msg m split
	wait_state m Split
	/usr/bin/env python3 "$here/fail_nth.py" "${P}d" "0 $N sync-replica $M"
	! dev d >/dev/null || fail "a device was left"
	fields m copy_state=Split
}

# Allocations of the module's own workers and of I/O fail now and then.
t_io_with_little_memory()
{
	quiet
	following
	writers --flush-every 50
	for kind in failslab fail_page_alloc; do
		echo -1 >"$DEBUG/$kind/times"
		echo 5 >"$DEBUG/$kind/interval"
		echo Y >"$DEBUG/$kind/ignore-gfp-wait"
		echo 20 >"$DEBUG/$kind/probability"
	done
	msg m fracture || :
	until_true 2 false || :
	msg m resync || :
	until_true 3 false || :
	quiet
	stop_writers
	wait_settled m
	[ "$(f m copy_state)" = Synchronized ] || msg m resync
	synced m
	whole
}

run_tests t_every_allocation_of_every_call t_every_allocation_of_the_replica_door \
	t_io_with_little_memory

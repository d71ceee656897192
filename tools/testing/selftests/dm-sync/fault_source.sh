#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# fault_source.sh - the source fails: reads, writes, in a copy, in a restore
#
# Where the replica has the data a read is served from it; everywhere else the
# host sees its device's error. What cannot be read is never made up: its
# region stays marked, and the operator decides when to try again.

# shellcheck disable=SC2119,SC2317,SC2329 # functions with options; called by name
. "$(dirname "$0")/lib.sh"
. "$here/fault.inc"
disks 3

WRITE="a write to the source failed"
READ="a read of the source failed"
BAD=8200			# first bad sector, in region 64
BAD_REGION=64

# stays_broken SECONDS: an error of the source is not forgotten by itself
stays_broken()
{
	! until_true "$1" _is_field "$(sysdir m)/copy_state" Unsynchronized ||
		fail "$(states m): recovered without being asked"
}

t_bad_sectors_are_read_from_the_replica()
{
	following
	dmsio fill "$M" >/dev/null
	bad_sectors s $BAD 8
	dmsio verify "$M" >"$TMP/verify" 2>&1 || fail "reads: $(cat "$TMP/verify")"
	fields m copy_state=Synchronized sync_maintained=1 source_changed=0
	at_least "reads from the replica" "$(f m reads_from_replica)" 1
	at_least "source errors" "$(f m source_errors)" 1
	heal s
	whole
}

t_bad_sectors_that_the_replica_has_not_either()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio fill "$M" --sectors $((BAD - 8)):24 >/dev/null
	bad_sectors s $BAD 8
	! dd if="$M" of=/dev/null bs=4k skip=$((BAD / 8)) count=1 iflag=direct status=none \
		2>/dev/null || fail "stale data was read"
	fields m reads_from_replica=0 copy_state=Fractured
	dd if="$M" of=/dev/null bs=1M count=2 iflag=direct status=none
}

t_a_write_error_is_the_hosts_and_breaks_the_pair()
{
	following
	bad_sectors s $BAD 8
	! dmsio fill "$M" --sectors $BAD:8 >/dev/null 2>&1 || fail "the host was not told"
	broken "$WRITE"
	at_least "regions marked" "$(f m source_changed)" 1
	dmsio write "$M" --ops 50 --sectors 12288:2048 --max-bytes 16k --log "$TMP/log" >/dev/null ||
		fail "a write elsewhere failed"
	heal s
	stays_broken 4
	dmsio fill "$M" --sectors $BAD:8 >/dev/null
	copies_the_rest msg m resync
}

t_a_source_that_dies_leaves_the_replica_alone()
{
	following
	cp "$R" "$TMP/before"
	dead s
	! dmsio fill "$M" --sectors 0:8 >/dev/null 2>&1 || fail "the host was not told"
	broken "$WRITE"
	! dd if="$M" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "the stale replica was read"
	cmp -i $((128 * 512)) "$R" "$TMP/before" || fail "the replica has changed"
	heal s
	copies_the_rest msg m resync
}

# unread: after a copy with bad sectors: all else is there, the rest as it was
unread()
{
	broken "$READ"
	fields m source_changed=1
	cmp -i $((BAD_REGION * REGION_BYTES)) -n $REGION_BYTES "$R" "$TMP/before" ||
		fail "something was written for what could not be read"
	heal s
	same "$S" "$R" --sectors 0:$((BAD_REGION * REGION))
	same "$S" "$R" --sectors $(((BAD_REGION + 1) * REGION)):$((N - (BAD_REGION + 1) * REGION))
	stays_broken 4
	copies_the_rest msg m resync
}

t_bad_sectors_during_the_first_copy()
{
	legs
	cp "$R" "$TMP/before"
	bad_sectors s $BAD 8
	pair
	unread
}

t_bad_sectors_during_a_resync()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio fill "$M" --sectors 6000:6000 >/dev/null
	cp "$R" "$TMP/before"
	bad_sectors s $BAD 8
	msg m resync
	unread
}

t_a_restore_onto_bad_sectors()
{
	following
	replica_door d m
	msg m split
	wait_state m Split
	dmsio fill "$(dev d)" --sectors 0:12288 --seq 900 >/dev/null
	remove d
	cp "$R" "$TMP/before"
	bad_sectors s $BAD 8
	msg m restore
	broken "$WRITE"
	heal s
	stays_broken 4
	cmp "$M" "$TMP/before" || fail "reads do not show the restored data"
	msg m restore
	synced m
	wait_settled m
	same "$S" "$R"
	cmp "$S" "$TMP/before" || fail "the source was not restored"
}

run_tests t_bad_sectors_are_read_from_the_replica t_bad_sectors_that_the_replica_has_not_either \
	t_a_write_error_is_the_hosts_and_breaks_the_pair \
	t_a_source_that_dies_leaves_the_replica_alone t_bad_sectors_during_the_first_copy \
	t_bad_sectors_during_a_resync t_a_restore_onto_bad_sectors

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# fault_meta.sh - the metadata device fails, or does not say what was written
#
# The law: no host write fails; metadata that could not be written or is
# damaged is never trusted: everything counts as changed, with the reason told.

# shellcheck disable=SC2119,SC2317,SC2329 # functions with options; called by name
. "$(dirname "$0")/lib.sh"
. "$here/fault.inc"
need_target flakey
disks 3

FAILED="the metadata device failed"
LOST="the metadata was lost and everything counts as changed"
REGIONS=$((N / REGION))

# The 4 KiB units of a pair of this size: two homes of four blocks.
SUPER="0 1" ACTIVITY="2 3" SOURCE_MAP="4 5" REPLICA_MAP="6 7"

# damage UNIT...
damage()
{
	for _unit; do
		printf 'damage' | dd of="$META" bs=1 seek=$((_unit * 4096 + 1000)) conv=notrunc \
			status=none
	done
	sync "$META"
}

# unit_is UNIT TYPE: the layout above is still right
unit_is()
{
	equal "type of unit $1" \
		"$(dd if="$META" bs=4k skip="$1" count=1 iflag=direct status=none |
			od -An -tu2 -j 40 -N 2 | tr -d ' ')" "$2"
}

# all_is_copied COMMAND...: after it, everything is
all_is_copied()
{
	written=$(f m written_bytes)
	msg m set rate 0
	"$@"
	synced m
	equal "bytes copied" $(($(f m written_bytes) - written)) $((N * 512))
	whole
}

# recovers: the device is back, and the operator asks
recovers()
{
	broken "$FAILED" "Requires resync"
	fields m percent_synced=-
	dmsio write "$M" --ops 50 --max-bytes 64k >/dev/null || fail "a host write failed"
	heal meta
	all_is_copied msg m resync
	msg m fracture
	wait_state m Fractured
	remove m
	pair
	fields m copy_state=Fractured read_bytes=0
}

t_it_dies_while_the_pair_follows()
{
	following
	dead meta
	writers
	broken "$FAILED" "Requires resync"
	stop_writers 1
	recovers
}

t_writes_fail_while_the_pair_follows()
{
	following
	read_only meta
	writers
	broken "$FAILED" "Requires resync"
	stop_writers 1
	recovers
}

t_it_dies_during_the_first_copy()
{
	legs
	pair rate:8388608 priority:high
	dead meta
	writers
	msg m set rate 0
	broken "$FAILED" "Requires resync"
	stop_writers
	recovers
}

# dies_in OPERATION: from the present state
dies_in()
{
	dead meta
	msg m "$@" 2>"$TMP/error" || :
	recovers
}

t_it_dies_in_a_fracture()
{
	following
	dies_in fracture
}

t_it_dies_in_a_split()
{
	following
	dies_in split
}

t_it_dies_in_a_suspend()
{
	following
	dies_in suspend
}

t_it_dies_in_a_resume()
{
	following
	msg m suspend
	wait_state m Suspended
	background dmsio write "$M" --ops 40 --threads 4 --max-bytes 64k --log "$TMP/log"
	until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -gt 0 ]" || fail "nothing is held"
	dead meta
	msg m resume || :
	wait_exit "$BG" || fail "a held write failed: $(cat "$TMP/bg.log")"
	recovers
}

t_it_dies_in_a_resync()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio write "$M" --ops 100 --max-bytes 64k --log "$TMP/log" >/dev/null
	dies_in resync
}

t_it_dies_in_an_abort()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio write "$M" --ops 100 --max-bytes 64k --log "$TMP/log" >/dev/null
	msg m set rate 1048576
	msg m resync
	wait_state m Unsynchronized
	dies_in abort
}

t_it_dies_in_a_restore()
{
	following
	replica_door d m
	msg m split
	wait_state m Split
	dmsio fill "$(dev d)" --sectors 0:4096 --seq 900 >/dev/null
	remove d
	dies_in restore
}

# A write to the replica must be marked first: without metadata it fails.
t_it_dies_under_the_replica_door()
{
	following
	replica_door d m
	msg m split
	wait_state m Split
	cp "$R" "$TMP/before"
	dead meta
	! dmsio fill "$(dev d)" --sectors 0:8 >/dev/null 2>&1 || fail "the write was not refused"
	cmp "$R" "$TMP/before" || fail "the replica was written without a mark"
	remove d
	recovers
}

t_a_detach_must_be_remembered()
{
	following
	dead meta
	msg m detach || :
	until_true 5 _has_settled "$(sysdir m)" || :
	[ "$(status_word m 1)" = mirror ] || fail "detached, and the disk does not know"
	recovers
}

# What the source alone has got since is not on the old metadata. Sides that
# differ must not be called synchronized when it is back.
t_old_metadata_is_not_trusted()
{
	following
	dead meta
	dmsio fill "$M" --sectors 4096:256 >/dev/null
	dmsio fill "$M" --sectors 12288:256 >/dev/null
	remove m
	heal meta
	pair
	wait_settled m
	[ "$(f m copy_state)" = Synchronized ] || msg m resync
	synced m
	whole
}

t_it_cannot_be_read_at_activation()
{
	following
	remove m
	dead meta
	log_mark
	! pair 2>/dev/null || fail "activated without metadata"
	logged "metadata device cannot be read"
	! dev m >/dev/null || fail "a device was left"
	heal meta
	pair
	fields m copy_state=Synchronized read_bytes=0 source_changed=0
	whole
}

t_it_cannot_be_written_at_activation()
{
	following
	remove m
	read_only meta
	log_mark
	! pair 2>/dev/null || fail "activated without metadata"
	logged "metadata device cannot be written"
	heal meta
	pair
	fields m copy_state=Synchronized read_bytes=0 source_changed=0
	whole
}

# lost_after UNIT...: a clean shutdown, and then the units were damaged
lost_after()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio fill "$M" --sectors 4096:300 --seq 5000 >/dev/null
	remove m
	damage "$@"
	pair
	broken "$LOST" "Requires resync"
	fields m source_changed=$REGIONS percent_synced=-
	# It is durable: the next activation knows it as well.
	remove m
	pair
	broken "$LOST" "Requires resync"
	all_is_copied msg m resync
}

t_a_damaged_source_map()
{
	# shellcheck disable=SC2086 # units
	lost_after $SOURCE_MAP
	unit_is 0 1
	unit_is 2 2
	unit_is 4 3
	unit_is 6 4
}

t_one_home_of_the_source_map_after_a_clean_end()
{
	lost_after "${SOURCE_MAP#* }"
}

t_a_damaged_replica_map()
{
	# shellcheck disable=SC2086
	lost_after $REPLICA_MAP
}

# After a clean end nothing in the activity table counts.
t_a_damaged_activity_table_after_a_clean_end()
{
	following
	remove m
	# shellcheck disable=SC2086
	damage $ACTIVITY
	pair
	fields m copy_state=Synchronized read_bytes=0
	dmsio write "$M" --ops 50 >/dev/null
	whole
}

t_a_damaged_superblock_is_refused()
{
	following
	remove m
	# shellcheck disable=SC2086
	damage $SUPER
	cp "$META" "$TMP/meta"
	! pair 2>/dev/null || fail "activated with a damaged superblock"
	cmp "$META" "$TMP/meta" || fail "the metadata was touched"
	pair format
	synced m
	fields m written_bytes=$((N * 512))
	whole
}

# crashed: like after a power cut, with writes marked in extents 3 and 5, of
# which one in extent 3 has not reached the replica
crashed()
{
	following
	dmsio fill "$M" --sectors 6144:64 >/dev/null
	dmsio fill "$M" --sectors 10240:64 >/dev/null
	dd if="$META" of="$TMP/meta" bs=1M iflag=direct status=none
	remove m
	dmsio fill "$R" --sectors 6144:32 --seq 1 >/dev/null
	dd if="$TMP/meta" of="$META" bs=1M oflag=direct status=none
}

t_a_crash_copies_the_active_extents()
{
	crashed
	pair rate:1048576
	fields m copy_state=Unsynchronized "reason=recovered after a crash"
	at_most "regions marked" "$(f m source_changed)" $((2 * EXTENT_REGIONS))
	msg m set rate 0
	synced m
	whole
}

t_a_damaged_activity_table_after_a_crash()
{
	crashed
	# shellcheck disable=SC2086
	damage $ACTIVITY
	pair
	broken "$LOST" "Requires resync"
	fields m source_changed=$REGIONS
	all_is_copied msg m resync
}

# A torn write of any one block: never worse than copying too much.
t_any_one_damaged_home_after_a_crash()
{
	crashed
	for unit in $SUPER $ACTIVITY $SOURCE_MAP $REPLICA_MAP; do
		dd if="$TMP/meta" of="$META" bs=1M oflag=direct status=none
		damage "$unit"
		dmsio fill "$R" --sectors 6144:32 --seq 1 >/dev/null
		pair
		wait_settled m
		[ "$(f m copy_state)" = Synchronized ] || msg m resync
		synced m
		fields m source_changed=0
		sync "$M"
		dmsio compare "$S" "$R" >"$TMP/compare" 2>&1 ||
			fail "unit $unit: $(cat "$TMP/compare")"
		remove m
	done
}

run_tests t_it_dies_while_the_pair_follows t_writes_fail_while_the_pair_follows \
	t_it_dies_during_the_first_copy t_it_dies_in_a_fracture t_it_dies_in_a_split \
	t_it_dies_in_a_suspend t_it_dies_in_a_resume t_it_dies_in_a_resync t_it_dies_in_an_abort \
	t_it_dies_in_a_restore t_it_dies_under_the_replica_door t_a_detach_must_be_remembered \
	t_old_metadata_is_not_trusted t_it_cannot_be_read_at_activation \
	t_it_cannot_be_written_at_activation t_a_damaged_source_map \
	t_one_home_of_the_source_map_after_a_clean_end t_a_damaged_replica_map \
	t_a_damaged_activity_table_after_a_clean_end t_a_damaged_superblock_is_refused \
	t_a_crash_copies_the_active_extents t_a_damaged_activity_table_after_a_crash \
	t_any_one_damaged_home_after_a_crash

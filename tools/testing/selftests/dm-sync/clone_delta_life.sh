#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_delta_life.sh - a clone with a delta is reloaded, removed, and loses a device
#
# What is in the delta is nowhere else any more: it has to be found again, or the image is
# given up, and said to be. The source never fails, and never waits for ever.
#
# vm: --disk 64M --disk 64M --disk 8M --disk 16M

# shellcheck disable=SC2154,SC2317,SC2329,SC2119 # D0...; called by name
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_target flakey delay
disks 4
. "$here/delta.inc"

STORE="the store cannot be written"	# reason Store Failed
META_FAILED="the metadata device failed"

#----------------------------------------------------------------
# Reloaded and removed
#----------------------------------------------------------------

t_suspended_resumed_reloaded_in_the_middle()
{
	idle
	change 20 21
	LINE=$(clone_line $IDLE)
	round=0
	while [ $((round += 1)) -le 3 ]; do
		dmsetup suspend "${P}c"
		equal "resync while suspended" "$(message c resync)" EBUSY
		dmsetup resume "${P}c"
		reload
		reload --noflush
		reload --nolockfs
		dmsetup suspend "${P}d"
		dmsetup resume "${P}d"
		fields c copy_state=Unsynchronized reason=none
		shut
		change 20 21 $((30 + round))
		equal "slots in use" "$(used)" $((2 + round))
	done
	count
	LINE=$(clone_line rate:0)
	reload
	whole
	equal "sectors read of the delta" "$(spent "$DL" read_sectors)" $((5 * REGION))
}

t_reloaded_under_load()
{
	begin rate:65536 priority:high
	LINE=$(clone_line rate:65536 priority:high)
	writers src "$C" --threads 8
	for round in 5 10 15; do
		reaches percent_synced $round 120
		reload
		reload --noflush
		dmsetup suspend "${P}c"
		dmsetup resume "${P}c"
		fields c copy_state=Unsynchronized
	done
	fast
	synced c 120
	stop src
	holds "$R" image
	nothing_lost "$C" src
}

# found NUMBER: after a removal, as many regions are in the delta, and need no other place
found()
{
	fields c copy_state=Unsynchronized requested_copy_state=Synchronized reason=none \
		sync_mode=Asynchronous
	equal "slots in use" "$(used)" "$1"
	shut
}

t_removed_and_made_again_in_the_middle()
{
	idle
	change 20 21 22 127
	again $IDLE
	found 4
	quiet
	count
	change 21 127
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	equal "reads of the source" "$(spent "$S" reads)" 0
	change 40
	found 5
	again $IDLE
	found 5
	change 41
	# The other slots are still what they were.
	count
	whole
	equal "sectors read of the delta" "$(spent "$DL" read_sectors)" $((6 * REGION))
	again
	fields c copy_state=Synchronized
	holds "$D" image
	change 20 21 22
	keep new "$C"
	op set rate 1
	op resync
	change 22
	again $IDLE
	# In another image no slot is the old one's.
	found 1
	IMAGE=new
	whole
}

t_removed_under_load()
{
	begin rate:65536 priority:high
	for round in 1 2 3; do
		dmsio write "$C" --ops 60 --threads 8 --max-bytes 64k --seed $round \
			--log "$TMP/src.log" >/dev/null || fail "a write failed"
		again rate:65536 priority:high
		fields c copy_state=Unsynchronized
	done
	whole
	nothing_lost "$C" src
}

t_removed_with_a_delta_that_is_full()
{
	DELTA_N=$((TABLES + 8 * REGION))
	idle
	change 20 21 22 23 24 25 26 27 40 41
	equal "slots" "$(status_word c 17)" 8/8
	again $IDLE
	equal "slots" "$(status_word c 17)" 8/8
	change 20 50
	whole
	uses 0
}

#----------------------------------------------------------------
# Not the delta that it was
#----------------------------------------------------------------

# gone_with WHAT: the delta is another than before; what was in it is lost
gone_with()
{
	idle
	change 20 21 22
	remove d
	remove c
	"$@"
	log_mark
	clone $IDLE
	door
	lost
	logged delta
	anew
	# It is used again.
	change 20 21 22 23
	keep new "$C"
	op set rate 1
	op resync
	change 23
	uses 1
	IMAGE=new
	whole
	fresh
}

another_disk()
{
	remove dl
	slice dl "$D2" 12288 "$META_N"
	DL=$(dev dl)
	blank "$DL"
	WITH="methodology:snap_and_clone delta:$DL"
}

# Both homes of the first block of the table.
damaged_table()
{
	dd if=/dev/urandom of="$DL" bs=4k seek=2 count=2 oflag=direct conv=notrunc status=none
}

t_another_delta_in_its_place()
{
	gone_with another_disk
}

t_a_delta_that_was_wiped()
{
	gone_with blank_delta
}

blank_delta()
{
	blank "$DL"
}

t_a_damaged_table()
{
	gone_with damaged_table
}

t_a_complete_clone_needs_nothing_of_the_delta()
{
	for what in another_disk blank_delta damaged_table; do
		idle
		change 20 21
		whole
		change 30
		remove d
		remove c
		$what
		clone
		door
		fields c copy_state=Synchronized reason=none source_changed=3
		holds "$D" image
		keep new "$C"
		op set rate 1
		op resync
		change 21 30
		IMAGE=new
		whole
		uses 0
		IMAGE=image
		fresh
	done
}

# A line that names none: refused, or what is in it is lost; not copied from elsewhere.
t_the_delta_is_left_out()
{
	idle
	change 20 21
	remove d
	remove c
	if dmsetup create "${P}c" --table "0 $N sync clone $S $R $META $REGION 1 rate:0" \
			>/dev/null 2>&1; then
		wait_state c Broken
		wait_field c progress_status "Requires resync"
		return
	fi
	! dev c >/dev/null || remove c
	clone $IDLE
	door
	found 2
	whole
}

#----------------------------------------------------------------
# The delta fails
#----------------------------------------------------------------

t_the_delta_cannot_be_written()
{
	idle
	change 20 21
	read_only dl
	log_mark
	count
	change 30 31 32
	# As without a delta: each waits for its copy.
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" $((3 * REGION))
	fields c copy_state=Unsynchronized reason=none replica_errors=0 source_errors=0
	equal "how often the log names the delta" "$(log_since | grep -c delta)" 1
	change 20 21
	io write "$C" --ops 40 --max-bytes 64k --log "$TMP/src.log"
	equal "how often the log names the delta" "$(log_since | grep -c delta)" 1
	whole
	nothing_lost "$C" src
	# For the next image it is asked again.
	heal dl
	keep new "$C"
	op set rate 1
	op resync
	wait_state c Unsynchronized
	change 30 31 32
	at_least "slots in use" "$(used)" 2
	IMAGE=new
	whole
}

t_the_delta_cannot_be_written_under_writers()
{
	begin rate:524288 priority:high
	writers src "$C" --threads 8
	reaches percent_synced 10 120
	read_only dl
	reaches percent_synced 20 120
	fast
	synced c 120
	stop src
	holds "$R" image
	nothing_lost "$C" src
	heal dl
}

# bad_slots: none can be read or written, the tables can
bad_slots()
{
	bad_sectors dl $TABLES $((DELTA_N - TABLES - 8))
}

t_a_slot_cannot_be_read()
{
	for way in bad_slots "dead dl"; do
		idle
		change 20 21 22
		$way
		# Nobody needs it now.
		change 20 21
		fields c copy_state=Unsynchronized
		fast
		unreadable
		io write "$C" --ops 40 --max-bytes 64k --log "$TMP/src.log"
		heal dl
		again
		unreadable
		nothing_lost "$C" src
		anew
		fresh
	done
}

t_a_slot_cannot_be_read_under_writers()
{
	begin $IDLE
	writers src "$C" --threads 8
	until_true 60 _many_used || fail "little is saved: $(used)"
	bad_slots
	fast
	unreadable
	heal dl
	anew_under_writers
}

_many_used()
{
	[ "$(used)" -ge 40 ]
}

anew_under_writers()
{
	until_true 60 _resynced || fail "cannot be resynced: $(states c)"
	synced c
	stop src
	fields c source_errors=0 reason=none
	one_instant "$R" src
	nothing_lost "$C" src
}

# A device that does not answer is given up after 30 seconds, as a replica is.
hangs()
{
	dmsetup suspend --noflush --nolockfs "${P}dl"
}

t_the_delta_does_not_answer_a_write()
{
	idle
	change 20
	hangs
	# What is saved needs no delta.
	change 20
	fields c copy_state=Unsynchronized
	background dmsio fill "$C" --sectors $((30 * REGION)):8
	wait_exit "$BG" 60 || fail "the write failed: $(cat "$TMP/bg.log")"
	lost
	io write "$C" --ops 40 --max-bytes 64k --log "$TMP/src.log"
	dmsetup resume "${P}dl"
	anew
	nothing_lost "$C" src
}

t_the_delta_does_not_answer_a_read()
{
	idle
	change 20 21 22 23
	hangs
	fast
	background dmsio fill "$C" --sectors $((20 * REGION)):$((10 * REGION))
	wait_exit "$BG" 90 || fail "the write failed: $(cat "$TMP/bg.log")"
	wait_state c Broken 60
	lost
	dmsetup resume "${P}dl"
	anew
	dmsio verify "$C" --sectors $((24 * REGION)):$((6 * REGION)) >/dev/null ||
		fail "the write of the host is lost"
}

t_writers_go_on_when_the_delta_hangs()
{
	idle
	# Before: they fill so small a source faster than one can look. Some find theirs saved.
	# shellcheck disable=SC2046 # words
	change $(seq 0 95)
	hangs
	writers src "$C" --threads 8 --flush-every 1
	wait_state c Broken 90
	wait_field c progress_status "Requires resync"
	lines=$(wc -l <"$TMP/src.log")
	until_true 20 _longer_than "$TMP/src.log" $((lines + 100)) || fail "the writers stand still"
	dmsetup resume "${P}dl"
	fast
	anew_under_writers
}

_longer_than()
{
	[ "$(wc -l <"$1")" -gt "$2" ]
}

# Slow is no fault: a second for each write, for a while.
t_a_slow_delta_is_no_fault()
{
	begin rate:1048576 priority:high
	swap dl "0 $DELTA_N delay $DELTA_ON $DELTA_AT 0 $DELTA_ON $DELTA_AT 500"
	writers src "$C" --threads 8
	reaches percent_synced 50 120
	fast
	synced c 120
	stop src
	heal dl
	fields c reason=none source_errors=0 replica_errors=0
	holds "$R" image
	nothing_lost "$C" src
}

#----------------------------------------------------------------
# The others fail
#----------------------------------------------------------------

# The image is whole as long as what hosts overwrite is saved, replica or not.
t_the_replica_dies_and_the_image_does_not()
{
	idle
	change 20 21
	dead r
	fast
	wait_state c Broken
	wait_field c progress_status Dormant
	slow
	change 40 41 42
	fields c copy_state=Broken progress_status=Dormant door_access=none
	heal r
	fast
	whole
	fields c reason=none
}

# Neither can take it: the image goes, the write does not wait.
t_replica_and_delta_die()
{
	idle
	change 20 21
	dead r
	dead dl
	change 40
	lost
	heal r
	heal dl
	anew
}

t_the_metadata_device_fails()
{
	idle
	change 20 21
	dead meta
	# What is saved may be kept or not, the source goes on.
	change 40
	wait_state c Broken
	fields c "reason=$META_FAILED" door_access=none
	change 41 20
	until_true 5 _is_field "$(sysdir c)/progress_status" "Requires resync" || :
	lost=$(f c progress_status)
	heal meta
	if [ "$lost" = "Requires resync" ]; then
		anew
	else
		whole
	fi
	again
	fields c copy_state=Synchronized
}

t_bad_sectors_of_the_source()
{
	idle
	bad_sectors s $((60 * REGION + 64)) 8
	# It cannot be saved what a host overwrites beside them.
	change 60
	lost "a read of the source failed"
	heal s
	anew
	fresh
	# Saved before they went bad, they need not be read.
	idle
	change 60
	bad_sectors s $((60 * REGION + 64)) 8
	whole
	heal s
}

run_tests t_suspended_resumed_reloaded_in_the_middle t_reloaded_under_load \
	t_removed_and_made_again_in_the_middle t_removed_under_load \
	t_removed_with_a_delta_that_is_full t_another_delta_in_its_place \
	t_a_delta_that_was_wiped t_a_damaged_table \
	t_a_complete_clone_needs_nothing_of_the_delta t_the_delta_is_left_out \
	t_the_delta_cannot_be_written t_the_delta_cannot_be_written_under_writers \
	t_a_slot_cannot_be_read t_a_slot_cannot_be_read_under_writers \
	t_the_delta_does_not_answer_a_write t_the_delta_does_not_answer_a_read \
	t_writers_go_on_when_the_delta_hangs t_a_slow_delta_is_no_fault \
	t_the_replica_dies_and_the_image_does_not t_replica_and_delta_die \
	t_the_metadata_device_fails t_bad_sectors_of_the_source

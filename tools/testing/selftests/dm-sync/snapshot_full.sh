#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_full.sh - the store runs full, or its device or the source's fails
#
# The law: no host write to the source ever fails for it. With on_full:drop the oldest
# images are given up, durably; with on_full:hold writes wait, and something ends that.

# shellcheck disable=SC2154,SC2317,SC2329 # D0...; called by name
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
need_program python3
need_target flakey
disks 2
N=16384			# more chunks than a small store has slots
NL="python3 -SE $here/nl.py"

FULL="the store has no space left"
FAILED="the store cannot be written"
LOW="the store is nearly full"

# touch_chunks FIRST COUNT: a first write to each
touch_chunks()
{
	for _chunk in $(seq "$1" $(($1 + $2 - 1))); do
		soon dmsio fill "$V" --sectors $((_chunk * CHUNK + 8)):8 >/dev/null ||
			fail "a host write to chunk $_chunk failed or hangs: $(dmsetup status "${P}v")"
	done
}

# fill_chunks FIRST COUNT: the same at once
fill_chunks()
{
	soon dmsio fill "$V" --sectors $(($1 * CHUNK)):$(($2 * CHUNK)) >/dev/null ||
		fail "host writes failed or hang: $(dmsetup status "${P}v")"
}

# nearly_full [OPTION...]: image a has 10 chunks alone, b and c share all others: no slot is free
nearly_full()
{
	STORE_N=8192
	volume "$@"
	create a
	SLOTS=$(f v@a slots)
	at_least "slots" "$SLOTS" 20
	at_most "slots" "$SLOTS" 90
	fill_chunks 0 10
	create b c
	keep b c
	fill_chunks 10 $((SLOTS - 10))
	equal "used" "$(used)" "$SLOTS"
	keep_image a
}

unreadable()
{
	! dd if="$(dev "d.$1")" of=/dev/null bs=4k count=1 skip="${2:-0}" iflag=direct status=none 2>/dev/null ||
		fail "$1 can be read${2:+ at block $2}"
}

# lost NAME REASON
lost()
{
	wait_state "v@$1" Broken
	fields "v@$1" "progress_status=Requires resync" sync_state=Broken sync_maintained=0 \
		door_access=none "reason=$2" requested_copy_state=Synchronized
	[ "$(f "v@$1" sync_time)" != - ] || fail "$1: sync_time is forgotten"
}

t_drop_gives_up_the_oldest_first()
{
	nearly_full on_full:drop
	touch_chunks "$SLOTS" 1
	lost a "$FULL"
	unreadable a
	logged "its oldest image a is given up"
	fields v@b copy_state=Synchronized
	fields v@c copy_state=Synchronized
	as_kept b c
	equal "used" "$(used)" $((SLOTS - 10 + 1))
	# What a gave back.
	fill_chunks $((SLOTS + 1)) 9
	as_kept b c
	# b shares all with c: giving it up brings nothing.
	touch_chunks $((SLOTS + 10)) 1
	lost b "$FULL"
	lost c "$FULL"
	used_becomes 0
	remove d.a d.b d.c v
	store
	for name in a b c; do
		lost $name "$FULL"
	done
	used_becomes 0
	fill_chunks 0 100
	equal "saved for the lost" "$(used)" 0
	image resync b
	fields v@b copy_state=Synchronized reason=none
	door b
	keep b
	touch_chunks 0 10
	as_kept b
	equal "used" "$(used)" 10
	lost a "$FULL"
}

t_drop_under_writers()
{
	STORE_N=8192
	volume on_full:drop
	create a b
	writers --max-bytes 256k
	image create c
	lost a "$FULL"
	lost b "$FULL"
	lost c "$FULL"
	stop_writers
	no_write_is_lost
	equal "the order" "$(log_since | sed -n 's/.*its oldest image \(.\) is given up.*/\1/p' | tr '\n' ' ')" "a b c "
	used_becomes 0
}

# waiting CHUNK: a host write to it that waits; its process is WRITER
waiting()
{
	dmsio fill "$V" --sectors $(($1 * CHUNK)):8 --seq 777 >/dev/null &
	WRITER=$!
	echo $WRITER >>"$BASE/pids"
	space_becomes full
	wait_field v@b reason "$FULL"
	fields v@b copy_state=Suspended progress_status=Dormant
}

passed()
{
	wait_exit $WRITER || fail "the host write failed"
	holds_seq 777 $((SLOTS * CHUNK)) 8
}

t_hold_ended_by_deleting_an_image()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	# Only what needs space waits.
	soon dmsio fill "$V" --sectors $((10 * CHUNK + 8)):8 >/dev/null ||
		fail "a write to a saved chunk waits"
	soon dmsio read "$V" --ops 50 --max-bytes 16k >/dev/null || fail "reads wait"
	equal "a point in time meanwhile" "$(message v image create d)" EBUSY
	same "$(dev d.b)" "$TMP/b.kept" --sectors 0:$((SLOTS * CHUNK))
	kill -0 $WRITER || fail "the write did not wait"
	delete a
	passed
	! _space_is full || fail "full with free slots"
	wait_state v@b Synchronized
	wait_state v@c Synchronized
	fields v@b door_access=read-write
	as_kept b c
	equal "used" "$(used)" $((SLOTS - 10 + 1))
}

# Nobody needs what waits to be saved, so it needs no space.
t_hold_ended_by_deleting_all_images()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	delete c b
	space_becomes full
	kill -0 $WRITER || fail "the write did not wait"
	delete a
	passed
	space_becomes ok
	used_becomes 0
	create d
	keep d
	touch_chunks 0 10
	as_kept d
}

# Even of the very chunk that a write waits to have saved: the source still has it.
t_images_are_read_while_writes_wait_for_space()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	timeout 60 dmsio compare "$(dev d.b)" "$TMP/b.kept" >"$TMP/read" 2>&1 ||
		fail "reads wait, or fail: $(cat "$TMP/read")"
	space_becomes full
	kill -0 $WRITER || fail "the write did not wait"
	msg v set on_full drop
	passed
	as_kept b c
}

t_hold_ended_by_growth()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	STORE_N=32768
	swap st "0 $STORE_N linear $D1 0"
	LINE=$(store_line on_full:hold hold_max:600)
	printf '%s\n' "$LINE" | dmsetup load "${P}v"
	soon dmsetup suspend --noflush --nolockfs "${P}v" || fail "the suspend hangs"
	soon dmsetup resume "${P}v" || fail "the resume hangs"
	passed
	wait_state v@a Synchronized
	wait_state v@b Synchronized
	space_becomes ok
	as_kept a b c
	fill_chunks 0 120
	as_kept a b c
	equal "lost" "$(log_since | grep -c 'given up')" 0
}

t_hold_ended_by_its_deadline()
{
	nearly_full on_full:hold hold_max:3
	read -r begin _ </proc/uptime
	touch_chunks "$SLOTS" 1
	read -r end _ </proc/uptime
	at_least "seconds held" $((${end%.*} - ${begin%.*})) 2
	lost a "$FULL"
	wait_state v@b Synchronized
	as_kept b c
}

t_hold_ended_by_a_setting()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	msg v set hold_max 1
	passed
	lost a "$FULL"
	wait_state v@b Synchronized
	as_kept b c
}

t_hold_ended_by_a_suspend()
{
	nearly_full on_full:hold hold_max:600
	waiting "$SLOTS"
	soon dmsetup suspend "${P}v" || fail "the suspend hangs"
	soon dmsetup resume "${P}v" || fail "the resume hangs"
	passed
	lost a "$FULL"
	as_kept b c
}

# restored NAME: the source is what was kept of it, through the page cache, too
restored()
{
	wait_field "v@$1" progress_status Completed
	dmsio compare "$V" "$TMP/$1.kept" >"$TMP/restored" 2>&1 ||
		fail "the source is not $1: $(cat "$TMP/restored")"
	cmp "$V" "$TMP/$1.kept" || fail "the page cache has something else"
}

# a differs in 10 chunks more than c has saved, and no slot is free.
t_a_restore_that_needs_more_room_than_there_is()
{
	nearly_full on_full:drop
	equal "without room" "$(message v image restore a)" ENOSPC
	fields v@a copy_state=Synchronized progress_status=Completed
	image restore a force
	restored a
	logged "needs room for 10 chunks, and has 0"
	lost b "$FULL"
	lost c "$FULL"
	as_kept a
}

t_a_restore_under_a_door_that_is_in_use()
{
	volume
	create a
	keep a
	fill_chunks 3 20
	cat "$V" >/dev/null
	table over "0 $N linear $V 0"
	equal "a device on it" "$(message v image restore a)" EBUSY
	fields v@a copy_state=Synchronized progress_status=Completed reason=none
	remove over
	# Dirty in the cache: part of what is given up by restoring.
	dd if=/dev/zero of="$V" bs=64k seek=40 count=4 conv=notrunc status=none
	image restore a
	restored a
}

t_an_own_write_fails_alone_when_the_store_is_full()
{
	nearly_full on_full:drop
	! dmsio fill "$(dev d.b)" --sectors $((SLOTS * CHUNK)):8 >/dev/null 2>&1 ||
		fail "an own write without a slot"
	as_kept a b c
	fields v@b copy_state=Synchronized
	delete a
	dmsio fill "$(dev d.b)" --sectors $((SLOTS * CHUNK)):8 >/dev/null || fail "there is space"
	wait_state v@b Skewed
	as_kept c
}

_changes()
{
	[ "$(grep -c change "$TMP/events")" -ge "$1" ]
}

t_low_water()
{
	STORE_N=8192
	volume
	create a b
	SLOTS=$(f v@a slots)
	$NL events 3600 >"$TMP/events" 2>&1 &
	echo $! >>"$BASE/pids"
	until_true 20 grep -q listening "$TMP/events" || fail "no listener"
	fill_chunks 0 $((SLOTS * 88 / 100))
	fields v@a reason=none
	equal "space" "$(status_word v 6)" ok
	fill_chunks 0 $((SLOTS * 92 / 100 + 1))
	space_becomes low
	wait_field v@b reason "$LOW"
	wait_field v@a reason "$LOW"
	at_least "the rate at which it fills" "$(f v@a fill_bytes_per_second)" 1
	at_most "seconds until it is full" "$(f v@a full_seconds)" 3000
	fields v@b "reason=$LOW" copy_state=Synchronized
	# Once, not with every write.
	fill_chunks 0 $((SLOTS - 1))
	until_true 20 _changes 2 || fail "no events"
	equal "events" "$(sed 1d "$TMP/events" | sort -k 3 | cut -d ' ' -f 2-4,9 | tr '\n' ,)" \
		"change ${P}v@a 4 9,change ${P}v@b 4 9,"
	delete a
	equal "space" "$(status_word v 6)" low
	image resync b
	space_becomes ok
	wait_field v@b reason none
	same "$(dev d.b)" "$V"
}

t_the_store_dies_under_writers()
{
	volume
	create a b
	# First, as quick writers would have had all that there is saved by then.
	swap st "0 $STORE_N error"
	writers
	lost a "$FAILED"
	lost b "$FAILED"
	unreadable a
	space_becomes failed
	more 100
	kill -0 "$WRITERS" || fail "a host write failed: $(cat "$TMP/bg.log")"
	[ "$(message v image create c)" != 0 ] || fail "an image in a dead store"
	swap st "0 $STORE_N linear $D1 0"
	space_becomes ok
	lost a "$FAILED"
	image resync a
	fields v@a copy_state=Synchronized reason=none
	more 50
	stop_writers
	one_instant a
	no_write_is_lost
	remove d.a d.b v
	store
	lost b "$FAILED"
	door a
	one_instant a
}

t_a_store_that_does_not_answer()
{
	volume hold_max:4
	create a
	touch_chunks 3 1
	dmsetup suspend --noflush --nolockfs "${P}st"
	# What is saved does not need the store; what is not waits, and not for ever.
	touch_chunks 3 1
	read -r begin _ </proc/uptime
	touch_chunks 5 1
	read -r end _ </proc/uptime
	at_least "seconds held" $((${end%.*} - ${begin%.*})) 3
	lost a "$FAILED"
	logged "the store does not answer. Its images are lost"
	unreadable a 5
	touch_chunks 6 20
	fill_chunks 30 40
	dmsetup resume "${P}st"
	wait_for_resync a
	keep a
	touch_chunks 3 30
	as_kept a
	again hold_max:4
	as_kept a
	dmsio verify "$V" --sectors $((30 * CHUNK)):$CHUNK >/dev/null || fail "a host write is lost"
}

_resynced()
{
	[ "$(message v image resync "$1")" = 0 ]
}

# wait_for_resync NAME: the store has to be written again for that
wait_for_resync()
{
	until_true 60 _resynced "$1" || fail "$1 cannot be taken anew: $(dmsetup status "${P}v")"
	fields "v@$1" copy_state=Synchronized reason=none
}

t_writes_to_the_store_fail()
{
	volume
	create a
	touch_chunks 0 5
	swap st "0 $STORE_N flakey $D1 0 0 3600 1 error_writes"
	touch_chunks 5 3
	lost a "$FAILED"
	# Gone before the store could be told: it owes the record.
	swap st "0 $STORE_N linear $D1 0"
	space_becomes ok
	remove d.a v
	store
	lost a "$FAILED"
	used_becomes 0
}

# What is owed is written by the end at the latest, if it can be.
t_a_removal_before_the_store_is_probed()
{
	volume
	create a
	touch_chunks 0 5
	swap st "0 $STORE_N flakey $D1 0 0 3600 1 error_writes"
	touch_chunks 5 3
	swap st "0 $STORE_N linear $D1 0"
	remove d.a v
	store
	lost a "$FAILED"
	used_becomes 0
}

# No slot of the store can be read, all before them can, and everything be written. Slots
# begin at sector 2048: a store of this size has its tables in one MiB.
hurt_slots()
{
	_rest=$((STORE_N - 2048))
	if swap st "0 2048 linear $D1 0" "2048 $_rest flakey $D1 2048 0 3600 1 error_reads" \
		2>/dev/null; then
		return
	fi
	# An older kernel.
	modprobe -q dm-dust || skip "dm-flakey cannot fail reads alone, and there is no dm-dust"
	swap st "0 2048 linear $D1 0" "2048 $_rest dust $D1 2048 1048576"
	for _block in $(seq 1 $((_rest / 2048))); do
		dmsetup message "${P}st" 2048 addbadblock "$_block"
	done
	dmsetup message "${P}st" 2048 enable
}

t_reads_of_the_store_fail()
{
	volume
	create a
	keep a
	touch_chunks 3 1
	# Bad sectors are not a bad device: the superblock can be read.
	hurt_slots
	unreadable a $((3 * CHUNK / 8))
	dd if="$(dev d.a)" of=/dev/null bs=4k count=1 skip=$((4 * CHUNK / 8)) iflag=direct status=none ||
		fail "what lies in the source cannot be read"
	fields v@a copy_state=Synchronized reason=none
	at_least "errors of the store" "$(f v@a replica_errors)" 1
	swap st "0 $STORE_N error"
	unreadable a $((3 * CHUNK / 8))
	wait_state v@a Broken
	fields v@a progress_status=Dormant sync_state=Broken door_access=none \
		"reason=a read of the replica failed" requested_copy_state=Synchronized
	logged "the store does not answer"
	touch_chunks 3 1
	swap st "0 $STORE_N linear $D1 0"
	wait_state v@a Synchronized
	fields v@a "reason=the replica came back" door_access=read-write
	as_kept a
	touch_chunks 5 1
	as_kept a
}

_with()
{
	swap s "0 $_at linear $D0 0" "$_at $CHUNK $*" "$_end $((N - _end)) linear $D0 $_end"
}

# hurt CHUNK: it cannot be read from the source, but written
hurt()
{
	_at=$(($1 * CHUNK)) _end=$((($1 + 1) * CHUNK))
	if _with flakey "$D0" "$_at" 0 3600 1 error_reads 2>/dev/null; then
		return
	fi
	# An older kernel.
	modprobe -q dm-dust || skip "dm-flakey cannot fail reads alone, and there is no dm-dust"
	_with dust "$D0" "$_at" "$CHUNK_BYTES"
	dmsetup message "${P}s" "$_at" addbadblock "$1"
	dmsetup message "${P}s" "$_at" enable
}

# bad_only CHUNK: the image is as it was, but for this chunk
bad_only()
{
	unreadable a $(($1 * CHUNK / 8 + 3))
	same "$(dev d.a)" "$TMP/a.kept" --sectors 0:$(($1 * CHUNK))
	same "$(dev d.a)" "$TMP/a.kept" --sectors $((($1 + 1) * CHUNK)):$((N - ($1 + 1) * CHUNK))
}

t_reads_of_the_source_fail()
{
	volume
	create a
	keep a
	hurt 10
	unreadable a $((10 * CHUNK / 8))
	fields v@a copy_state=Synchronized
	# A stream over it: one chunk of many cannot be saved.
	fill_chunks 8 5
	swap s "0 $N linear $D0 0"
	bad_only 10
	fields v@a copy_state=Synchronized progress_status=Completed
	dmsio verify "$V" --sectors $((8 * CHUNK)):$((5 * CHUNK)) >/dev/null || fail "the host's data"
	again
	bad_only 10
	# A newer image has no part in it; a whole own chunk heals it.
	create b
	keep b
	touch_chunks 10 1
	as_kept b
	! dmsio fill "$(dev d.a)" --sectors $((10 * CHUNK + 8)):8 >/dev/null 2>&1 ||
		fail "a part of an own chunk over what is bad"
	dmsio fill "$(dev d.a)" --sectors $((10 * CHUNK)):$CHUNK --seq 5 >/dev/null ||
		fail "a whole own chunk cannot be written"
	dmsio verify "$(dev d.a)" --sectors $((10 * CHUNK)):$CHUNK >/dev/null || fail "own chunk"
	image reset-replica a
	bad_only 10
	delete b
	bad_only 10
}

run_tests t_drop_gives_up_the_oldest_first t_drop_under_writers \
	t_hold_ended_by_deleting_an_image t_hold_ended_by_deleting_all_images \
	t_images_are_read_while_writes_wait_for_space \
	t_hold_ended_by_growth t_hold_ended_by_its_deadline \
	t_hold_ended_by_a_setting t_hold_ended_by_a_suspend \
	t_a_restore_that_needs_more_room_than_there_is t_a_restore_under_a_door_that_is_in_use \
	t_an_own_write_fails_alone_when_the_store_is_full t_low_water \
	t_the_store_dies_under_writers t_a_store_that_does_not_answer \
	t_writes_to_the_store_fail t_a_removal_before_the_store_is_probed \
	t_reads_of_the_store_fail t_reads_of_the_source_fail

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_restore.sh - the source becomes what an image is, while hosts go on
#
# With "rate:1" a restore stands, after a chunk at most: the next one takes it eighteen
# hours. What is to happen in the midst of one happens then; "set rate 0" lets it go on.

# shellcheck disable=SC2154,SC2086 # D0...; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
need_target flakey
disks 2

INCOMPLETE="a restore did not finish and the source is half rewritten"
FULL="the store has no space left"

# moments NAME...: images of different moments, oldest first; then all of the source is
# overwritten
moments()
{
	for _moment; do
		create "$_moment"
		keep "$_moment"
		dmsio write "$V" --ops 10 --threads 2 --max-bytes 128k >/dev/null
	done
	dmsio fill "$V" >/dev/null
}

# restoring NAME: a restore from it that stands
restoring()
{
	msg v set rate 1
	image restore "$1"
	going_on "$1"
}

going_on()
{
	fields "v@$1" progress_status=Restoring "sync_state=Restore In Progress" \
		door_access=read-only sync_maintained=0
	at_most "percent" "$(f "v@$1" percent_synced)" 99
	_total=$(f "v@$1" total_bytes)
	at_least "bytes to restore" "$_total" "$CHUNK_BYTES"
	at_most "restored bytes" "$(f "v@$1" done_bytes)" $((_total - CHUNK_BYTES))
}

# restored NAME: in the end it is Synchronized
restored()
{
	wait_field "v@$1" progress_status Completed 60
	fields "v@$1" copy_state=Synchronized "requested_copy_state=Not Applicable" \
		sync_state=Idle percent_synced=100 door_access=read-write reason=none \
		total_bytes=0 done_bytes=0
}

# broken_off NAME: or it is not
broken_off()
{
	wait_state "v@$1" Broken 60
	fields "v@$1" progress_status=Dormant sync_state=Broken "reason=$INCOMPLETE" \
		requested_copy_state=Synchronized
}

# source_is FILE: not only seen through its door
source_is()
{
	same "$V" "$1"
	same "$S" "$1"
}

t_from_any_image()
{
	volume
	moments a b c
	# For the newest nothing has been saved: a restore has to, like any other write.
	create d
	keep d
	for name in b c a; do
		when=$(f v@$name sync_time)
		different "$S" "$TMP/$name.kept"
		image restore $name
		restored $name
		fields v@$name "sync_time=$when"
		source_is "$TMP/$name.kept"
		as_kept a b c d
	done
	again
	as_kept a b c d
	source_is "$TMP/a.kept"
	dmsio fill "$V" --sectors 100:3000 >/dev/null
	as_kept a b c d
	delete b a d c
	used_becomes 0
}

# overwrite SECTORS: by a host, and in what is expected
overwrite()
{
	soon dmsio fill "$V" --sectors "$1" --seq 77 >/dev/null ||
		fail "a write of $1 failed or waits: $(dmsetup status "${P}v")"
	dmsio fill "$TMP/expected" --sectors "$1" --seq 77 >/dev/null
}

t_hosts_meet_the_image_at_once()
{
	volume
	moments a b
	create c
	keep c
	restoring a
	fields v@a copy_state=Synchronized "requested_copy_state=Not Applicable"
	same "$V" "$TMP/a.kept"
	different "$S" "$TMP/a.kept"
	as_kept a b c
	cp "$TMP/a.kept" "$TMP/expected"
	# Parts of chunks, a whole one, several, twice the same, the last sector.
	for piece in 8:8 120:16 1024:128 2000:300 2100:8 $((N - 1)):1; do
		overwrite $piece
	done
	same "$V" "$TMP/expected"
	as_kept a b c
	! dmsio fill "$(dev d.a)" --sectors 0:8 >/dev/null 2>&1 ||
		fail "the image is written while the source is restored from it"
	for words in "create d" "resync b" "restore b" "restore a" "delete a force" "suspend a"; do
		equal "image $words" "$(message v image $words)" EBUSY
	done
	# A newer image may go, an older one stays.
	delete c
	LINE=$(store_line rate:1)
	reload
	reload --noflush
	going_on a
	same "$V" "$TMP/expected"
	different "$S" "$TMP/expected"
	as_kept a b
	overwrite 3000:100
	msg v set rate 0
	restored a
	source_is "$TMP/expected"
	as_kept a b
	create d
	same "$(dev d.d)" "$TMP/expected"
}

t_an_older_image_stays_until_the_end()
{
	volume
	moments a b
	restoring b
	shut a
	equal "delete" "$(message v image delete a)" EBUSY
	equal "deactivate" "$(message v image deactivate a)" EBUSY
	msg v set rate 0
	restored b
	image delete a
	source_is "$TMP/b.kept"
	as_kept b
}

t_hosts_read_and_write_all_the_time()
{
	N=8192 half=4096
	volume
	dmsio fill "$V" --seq 100 >/dev/null
	create a
	keep a
	# What the image is not: older than it in one half, newer in the other.
	dmsio fill "$V" --sectors 0:$half --seq 50 >/dev/null
	dmsio fill "$V" --sectors $half:$half --seq 200 >/dev/null
	create b
	keep b
	restoring a
	writers --sectors 0:$half --max-bytes 32k --seed 3
	dmsio read "$V" --sectors $half:$half --seconds 3600 --threads 2 --max-bytes 256k \
		--max-seq 100 --pause 1000 >"$TMP/read" 2>&1 &
	reader=$!
	echo $reader >>"$BASE/pids"
	msg v set priority high
	more 30
	msg v set rate 1048576
	restored a
	more 30
	stop_writers
	kill $reader 2>/dev/null || :
	wait_exit $reader || fail "a reader of the source: $(cat "$TMP/read")"
	echo "A 0 $N 100 100" >>"$TMP/log"
	no_write_is_lost
	same "$S" "$V"
	same "$S" "$TMP/a.kept" --sectors $half:$half
	as_kept a b
	again
	as_kept a b
	no_write_is_lost
}

t_with_the_own_writes_of_the_image()
{
	volume
	create a b
	keep b
	dmsio fill "$(dev d.a)" --sectors 100:300 >/dev/null
	wait_state v@a Skewed
	keep_image a
	when=$(f v@a sync_time)
	dmsio fill "$V" >/dev/null
	restoring a
	fields v@a copy_state=Skewed requested_copy_state=Synchronized
	same "$V" "$TMP/a.kept"
	! dmsio fill "$(dev d.a)" --sectors 100:8 >/dev/null 2>&1 || fail "written meanwhile"
	msg v set rate 0
	restored a
	[ "$(f v@a sync_time)" != "$when" ] || fail "sync_time is the one of before"
	source_is "$TMP/a.kept"
	as_kept a b
	again
	fields v@a copy_state=Synchronized
	as_kept a b
	own_writes_stay
}

# The next own write is one of a new kind, and those before it are part of the image.
own_writes_stay()
{
	equal "reset of what was not written since" "$(message v image reset-replica a)" 0
	as_kept a b
	dmsio fill "$(dev d.a)" --sectors 100:8 --seq 55 >/dev/null
	wait_state v@a Skewed
	source_is "$TMP/a.kept"
	keep_image a
	equal "reset" "$(message v image reset-replica a)" EPERM
	again
	fields v@a copy_state=Skewed
	equal "reset after a reload" "$(message v image reset-replica a)" EPERM
	as_kept a b
	image resync a
	keep a
	dmsio fill "$(dev d.a)" --sectors 100:8 --seq 56 >/dev/null
	wait_state v@a Skewed
	image reset-replica a
	fields v@a copy_state=Synchronized
	as_kept a b
}

t_abort_leaves_a_source_that_can_be_restored()
{
	volume
	moments a b
	restoring a
	equal "abort without force" "$(message v image abort a)" EPERM
	going_on a
	soon dmsio fill "$V" --sectors 1000:8 --seq 77 >/dev/null
	image abort a force
	broken_off a
	holds_seq 77 1000 8
	different "$V" "$TMP/a.kept"
	soon dmsio fill "$V" --sectors 2000:8 --seq 77 >/dev/null || fail "a write waits"
	as_kept b
	again
	broken_off a
	as_kept b
	equal "resync without force" "$(message v image resync a)" EPERM
	equal "a point in time elsewhere" "$(message v image resync b)" 0
	image restore a
	restored a
	source_is "$TMP/a.kept"
	as_kept a
	restoring a
	image abort a force
	image resync a force
	fields v@a copy_state=Synchronized reason=none
	source_is "$TMP/a.kept"
}

# cut: from one moment on nothing reaches the disks; then the pair goes, and they return
cut()
{
	echo "0 $STORE_N error" | dmsetup load "${P}st"
	echo "0 $N error" | dmsetup load "${P}s"
	dmsetup suspend --noflush --nolockfs "${P}st"
	dmsetup suspend --noflush --nolockfs "${P}s"
	dmsetup resume "${P}st"
	dmsetup resume "${P}s"
	[ -z "${BG-}" ] || wait_exit "$BG" 60 || :
	remove "$@" v
	swap st "0 $STORE_N linear $D1 0"
	swap s "0 $N linear $D0 0"
}

t_a_crash_in_the_midst()
{
	volume rate:1
	dmsio fill "$V" --seq 100 >/dev/null
	create a
	keep a
	dmsio fill "$V" --seq 50 >/dev/null
	create b
	keep b
	image restore a
	for round in 1 2; do
		going_on a
		background dmsio write "$V" --seconds 3600 --threads 4 --max-bytes 32k --fua \
			--seed $round --ack "$TMP/ack" --sectors $((round * 1000)):1500
		until_true 60 test -s "$TMP/ack" || fail "nothing is acknowledged"
		more 20
		cut d.a d.b
		log_mark
		store rate:1
		logged "restoring the source from a goes on"
		door a
		door b
		no_write_is_lost "$TMP/ack"
		as_kept a b
	done
	# Where nobody wrote it is the image, and nothing of before comes to light.
	echo "A 0 $N 100 100" >>"$TMP/ack"
	no_write_is_lost "$TMP/ack"
	going_on a
	msg v set rate 0
	restored a
	no_write_is_lost "$TMP/ack"
	same "$V" "$S"
	as_kept a b
	again
	fields v@a progress_status=Completed
	no_write_is_lost "$TMP/ack"
	as_kept a b
}

t_a_shutdown_in_the_midst()
{
	volume
	moments a b
	restoring a
	again rate:1
	going_on a
	same "$V" "$TMP/a.kept"
	as_kept a b
	again
	restored a
	source_is "$TMP/a.kept"
	as_kept a b
}

t_a_source_that_cannot_be_written()
{
	volume
	moments a b
	swap s "0 $N flakey $D0 0 0 3600 1 error_writes"
	image restore a
	broken_off a
	as_kept b
	swap s "0 $N linear $D0 0"
	image restore a
	restored a
	source_is "$TMP/a.kept"
	as_kept a b
}

# The images have no part in it that the source cannot be flushed.
t_a_source_that_cannot_be_flushed()
{
	volume
	moments a b
	swap s "0 $N linear $D0 0" "$N 8 flakey $D0 $N 0 3600 1 error_writes"
	! dmsio fill "$S" --sectors $N:8 >/dev/null 2>&1 || fail "nothing fails"
	image restore a
	broken_off a
	fields v@b copy_state=Synchronized
	as_kept b
	equal "space" "$(status_word v 6)" ok
	swap s "0 $N linear $D0 0"
	image restore a
	restored a
	source_is "$TMP/a.kept"
	as_kept a b
}

# What the newer image needs of the source has to be saved, and there is no slot: image a
# has them all.
no_slot()
{
	N=16384 STORE_N=8192
	volume "$@"
	create a
	keep a
	SLOTS=$(f v@a slots)
	dmsio fill "$V" --sectors 0:$((SLOTS * CHUNK)) >/dev/null
	create b
	equal "used" "$(used)" "$SLOTS"
}

t_a_full_store_loses_the_image_in_use_last()
{
	no_slot on_full:drop
	image restore a force
	restored_in_need a
	wait_state v@b Broken
	fields v@b "reason=$FULL"
	source_is "$TMP/a.kept"
	as_kept a
}

t_a_full_store_has_the_restore_wait()
{
	no_slot on_full:hold hold_max:600
	image restore a
	space_becomes full
	fields v@a progress_status=Restoring
	delete b
	restored_in_need a
	source_is "$TMP/a.kept"
	as_kept a
}

# The store is nearly full still, which is told as a reason.
restored_in_need()
{
	wait_field "v@$1" progress_status Completed 60
	fields "v@$1" copy_state=Synchronized "requested_copy_state=Not Applicable"
}

# Chunks 0 to 4 are to come back when host writes elsewhere take all the room that there is.
# What was read of them through the page cache, which lives as long as the door is open, is not
# what the source has then.
t_a_lost_image_ends_its_restore()
{
	N=16384 STORE_N=8192
	volume on_full:drop
	create a
	dmsio fill "$V" --sectors 0:$((5 * CHUNK)) --seq 77 >/dev/null
	restoring a
	exec 7<"$V"
	cat "$V" >/dev/null
	soon dmsio fill "$V" --sectors $((10 * CHUNK)):$(($(f v@a slots) * CHUNK)) >/dev/null ||
		fail "a write waits"
	wait_state v@a Broken 60
	fields v@a "progress_status=Requires resync" "reason=$FULL"
	dd if="$V" of="$TMP/direct" bs=1M iflag=direct status=none
	cmp "$V" "$TMP/direct" || fail "the page cache has what was not restored"
	exec 7<&-
	holds_seq 77 $((4 * CHUNK)) $CHUNK
	image resync a force
	fields v@a copy_state=Synchronized
	source_is "$TMP/direct"
}

run_tests t_from_any_image t_hosts_meet_the_image_at_once t_an_older_image_stays_until_the_end \
	t_hosts_read_and_write_all_the_time t_with_the_own_writes_of_the_image \
	t_abort_leaves_a_source_that_can_be_restored t_a_crash_in_the_midst \
	t_a_shutdown_in_the_midst t_a_source_that_cannot_be_written \
	t_a_source_that_cannot_be_flushed t_a_full_store_loses_the_image_in_use_last \
	t_a_full_store_has_the_restore_wait t_a_lost_image_ends_its_restore

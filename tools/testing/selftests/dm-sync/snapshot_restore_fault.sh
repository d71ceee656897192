#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_restore_fault.sh - no host write is lost by a restore, whatever fails meanwhile
#
# Nor by its beginning: who has seen the image, and writes then, finds that for ever.

# shellcheck disable=SC2154,SC2317,SC2329,SC2086 # D0...; called by name; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
need_program python3
need_target delay flakey
disks 2

N=16384			# 128 chunks
STORE_N=65536
HALF=$((N / 2))
SAW="python3 -SE $here/saw_image.py"
INCOMPLETE="a restore did not finish and the source is half rewritten"

# three: image a, and b and c newer, all different; the source differs from all
three()
{
	volume
	for _image in a b c; do
		create $_image
		keep $_image
		dmsio write "$V" --ops 20 --threads 4 --max-bytes 128k >/dev/null
	done
	dmsio fill "$V" >/dev/null
	as_kept a b c
}

_rests()
{
	read -r _x <"$(sysdir "v@$1")/progress_status" && [ "$_x" != Restoring ]
}

# rests NAME: no restore from it goes on, however it ended
rests()
{
	until_true 90 _rests "$1" || fail "the restore does not end: $(dmsetup status "${P}v")"
}

completes()
{
	rests "$1"
	fields "v@$1" copy_state=Synchronized progress_status=Completed reason=none
}

broken_off()
{
	rests "$1"
	fields "v@$1" copy_state=Broken progress_status=Dormant "reason=$INCOMPLETE"
}

_log_has()
{
	[ "$(wc -l <"$TMP/log")" -ge "$1" ]
}

# more_writes COUNT: of the writers, acknowledged
more_writes()
{
	_x=$(wc -l <"$TMP/log")
	until_true 60 _log_has $((_x + $1)) || fail "the writers stand still: $(cat "$TMP/bg.log")"
}

#----------------------------------------------------------------
# The beginning
#----------------------------------------------------------------

_spinning()
{
	[ "$(wc -c <"$TMP/bg.log")" -ge 4 ]
}

# The first half is to be restored. What the image is in the second half is what the source
# is, so writes there do not wait; but it is not saved for the newer image, so their chunks
# are saved first. The store is slow, so that much goes on in each step of the beginning.
begin_once()
{
	volume
	create a
	dmsio fill "$V" --sectors 0:$HALF >/dev/null
	create b
	keep b
	swap st "0 $STORE_N delay $D1 0 0 $D1 0 10"
	dmsio write "$V" --seconds 3600 --threads 24 --max-bytes 8k --seed $1 \
		--sectors $((HALF + HALF / 2)):$((HALF / 2)) >"$TMP/deep" 2>&1 &
	deep=$!
	echo $deep >>"$BASE/pids"
	background $SAW write "$V" 8 $HALF 32 $CHUNK 4
	until_true 60 _spinning || fail "nobody looks: $(cat "$TMP/bg.log")"
	image restore a
	wait_exit $BG 90 || fail "a write after the beginning failed: $(cat "$TMP/bg.log")"
	kill $deep 2>/dev/null || :
	wait_exit $deep || fail "a host write failed: $(cat "$TMP/deep")"
	completes a
	swap st "0 $STORE_N linear $D1 0"
	$SAW check "$V" 8 $HALF 32 $CHUNK 4 >"$TMP/saw" ||
		fail "writes of those who had seen the image, round $1: $(cat "$TMP/saw")"
	as_kept b
	shut a b
	remove v st s
}

t_who_has_seen_the_image_writes_for_ever()
{
	for round in 1 2 3 4 5 6; do
		begin_once $round
	done
}

t_writes_from_the_first_moment_on_are_read_back()
{
	for round in 1 2 3; do
		three
		image restore a
		writers --threads 16 --seed $round --pause 100
		completes a
		more_writes 50
		stop_writers
		no_write_is_lost
		same "$V" "$S"
		as_kept a b c
		again
		no_write_is_lost
		as_kept a b c
		shut a b c
		remove v st s
	done
}

#----------------------------------------------------------------
# Failures in the midst of it
#----------------------------------------------------------------

# restoring_with_writers [dmsio option...]
restoring_with_writers()
{
	msg v set rate 262144
	image restore a
	rm -f "$TMP/log"
	background dmsio write "$V" --seconds 3600 --threads 2 --max-bytes 16k --pause 20000 \
		--log "$TMP/log" "$@"
	WRITERS=$BG
	until_true 60 test -s "$TMP/log" || fail "the writers do not write: $(cat "$TMP/bg.log")"
	more_writes 10
}

_logged()
{
	log_since | grep -q -- "$1"
}

# A flush that failed once may never be made good, and tells nobody of others.
t_a_flush_that_fails_loses_no_write()
{
	for round in 1 2 3; do
		three
		log_mark
		restoring_with_writers --keep-going --seed $round
		swap s "0 $N linear $D0 0" "$N 8 flakey $D0 $N 0 3600 1 error_writes"
		until_true 60 _logged "source cannot be flushed after" || fail "no flush fails"
		swap s "0 $N linear $D0 0"
		msg v set rate 0
		rests a
		more_writes 20
		stop_writers
		no_write_is_lost
		fields v@b copy_state=Synchronized reason=none
		equal "space" "$(status_word v 6)" ok
		as_kept a b c
		same "$V" "$S"
		image restore a
		completes a
		same "$S" "$TMP/a.kept"
		as_kept a b c
		shut a b c
		remove v st s
	done
}

t_a_source_that_is_never_flushed_has_it_break_off()
{
	three
	swap s "0 $N linear $D0 0" "$N 8 flakey $D0 $N 0 3600 1 error_writes"
	image restore a
	broken_off a
	equal "space" "$(status_word v 6)" ok
	as_kept a b c
	swap s "0 $N linear $D0 0"
	image restore a
	completes a
	same "$S" "$TMP/a.kept"
	as_kept a b c
}

# The map of 128 chunks is block 13, sectors 208 to 223. The store's failure is no host's.
t_a_map_that_cannot_be_written_loses_no_write()
{
	for round in 1 2 3; do
		three
		restoring_with_writers --seed $round
		swap st "0 208 linear $D1 0" "208 16 flakey $D1 208 0 3600 1 error_writes" \
			"224 $((STORE_N - 224)) linear $D1 224"
		wait_state v@a Broken
		swap st "0 $STORE_N linear $D1 0"
		more_writes 20
		stop_writers
		no_write_is_lost
		same "$V" "$S"
		until_true 60 _space_ok || fail "the store is $(status_word v 6)"
		shut a b c
		remove v
		store
		no_write_is_lost
		remove v st s
	done
}

_space_ok()
{
	[ "$(status_word v 6)" = ok ]
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
	wait_exit "$WRITERS" 60 || :
	shut "$@"
	remove v
	swap st "0 $STORE_N linear $D1 0"
	swap s "0 $N linear $D0 0"
}

# All in one: writers, restores, aborts, and an end without notice in each of them.
t_cut_in_the_midst_again_and_again()
{
	three
	msg v set rate 262144
	for round in 1 2 3 4; do
		if _rests a; then
			rm -f "$TMP/log"
			image restore a
		fi
		fields v@a progress_status=Restoring
		background dmsio write "$V" --seconds 3600 --threads 2 --max-bytes 16k --fua \
			--seed $round --ack "$TMP/log" --pause 20000
		WRITERS=$BG
		until_true 60 test -s "$TMP/log" || fail "nothing is acknowledged"
		more_writes 10
		cut a b c
		store rate:262144
		for _image in a b c; do
			door $_image
		done
		no_write_is_lost
		as_kept a b c
	done
	msg v set rate 0
	completes a
	no_write_is_lost
	same "$V" "$S"
	as_kept a b c
	again
	no_write_is_lost
}

t_an_abort_under_writers()
{
	three
	for round in 1 2 3; do
		restoring_with_writers --seed $round
		image abort a force
		broken_off a
		delete_newest
		more_writes 20
		image create d
		door d
		more_writes 20
		stop_writers
		no_write_is_lost
		one_instant d
		as_kept a b
		delete d
		create c
		keep c
	done
}

# What was saved for it is found by the older ones now.
delete_newest()
{
	shut c
	image delete c
}

t_a_suspend_in_the_midst_is_short()
{
	three
	msg v set rate 1
	image restore a
	for options in "" --noflush; do
		_now
		began=$_now
		reload_with $options
		_now
		at_most "seconds of a suspend" $((_now - began)) $((20 * ${DM_SYNC_PATIENCE:-1}))
		fields v@a progress_status=Restoring
		same "$V" "$TMP/a.kept"
	done
	msg v set rate 0
	completes a
	same "$S" "$TMP/a.kept"
	as_kept a b c
}

reload_with()
{
	LINE=$(store_line rate:1)
	reload "$@"
}

t_larger_blocks_than_the_source()
{
	truncate -s 16M "$TMP/store"
	loop=$(losetup -f --show --sector-size 4096 "$TMP/store" 2>/dev/null) ||
		skip "no loop devices with blocks of 4 KiB"
	legs
	ST=$loop
	store 2>"$TMP/message" && _taken=yes || _taken=
	[ -z "$_taken" ] || remove v
	losetup -d "$loop"
	[ -z "$_taken" ] || fail "a store with larger blocks than the source is taken"
	logged "larger blocks than the source"
}

run_tests t_who_has_seen_the_image_writes_for_ever \
	t_writes_from_the_first_moment_on_are_read_back t_a_flush_that_fails_loses_no_write \
	t_a_source_that_is_never_flushed_has_it_break_off \
	t_a_map_that_cannot_be_written_loses_no_write t_cut_in_the_midst_again_and_again \
	t_an_abort_under_writers t_a_suspend_in_the_midst_is_short \
	t_larger_blocks_than_the_source

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_fault.sh - a side of a clone fails, or its metadata device, and comes back
#
# The law: no host write of the source fails for the clone; an image that can be kept is
# kept until its copy can go on, and one that cannot is given up before the write that it
# stood in the way of.

# shellcheck disable=SC2154,SC2317,SC2329 # D0...; called by name
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_target flakey
disks 3

WRITE="a write to the replica failed"
FLUSH="a flush of the replica failed"
READ="a read of the source failed"
META_FAILED="the metadata device failed"
BAD=8200			# first bad sector, in region 64

# io NAME ARGUMENT...: run dmsio, show what it says when it fails
io()
{
	dmsio "$@" >"$TMP/io" 2>&1 || fail "dmsio $*: $(cat "$TMP/io")"
}

# broken REASON [PROGRESS]
broken()
{
	wait_state c Broken
	until_true 5 _is_field "$(sysdir c)/reason" "$1" || :
	until_true 5 _is_field "$(sysdir c)/progress_status" "${2:-Dormant}" || :
	fields c copy_state=Broken "progress_status=${2:-Dormant}" sync_state=Broken \
		requested_copy_state=Synchronized sync_maintained=0 "reason=$1" door_access=none
}

# stays_broken SECONDS: nobody goes on without being asked
stays_broken()
{
	! until_true "$1" _is_field "$(sysdir c)/copy_state" Unsynchronized ||
		fail "$(states c): recovered without being asked"
}

# While nobody needs it the image waits for the replica to come back.
t_the_replica_dies_and_comes_back()
{
	for method in copy_on_write full; do
		begin methodology:$method rate:524288 priority:high
		reaches percent_synced 20
		dead r
		broken "$WRITE"
		at_least "replica errors" "$(f c replica_errors)" 1
		stays_broken 2
		before=$(f c written_bytes)
		heal r
		fast
		synced c
		fields c reason=none progress_status=Completed
		holds "$R" image
		# What was there was not copied again.
		at_most "bytes copied" $(($(f c written_bytes) - before)) $((N * 512 * 9 / 10))
		fresh
	done
	# In a refresh: the new instant.
	finished
	dmsio write "$C" --ops 100 --max-bytes 64k >/dev/null
	keep image "$C"
	slow
	op resync
	wait_state c Unsynchronized
	read_only r
	fast
	wait_state c Broken
	heal r
	synced c
	holds "$R" image
}

t_manual_recovery_waits_for_resume()
{
	begin rate:524288 recovery:manual
	reaches percent_synced 10
	dead r
	broken "$WRITE"
	heal r
	wait_state c Suspended
	fields c progress_status=Dormant "requested_copy_state=Not Applicable"
	holds "$D" image
	# It does not hold: nobody asked for a suspension.
	timeout 30 dmsio fill "$C" --sectors $((N - 8)):8 >/dev/null || fail "a write is held"
	holds "$D" image
	fast
	op resume
	synced c
	holds "$R" image
}

# A write that cannot be copied for goes on, the image is given up.
t_the_replica_dies_under_writers()
{
	begin rate:262144
	writers src "$C" --sectors "0:$((N / 4))"
	dead r
	# Of the other regions: one that is not copied yet.
	io fill "$C" --sectors $((N - 300)):8
	wait_state c Broken
	wait_field c progress_status "Requires resync"
	fields c door_access=none requested_copy_state=Synchronized percent_synced=-
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an image that was given up can be read"
	io fill "$C" --sectors $((N - 4000)):3000
	heal r
	stays_broken 3
	stop src
	nothing_lost "$C" src --sectors "0:$((N / 4))"
	again rate:262144
	fields c copy_state=Broken "progress_status=Requires resync" door_access=none
}

# The same with the writers going on through all of it, and out of it.
t_out_of_a_lost_image()
{
	begin rate:262144
	dead r
	# The copy breaks first: who writes then is not kept waiting until a drain times out.
	wait_state c Broken
	timeout $((15 * ${DM_SYNC_PATIENCE:-1})) dmsio fill "$C" --sectors $((N - 8)):8 >/dev/null ||
		fail "a host write hangs when the replica is dead: $(states c)"
	writers src "$C" --threads 8
	wait_field c progress_status "Requires resync"
	heal r
	fast
	written=$(disk_stat "$R" write_sectors)
	op resync
	synced c
	# Nothing of the old image is believed.
	at_least "sectors copied" $(($(disk_stat "$R" write_sectors) - written)) "$N"
	stop src
	fields c source_errors=0 reason=none
	one_instant "$R" src
	nothing_lost "$C" src
}

# forgets FIRST COUNT: the replica has lost what own_parts put there, and the copies
forgets()
{
	_at=$1
	while [ "$_at" -lt $(($1 + 2 * $2)) ]; do
		dmsio fill "$D1" --sectors $((_at * REGION + 8)):$REGION --seq 1 >/dev/null
		_at=$((_at + 2))
	done
}

# goes_on: healed, it is copied from where it was
goes_on()
{
	heal r
	until_true 30 _copies || fail "it does not go on: $(states c)"
}

_copies()
{
	[ "$(f c door_access)" = read-write ]
}

# flushes_again: one more flush may tell, and no other
flushes_again()
{
	sync "$D" 2>/dev/null || sync "$D" || fail "flushes fail for ever: $(states c)"
	sync "$D" || fail "flushes fail now and then: $(states c)"
}

# What hosts wrote and nobody knows of: lost, told, and the image's again, or still there.
t_a_flush_that_the_replica_fails_is_told()
{
	begin rate:1
	own_parts 20 6 $OWN_SEQ
	no_flush r
	! sync "$D" 2>/dev/null || fail "the replica failed a flush, and a host was told that it did not"
	broken "$FLUSH"
	forgets 20 6
	goes_on
	io verify "$D" --sectors "$((20 * REGION)):$((12 * REGION))" --max-seq "$OWN_LAST"
	flushes_again
	own_parts 20 6 $((OWN_SEQ + 1))
	sync "$D" || fail "the same again cannot be flushed"
	fast
	wait_state c Skewed
	io verify "$R" --max-seq "$OWN_LAST"
	same "$D" "$R"
	holds "$S" image
	for at in 20 30; do
		! dmsio verify "$R" --sectors $((at * REGION + 16)):8 --max-seq "$OWN_SEQ" \
			>/dev/null || fail "what was flushed at last is not there"
	done
}

# Nobody owes anything, but the replica's cache has what hosts wrote: whose flush it is that
# loses it does not matter. Flushes and writes with FUA tell of it, each once.
t_a_flush_of_the_copy_that_fails_is_told()
{
	begin rate:1
	own_parts 20 2 $OWN_SEQ
	sync "$D"
	own_parts 20 2 $((OWN_SEQ + 1))
	no_flush r
	fast
	broken "$FLUSH"
	heal r
	wait_state c Skewed
	! sync "$D" 2>/dev/null || fail "no flush tells of what was lost"
	sync "$D" || fail "it is told twice"
	set -- --ops 1 --threads 1 --bytes 4k --sectors "$((40 * REGION)):8" --fua --seq $((OWN_SEQ + 2))
	! dmsio write "$D" "$@" >/dev/null 2>&1 || fail "no write with FUA tells of what was lost"
	io write "$D" "$@"
	sync "$D"
	fresh
	# One that a write of the source asks for costs the image; what was lost was of that one.
	begin rate:1
	own_parts 20 2 $OWN_SEQ
	no_flush r
	io fill "$C" --sectors $((60 * REGION)):8
	broken "$FLUSH" "Requires resync"
	! sync "$D" 2>/dev/null || fail "an image that is lost was flushed"
	heal r
	fast
	op resync
	synced c
	sync "$D" || fail "what an image lost is told of the next"
	io write "$D" "$@"
	fresh
}

# in_background NAME COMMAND...: NAME.pid, and its errors are nobody's
in_background()
{
	_who=$1
	shift
	"$@" >/dev/null 2>&1 &
	echo $! >"$TMP/$_who.pid"
	echo $! >>"$BASE/pids"
}

_in_flight()
{
	read -r _reads _writes <"/sys/block/$(kname "$D")/inflight"
	[ $((_reads + _writes)) -ge "$1" ]
}

# Four flushes are with the replica, which keeps them; a fifth is one of ours, and is taken
# for failed when it did not come back in time. Then the four come back, as if all were well.
t_flushes_under_way_are_told_of_what_another_one_lost()
{
	begin rate:1
	slice g "$D2" 8 "$META_N"
	flushes_to r "linear $(dev g) 0"
	own_parts 20 2 $OWN_SEQ
	sync "$D"
	own_parts 20 2 $((OWN_SEQ + 1))
	dmsetup suspend --noflush --nolockfs "${P}g"
	for who in a b c d; do
		in_background $who sync "$D"
	done
	until_true 20 _in_flight 4 || fail "they are not under way: $(cat /sys/block/"$(kname "$D")"/inflight)"
	own_parts 60 1 $OWN_SEQ
	in_background e sync "$D"
	wait_state c Broken 90
	equal "reason" "$(f c reason)" "$FLUSH"
	dmsetup resume "${P}g"
	for who in a b c d e; do
		! wait_exit "$(cat "$TMP/$who.pid")" || fail "flush $who was not told"
	done
	goes_on
	flushes_again
	fast
	wait_state c Skewed
	same "$D" "$R"
}

_flushed_since()
{
	[ "$(disk_stat "$D1" flushes)" -gt "$1" ]
}

# It takes writes again and loses what it took before: what is not known to be durable is
# copied once more.
t_only_the_flush_of_the_probe_fails()
{
	[ -n "$(disk_stat "$D1" flushes)" ] || skip "this kernel does not count flushes"
	grep -q 'write back' "/sys/block/$(kname "$D1")/queue/write_cache" ||
		skip "the disks have no write cache"
	begin rate:524288 priority:high
	reaches percent_synced 20
	dead r
	broken "$WRITE"
	no_flush r
	flushes=$(disk_stat "$D1" flushes)
	until_true 60 _flushed_since "$flushes" || fail "nobody tries"
	fields c copy_state=Broken
	dmsio fill "$D1" --sectors "8:$N" --seq 1 >/dev/null
	heal r
	fast
	synced c
	holds "$R" image
	holds "$D" image
}

# goes_through WHAT FIRST: a write to the source is over in time
goes_through()
{
	in_background src dmsio fill "$C" --sectors "$2:8"
	wait_exit "$(cat "$TMP/src.pid")" 100 || fail "$1: a write to the source failed: $(states c)"
}

# apart SECTOR: the replica has this region on a device of its own, g
apart()
{
	slice g "$D1" $REGION $(($1 + 8))
	swap r "0 $1 linear $D1 8" "$1 $REGION linear $(dev g) 0" \
		"$(($1 + REGION)) $((N - $1 - REGION)) linear $D1 $(($1 + REGION + 8))"
}

# Those that end beside it do not hide that one does not: who waits for its region is told
# in time, and then the source's host can do without the image.
t_a_write_of_a_whole_region_hangs_beside_others_that_do_not()
{
	begin rate:1
	at=$((100 * REGION))
	apart $at
	# Copied once, then written again and again; nobody flushes.
	writers own "$D" --sectors $((20 * REGION + 8)):64 --bytes 4k --threads 1 --pause 5000 \
		--flush-every 0 --seq "$OWN_SEQ"
	m=$(f c metadata_writes)
	dmsetup suspend --noflush --nolockfs "${P}g"
	in_background whole dmsio fill "$D" --sectors $at:$REGION --seq $OWN_SEQ
	# Its mark is durable: it goes to the replica.
	until_true 20 _field_at_least "$(sysdir c)/metadata_writes" $((m + 1)) ||
		fail "the write of a whole region is not under way"
	in_background part dmsio fill "$D" --sectors $((at + 24)):8 --seq $OWN_SEQ
	goes_through "to that region" $((at + 16))
	wait_state c Broken 100
	equal "reason" "$(f c reason)" "$WRITE"
	! wait_exit "$(cat "$TMP/part.pid")" || fail "it waited for a copy that was never made"
	wait_field c progress_status "Requires resync"
	goes_through "elsewhere" $((60 * REGION))
	dmsetup resume "${P}g"
	wait_exit "$(cat "$TMP/whole.pid")" || :
	kill "$(cat "$TMP/own.pid")" 2>/dev/null || :
	wait_exit "$(cat "$TMP/own.pid")" || :
	heal r
	fast
	until_true 30 _resyncs || fail "no new image: $(states c)"
	synced c
	same "$S" "$R"
}

_source_was_read()
{
	[ "$(disk_stat "$S" reads)" -gt "$1" ]
}

# What was to be copied for it is given up by the operator: then it waits for nothing.
t_a_host_does_not_wait_for_a_copy_of_an_aborted_image()
{
	begin rate:1
	at=$((100 * REGION))
	apart $at
	reads=$(disk_stat "$S" reads)
	dmsetup suspend --noflush --nolockfs "${P}g"
	in_background src dmsio fill "$C" --sectors $at:8
	until_true 20 _source_was_read "$reads" || fail "nothing is copied for the write"
	op abort
	wait_exit "$(cat "$TMP/src.pid")" 20 || fail "the write hangs: $(states c)"
	fields c copy_state=Aborted
	goes_through "to the same region" $((at + 16))
	dmsetup resume "${P}g"
	heal r
	fast
	until_true 30 _resyncs || fail "no new image: $(states c)"
	synced c
	same "$S" "$R"
}

_resyncs()
{
	[ "$(message c resync)" = 0 ]
}

t_the_replica_can_only_be_read()
{
	begin $SLOW
	io fill "$C" --sectors 1024:8
	read_only r
	io fill "$C" --sectors 2048:8
	wait_state c Broken
	case $(f c reason) in
	"$WRITE"|"$FLUSH") ;;
	*)	fail "reason is $(f c reason)" ;;
	esac
	heal r
	fast
	wait_field c progress_status "Requires resync"
	op resync
	synced c
	same "$S" "$R"
}

t_the_replica_of_a_finished_clone_dies()
{
	finished
	writers src "$C"
	dead r
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "a dead replica was read"
	! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 || fail "a dead replica was written"
	! until_true 1 false || :
	stop src
	heal r
	until_true 30 dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none ||
		fail "the door stays shut: $(states c)"
	holds "$D" image
	op resync
	synced c
	same "$S" "$R"
	nothing_lost "$C" src
}

t_the_replica_dies_in_a_restore()
{
	finished
	dmsio fill "$C" >/dev/null
	op set rate 524288
	op restore
	reaches done_bytes 1000000
	dead r
	fast
	wait_state c Broken
	fields c requested_copy_state=Synchronized sync_state=Broken progress_status=Dormant
	# Neither the old source nor anything made up in place of what is on the replica.
	! dd if="$C" of=/dev/null bs=4k count=1 skip=$((N / 8 - 1)) iflag=direct status=none \
		2>/dev/null || fail "something else than the image was read"
	heal r
	stays_broken 3
	holds "$C" image
	fast
	op restore
	synced c
	wait_settled c
	holds "$S" image
	holds "$R" image
}

# All else is copied; what cannot be read is never made up.
t_bad_sectors_of_the_source()
{
	legs
	bad_sectors s $BAD 8
	clone
	door
	broken "$READ"
	at_least "source errors" "$(f c source_errors)" 1
	! dmsio verify "$R" --sectors $BAD:8 >/dev/null 2>&1 ||
		fail "something was made up for what could not be read"
	heal s
	same "$S" "$R" --sectors "0:$((64 * REGION))"
	same "$S" "$R" --sectors "$((65 * REGION)):$((N - 65 * REGION))"
	stays_broken 3
	written=$(f c written_bytes)
	op resync
	synced c
	same "$S" "$R"
	equal "bytes copied" $(($(f c written_bytes) - written)) "$REGION_BYTES"
	fresh
	# Through the door: an error for those sectors, and for no others.
	begin $SLOW
	bad_sectors s $BAD 8
	! dd if="$D" of=/dev/null bs=4k count=1 skip=$((BAD / 8)) iflag=direct status=none 2>/dev/null ||
		fail "bad sectors were read"
	io verify "$D" --sectors $((BAD + 8)):100 --max-seq "$IMAGE_SEQ"
	# A host that writes beside them can do so, and the image is lost by that.
	io fill "$C" --sectors $((BAD + 16)):8
	wait_state c Broken
	wait_field c progress_status "Requires resync"
	fields c door_access=none "reason=$READ"
	heal s
	fast
	op resync
	synced c
	same "$S" "$R"
}

t_writes_to_the_source_fail()
{
	begin $SLOW
	io fill "$C" --sectors 6400:8
	read_only s
	! dmsio fill "$C" --sectors 6400:8 >/dev/null 2>&1 || fail "the host was not told"
	io read "$C" --ops 50
	heal s
	io fill "$C" --sectors 6400:8
	fast
	[ "$(f c copy_state)" = Unsynchronized ] || op resync
	synced c
	op resync
	synced c
	same "$S" "$R"
}

t_the_metadata_device_fails()
{
	begin $SLOW
	writers src "$C" --sectors "0:$((N / 4))"
	dead meta
	# What is copied for it cannot be remembered: it goes on, the image does not.
	io fill "$C" --sectors $((N / 2)):8
	wait_state c Broken
	wait_field c progress_status "Requires resync"
	fields c "reason=$META_FAILED" requested_copy_state=Synchronized door_access=none
	io fill "$C" --sectors $((N - 400)):300
	heal meta
	stays_broken 3
	fast
	op resync
	synced c
	one_instant "$R" src --sectors "0:$((N / 4))"
	stop src
	nothing_lost "$C" src --sectors "0:$((N / 4))"
	again
	fields c copy_state=Synchronized
	# A finished one.
	dead meta
	io write "$C" --ops 50 --max-bytes 64k
	wait_state c Broken
	! dmsio fill "$D" --sectors 9000:8 >/dev/null 2>&1 ||
		fail "a write that cannot be marked went to the replica"
	heal meta
	op resync
	synced c
	same "$S" "$R"
}

run_tests t_the_replica_dies_and_comes_back t_manual_recovery_waits_for_resume \
	t_the_replica_dies_under_writers t_out_of_a_lost_image \
	t_a_flush_that_the_replica_fails_is_told t_a_flush_of_the_copy_that_fails_is_told \
	t_flushes_under_way_are_told_of_what_another_one_lost \
	t_only_the_flush_of_the_probe_fails \
	t_a_write_of_a_whole_region_hangs_beside_others_that_do_not \
	t_a_host_does_not_wait_for_a_copy_of_an_aborted_image \
	t_the_replica_can_only_be_read t_the_replica_of_a_finished_clone_dies \
	t_the_replica_dies_in_a_restore t_bad_sectors_of_the_source t_writes_to_the_source_fail \
	t_the_metadata_device_fails

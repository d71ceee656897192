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
	t_the_replica_can_only_be_read t_the_replica_of_a_finished_clone_dies \
	t_the_replica_dies_in_a_restore t_bad_sectors_of_the_source t_writes_to_the_source_fail \
	t_the_metadata_device_fails

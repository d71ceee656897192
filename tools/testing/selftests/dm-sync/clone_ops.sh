#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_ops.sh - every operation of a clone, under load, by what it promises

# shellcheck disable=SC2154,SC2317,SC2329 # D0...; called by name
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_target delay
disks 3

# refresh_copies REGIONS: a new point in time from here copies exactly that much
refresh_copies()
{
	written=$(f c written_bytes)
	sectors=$(disk_stat "$R" write_sectors) reads=$(disk_stat "$S" read_sectors)
	op resync
	synced c
	equal "bytes copied" $(($(f c written_bytes) - written)) $(($1 * REGION_BYTES))
	equal "sectors written to the replica" $(($(disk_stat "$R" write_sectors) - sectors)) \
		$(($1 * REGION))
	equal "sectors read of the source" $(($(disk_stat "$S" read_sectors) - reads)) \
		$(($1 * REGION))
	fields c source_changed=0 replica_changed=0 progress_status=Completed percent_synced=100 \
		sync_state=Frozen "requested_copy_state=Not Applicable"
	same "$S" "$R"
}

t_refresh_copies_what_either_side_changed()
{
	finished
	refresh_copies 0
	dmsio fill "$C" --sectors 128:384 >/dev/null			# 1 2 3
	dmsio fill "$C" --sectors 1290:1 >/dev/null			# 10
	dmsio fill "$D" --sectors 400:1 --seq "$OWN_SEQ" >/dev/null	# 3
	dmsio fill "$D" --sectors 1408:1 --seq "$OWN_SEQ" >/dev/null	# 11
	dmsio fill "$D" --sectors 2600:200 --seq "$OWN_SEQ" >/dev/null	# 20 21
	wait_state c Skewed
	fields c source_changed=4 replica_changed=4 percent_synced=-
	equal "the door's status" "$(dmsetup status "${P}d" | cut -d ' ' -f 4-)" "rw 4"
	when=$(f c sync_time)
	! until_true 1 false || :
	refresh_copies 7
	[ "$(f c sync_time)" != "$when" ] || fail "sync_time is the old one"
	same "$D" "$C"
	# The same when it was cut off in between, and of what was written then.
	for cut in fracture split; do
		dmsio fill "$C" --sectors 0:1 >/dev/null		# 0
		op $cut
		wait_settled c
		dmsio fill "$C" --sectors 1000:300 >/dev/null		# 7 8 9 10
		# Of 128: what a refresh would begin with.
		fields c percent_synced=96
		dmsio fill "$D" --sectors 1151:2 --seq "$OWN_SEQ" >/dev/null	# 8 9
		dmsio fill "$D" --sectors $((N - 1)):1 --seq "$OWN_SEQ" >/dev/null	# 127
		fields c source_changed=5 replica_changed=3
		refresh_copies 6
	done
}

t_refresh_under_load_is_of_one_instant()
{
	finished rate:4194304 priority:high
	writers src "$C" --threads 8 --pause 300
	for round in 1 2 3; do
		when=$(f c sync_time)
		! until_true 1 false || :
		op resync
		[ "$round" -ne 1 ] || keep early "$D"
		synced c
		[ "$round" -ne 1 ] || holds "$D" early
		one_instant "$R" src
		[ "$(f c sync_time)" != "$when" ] || fail "round $round: sync_time is the old one"
	done
	stop src
	nothing_lost "$C" src
	different "$C" "$R"
	# The check itself: a mixture of two instants is found.
	dd if="$C" of="$R" bs=1M skip=4 seek=4 count=4 oflag=direct status=none
	! dmsio verify "$R" --ack "$TMP/src.log" --instant >/dev/null ||
		fail "the check takes a mixture for an image of one instant"
}

# While a refresh runs the replica is the new image already, and writes to either side
# are kept apart.
t_the_new_image_can_be_used_at_once()
{
	finished
	dmsio fill "$C" --sectors 0:8192 >/dev/null
	dmsio fill "$D" --sectors 4096:8192 --seq "$OWN_SEQ" >/dev/null
	wait_state c Skewed
	when=$(f c sync_time)
	keep image "$C"
	slow
	op resync
	holds "$D" image
	fields c copy_state=Unsynchronized requested_copy_state=Synchronized \
		"sync_state=Copy In Progress" "sync_time=$when" door_access=read-write
	case $(f c progress_status) in
	Resyncing|Pending) ;;
	*)	fail "progress_status is $(f c progress_status) in a refresh" ;;
	esac
	dmsio write "$C" --ops 80 --max-bytes 64k --log "$TMP/src.log" >/dev/null
	holds "$D" image
	fast
	synced c
	holds "$R" image
	nothing_lost "$C" src
}

# What is written when the request has been answered is not of the image, however long
# somebody at the replica door keeps the instant from being taken.
t_the_instant_is_before_the_answer()
{
	begin stop_at:initialized
	op activate
	dmsio fill "$C" --sectors 9000:64 >/dev/null
	synced c
	holds "$R" image
	for round in 1 2 3; do
		keep image "$C"
		dmsio fill "$D" --sectors 0:8 --seq "$OWN_SEQ" >/dev/null
		swap r "0 $N delay $D1 8 700"
		dd if="$D" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none &
		reader=$!
		echo $reader >>"$BASE/pids"
		until_true 10 _in_flight "$D" || fail "nothing is read of the replica"
		op resync
		dmsio fill "$C" --sectors $((round * 1024)):8 >/dev/null
		wait_exit $reader || fail "the reader failed"
		heal r
		synced c
		holds "$R" image
	done
}

# _in_flight DEVICE: it has I/O under way
_in_flight()
{
	read -r _rd _wr <"/sys/block/$(kname "$1")/inflight"
	[ $((_rd + _wr)) -gt 0 ]
}

t_writes_through_the_door_make_it_skewed()
{
	finished
	fields c replica_changed=0
	dd if="$D" of=/dev/null bs=64k count=4 iflag=direct status=none
	sync "$D"
	fields c copy_state=Synchronized
	when=$(f c sync_time)
	dmsio write "$D" --ops 60 --max-bytes 64k --seq "$OWN_SEQ" --log "$TMP/own.log" >/dev/null
	wait_state c Skewed
	fields c progress_status=Completed "requested_copy_state=Not Applicable" \
		sync_state=Frozen "sync_time=$when" percent_synced=- door_access=read-write
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	holds "$S" image
	again
	fields c copy_state=Skewed "sync_time=$when"
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	regions=$(f c replica_changed)
	at_least "regions changed" "$regions" 5
	refresh_copies "$regions"
	holds "$D" image
}

# cut_off OPERATION STATE
cut_off()
{
	finished
	when=$(f c sync_time)
	writers src "$C"
	writers own "$D" --seq "$OWN_SEQ"
	op "$1"
	wait_state c "$2"
	fields c progress_status=Completed sync_state=Frozen sync_maintained=0 \
		"requested_copy_state=Not Applicable" door_access=read-write "sync_time=$when"
	! until_true 1 false || :
	stop src own
	# Written by both, and never Skewed by that.
	fields c "copy_state=$2"
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	at_least "regions of the source" "$(f c source_changed)" 1
	at_least "regions of the replica" "$(f c replica_changed)" 1
	keep source "$C"
	op resync
	synced c
	holds "$R" source
	fresh
}

t_fracture_and_split_under_load()
{
	cut_off fracture Fractured
	cut_off split Split
}

# restore: and what must be true in it and after it. The replica was kept as "replica".
restored()
{
	written=$(disk_stat "$S" write_sectors) here=$(disk_stat "$R" write_sectors)
	slow
	op restore
	# From the first moment the host sees the replica's image.
	holds "$C" replica
	fields c "sync_state=Restore In Progress" progress_status=Restoring door_access=read-only
	holds "$D" replica
	! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 || fail "the image was written in a restore"
	fast
	synced c
	wait_settled c
	fields c progress_status=Completed sync_state=Frozen "requested_copy_state=Not Applicable" \
		percent_synced=100 source_changed=0 replica_changed=0 door_access=read-write
	holds "$S" replica
	holds "$R" replica
	equal "sectors written to the source" $(($(disk_stat "$S" write_sectors) - written)) \
		$(($1 * REGION))
	equal "sectors written to the replica" $(($(disk_stat "$R" write_sectors) - here)) 0
}

t_restore_copies_back_what_either_side_changed()
{
	finished
	# Of a replica that nobody wrote to: the same instant.
	dmsio fill "$C" --sectors 128:384 >/dev/null		# 1 2 3
	when=$(f c sync_time)
	keep replica "$R"
	! until_true 1 false || :
	restored 3
	holds "$S" image
	fields c "sync_time=$when"
	# Of one that somebody wrote to: what it is now.
	dmsio fill "$C" --sectors 1290:1 >/dev/null		# 10
	dmsio fill "$D" --sectors 2600:200 --seq "$OWN_SEQ" >/dev/null	# 20 21
	wait_state c Skewed
	keep replica "$R"
	restored 3
	[ "$(f c sync_time)" != "$when" ] || fail "sync_time is the one of before the own writes"
	# From both cuts.
	for cut in fracture split; do
		op $cut
		wait_settled c
		dmsio fill "$C" --sectors $((N - 1)):1 >/dev/null	# 127
		dmsio fill "$D" --sectors 700:8 --seq "$OWN_SEQ" >/dev/null	# 5
		keep replica "$R"
		restored 2
	done
	refresh_copies 0
}

# Host writes go to the source alone, and the image stays what it is.
t_restore_under_load()
{
	finished
	dmsio write "$C" --ops 200 --max-bytes 64k >/dev/null
	keep replica "$R"
	op set priority high
	op set rate 1048576
	op restore
	writers src "$C" --sectors "0:$((N / 2))" --threads 8
	readers reader "$C"
	readers image "$D"
	! until_true 2 false || :
	fast
	wait_settled c
	synced c
	stop src reader image
	holds "$R" replica
	holds "$D" replica
	nothing_lost "$C" src
	dmsio compare "$S" "$TMP/replica.kept" --sectors "$((N / 2)):$((N / 2))" >/dev/null ||
		fail "the half that nobody wrote to is not what the replica is"
	changed=$(f c source_changed)
	at_least "regions changed in the restore" "$changed" 1
	fields c replica_changed=0
	refresh_copies "$changed"
}

t_restore_goes_on_after_a_removal()
{
	finished
	dmsio fill "$C" >/dev/null
	dmsio fill "$D" --sectors 700:300 --seq "$OWN_SEQ" >/dev/null
	keep replica "$R"
	op set rate 524288
	op restore
	reaches done_bytes 1000000
	dmsio write "$C" --ops 20 --max-bytes 8k --sectors $((N - 64)):64 --log "$TMP/src.log" >/dev/null
	again $SLOW
	fields c progress_status=Restoring
	dmsio compare "$C" "$TMP/replica.kept" --sectors "0:$((N - 64))" >/dev/null ||
		fail "not the image any more"
	nothing_lost "$C" src --sectors $((N - 64)):64
	fast
	synced c
	wait_settled c
	dmsio compare "$S" "$TMP/replica.kept" --sectors "0:$((N - 64))" >/dev/null ||
		fail "the source is not restored"
	nothing_lost "$S" src --sectors $((N - 64)):64
	holds "$R" replica
	fields c source_changed=1 replica_changed=0
}

t_an_aborted_restore_keeps_serving_the_replica()
{
	finished
	dmsio fill "$C" >/dev/null
	op set rate 524288
	op restore
	reaches done_bytes 1000000
	equal "abort without force" "$(message c abort)" EPERM
	equal "abort with force" "$(message c abort force)" 0
	wait_state c Broken
	wait_field c reason "a restore did not finish and the source is half rewritten"
	fields c progress_status=Dormant requested_copy_state=Synchronized
	holds "$C" image
	holds "$R" image
	equal "resync without force" "$(message c resync)" EPERM
	again
	fields c copy_state=Broken
	holds "$C" image
	fast
	op restore
	synced c
	wait_settled c
	holds "$S" image
	# The other way out: the half restored source is the truth.
	dmsio fill "$C" >/dev/null
	op set rate 524288
	op restore
	reaches done_bytes 1000000
	equal "abort with force" "$(message c abort force)" 0
	wait_state c Broken
	fast
	equal "resync with force" "$(message c resync force)" 0
	synced c
	same "$S" "$R"
	same "$C" "$S"
}

# suspended: and nothing is copied in it
suspended()
{
	op suspend
	wait_state c Suspended
	fields c progress_status=Dormant sync_state=Quiesced "requested_copy_state=Not Applicable"
}

t_suspend_holds_what_needs_copying()
{
	begin hold_max:600 $SLOW
	dmsio fill "$C" --sectors 6400:8 >/dev/null		# copied for this: 50
	dmsio fill "$D" --sectors 7680:8 --seq "$OWN_SEQ" >/dev/null	# 60
	keep own "$D"
	suspended
	fields c door_access=read-only sync_time=- held=0
	fast
	written=$(disk_stat "$R" writes)
	# What was copied passes, reads pass, all else waits.
	timeout 20 dmsio fill "$C" --sectors 6408:8 >/dev/null || fail "a write to what is copied waits"
	timeout 20 dmsio fill "$C" --sectors 7688:8 >/dev/null || fail "a write to what is copied waits"
	dmsio fill "$C" --sectors 8960:8 --seq 5000 >/dev/null &
	writer=$!
	echo $writer >>"$BASE/pids"
	reaches held 1
	timeout 20 dmsio read "$C" --ops 50 --max-bytes 16k >/dev/null || fail "reads wait too"
	holds "$D" own
	! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 || fail "written while read-only"
	kill -0 $writer 2>/dev/null || fail "the write went through"
	holds "$D" own
	dmsio verify "$S" --sectors 8960:8 --max-seq 4999 >/dev/null || fail "written while held"
	equal "writes to the replica" $(($(disk_stat "$R" writes) - written)) 0
	slow
	op resume
	wait_exit $writer
	wait_state c Unsynchronized
	fields c held=0 door_access=read-write requested_copy_state=Synchronized
	equal "sectors of the held write" \
		"$(dmsio verify "$C" --sectors 8960:8 --max-seq 4999 | grep -c 'too new')" 8
	holds "$D" own
	fast
	wait_state c Skewed
	holds "$R" own
}

# held_write SECTOR: one that waits; its process is WRITER
held_write()
{
	dmsio fill "$C" --sectors "$1:8" >/dev/null &
	WRITER=$!
	echo $WRITER >>"$BASE/pids"
	reaches held 1
}

# Who is let go is still copied for: the image is not given up.
t_what_ends_the_hold_keeps_the_image()
{
	begin hold_max:600 $SLOW
	suspended
	held_write 1024
	op set hold track
	wait_exit $WRITER 20
	fields c copy_state=Suspended held=0
	timeout 20 dmsio fill "$C" --sectors 2048:8 >/dev/null || fail "held with hold:track"
	holds "$D" image
	op resume
	wait_state c Unsynchronized
	op set hold queue
	suspended
	held_write 3072
	op set hold_max 1
	wait_exit $WRITER 30
	fields c copy_state=Suspended held=0 \
		"reason=writes were held for the longest time allowed"
	holds "$D" image
	# A restart does not hold either, or a machine could not start.
	op resume
	wait_state c Unsynchronized
	op set hold_max 600
	suspended
	again $SLOW
	fields c copy_state=Suspended progress_status=Dormant door_access=read-only
	timeout 20 dmsio fill "$C" --sectors 4096:8 >/dev/null || fail "held after a restart"
	holds "$D" image
	fast
	op resume
	synced c
	holds "$R" image
}

t_suspend_and_resume_under_load()
{
	begin hold_max:600 rate:262144 priority:high
	writers src "$C" --threads 8 --sectors "0:$((N / 4))"
	for round in 1 2 3; do
		suspended
		holds "$D" image
		op resume
		wait_state c Unsynchronized
		reaches percent_synced $((round * 10))
	done
	fast
	synced c
	stop src
	holds "$R" image
	nothing_lost "$C" src
}

t_abort_under_load()
{
	begin rate:262144
	writers src "$C" --sectors "0:$((N / 4))"
	reaches percent_synced 10
	op abort
	wait_state c Aborted
	fields c "progress_status=Requires resync" sync_state=Quiesced door_access=none \
		"requested_copy_state=Not Applicable" sync_time=-
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an aborted copy can be read"
	writes=$(disk_stat "$R" writes)
	! until_true 1 false || :
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
	stop src
	nothing_lost "$C" src
	again
	fields c copy_state=Aborted "progress_status=Requires resync"
	op resync
	synced c
	same "$S" "$R"
}

t_deactivate_and_activate_under_load()
{
	finished
	writers src "$C" --sectors "0:$((N / 4))"
	frozen=$(dmsio sum "$R")
	op deactivate
	wait_state c Inactive
	fields c progress_status=Dormant sync_state=Quiesced door_access=read-only \
		"requested_copy_state=Not Applicable"
	equal "through the door" "$(dmsio sum "$D")" "$frozen"
	! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 || fail "written while Inactive"
	slow
	op activate
	# In the middle of the copy the image is given up for good.
	op deactivate
	wait_state c Inactive
	fields c door_access=none
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an incomplete clone can be read when Inactive"
	writes=$(disk_stat "$R" writes)
	! until_true 1 false || :
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
	fast
	written=$(f c written_bytes)
	op activate
	synced c
	stop src
	nothing_lost "$C" src
	one_instant "$R" src
	different "$C" "$R"
	at_least "bytes copied" $(($(f c written_bytes) - written)) 1
}

t_prepare_makes_all_old()
{
	finished
	op fracture
	wait_state c Fractured
	writers src "$C"
	op prepare
	wait_state c Prepared
	fields c "progress_status=Requires activate" sync_state=Prepared sync_time=- \
		door_access=none sync_maintained=0 percent_synced=0
	writes=$(disk_stat "$R" write_sectors)
	op activate
	synced c
	stop src
	equal "sectors copied" $(($(disk_stat "$R" write_sectors) - writes)) "$N"
	one_instant "$R" src
	nothing_lost "$C" src
}

# ends OPERATION: both sides go on alone
ends()
{
	finished
	sys=$(sysdir c)
	writers src "$C"
	writers own "$D" --seq "$OWN_SEQ"
	readers reader "$D"
	op "$1"
	dissolved 20
	until_true 10 test ! -e "$sys/copy_state" || fail "its fields are still there"
	! until_true 1 false || :
	stop src own reader
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	same "$C" "$S"
	same "$D" "$R"
	[ "$(message c resync)" != 0 ] || fail "a resync of what is gone was accepted"
	# The same line must not start to overwrite what is independent.
	frozen=$(dmsio sum "$R")
	remove d c
	clone
	equal "status after another start" "$(status_word c 1)" passthrough
	dmsio write "$C" --ops 30 >/dev/null
	equal "the replica after another start" "$(dmsio sum "$R")" "$frozen"
	remove c
	clone format
	synced c
	same "$S" "$R"
	fresh
}

t_detach_and_dissolve_under_load()
{
	ends detach
	ends dissolve
}

t_detach_of_what_is_not_complete()
{
	begin $SLOW
	writers src "$C" --sectors "0:$((N / 4))"
	equal "detach without force" "$(message c detach)" EPERM
	fields c copy_state=Unsynchronized
	holds "$D" image
	equal "detach with force" "$(message c detach force)" 0
	dissolved 20
	stop src
	nothing_lost "$C" src
	# The door leads to nothing that anybody could use.
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an incomplete clone can be read after the end"
	! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 ||
		fail "an incomplete clone can be written after the end"
	writes=$(disk_stat "$R" writes)
	! until_true 1 false || :
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
}

can_read()
{
	dd if="$D" of=/dev/null bs=4k count=1 skip="$1" iflag=direct status=none 2>/dev/null
}

can_write()
{
	dmsio fill "$D" --sectors "$1:8" --seq "$OWN_SEQ" >/dev/null 2>&1
}

# admits READ WRITE: what the replica door does, "yes" or "no"
admits()
{
	if can_read 100; then got=yes; else got=no; fi
	equal "reading through the door when $(f c copy_state)" $got "$1"
	changed=$(f c replica_changed)
	if can_write 2000; then got=yes; else got=no; fi
	equal "writing through the door when $(f c copy_state)" $got "$2"
	[ "$2" = yes ] || fields c replica_changed="$changed"
}

t_the_replica_door_in_every_state()
{
	begin stop_at:initialized $SLOW
	admits no no
	op prepare
	wait_state c Prepared
	admits no no
	op activate
	admits yes yes
	op suspend
	wait_state c Suspended
	admits yes no
	op abort
	wait_state c Aborted
	admits no no
	fast
	op resync
	synced c
	admits yes yes
	wait_state c Skewed
	admits yes yes
	op deactivate
	wait_state c Inactive
	admits yes no
	op activate
	synced c
	op fracture
	wait_state c Fractured
	admits yes yes
	op resync
	synced c
	op split
	wait_state c Split
	admits yes yes
	# The door outlives the source door and is shut then.
	remove c
	! can_read 100 || fail "the door is open without a pair"
	fresh
	begin methodology:full $SLOW
	admits no no
	op suspend
	wait_state c Suspended
	admits no no
	op resume
	fast
	synced c
	admits yes yes
	fresh
	begin $SLOW
	op set recovery manual
	dead r
	fast
	wait_state c Broken
	admits no no
}

t_suspended_resumed_reloaded_under_load()
{
	begin $SLOW
	LINE=$(clone_line $SLOW)
	writers src "$C" --sectors "0:$((N / 4))"
	writers own "$D" --seq "$OWN_SEQ" --sectors "0:$((N / 2))"
	for round in 1 2 3; do
		dmsetup suspend "${P}c"
		equal "resync while suspended" "$(message c resync)" EBUSY
		dmsetup resume "${P}c"
		reload
		reload --noflush
		reload --nolockfs
		dmsetup suspend "${P}d"
		dmsetup resume "${P}d"
		fields c copy_state=Unsynchronized sync_time=-
		dmsio compare "$D" "$TMP/image.kept" --sectors "$((N / 2)):$((N / 2))" >/dev/null ||
			fail "round $round: not the image any more"
	done
	stop own
	# Held writes do not stop the device from being suspended.
	op suspend
	wait_state c Suspended
	timeout 60 dmsetup suspend "${P}c" || fail "cannot be suspended"
	dmsetup resume "${P}c"
	fields c copy_state=Suspended
	op resume
	LINE=$(clone_line rate:0)
	reload
	wait_state c Skewed
	stop src
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	same "$D" "$R"
	dmsio compare "$R" "$TMP/image.kept" --sectors "$((N / 2)):$((N / 2))" >/dev/null ||
		fail "the half that nobody wrote to is not the image"
	for line in "0 $((N - 8)) sync clone $S $R $META 128" "0 $N sync clone $S $R $META 64"; do
		! echo "$line" | dmsetup load "${P}c" 2>/dev/null || fail "loaded: $line"
	done
	dmsetup clear "${P}c"
}

t_removed_while_copying()
{
	begin rate:262144
	for round in 1 2 3; do
		dmsio write "$C" --ops 30 --max-bytes 64k --sectors 0:2048 --seed "$round" >/dev/null
		dmsio read "$D" --seconds 100 --threads 2 --pause 500 --keep-going >"$TMP/read" 2>&1 &
		reader=$!
		echo $reader >>"$BASE/pids"
		# The door is open and in use when its pair goes.
		remove c
		! can_read 100 || fail "the door is open without a pair"
		kill $reader
		wait_exit $reader || :
		remove d
		clone rate:262144
		door
		fields c copy_state=Unsynchronized
		holds "$D" image
	done
	fast
	synced c
	holds "$R" image
}

t_the_module_stays_while_it_is_in_use()
{
	[ -z "${DM_SYNC_KEEP_MODULE-}" ] || skip "DM_SYNC_KEEP_MODULE is set"
	begin $SLOW
	! rmmod dm-sync 2>/dev/null || fail "removed with both doors"
	remove c
	! rmmod dm-sync 2>/dev/null || fail "removed with a replica door"
	remove d
	mod=$(find "$here/../../../../build/$(uname -r)" -name dm-sync.ko 2>/dev/null | head -n 1)
	rmmod dm-sync || fail "not removed when nothing is left"
	if [ -e "$mod" ]; then
		insmod "$mod"
	else
		modprobe dm-sync
	fi
	clone
	door
	holds "$D" image
	synced c
	holds "$R" image
}

run_tests t_refresh_copies_what_either_side_changed t_refresh_under_load_is_of_one_instant \
	t_the_new_image_can_be_used_at_once t_the_instant_is_before_the_answer \
	t_writes_through_the_door_make_it_skewed t_fracture_and_split_under_load \
	t_restore_copies_back_what_either_side_changed t_restore_under_load \
	t_restore_goes_on_after_a_removal t_an_aborted_restore_keeps_serving_the_replica \
	t_suspend_holds_what_needs_copying t_what_ends_the_hold_keeps_the_image \
	t_suspend_and_resume_under_load t_abort_under_load \
	t_deactivate_and_activate_under_load t_prepare_makes_all_old \
	t_detach_and_dissolve_under_load t_detach_of_what_is_not_complete \
	t_the_replica_door_in_every_state t_suspended_resumed_reloaded_under_load \
	t_removed_while_copying t_the_module_stays_while_it_is_in_use

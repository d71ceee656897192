#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mirror_ops.sh - every operation of a mirror, under load, by what it promises

. "$(dirname "$0")/lib.sh"
disks 3

REGION=65536			# bytes
LOAD="--threads 6 --max-bytes 64k --pause 300"

# pair [OPTION...]: 16 MiB, synchronized unless an option keeps it from that
pair()
{
	slice s "$D0" 32768
	slice r "$D1" 32768
	S=$(dev s) R=$(dev r)
	dmsio fill "$S" --seq 2 >/dev/null
	dmsio fill "$R" --seq 1 >/dev/null
	blank "$D2"
	mirror m "$S" "$R" "$D2" 128 "$@"
	M=$(dev m)
	[ $# -gt 0 ] || synced m
}

# load [OPTION...]: writers in the background; stop_load ends them well
load()
{
	background dmsio write "$M" --seconds 120 $LOAD --log "$TMP/log" "$@"
	LOADER=$BG
	until_true 20 test -s "$TMP/log" || fail "no write was acknowledged: $(cat "$TMP/bg.log")"
}

stop_load()
{
	kill "$LOADER"
	wait_exit "$LOADER" || fail "the writers failed: $(cat "$TMP/bg.log")"
}

nothing_lost()
{
	dmsio verify "$M" --ack "$TMP/log" >"$TMP/verify" 2>&1 ||
		fail "acknowledged writes are lost: $(cat "$TMP/verify")"
}

# op NAME WORD...: an operation that must be accepted
op()
{
	equal "$*" "$(message "$@")" 0
}

# resync_copies REGIONS: a resync from here copies exactly that much
resync_copies()
{
	written=$(f m written_bytes) sectors=$(disk_stat "$R" write_sectors)
	op m resync
	synced m
	equal "bytes copied" $(($(f m written_bytes) - written)) $(($1 * REGION))
	equal "sectors written to the replica" $(($(disk_stat "$R" write_sectors) - sectors)) \
		$(($1 * REGION / 512))
	fields m source_changed=0 replica_changed=0 sync_maintained=1 progress_status=Completed
	same "$S" "$R"
}

t_fracture_under_load()
{
	pair
	load
	op m fracture
	wait_state m Fractured
	fields m progress_status=Completed sync_state=Fractured sync_maintained=0 \
		"requested_copy_state=Not Applicable" door_access=read-write
	frozen=$(dmsio sum "$R")
	sleep 1
	stop_load
	nothing_lost
	equal "the replica after the cut" "$(dmsio sum "$R")" "$frozen"
	different "$S" "$R"
	[ "$(f m sync_time)" != - ] || fail "sync_time was forgotten"
	resync_copies "$(f m source_changed)"
}

t_resync_copies_what_either_side_changed()
{
	pair
	op m fracture
	wait_state m Fractured
	replica_door d m
	dmsio fill "$M" --sectors 128:384 >/dev/null		# 1 2 3
	dmsio fill "$M" --sectors 1290:1 >/dev/null		# 10
	dmsio fill "$(dev d)" --sectors 400:1 >/dev/null	# 3
	dmsio fill "$(dev d)" --sectors 1408:1 >/dev/null	# 11
	dmsio fill "$(dev d)" --sectors 2600:200 >/dev/null	# 20 21
	fields m source_changed=4 replica_changed=4
	equal "the door's status" "$(dmsetup status "${P}d" | cut -d ' ' -f 4-)" "rw 4"
	resync_copies 7
}

t_resync_under_load()
{
	pair
	op m set priority high
	for round in 1 2 3; do
		op m fracture
		wait_state m Fractured
		load --seed $round
		op m resync
		synced m
		stop_load
		same "$S" "$R"
		nothing_lost
	done
}

t_split_is_the_image_of_one_instant()
{
	pair
	for round in 1 2 3 4; do
		load --seed $round --threads 12
		sleep 0.$round
		op m split
		wait_state m Split
		fields m progress_status=Completed sync_state=Fractured sync_maintained=0 \
			door_access=read-write
		stop_load
		dmsio verify "$R" --ack "$TMP/log" --instant >"$TMP/instant" 2>&1 ||
			fail "round $round: no image of one instant: $(cat "$TMP/instant")"
		nothing_lost
		[ "$round" -eq 4 ] || resync_copies "$(f m source_changed)"
	done
	# The check itself: a mixture of two instants must be found.
	load --seed 9
	sleep 1
	stop_load
	dd if="$S" of="$R" bs=1M skip=8 seek=8 oflag=direct status=none
	! dmsio verify "$R" --ack "$TMP/log" --instant >/dev/null ||
		fail "the check takes a mixture for an image of one instant"
}

t_suspend_holds_writes_and_serves_reads()
{
	pair
	op m suspend
	wait_state m Suspended
	fields m progress_status=Dormant sync_state=Quiesced sync_maintained=0 \
		"requested_copy_state=Not Applicable" door_access=read-only
	same "$S" "$R"
	before=$(dmsio sum "$S")
	dmsio fill "$M" --sectors 500:8 --seq 77 >/dev/null &
	writer=$!
	dd if=/dev/zero of="$M" bs=4k count=1 seek=2000 oflag=direct conv=notrunc,fsync status=none &
	flusher=$!
	echo $writer $flusher >>"$BASE/pids"
	until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -ge 2 ]" || fail "held is $(f m held)"
	timeout 20 dmsio read "$M" --ops 200 --max-bytes 16k >/dev/null || fail "reads wait too"
	kill -0 $writer 2>/dev/null || fail "a write went through"
	kill -0 $flusher 2>/dev/null || fail "a flush went through"
	equal "the source while held" "$(dmsio sum "$S")" "$before"
	op m resume
	wait_exit $writer
	wait_exit $flusher
	synced m
	fields m held=0 sync_maintained=1 progress_status=Completed
	same "$S" "$R"
	dmsio verify "$R" --sectors 500:8 --max-seq 77 >/dev/null || fail "the held write is lost"
	equal "sector 500 of the replica" \
		"$(dmsio verify "$R" --sectors 500:8 --max-seq 76 | grep -c 'too new')" 8
}

t_suspend_and_resume_under_load()
{
	pair
	load
	for round in 1 2 3; do
		op m suspend
		wait_state m Suspended
		same "$S" "$R"
		op m resume
		synced m
		sleep 0.3
	done
	stop_load
	same "$S" "$R"
	nothing_lost
}

t_hold_track_lets_writes_go()
{
	pair
	op m set hold track
	op m suspend
	wait_state m Suspended
	dmsio fill "$M" --sectors 256:300 >/dev/null
	fields m held=0 source_changed=3 sync_maintained=0
	written=$(f m written_bytes)
	op m resume
	synced m
	equal "bytes copied" $(($(f m written_bytes) - written)) $((3 * REGION))
	same "$S" "$R"
}

# held_write: one that waits; its process is WRITER
held_write()
{
	dmsio fill "$M" --sectors 0:8 >/dev/null &
	WRITER=$!
	echo $WRITER >>"$BASE/pids"
	until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -ge 1 ]" || fail "held is $(f m held)"
}

# Who finds that programs hang can let them go on without giving up the Suspend.
t_settings_act_on_writes_that_are_held()
{
	pair hold_max:600
	synced m
	op m suspend
	wait_state m Suspended
	held_write
	op m set hold track
	wait_exit $WRITER 10
	fields m copy_state=Suspended held=0 source_changed=1
	op m resume
	synced m
	same "$S" "$R"
	op m set hold queue
	op m suspend
	wait_state m Suspended
	held_write
	op m set hold_max 1
	wait_exit $WRITER 15
	fields m copy_state=Suspended held=0 source_changed=1
	op m resume
	synced m
	same "$S" "$R"
}

t_hold_max_ends_the_hold()
{
	pair hold_max:2
	synced m
	op m suspend
	wait_state m Suspended
	read -r begin _ </proc/uptime
	timeout 60 dmsio fill "$M" --sectors 0:8 >/dev/null || fail "the write was not let go"
	read -r end _ </proc/uptime
	at_least "seconds held" $((${end%.*} - ${begin%.*})) 1
	at_most "seconds held" $((${end%.*} - ${begin%.*})) 15
	fields m copy_state=Suspended progress_status=Dormant source_changed=1 \
		"reason=writes were held for the longest time allowed"
	timeout 20 dmsio fill "$M" --sectors 1280:8 >/dev/null || fail "held again"
	op m resume
	synced m
	same "$S" "$R"
}

t_suspend_in_the_first_copy()
{
	pair rate:524288
	load
	op m suspend
	wait_state m Suspended
	fields m progress_status=Dormant sync_time=- door_access=none
	written=$(f m written_bytes)
	sleep 1
	fields m written_bytes=$written
	op m resume
	wait_state m Unsynchronized
	fields m sync_state=ResyncInProgress requested_copy_state=Synchronized
	op m set rate 0
	synced m
	stop_load
	same "$S" "$R"
	nothing_lost
}

t_deactivate_and_activate_under_load()
{
	pair
	load
	op m deactivate
	wait_state m Inactive
	fields m progress_status=Dormant sync_state=Quiesced sync_maintained=0 door_access=read-only
	frozen=$(dmsio sum "$R")
	sleep 0.5
	stop_load
	nothing_lost
	equal "the replica while Inactive" "$(dmsio sum "$R")" "$frozen"
	changed=$(f m source_changed) written=$(f m written_bytes)
	op m activate
	synced m
	equal "bytes copied" $(($(f m written_bytes) - written)) $((changed * REGION))
	same "$S" "$R"
}

t_abort_and_resync_under_load()
{
	pair rate:524288
	load
	op m abort
	wait_state m Aborted
	fields m "progress_status=Requires resync" sync_state=Quiesced sync_maintained=0 door_access=none
	first=$(f m written_bytes)
	frozen=$(dmsio sum "$R")
	sleep 0.5
	equal "the replica while Aborted" "$(dmsio sum "$R")" "$frozen"
	stop_load
	nothing_lost
	at_most "bytes copied before" "$first" 16000000
	op m set rate 0
	resync_copies "$(f m source_changed)"
}

# Brings the source back to the replica's image; the load works on the pair meanwhile.
t_restore_takes_the_replica_as_it_is()
{
	pair
	op m split
	wait_state m Split
	dmsio write "$M" --ops 300 --max-bytes 64k >/dev/null
	replica_door d m
	dmsio fill "$(dev d)" --sectors 5000:1000 --seq 9 >/dev/null
	remove d
	dd if="$R" of="$TMP/image" bs=1M iflag=direct status=none
	regions=$(($(f m source_changed) + $(f m replica_changed)))
	written=$(disk_stat "$S" write_sectors) here=$(disk_stat "$R" write_sectors)
	op m set rate 262144
	op m restore
	fields m copy_state=Split requested_copy_state=Synchronized \
		"sync_state=Restore In Progress" door_access=none
	# From the first moment the host sees the replica's image.
	same "$M" "$TMP/image"
	case $(f m progress_status) in
	Restoring|Pending) ;;
	*)	fail "the restore was over before anything was compared: $(states m)" ;;
	esac
	op m set rate 0
	synced m
	fields m "progress_status=Requires fracture" sync_state=Synchronized sync_maintained=1
	same "$S" "$R"
	same "$S" "$TMP/image"
	at_most "sectors written to the source" $(($(disk_stat "$S" write_sectors) - written)) $((regions * 128))
	equal "sectors written to the replica" $(($(disk_stat "$R" write_sectors) - here)) 0
	# The owed fracture.
	equal "resync before the owed fracture" "$(message m resync)" EPERM
	equal "suspend before the owed fracture" "$(message m suspend)" EPERM
	dmsio write "$M" --ops 50 >/dev/null
	same "$S" "$R"
	op m fracture
	wait_state m Fractured
	fields m progress_status=Completed
	resync_copies "$(f m source_changed)"
}

t_restore_under_load()
{
	pair
	op m fracture
	wait_state m Fractured
	dmsio write "$M" --ops 300 --max-bytes 64k >/dev/null
	op m set rate 4194304
	op m restore
	load
	dmsio read "$M" --seconds 60 --threads 2 >"$TMP/read" 2>&1 &
	readers=$!
	echo $readers >>"$BASE/pids"
	sleep 1
	op m set rate 0
	synced m
	sleep 0.5
	kill $readers
	wait_exit $readers || fail "readers: $(cat "$TMP/read")"
	stop_load
	fields m "progress_status=Requires fracture"
	same "$S" "$R"
	nothing_lost
}

t_restore_goes_on_after_a_removal()
{
	pair
	op m split
	wait_state m Split
	dd if="$R" of="$TMP/image" bs=1M iflag=direct status=none
	dmsio fill "$M" >/dev/null
	op m set rate 524288
	op m restore
	until_true 10 sh -c "[ \$(cat $(sysdir m)/done_bytes) -ge 1000000 ]"
	remove m
	different "$S" "$TMP/image"
	mirror m "$S" "$R" "$D2" 128 rate:524288
	M=$(dev m)
	fields m progress_status=Restoring
	same "$M" "$TMP/image"
	op m set rate 0
	synced m
	fields m "progress_status=Requires fracture"
	same "$S" "$TMP/image"
	same "$S" "$R"
}

t_an_aborted_restore_keeps_serving_the_replica()
{
	pair
	op m split
	wait_state m Split
	dd if="$R" of="$TMP/image" bs=1M iflag=direct status=none
	dmsio fill "$M" >/dev/null
	op m set rate 524288
	op m restore
	until_true 10 sh -c "[ \$(cat $(sysdir m)/done_bytes) -ge 1000000 ]"
	equal "abort without force" "$(message m abort)" EPERM
	synctl -q -y abort --force --wait "${P}m" || fail "abort --wait: exit status $?"
	synctl status "${P}m" | grep -q "synctl restore" || fail "$(synctl status "${P}m")"
	fields m copy_state=Broken "reason=a restore did not finish and the source is half rewritten"
	same "$M" "$TMP/image"
	op m set rate 0
	op m restore
	synced m
	same "$S" "$R"
	same "$S" "$TMP/image"
}

t_prepare_makes_all_old()
{
	pair
	op m fracture
	wait_state m Fractured
	op m prepare
	wait_state m Prepared
	fields m "progress_status=Requires activate" sync_state=Prepared source_changed=256 \
		door_access=none sync_maintained=0
	load
	written=$(f m written_bytes)
	op m activate
	synced m
	stop_load
	equal "bytes copied" $(($(f m written_bytes) - written)) $((256 * REGION))
	same "$S" "$R"
	nothing_lost
}

# ends OPERATION: both sides go on alone, the replica as of one instant
ends()
{
	pair
	load
	op m "$1"
	until_true 20 test ! -e "/sys/block/${M#/dev/}/dm-sync/copy_state" ||
		[ "$(f m copy_state)" = "Not Applicable" ] || fail "still a pair: $(dmsetup status "${P}m")"
	frozen=$(dmsio sum "$R")
	sleep 0.5
	stop_load
	nothing_lost
	equal "the replica after $1" "$(dmsio sum "$R")" "$frozen"
	dmsio verify "$R" --ack "$TMP/log" --instant >"$TMP/instant" 2>&1 ||
		fail "no image of one instant: $(cat "$TMP/instant")"
	equal "status after $1" "$(status_word m 1)" passthrough
	[ "$(message m resync)" != 0 ] || fail "a resync of what is gone was accepted"
}

t_detach_under_load()
{
	ends detach
}

t_dissolve_under_load()
{
	ends dissolve
}

# After the end of a pair the same table line must not start to overwrite.
t_a_tombstone_is_passed_through()
{
	pair
	op m detach
	until_true 20 sh -c "dmsetup status ${P}m | grep -q passthrough" || fail "$(states m)"
	remove m
	frozen=$(dmsio sum "$R")
	mirror m "$S" "$R" "$D2" 128
	M=$(dev m)
	equal "status after another start" "$(status_word m 1)" passthrough
	load --flush-every 20
	stop_load
	nothing_lost
	equal "the replica after another start" "$(dmsio sum "$R")" "$frozen"
	remove m
	mirror m "$S" "$R" "$D2" 128 format
	synced m
	same "$S" "$R"
}

can_read()
{
	dd if="$(dev d)" of=/dev/null bs=4k count=1 skip=$1 iflag=direct status=none 2>/dev/null
}

can_write()
{
	dmsio fill "$(dev d)" --sectors $1:8 >/dev/null 2>&1
}

# door READ WRITE: what the replica door admits, "yes" or "no"
door()
{
	if can_read 100; then got=yes; else got=no; fi
	equal "reading through the door when $(f m copy_state)" $got "$1"
	changed=$(f m replica_changed)
	if can_write 2000; then got=yes; else got=no; fi
	equal "writing through the door when $(f m copy_state)" $got "$2"
	[ "$2" = yes ] || fields m replica_changed=$changed
}

t_the_replica_door_in_every_state()
{
	pair
	replica_door d m
	frozen=$(dmsio sum "$R")
	door no no
	op m suspend
	wait_state m Suspended
	door yes no
	op m resume
	synced m
	op m deactivate
	wait_state m Inactive
	door yes no
	equal "the replica" "$(dmsio sum "$R")" "$frozen"
	op m activate
	synced m
	op m fracture
	wait_state m Fractured
	door yes yes
	fields m replica_changed=1
	op m set rate 524288
	dmsio fill "$M" >/dev/null
	op m resync
	wait_state m Unsynchronized
	door no no
	op m abort
	wait_state m Aborted
	door no no
	op m set rate 0
	op m resync
	synced m
	same "$S" "$R"
	op m split
	wait_state m Split
	door yes yes
	fields m replica_changed=1
	op m prepare
	wait_state m Prepared
	door no no
	# The door outlives the pair's source door and is shut then.
	remove m
	! can_read 100 || fail "the door is open without a pair"
}

t_writes_through_the_door_survive_a_removal()
{
	pair
	op m split
	wait_state m Split
	replica_door d m
	dmsio write "$(dev d)" --ops 100 --max-bytes 32k --flush-every 10 >/dev/null
	changed=$(f m replica_changed)
	at_least "regions changed" "$changed" 5
	remove d
	remove m
	mirror m "$S" "$R" "$D2" 128
	fields m copy_state=Split replica_changed=$changed
	resync_copies "$changed"
}

run_tests t_fracture_under_load t_resync_copies_what_either_side_changed t_resync_under_load \
	t_split_is_the_image_of_one_instant t_suspend_holds_writes_and_serves_reads \
	t_suspend_and_resume_under_load t_hold_track_lets_writes_go \
	t_settings_act_on_writes_that_are_held t_hold_max_ends_the_hold \
	t_suspend_in_the_first_copy t_deactivate_and_activate_under_load \
	t_abort_and_resync_under_load t_restore_takes_the_replica_as_it_is \
	t_restore_under_load t_restore_goes_on_after_a_removal \
	t_an_aborted_restore_keeps_serving_the_replica t_prepare_makes_all_old \
	t_detach_under_load t_dissolve_under_load t_the_replica_door_in_every_state \
	t_writes_through_the_door_survive_a_removal t_a_tombstone_is_passed_through

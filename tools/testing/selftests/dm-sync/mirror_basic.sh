#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mirror_basic.sh - a mirror is created: its fields, its copy, what is kept

. "$(dirname "$0")/lib.sh"
disks 3

M16=32768			# 16 MiB in sectors

# Source and replica of 16 MiB, the source stamped, the replica blank.
sides()
{
	slice s "$D0" $M16
	slice r "$D1" $M16
	S=$(dev s) R=$(dev r)
	dmsio fill "$S" >/dev/null
	dmsio fill "$R" --seq 1 >/dev/null
	blank "$D2"
}

t_fields_from_creation_to_synchronized()
{
	sides
	mirror m "$S" "$R" "$D2" 128 rate:4194304
	fields m copy_state=Unsynchronized requested_copy_state=Synchronized \
		sync_state=ResyncInProgress sync_maintained=0 sync_time=- sync_type=Mirror \
		sync_mode=Synchronous copy_type=Sync "replica_type=Full Copy" \
		"copy_methodology=Full Copy" copy_priority=Low door_access=none
	case $(f m progress_status) in
	Synchronizing|Pending) ;;
	*)	fail "progress_status $(f m progress_status) in the first copy" ;;
	esac
	[ "$(f m percent_synced)" -lt 100 ] || fail "100 percent before the end"
	msg m set rate 0
	synced m
	fields m copy_state=Synchronized progress_status=Completed \
		"requested_copy_state=Not Applicable" sync_state=Synchronized \
		sync_maintained=1 percent_synced=100 "recovery_point_objective=0 0" \
		source_changed=0 replica_changed=0 size_bytes=16777216 region_bytes=65536 \
		read_bytes=16777216 written_bytes=16777216 skipped_bytes=0 reason=none
	[ "$(f m sync_time)" != - ] || fail "no sync_time"
	same "$S" "$R"
	set -- $(dmsetup status "${P}m")
	equal "words of the status line" $# 19
	equal "status" "$4 $6 $7 $8 $9 ${10} ${11} ${12} ${13} ${19}" \
		"mirror Synchronized Completed Not_Applicable 100 Synchronized 1 0/256 0/256 meta"
}

t_first_copy_is_exact_and_large()
{
	sides
	reads=$(disk_stat "$S" reads) sectors=$(disk_stat "$S" read_sectors)
	writes=$(disk_stat "$R" writes) written=$(disk_stat "$R" write_sectors)
	mirror m "$S" "$R" "$D2" 128
	synced m
	equal "sectors read" $(($(disk_stat "$S" read_sectors) - sectors)) $M16
	equal "sectors written" $(($(disk_stat "$R" write_sectors) - written)) $M16
	# Pieces of a MiB; device-mapper may count what the limits of a disk split.
	at_most "reads" $(($(disk_stat "$S" reads) - reads)) 32
	at_most "writes" $(($(disk_stat "$R" writes) - writes)) 32
}

# geometry SECTORS REGION: copied wholly, and nothing behind the end is touched
geometry()
{
	slice s "$D0" "$1"
	dmsio fill "$D1" --sectors "0:$(($1 + 256))" --seq 7 >/dev/null
	dmsio fill "$(dev s)" >/dev/null
	blank "$D2"
	mirror m "$(dev s)" "$D1" "$D2" "$2"
	synced m
	equal "regions of $1 by $2" "$(status_word m 9)" "0/$((($1 + $2 - 1) / $2))"
	same "$(dev s)" "$D1" --sectors "0:$1"
	dmsio fill "$(dev m)" --sectors "$(($1 - 1)):1" >/dev/null
	same "$(dev s)" "$D1" --sectors "0:$1"
	dmsio verify "$D1" --sectors "$1:256" --max-seq 7 >/dev/null || fail "written behind the end"
	remove m s
}

t_all_sizes_and_regions()
{
	geometry 1 8
	geometry 4099 8
	geometry 2047 128
	geometry 30011 2048
	geometry 30011 8192
	geometry 70001 32768
	geometry 20011 131072
}

t_a_region_of_64_MiB_and_host_writes_into_it()
{
	slice s "$D0" 70001
	dmsio fill "$(dev s)" >/dev/null
	blank "$D2"
	mirror m "$(dev s)" "$D1" "$D2" 131072 rate:8388608
	background dmsio write "$(dev m)" --seconds 60 --max-bytes 256k --log "$TMP/log" --pause 2000
	until_true 5 test -s "$TMP/log"
	msg m set rate 0
	synced m
	kill "$BG"
	wait_exit "$BG" || fail "the writers failed: $(cat "$TMP/bg.log")"
	same "$(dev s)" "$D1" --sectors 0:70001
	dmsio verify "$(dev m)" --ack "$TMP/log" >/dev/null || fail "acknowledged writes are lost"
	fields m copy_state=Synchronized source_changed=0
}

t_disks_of_4_KiB_blocks()
{
	modprobe -q loop || :
	for i in 0 1 2; do
		truncate -s 8M "$TMP/big$i"
		eval "L$i=\$(losetup -f --show -b 4096 $TMP/big$i)" || skip "no loop devices"
	done
	loops="$L0 $L1 $L2"
	dmsio fill "$L0" >/dev/null
	mirror a "$L0" "$L1" "$L2" 8
	synced a
	equal "logical blocks" "$(blockdev --getss "$(dev a)")" 4096
	dmsio write "$(dev a)" --ops 200 --max-bytes 128k --flush-every 20 >/dev/null
	same "$L0" "$L1"
	remove a
	blank "$L2"
	# A source of 512-byte blocks takes the larger blocks of its replica.
	slice s "$D0" 16384
	dmsio fill "$(dev s)" >/dev/null
	mirror a "$(dev s)" "$L1" "$L2" 128
	synced a
	equal "logical blocks" "$(blockdev --getss "$(dev a)")" 4096
	dmsio write "$(dev a)" --ops 200 --max-bytes 128k >/dev/null
	same "$(dev s)" "$L1"
	remove a
	for i in $loops; do
		losetup -d "$i"
	done
	rm "$TMP"/big?
}

t_without_metadata_the_state_is_volatile()
{
	sides
	mirror m "$S" "$R" - 128
	synced m
	fields m metadata=- sync_maintained=1
	equal "last word of the status" "$(status_word m 16)" volatile
	same "$S" "$R"
	dmsio write "$(dev m)" --ops 200 >/dev/null
	msg m fracture
	wait_state m Fractured
	remove m
	mirror m "$S" "$R" - 128
	synced m
	fields m written_bytes=16777216
	same "$S" "$R"
}

t_assume_in_sync_copies_nothing()
{
	sides
	dd if="$S" of="$R" bs=1M oflag=direct iflag=direct status=none
	written=$(disk_stat "$R" writes)
	mirror m "$S" "$R" "$D2" 128 assume_in_sync
	fields m copy_state=Synchronized progress_status=Completed sync_state=Synchronized \
		sync_maintained=1 percent_synced=100 read_bytes=0 written_bytes=0 \
		"copy_methodology=Differential Copy" "requested_copy_state=Not Applicable"
	[ "$(f m sync_time)" != - ] || fail "no sync_time"
	equal "writes to the replica" $(($(disk_stat "$R" writes) - written)) 0
	dmsio write "$(dev m)" --ops 100 >/dev/null
	same "$S" "$R"
}

# stop_at STATE PROGRESS SYNC_STATE
stop_at()
{
	blank "$D2"
	dmsio fill "$R" --seq 1 >/dev/null
	writes=$(disk_stat "$R" writes)
	mirror m "$S" "$R" "$D2" 128 "stop_at:$(echo "$1" | tr '[:upper:]' '[:lower:]')"
	fields m "copy_state=$1" "progress_status=$2" "sync_state=$3" sync_maintained=0 \
		"requested_copy_state=Not Applicable" sync_time=- read_bytes=0
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
	dmsio write "$(dev m)" --ops 50 --log "$TMP/log.$1" >/dev/null
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
	# The state outlives the device, and the table line's wish with it.
	remove m
	mirror m "$S" "$R" "$D2" 128
	fields m "copy_state=$1" "progress_status=$2"
	msg m activate
	synced m
	same "$S" "$R"
	dmsio verify "$(dev m)" --ack "$TMP/log.$1" >/dev/null || fail "writes are lost"
	remove m
}

t_stop_at_each_state()
{
	sides
	stop_at Initialized Completed Initialized
	stop_at Prepared "Requires activate" Prepared
	stop_at Inactive Dormant Quiesced
}

t_a_pair_is_taken_up_where_it_stood()
{
	sides
	uuid=12345678-9abc-4def-8123-456789abcdef
	mirror m "$S" "$R" "$D2" 128 uuid:$uuid
	fields m uuid=$uuid
	synced m
	when=$(f m sync_time)
	remove m
	# Synchronized: no copy.
	mirror m "$S" "$R" "$D2" 128
	fields m uuid=$uuid copy_state=Synchronized sync_maintained=1 "sync_time=$when" \
		read_bytes=0 written_bytes=0 source_changed=0
	# Fractured: with its map.
	msg m fracture
	wait_state m Fractured
	dmsio fill "$(dev m)" --sectors 256:1 >/dev/null
	dmsio fill "$(dev m)" --sectors 1000:300 >/dev/null
	fields m source_changed=5
	remove m
	mirror m "$S" "$R" "$D2" 128
	fields m uuid=$uuid copy_state=Fractured progress_status=Completed source_changed=5 \
		sync_maintained=0
	msg m resync
	synced m
	fields m written_bytes=$((5 * 65536))
	same "$S" "$R"
	remove m
	# The first copy cut off in the middle goes on.
	blank "$D2"
	dmsio fill "$S" >/dev/null
	mirror m "$S" "$R" "$D2" 128 rate:8388608
	until_true 10 sh -c "[ \$(cat $(sysdir m)/percent_synced) -ge 30 ]"
	remove m
	mirror m "$S" "$R" "$D2" 128 rate:262144
	fields m requested_copy_state=Synchronized copy_state=Unsynchronized
	msg m set rate 0
	synced m
	at_most "bytes written after the removal" "$(f m written_bytes)" 13000000
	same "$S" "$R"
}

t_incremental_writes_only_what_differs()
{
	sides
	dd if="$S" of="$R" bs=1M oflag=direct iflag=direct status=none
	for at in 0 1600 1608 32760; do
		dmsio fill "$R" --sectors $at:1 --seq 3 >/dev/null
	done
	written=$(disk_stat "$R" write_sectors)
	mirror m "$S" "$R" "$D2" 128 methodology:incremental
	synced m
	same "$S" "$R"
	fields m "copy_methodology=Incremental Copy"
	at_most "bytes written" "$(f m written_bytes)" $((4 * 65536))
	at_least "bytes written" "$(f m written_bytes)" $((4 * 512))
	equal "written and skipped" $(($(f m written_bytes) + $(f m skipped_bytes))) 16777216
	equal "what the disk counted" \
		$((($(disk_stat "$R" write_sectors) - written) * 512)) "$(f m written_bytes)"
}

t_a_hot_write_is_two_writes_and_no_metadata()
{
	sides
	mirror m "$S" "$R" "$D2" 128
	synced m
	dmsio write "$(dev m)" --ops 1 --bytes 4k --sectors 0:128 >/dev/null
	s=$(disk_stat "$S" writes) r=$(disk_stat "$R" writes) m=$(disk_stat "$D2" writes)
	dmsio write "$(dev m)" --ops 100 --bytes 4k --sectors 0:128 >/dev/null
	equal "writes to the source" $(($(disk_stat "$S" writes) - s)) 100
	equal "writes to the replica" $(($(disk_stat "$R" writes) - r)) 100
	equal "writes to the metadata" $(($(disk_stat "$D2" writes) - m)) 0
}

run_tests t_fields_from_creation_to_synchronized t_first_copy_is_exact_and_large \
	t_all_sizes_and_regions t_a_region_of_64_MiB_and_host_writes_into_it \
	t_disks_of_4_KiB_blocks t_without_metadata_the_state_is_volatile \
	t_assume_in_sync_copies_nothing t_stop_at_each_state \
	t_a_pair_is_taken_up_where_it_stood t_incremental_writes_only_what_differs \
	t_a_hot_write_is_two_writes_and_no_metadata

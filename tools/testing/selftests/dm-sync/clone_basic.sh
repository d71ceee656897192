#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_basic.sh - a clone is made: its fields, its instant, its copy

# shellcheck disable=SC2154,SC2086 # D0...; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
disks 3

# copying: ProgressStatus of a first copy
copying()
{
	case $(f c progress_status) in
	Synchronizing|Pending) ;;
	*)	fail "progress_status $(f c progress_status) in the first copy" ;;
	esac
}

now()
{
	date -u +%Y-%m-%dT%H:%M:%SZ
}

t_fields_from_creation_to_synchronized()
{
	legs
	keep image
	before=$(now)
	clone rate:262144
	after=$(now)
	door
	fields c copy_state=Unsynchronized requested_copy_state=Synchronized \
		"sync_state=Copy In Progress" sync_maintained=0 sync_time=- sync_type=Clone \
		sync_mode=Synchronous copy_type=UnSyncAssoc "replica_type=Full Copy" \
		"copy_methodology=Copy On Write" copy_priority=Low recovery_point_objective=- \
		door_access=read-write reason=none source_changed=0 replica_changed=0 \
		size_bytes=$((N * 512)) region_bytes=$REGION_BYTES
	copying
	[ "$(f c percent_synced)" -lt 100 ] || fail "100 percent before the end"
	! until_true 3 false || :
	fast
	synced c
	fields c progress_status=Completed "requested_copy_state=Not Applicable" \
		sync_state=Frozen sync_maintained=0 percent_synced=100 sync_type=Clone \
		sync_mode=Synchronous copy_type=UnSyncAssoc "replica_type=Full Copy" \
		"copy_methodology=Copy On Write" recovery_point_objective=- \
		door_access=read-write source_changed=0 replica_changed=0 reason=none \
		read_bytes=$((N * 512)) written_bytes=$((N * 512)) skipped_bytes=0
	# The instant, not the end of the copy.
	printf '%s\n' "$before" "$(f c sync_time)" "$after" | sort -c ||
		fail "sync_time is $(f c sync_time), created between $before and $after"
	holds "$R" image
	holds "$D" image
	set -- $(dmsetup status "${P}c")
	equal "words of the status line" $# 19
	equal "status" "$4 $6 $7 $8 $9 ${10} ${11} ${12} ${13} ${17} ${19}" \
		"clone Synchronized Completed Not_Applicable 100 Frozen 0 0/128 0/128 0 meta"
	equal "the door's status" "$(dmsetup status "${P}d" | cut -d ' ' -f 4-)" "rw 0"
}

# created METHODOLOGY NAME ACCESS TYPE TYPE_NAME SYNC_STATE
created()
{
	begin "methodology:$1" "copy_type:$4" $SLOW
	fields c copy_state=Unsynchronized requested_copy_state=Synchronized sync_time=- \
		"copy_methodology=$2" "door_access=$3" "copy_type=$5" "sync_state=$6" \
		sync_maintained=0 sync_mode=Synchronous "replica_type=Full Copy"
	copying
	if [ "$3" = none ]; then
		! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
			fail "read before it is complete"
		! dmsio fill "$D" --sectors 0:8 >/dev/null 2>&1 ||
			fail "written before it is complete"
	else
		holds "$D" image
	fi
	# What the copy has not reached, what it has, and the short end of the device.
	dmsio fill "$C" --sectors $((N / 2)):200 >/dev/null
	dmsio fill "$C" --sectors 0:1 >/dev/null
	dmsio fill "$C" --sectors $((N - 1)):1 >/dev/null
	dmsio write "$C" --ops 60 --max-bytes 64k --log "$TMP/src.log" >/dev/null
	[ "$3" = none ] || holds "$D" image
	fast
	if [ "$4" = assoc ]; then
		synced c
		fields c sync_state=Frozen "copy_methodology=$2" door_access=read-write
	else
		dissolved
	fi
	holds "$R" image
	holds "$D" image
	different "$C" "$R"
	nothing_lost "$C" src
	fresh
}

t_every_methodology_kept_and_temporary()
{
	N=4091
	created copy_on_write "Copy On Write" read-write assoc UnSyncAssoc "Copy In Progress"
	created copy_on_access "Copy On Access" read-write assoc UnSyncAssoc "Copy In Progress"
	created full "Full Copy" none assoc UnSyncAssoc "Copy In Progress"
	created copy_on_write "Copy On Write" read-write unassoc UnSyncUnAssoc ResyncInProgress
	created copy_on_access "Copy On Access" read-write unassoc UnSyncUnAssoc ResyncInProgress
	created full "Full Copy" none unassoc UnSyncUnAssoc ResyncInProgress
}

# What it is made of is tried by clone_delta.sh; here that nothing is taken for it.
t_snap_and_clone_needs_a_delta_and_nothing_else_takes_one()
{
	legs
	slice dl "$D2" 8192 "$META_N"
	delta="delta:$(dev dl)"
	blank "$(dev dl)"
	for options in "" copy_type:unassoc rate:4096; do
		wrong "snap_and_clone needs the option delta" \
			"$(clone_line methodology:snap_and_clone $options)"
	done
	for options in "" methodology:copy_on_write methodology:copy_on_access methodology:full; do
		wrong "option delta is for the methodology snap_and_clone" \
			"$(clone_line $options "$delta")"
	done
	wrong "another kind of pair" "0 $N sync mirror $S $R $META $REGION 1 $delta"
	clone
	synced c
	same "$S" "$R"
}

# wrong SENTENCE LINE: refused, untouched
wrong()
{
	before=$(dmsio sum "$R") meta=$(md5sum <"$META")
	log_mark
	! dmsetup create "${P}c" --table "$2" >/dev/null 2>&1 || fail "made: $2"
	logged "$1"
	equal "the replica after \"$2\"" "$(dmsio sum "$R")" "$before"
	equal "the metadata after \"$2\"" "$(md5sum <"$META")" "$meta"
	! dev c >/dev/null || remove c
}

t_wrong_table_lines_are_refused_untouched()
{
	legs
	wrong "another kind of pair" "$(clone_line assume_in_sync)"
	wrong "assoc or unassoc" "$(clone_line copy_type:sync)"
	wrong "methodology is" "$(clone_line methodology:incremental)"
	wrong "same device" "0 $N sync clone $S $S $META 128"
	slice small "$D1" $((N - 8)) 8
	wrong "smaller than the source" "0 $N sync clone $S $(dev small) $META 128"
	# One kind's metadata is not the other's, in either direction.
	mirror c "$S" "$R" "$META" 128
	synced c
	remove c
	wrong "clone\|mirror\|kind" "$(clone_line)"
	mirror c "$S" "$R" "$META" 128
	fields c copy_state=Synchronized sync_type=Mirror
	remove c
	blank "$META"
	clone
	synced c
	LINE="0 $N sync mirror $S $R $META 128"
	! printf '%s\n' "$LINE" | dmsetup load "${P}c" 2>/dev/null || fail "a clone became a mirror"
	dmsetup clear "${P}c"
	remove c
	wrong "clone\|mirror\|kind" "$LINE"
	wrong "uuid" "$(clone_line uuid:12345678-9abc-4def-8123-456789abcdef)"
	clone
	fields c copy_state=Synchronized sync_type=Clone
}

t_the_table_line_is_taken_back()
{
	begin copy_type:assoc methodology:copy_on_access priority:same rate:262144 hold:track \
		hold_max:17 recovery:manual
	line=$(dmsetup table "${P}c")
	for word in copy_type:assoc methodology:copy_on_access priority:same rate:262144 \
			hold:track hold_max:17 recovery:manual; do
		case " $line " in
		*" $word "*) ;;
		*)	fail "the table lacks $word: $line" ;;
		esac
	done
	remove d
	remove c
	dmsetup create "${P}c" --table "$line"
	equal "the table" "$(dmsetup table "${P}c")" "$line"
	fields c "copy_methodology=Copy On Access" copy_priority=Same hold=track hold_max=17 \
		recovery=manual limit_bytes_per_second=262144
}

t_first_copy_is_exact_and_large()
{
	legs
	keep image
	reads=$(disk_stat "$S" reads) sectors=$(disk_stat "$S" read_sectors)
	writes=$(disk_stat "$R" writes) written=$(disk_stat "$R" write_sectors)
	clone
	synced c
	equal "sectors read" $(($(disk_stat "$S" read_sectors) - sectors)) "$N"
	equal "sectors written" $(($(disk_stat "$R" write_sectors) - written)) "$N"
	at_most "reads" $(($(disk_stat "$S" reads) - reads)) 16
	at_most "writes" $(($(disk_stat "$R" writes) - writes)) 16
	holds "$R" image
}

# Whoever asks for it, a region is copied once.
t_no_region_is_copied_twice()
{
	legs
	keep image
	sectors=$(disk_stat "$S" read_sectors) written=$(disk_stat "$R" write_sectors)
	clone rate:1048576 priority:high
	writers src "$C" --threads 8
	reaches percent_synced 30
	fast
	synced c
	stop src
	equal "sectors read" $(($(disk_stat "$S" read_sectors) - sectors)) "$N"
	equal "sectors written" $(($(disk_stat "$R" write_sectors) - written)) "$N"
	fields c read_bytes=$((N * 512)) written_bytes=$((N * 512))
	holds "$R" image
	nothing_lost "$C" src
}

# geometry SECTORS REGION: copied wholly, under writes to the end of it, and nothing
# behind the end is touched
geometry()
{
	N=$1 REGION=$2
	legs
	keep image
	dmsio fill "$D1" --sectors "$((N + 8)):256" --seq 7 >/dev/null
	clone $SLOW
	door
	equal "regions of $1 by $2" "$(status_word c 9)" "0/$(((N + REGION - 1) / REGION))"
	dmsio fill "$C" --sectors "$((N - 1)):1" >/dev/null
	dmsio fill "$C" --sectors "0:1" >/dev/null
	holds "$D" image
	[ "$N" -lt 1000 ] || dmsio fill "$D" --sectors "$((N / 2)):1" --seq "$OWN_SEQ" >/dev/null
	keep own "$D"
	fast
	if [ "$N" -lt 1000 ]; then
		synced c
	else
		wait_state c Skewed
	fi
	holds "$R" own
	dmsio verify "$D1" --sectors "$((N + 8)):256" --max-seq 7 >/dev/null ||
		fail "written behind the end of the replica"
	fresh
}

t_all_sizes_and_regions()
{
	META_N=8192
	geometry 1 8
	geometry 4099 8
	geometry 2047 128
	geometry 20011 1024
	geometry 20011 2048
}

t_disks_of_4_KiB_blocks()
{
	modprobe -q loop || :
	for i in 0 1 2; do
		truncate -s 4M "$TMP/big$i"
		eval "L$i=\$(losetup -f --show -b 4096 $TMP/big$i)" || skip "no loop devices"
	done
	N=8192
	S=$L0 R=$L1 META=$L2
	dmsio fill "$S" --seq "$IMAGE_SEQ" >/dev/null
	keep image
	REGION=8
	clone $SLOW
	door
	equal "logical blocks" "$(blockdev --getss "$C") $(blockdev --getss "$D")" "4096 4096"
	dmsio write "$C" --ops 60 --max-bytes 128k --flush-every 20 --log "$TMP/src.log" >/dev/null
	holds "$D" image
	dmsio write "$D" --ops 60 --max-bytes 32k --seq "$OWN_SEQ" --log "$TMP/own.log" >/dev/null
	fast
	wait_state c Skewed
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	same "$D" "$R"
	remove d c
	blank "$META"
	# A source of 512-byte blocks takes the larger blocks of its replica.
	slice s "$D0" "$N"
	S=$(dev s) REGION=128
	dmsio fill "$S" --seq "$IMAGE_SEQ" >/dev/null
	keep image
	clone
	door
	equal "logical blocks" "$(blockdev --getss "$C")" 4096
	synced c
	holds "$R" image
	remove d c
	for i in $L0 $L1 $L2; do
		losetup -d "$i"
	done
	rm "$TMP"/big?
}

_longer_than()
{
	[ "$(wc -l <"$1")" -gt "$2" ]
}

# The instant is that of Activate: what was acknowledged before is in it, nothing that
# was issued after. The check must find a mixture of two instants.
t_an_instant_under_writers()
{
	for method in copy_on_write full; do
		begin "methodology:$method" stop_at:initialized rate:2097152
		rm -f "$TMP/ack"
		writers src "$C" --threads 8 --fua --ack "$TMP/ack" --pause 300
		until_true 20 test -s "$TMP/ack"
		cp "$TMP/ack" "$TMP/before"
		op activate
		# That it copies says that the instant has been.
		reaches written_bytes 1
		lines=$(wc -l <"$TMP/ack")
		until_true 20 _longer_than "$TMP/ack" $((lines + 12)) ||
			fail "the writers stand still"
		newest=$(tail -n 2 "$TMP/ack" | head -n 1 | cut -d ' ' -f 5)
		[ "$method" = full ] || keep early "$D"
		fast
		synced c
		stop src
		# A line may have been cut by the copy.
		sed -i '$d' "$TMP/before"
		[ -s "$TMP/before" ] || echo "A 0 0 0 0" >"$TMP/before"
		dmsio verify "$R" --ack "$TMP/before" --max-seq "$newest" >"$TMP/verify" 2>&1 ||
			fail "$method: $(cat "$TMP/verify")"
		one_instant "$R" src
		[ "$method" = full ] || holds "$R" early
		holds "$D" "$(keep late "$R" && echo late)"
		nothing_lost "$C" src
		different "$C" "$R"
		dd if="$C" of="$R" bs=1M skip=4 seek=4 count=4 oflag=direct status=none
		! dmsio verify "$R" --ack "$TMP/src.log" --instant >/dev/null ||
			fail "the check takes a mixture for an image of one instant"
		fresh
	done
}

t_the_replica_can_be_used_at_once()
{
	begin $SLOW
	holds "$D" image
	dmsio fill "$C" >/dev/null
	# All is copied now, for those writes.
	holds "$D" image
	holds "$R" image
	fast
	synced c
	fresh
	begin $SLOW
	dmsio write "$D" --ops 80 --max-bytes 64k --seq "$OWN_SEQ" --log "$TMP/own.log" >/dev/null
	dmsio write "$C" --ops 80 --max-bytes 64k --log "$TMP/src.log" >/dev/null
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	nothing_lost "$C" src
	fields c copy_state=Unsynchronized
	at_least "regions written through the door" "$(f c replica_changed)" 1
	keep own "$D"
	fast
	wait_state c Skewed
	fields c progress_status=Completed "requested_copy_state=Not Applicable" \
		sync_state=Frozen percent_synced=- door_access=read-write
	holds "$R" own
	[ "$(f c sync_time)" != - ] || fail "no sync_time"
}

# read_from DEVICE REGION: is it copied by that?
read_from()
{
	dd if="$1" of=/dev/null bs=4k count=1 skip=$(($2 * REGION / 8 + 3)) iflag=direct status=none
}

_is_copied()
{
	dmsio compare "$S" "$R" --sectors "$(($1 * REGION)):$REGION" >/dev/null 2>&1
}

t_copy_on_access_copies_what_is_read()
{
	begin methodology:copy_on_access $SLOW
	read_from "$D" 70
	until_true 10 _is_copied 70 || fail "not copied when read through the replica door"
	! _is_copied 69 || fail "its neighbour was copied too"
	! _is_copied 71 || fail "its neighbour was copied too"
	read_from "$C" 90
	until_true 10 _is_copied 90 || fail "not copied when read through the source door"
	! _is_copied 91 || fail "its neighbour was copied too"
	fields c copy_state=Unsynchronized source_changed=0 replica_changed=0
	holds "$D" image
	same "$S" "$R"
	fresh
	begin methodology:copy_on_write $SLOW
	read_from "$D" 70
	read_from "$C" 90
	! until_true 1 _is_copied 70 || fail "a read has copied"
	! _is_copied 90 || fail "a read has copied"
}

# What overwrites a whole region of the replica needs nothing of the source.
t_a_whole_region_written_through_the_door_is_not_copied()
{
	begin $SLOW
	# Of the background copy one region at most comes in between.
	reads=$(disk_stat "$S" read_sectors)
	for region in 60 70 80 90; do
		dd if=/dev/zero of="$D" bs=64k count=1 seek=$region oflag=direct conv=notrunc status=none
	done
	at_most "sectors read of the source" $(($(disk_stat "$S" read_sectors) - reads)) $((2 * REGION))
	fields c replica_changed=4
}

# A bit is tested, and that is all.
t_a_finished_clone_costs_nothing()
{
	finished
	dmsio fill "$C" --sectors 0:128 >/dev/null
	dmsio write "$C" --ops 1 --bytes 4k --sectors 0:128 >/dev/null
	s=$(disk_stat "$S" writes) r=$(disk_stat "$R" writes) m=$(disk_stat "$META" writes)
	sr=$(disk_stat "$S" reads) rr=$(disk_stat "$R" reads)
	dmsio write "$C" --ops 50 --bytes 4k --sectors 0:128 >/dev/null
	equal "writes to the source" $(($(disk_stat "$S" writes) - s)) 50
	for at in 0 5 900 2000; do
		dd if="$C" of=/dev/null bs=4k count=1 skip=$at iflag=direct status=none
	done
	equal "reads of the source" $(($(disk_stat "$S" reads) - sr)) 4
	equal "writes to the replica" $(($(disk_stat "$R" writes) - r)) 0
	equal "reads of the replica" $(($(disk_stat "$R" reads) - rr)) 0
	equal "writes to the metadata" $(($(disk_stat "$META" writes) - m)) 0
	# Through the other door likewise, once the region is marked.
	dmsio fill "$D" --sectors 0:128 --seq "$OWN_SEQ" >/dev/null
	wait_state c Skewed
	s=$(disk_stat "$S" writes) r=$(disk_stat "$R" writes) m=$(disk_stat "$META" writes)
	dmsio write "$D" --ops 50 --bytes 4k --sectors 0:128 >/dev/null
	equal "writes to the replica" $(($(disk_stat "$R" writes) - r)) 50
	equal "writes to the source" $(($(disk_stat "$S" writes) - s)) 0
	equal "writes to the metadata" $(($(disk_stat "$META" writes) - m)) 0
}

run_tests t_fields_from_creation_to_synchronized t_every_methodology_kept_and_temporary \
	t_snap_and_clone_needs_a_delta_and_nothing_else_takes_one \
	t_wrong_table_lines_are_refused_untouched \
	t_the_table_line_is_taken_back t_first_copy_is_exact_and_large \
	t_no_region_is_copied_twice t_all_sizes_and_regions t_disks_of_4_KiB_blocks \
	t_an_instant_under_writers t_the_replica_can_be_used_at_once \
	t_copy_on_access_copies_what_is_read \
	t_a_whole_region_written_through_the_door_is_not_copied t_a_finished_clone_costs_nothing

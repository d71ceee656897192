#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_delta.sh - a clone whose old data goes to a delta first: methodology snap_and_clone
#
# The law: a host's write of the source waits for the delta, never for the replica; what
# the replica is in the end is the point in time all the same. Its faults, its removal in
# the middle and what is on disk are in clone_delta_life.sh.
#
# vm: --disk 64M --disk 64M --disk 8M --disk 16M

# shellcheck disable=SC2154,SC2317,SC2329,SC2086,SC2119 # D0...; called by name; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_program synctl python3
need_target delay
disks 4
. "$here/delta.inc"
NL="python3 -SE $here/nl.py"

#----------------------------------------------------------------
# The table line
#----------------------------------------------------------------

sums()
{
	dmsio sum "$S"
	dmsio sum "$R"
	dmsio sum "$DL"
	md5sum <"$META"
}

# refused SENTENCE LINE: and nothing is touched
refused()
{
	before=$(sums)
	log_mark
	! dmsetup create "${P}x" --table "$2" >/dev/null 2>&1 || fail "made: $2"
	logged "$1"
	equal "the devices after \"$2\"" "$(sums)" "$before"
	! dev x >/dev/null || remove x
}

# line OPTION...: of a clone
line()
{
	echo "0 $N sync clone $S $R $META $REGION $# $*"
}

saving()
{
	line methodology:snap_and_clone "$@"
}

t_wrong_table_lines_are_refused_untouched()
{
	legs
	refused "snap_and_clone needs the option delta" "$(saving rate:4096)"
	refused "snap_and_clone needs the option delta" "$(saving copy_type:unassoc)"
	for other in copy_on_write copy_on_access full; do
		refused "option delta is for the methodology snap_and_clone" \
			"$(line methodology:$other delta:$DL)"
	done
	refused "option delta is for the methodology snap_and_clone" "$(line delta:$DL)"
	refused "another kind of pair" "0 $N sync mirror $S $R $META $REGION 1 delta:$DL"
	refused "another kind of pair" "0 $N sync snapshot $S $R - $REGION 1 delta:$DL"
	refused "Cannot open the delta device" "$(saving delta:/dev/there-is-none)"
	for other in $S $R $META; do
		refused "delta device must not be source, replica or metadata" \
			"$(saving delta:$other)"
	done
	slice tiny "$D3" 64 20480
	refused "delta device is too small" "$(saving delta:$(dev tiny))"
	# Of another clone that lives.
	clone stop_at:initialized
	slice s2 "$D0" "$N" "$N"
	slice r2 "$D1" "$N" 20480
	refused "delta device is already used by another pair" \
		"0 $N sync clone $(dev s2) $(dev r2) - $REGION 2 $WITH"
}

t_a_delta_of_larger_blocks_is_refused()
{
	modprobe -q loop || :
	legs
	truncate -s 16M "$TMP/big"
	big=$(losetup -f --show -b 4096 "$TMP/big") || skip "no loop devices"
	if [ "$(blockdev --getss "$S")" -lt 4096 ]; then
		refused "delta device has larger blocks than the source" "$(saving delta:$big)"
		result=0
	fi
	losetup -d "$big"
	[ -n "${result-}" ] || skip "the source has blocks of 4 KiB"
}

t_foreign_data_on_the_delta_stays()
{
	legs
	dmsio fill "$DL" >/dev/null
	refused "delta device is not blank and holds no delta of dm-sync (option .format. overwrites it)" \
		"$(clone_line)"
	keep image
	clone format
	door
	whole
	remove d
	remove c
	# It is that pair's now, and comes up without being asked again.
	clone
	synced c
	remove c
	blank "$META"
	refused "delta device belongs to another pair: name this pair's own" \
		"$(clone_line)"
	clone format
	synced c
	same "$S" "$R"
}

t_a_reload_names_the_same_delta()
{
	idle
	change 20
	slice other "$D2" 12288 "$META_N"
	blank "$(dev other)"
	log_mark
	! saving "delta:$(dev other)" $IDLE | dmsetup load "${P}c" 2>/dev/null ||
		fail "loaded with another delta"
	logged "delta device of a pair in use cannot be changed by a reload"
	dmsetup clear "${P}c"
	uses 1
	whole
}

t_what_it_tells_of_itself()
{
	DELTA_N=30000
	legs
	keep image
	clone $IDLE
	door
	read -r number <"/sys/block/$(kname "$DL")/dev"
	line=$(dmsetup table "${P}c")
	case $line in
	*" methodology:snap_and_clone delta:$number "*) ;;
	*)	fail "the table line: $line" ;;
	esac
	quiet
	fields c copy_state=Unsynchronized requested_copy_state=Synchronized sync_mode=Asynchronous \
		"sync_state=Copy In Progress" sync_type=Clone copy_type=UnSyncAssoc \
		"replica_type=Full Copy" "copy_methodology=Snap And Clone" door_access=none \
		sync_time=- sync_maintained=0 reason=none
	# No more slots than regions.
	equal "the last word of the status" "$(status_word c 17)" 0/128
	fields c slots=128 store_bytes=$((DELTA_N * 512)) store_free_bytes=$((N * 512))
	change 20 21 90
	change 20 90
	equal "the last word of the status" "$(status_word c 17)" 3/128
	fields c slots=128 store_free_bytes=$((125 * REGION_BYTES))
	$NL get "${P}c" >"$TMP/get"
	for words in "sync-mode 3" "copy-methodology 9" "slots 128" \
			"store-bytes $((DELTA_N * 512))" "store-free-bytes $((125 * REGION_BYTES))"; do
		grep -qx "$words" "$TMP/get" || fail "no $words: $(cat "$TMP/get")"
	done
	synctl show "${P}c" >"$TMP/show" || fail "synctl show: $?"
	grep -q "Asynchronous" "$TMP/show" || fail "synctl show: $(cat "$TMP/show")"
	grep -qi "snap.\{0,1\}and.\{0,1\}clone" "$TMP/show" || fail "synctl show: $(cat "$TMP/show")"
	whole
	uses 0
	fields c sync_mode=Asynchronous "copy_methodology=Snap And Clone" sync_state=Frozen \
		"requested_copy_state=Not Applicable"
	remove d c
	dmsetup create "${P}c" --table "$line"
	fields c copy_state=Synchronized
	equal "the table" "$(dmsetup table "${P}c")" "$line"
}

t_the_tool_makes_one()
{
	legs
	keep image
	synctl -q clone "$S" "$R" -N "${P}c" --meta "$META" --methodology snap_and_clone \
		--delta "$DL" --rate 524288 >"$TMP/out" 2>&1 || fail "synctl: $(cat "$TMP/out")"
	C=$(dev c)
	fields c "copy_methodology=Snap And Clone" copy_state=Unsynchronized
	door
	change 100
	whole
}

#----------------------------------------------------------------
# The point in time
#----------------------------------------------------------------

t_the_image_under_writers_with_a_slow_replica()
{
	begin rate:131072 priority:high
	slow_replica 300
	count
	writers src "$C" --threads 8 --max-bytes 256k
	shut
	reaches percent_synced 20 120
	fast
	synced c 300
	stop src
	at_least "sectors written to the delta" "$(spent "$DL" write_sectors)" $REGION
	equal "bytes written to the replica" "$(f c written_bytes)" $((N * 512))
	heal r
	fields c copy_state=Synchronized source_errors=0 replica_errors=0
	holds "$R" image
	holds "$D" image
	nothing_lost "$C" src
	different "$C" "$R"
	uses 0
}

_longer_than()
{
	[ "$(wc -l <"$1")" -gt "$2" ]
}

# As clone_basic.sh asks it of the others: the instant is that of Activate.
t_an_instant_under_writers()
{
	begin stop_at:initialized rate:2097152
	writers src "$C" --threads 8 --fua --ack "$TMP/ack" --pause 300
	until_true 20 test -s "$TMP/ack" || fail "nothing was acknowledged"
	cp "$TMP/ack" "$TMP/before"
	op activate
	reaches written_bytes 1
	lines=$(wc -l <"$TMP/ack")
	until_true 20 _longer_than "$TMP/ack" $((lines + 12)) || fail "the writers stand still"
	newest=$(tail -n 2 "$TMP/ack" | head -n 1 | cut -d ' ' -f 5)
	fast
	synced c
	stop src
	sed -i '$d' "$TMP/before"
	[ -s "$TMP/before" ] || echo "A 0 0 0 0" >"$TMP/before"
	dmsio verify "$R" --ack "$TMP/before" --max-seq "$newest" >"$TMP/verify" 2>&1 ||
		fail "$(cat "$TMP/verify")"
	one_instant "$R" src
	nothing_lost "$C" src
	different "$C" "$R"
	dd if="$C" of="$R" bs=1M skip=4 seek=4 count=4 oflag=direct status=none
	! dmsio verify "$R" --ack "$TMP/src.log" --instant >/dev/null ||
		fail "the check takes a mixture for an image of one instant"
}

# longest dmsio option...: milliseconds of the longest write
longest()
{
	dmsio write "$C" --log "$TMP/src.log" "$@" >"$TMP/longest" 2>&1 ||
		fail "a write failed: $(cat "$TMP/longest")"
	_us=$(sed -n 's/.*longest_us=\([0-9]*\)$/\1/p' "$TMP/longest")
	LONGEST=$((_us / 1000))
	echo "# $(cat "$TMP/longest")"
}

# With the copy standing still, and with one that is under way all the time.
t_no_write_waits_for_the_replica()
{
	slowness=$((2000 * ${DM_SYNC_PATIENCE:-1}))
	# Far from the 30 s after which a replica counts as dead.
	[ $slowness -le 8000 ] || slowness=8000
	idle
	slow_replica $slowness
	count
	longest --ops 400 --threads 4 --max-bytes 64k
	at_most "milliseconds of a write" $LONGEST $((slowness / 2))
	at_least "sectors written to the delta" "$(spent "$DL" write_sectors)" $((60 * REGION))
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	heal r
	whole
	nothing_lost "$C" src
	fresh
	begin rate:131072 priority:high
	slow_replica $slowness
	longest --seconds $((3 * ${DM_SYNC_PATIENCE:-1})) --threads 4 --max-bytes 64k --flush-every 10
	at_most "milliseconds of a write" $LONGEST $((slowness / 2))
	fields c copy_state=Unsynchronized
	heal r
	whole
	nothing_lost "$C" src
	fresh
	# The control: the same disks without a delta.
	DELTA_ON='' WITH=''
	begin methodology:copy_on_write $IDLE
	reaches written_bytes 1
	slow_replica $slowness
	longest --ops 1 --bytes 4k --sectors $((60 * REGION)):$REGION
	at_least "milliseconds of a write without a delta" $LONGEST $((slowness * 9 / 10))
}

t_what_a_write_costs()
{
	idle
	count
	change 60
	equal "reads of the source" "$(spent "$S" reads)" 1
	equal "sectors read of the source" "$(spent "$S" read_sectors)" $REGION
	equal "sectors written to the source" "$(spent "$S" write_sectors)" 8
	# The slot, and the table's block.
	at_least "writes to the delta" "$(spent "$DL" writes)" 2
	at_least "sectors written to the delta" "$(spent "$DL" write_sectors)" $((REGION + 8))
	at_most "sectors written to the delta" "$(spent "$DL" write_sectors)" $((REGION + 16))
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	equal "reads of the replica" "$(spent "$R" reads)" 0
	# Again, and elsewhere in it: a bit is tested.
	quiet
	count
	change 60
	io fill "$C" --sectors "$((61 * REGION - 9)):9"
	equal "sectors written to the source" "$(spent "$S" write_sectors)" 17
	equal "reads of the source" "$(spent "$S" reads)" 0
	equal "reads of the delta" "$(spent "$DL" reads)" 0
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	equal "writes to the metadata" "$(spent "$META" writes)" 0
	# 16 regions side by side are read and saved together.
	count
	dd if=/dev/urandom of="$C" bs=1M seek=4 count=1 iflag=fullblock oflag=direct conv=notrunc \
		status=none
	equal "sectors read of the source" "$(spent "$S" read_sectors)" 2048
	at_most "reads of the source" "$(spent "$S" reads)" 4
	at_least "sectors written to the delta" "$(spent "$DL" write_sectors)" 2056
	at_most "sectors written to the delta" "$(spent "$DL" write_sectors)" $((2048 + 64))
	at_most "writes to the delta" "$(spent "$DL" writes)" 8
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	equal "slots in use" "$(used)" 17
	# What is saved is read from its slot, the rest from the source; each once.
	count
	whole
	equal "sectors read of the delta" "$(spent "$DL" read_sectors)" $((17 * REGION))
	at_most "sectors read of the source" "$(spent "$S" read_sectors)" $(((128 - 17) * REGION))
	at_most "sectors written to the replica" "$(spent "$R" write_sectors)" "$N"
	# Complete: nothing of all that.
	uses 0
	change 30
	quiet
	count
	change 30 60 65
	equal "I/O of the delta" "$(($(spent "$DL" writes) + $(spent "$DL" reads)))" 0
	equal "reads of the source" "$(spent "$S" reads)" 0
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
}

# Host writes that come together are saved by one commit of the table.
t_many_writers_share_the_commits()
{
	idle
	swap dl "0 $DELTA_N delay $D3 0 0 $D3 0 50"
	count
	dmsio write "$C" --ops 64 --threads 16 --bytes 64k --sectors "0:$N" >"$TMP/io" 2>&1 ||
		fail "a write failed: $(cat "$TMP/io")"
	saved=$(used)
	at_least "regions saved" "$saved" 20
	blocks=$((($(spent "$DL" write_sectors) - saved * REGION) / 8))
	at_most "blocks of the table written" "$blocks" $((saved * 2 / 3))
	heal dl
	whole
}

#----------------------------------------------------------------
# Shapes
#----------------------------------------------------------------

zeroes_pass()
{
	[ "$(cat "/sys/block/${C#/dev/}/queue/write_zeroes_max_bytes")" -gt 0 ]
}

# A source whose last region is a part of one.
t_shapes_of_writes()
{
	N=16381
	idle
	io fill "$C" --sectors $((N - 1)):1
	io fill "$C" --sectors 2559:2
	io write "$C" --ops 100 --threads 2 --bytes 512 --sectors 127:3 --log "$TMP/src.log"
	io write "$C" --ops 60 --threads 4 --fua --max-bytes 64k --seed 3 --log "$TMP/src.log"
	io write "$C" --ops 30 --threads 4 --max-bytes 4M --flush-every 10 --seed 4 \
		--discard 20 --zero 20 --log "$TMP/src.log"
	at_least "slots in use" "$(used)" 40
	whole
	nothing_lost "$C" src
	fresh
	# All of it, by whole regions and by discards.
	for way in write discard; do
		idle
		if [ $way = write ]; then
			io fill "$C"
		elif zeroes_pass; then
			blkdiscard "$C" 2>/dev/null || blkdiscard -z "$C"
			! dmsio verify "$C" >/dev/null || fail "the discard did nothing"
		fi
		whole
		[ $way = write ] || ! zeroes_pass || io verify "$C" --allow-zero
		fresh
	done
	# Beside what is saved: parts of regions as zeroes.
	idle
	zeroes_pass || return 0
	blkdiscard -z -o 512 -l $((3 * REGION_BYTES)) "$C"
	blkdiscard -z -o $((64 * REGION_BYTES)) -l $((2 * REGION_BYTES)) "$C"
	at_least "slots in use" "$(used)" 5
	whole
}

t_small_and_large_regions()
{
	for REGION in 8 2048; do
		REGION_BYTES=$((REGION * 512))
		META_N=8192
		idle
		# Several blocks of the table.
		io write "$C" --ops 300 --threads 8 --max-bytes 128k --log "$TMP/src.log"
		at_least "slots in use" "$(used)" 4
		whole
		nothing_lost "$C" src
		fresh
	done
}

#----------------------------------------------------------------
# A delta that is too small
#----------------------------------------------------------------

_has_room()
{
	[ "$(used)" -lt 8 ]
}

_takes_a_slot()
{
	[ "$NEXT" -lt 127 ] || return 0
	NEXT=$((NEXT + 1))
	count
	change $NEXT
	[ "$(spent "$DL" write_sectors)" -ge $REGION ]
}

t_a_delta_that_is_full()
{
	DELTA_N=$((TABLES + 8 * REGION))
	idle
	fields c slots=8
	log_mark
	change 20 21 22 23 24 25 26 27
	equal "slots" "$(status_word c 17)" 8/8
	fields c store_free_bytes=0
	count
	change 20 27
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	# These wait for their own copies.
	change 40 41 42
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" $((3 * REGION))
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	dmsio compare "$R" "$TMP/image.kept" --sectors $((40 * REGION)):$((3 * REGION)) >/dev/null ||
		fail "the replica has something else than the image"
	equal "how often the log says that the delta is full" "$(log_since | grep -c 'delta.*full')" 1
	fields c copy_state=Unsynchronized reason=none replica_errors=0
	# Slots of what was copied are used again.
	op set rate 524288
	reaches done_bytes $((36 * REGION_BYTES)) 60
	op set rate 1
	until_true 30 _has_room || :
	NEXT=99
	until_true 30 _takes_a_slot || fail "no slot is free"
	[ "$NEXT" -lt 127 ] || fail "no slot was used again: $(status_word c 17)"
	equal "how often the log says that the delta is full" "$(log_since | grep -c 'delta.*full')" 1
	whole
	uses 0
}

t_writers_on_a_small_delta()
{
	DELTA_N=$((TABLES + 8 * REGION))
	begin rate:1048576 priority:high
	slow_replica 100
	writers src "$C" --threads 8 --discard 5
	reaches percent_synced 40 120
	fast
	synced c 300
	stop src
	heal r
	holds "$R" image
	nothing_lost "$C" src
	# More than it holds at once went through it.
	uses 0
	io write "$C" --ops 100 --max-bytes 64k
	keep image "$C"
	op resync
	whole
}

#----------------------------------------------------------------
# Operations
#----------------------------------------------------------------

t_the_door_is_shut_until_it_is_complete()
{
	idle
	shut
	change 20 21
	shut
	whole
	keep source
	io fill "$D" --sectors 1000:300 --seq "$OWN_SEQ"
	wait_state c Skewed
	io verify "$D" --sectors 1000:300 --max-seq "$OWN_LAST"
	holds "$C" source
	fields c replica_changed=4
	op resync
	synced c
	same "$S" "$R"
}

# refreshed: a new point in time is complete, and was one
refreshed()
{
	keep new "$C"
	op set rate 1
	op resync
	wait_state c Unsynchronized
	equal "slots in use" "$(used)" 0
	shut
	IMAGE=new
}

t_refresh_of_a_complete_clone()
{
	idle
	change 20 21
	whole
	change 20 21 22 23
	io fill "$D" --sectors $((70 * REGION)):1 --seq "$OWN_SEQ"
	wait_state c Skewed
	refreshed
	# Only what is copied anew is saved.
	count
	change 50 51
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	change 23 70
	equal "slots in use" "$(used)" 2
	written=$(f c written_bytes)
	fast
	synced c
	at_most "bytes copied" $(($(f c written_bytes) - written)) $((5 * REGION_BYTES))
	whole
}

t_refresh_under_load_is_of_one_instant()
{
	begin priority:high
	synced c
	writers src "$C" --threads 8 --pause 300
	for round in 1 2 3; do
		op set rate 1048576
		op resync
		fast
		synced c 120
		one_instant "$R" src
		uses 0
		echo "# round $round is right"
	done
	stop src
	nothing_lost "$C" src
	different "$C" "$R"
}

# in_between OPERATION STATE [OPERATION]: away from a copy with saved regions, and back
in_between()
{
	idle
	change 20 21 22
	equal "resync in the middle" "$(message c resync)" 0
	uses 3
	op "$1"
	wait_state c "$2"
	shut
	change 20 40
	io write "$C" --ops 30 --max-bytes 64k
	keep new "$C"
	op set rate 1
	op "$3"
	wait_state c Unsynchronized
	equal "slots in use after $3" "$(used)" 0
	change 20 90 91
	at_least "slots in use" "$(used)" 2
	IMAGE=new
	whole
	different "$R" "$TMP/image.kept"
	fresh
}

t_a_new_image_in_the_middle_of_a_copy()
{
	in_between abort Aborted resync
	in_between deactivate Inactive activate
}

t_suspended_holds_what_is_not_saved()
{
	idle hold_max:600
	change 20
	op suspend
	wait_state c Suspended
	count
	timeout $((20 * ${DM_SYNC_PATIENCE:-1})) dmsio fill "$C" --sectors $((20 * REGION)):8 \
		>/dev/null || fail "a write to what is saved waits"
	dmsio fill "$C" --sectors $((30 * REGION)):8 --seq 5000 >/dev/null &
	writer=$!
	echo $writer >>"$BASE/pids"
	reaches held 1
	kill -0 $writer 2>/dev/null || fail "the write went through"
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	op resume
	wait_exit $writer
	wait_state c Unsynchronized
	equal "slots in use" "$(used)" 2
	whole
}

t_restore_does_not_use_the_delta()
{
	idle
	change 20 21
	whole
	uses 0
	io fill "$C" --sectors "0:$((N / 2))"
	keep replica "$R"
	slow
	count
	op restore
	fields c progress_status=Restoring
	holds "$C" replica
	io fill "$C" --sectors $((N - 64)):64
	fast
	synced c
	wait_settled c
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	equal "reads of the delta" "$(spent "$DL" reads)" 0
	dmsio compare "$S" "$TMP/replica.kept" --sectors "0:$((N - 64))" >/dev/null ||
		fail "the source is not restored"
	holds "$R" replica
	# And a refresh after it uses it again.
	change 30 31 32 33
	refreshed
	change 32 33
	equal "slots in use" "$(used)" 2
	whole
}

t_fracture_split_and_back()
{
	idle
	change 20
	whole
	for cut in fracture split; do
		op $cut
		wait_settled c
		count
		change 20 21 22
		io fill "$D" --sectors $((80 * REGION)):8 --seq "$OWN_SEQ"
		equal "writes to the delta" "$(spent "$DL" writes)" 0
		refreshed
		change 22 80
		at_least "slots in use" "$(used)" 1
		whole
	done
}

t_detach()
{
	idle
	change 20 21
	equal "detach without force" "$(message c detach)" EPERM
	equal "detach with force" "$(message c detach force)" 0
	dissolved 20
	! dd if="$D" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an incomplete clone can be read after the end"
	count
	change 20 50
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	equal "sectors written to the replica" "$(spent "$R" write_sectors)" 0
	fresh
	idle
	change 20 21
	whole
	op detach
	dissolved 20
	change 20 50
	io fill "$D" --sectors 2000:8 --seq "$OWN_SEQ"
	same "$C" "$S"
	same "$D" "$R"
	different "$C" "$D"
}

t_a_temporary_clone_ends_by_itself()
{
	idle copy_type:unassoc
	fields c copy_type=UnSyncUnAssoc sync_mode=Asynchronous
	change 20 21 90
	writers src "$C" --sectors "0:$((N / 4))"
	shut
	fast
	dissolved
	holds "$R" image
	holds "$D" image
	stop src
	nothing_lost "$C" src --sectors "0:$((N / 4))"
	count
	change 20 100
	equal "writes to the delta" "$(spent "$DL" writes)" 0
	io fill "$D" --sectors 2000:8 --seq "$OWN_SEQ"
	same "$D" "$R"
	remove d c
	clone copy_type:unassoc
	equal "status after another start" "$(status_word c 1)" passthrough
}

t_without_metadata()
{
	legs
	keep image
	META=-
	clone $IDLE
	door
	reaches written_bytes 1
	change 20 21 22
	equal "slots in use" "$(used)" 3
	shut
	whole
	uses 0
	# Another start is another instant, in the same places.
	remove d c
	keep later
	clone $IDLE
	door
	reaches written_bytes 1
	change 20 40
	equal "slots in use" "$(used)" 2
	IMAGE=later
	whole
	different "$R" "$TMP/image.kept"
}

run_tests t_wrong_table_lines_are_refused_untouched t_a_delta_of_larger_blocks_is_refused \
	t_foreign_data_on_the_delta_stays t_a_reload_names_the_same_delta \
	t_what_it_tells_of_itself t_the_tool_makes_one \
	t_the_image_under_writers_with_a_slow_replica t_an_instant_under_writers \
	t_no_write_waits_for_the_replica t_what_a_write_costs t_many_writers_share_the_commits \
	t_shapes_of_writes t_small_and_large_regions t_a_delta_that_is_full \
	t_writers_on_a_small_delta t_the_door_is_shut_until_it_is_complete \
	t_refresh_of_a_complete_clone t_refresh_under_load_is_of_one_instant \
	t_a_new_image_in_the_middle_of_a_copy t_suspended_holds_what_is_not_saved \
	t_restore_does_not_use_the_delta t_fracture_split_and_back t_detach \
	t_a_temporary_clone_ends_by_itself t_without_metadata

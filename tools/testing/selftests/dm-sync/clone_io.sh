#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_io.sh - the image stays what it is, whatever hosts do at both doors

# shellcheck disable=SC2154,SC2317,SC2329 # D0...; called by name
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
disks 3

# io NAME ARGUMENT...: run dmsio, show what it says when it fails
io()
{
	dmsio "$@" >"$TMP/io" 2>&1 || fail "dmsio $*: $(cat "$TMP/io")"
}

# at_both_doors SOURCE_OPTIONS DOOR_OPTIONS: the whole copy under writers and readers of
# both sides; one side's numbers are small, so what leaks there is found
at_both_doors()
{
	begin rate:524288 priority:high
	writers src "$C" --threads 6 --max-bytes 256k $1
	writers own "$D" --threads 6 --max-bytes 256k $2
	readers reader "$C"
	readers guest "$D"
	fast
	wait_state c Skewed
	! until_true 1 false || :
	stop src own reader guest
	fields c copy_state=Skewed source_errors=0 replica_errors=0
	same "$D" "$R"
	same "$C" "$S"
}

t_writers_at_both_doors_while_it_copies()
{
	at_both_doors "" "--seq $OWN_SEQ"
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	fresh
	at_both_doors "--seq $OWN_SEQ" ""
	nothing_lost "$C" src --max-seq "$OWN_LAST"
	nothing_lost "$D" own
}

# Regions that both sides write to for the first time at the same moment.
t_both_sides_of_one_region()
{
	begin $SLOW
	for at in 1000 3000 5000 7000; do
		writers src "$C" --sectors $at:300 --max-bytes 8k --pause 0
		writers own "$D" --sectors $at:300 --max-bytes 8k --pause 0 --seq $((OWN_SEQ + at * 50))
		stop src own
		nothing_lost "$C" src --sectors $at:300
		nothing_lost "$D" own --sectors $at:300 --max-seq "$OWN_LAST"
	done
	dmsio verify "$D" --max-seq "$OWN_LAST" >"$TMP/verify" || fail "$(cat "$TMP/verify")"
	fast
	wait_state c Skewed
	same "$D" "$R"
}

t_several_readers_see_the_same_while_writers_go_on()
{
	begin rate:524288 priority:high
	sum=$(dmsio sum "$S")
	writers src "$C" --threads 8 --max-bytes 256k
	for i in 1 2; do
		(
			for round in 1 2 3; do
				got=$(dmsio sum "$D")
				[ "$got" = "$sum" ] || { echo "round $round: $got" >"$TMP/bad.$i"; exit; }
			done
			: >"$TMP/good.$i"
		) &
		echo $! >>"$BASE/pids"
	done
	io read "$D" --ops 300 --threads 3 --max-bytes 128k --max-seq "$IMAGE_SEQ"
	until_true 60 sh -c "[ \$(ls $TMP/good.* $TMP/bad.* 2>/dev/null | wc -l) -eq 2 ]" ||
		fail "the readers do not end"
	! ls "$TMP"/bad.* >/dev/null 2>&1 || fail "the image changed: $(cat "$TMP"/bad.*)"
	fast
	synced c
	stop src
	holds "$R" image
	nothing_lost "$C" src
}

t_shapes_from_one_sector_to_4_MiB()
{
	begin $SLOW
	io write "$C" --ops 200 --threads 2 --bytes 512 --sectors 127:3 --log "$TMP/src.log"
	io write "$C" --ops 100 --threads 4 --max-bytes 4k --seed 2 --log "$TMP/src.log"
	holds "$D" image
	io write "$C" --ops 60 --threads 4 --fua --max-bytes 64k --seed 3 --log "$TMP/src.log"
	holds "$D" image
	io write "$C" --ops 40 --threads 4 --max-bytes 4M --flush-every 10 --seed 4 --log "$TMP/src.log"
	holds "$D" image
	fast
	synced c
	holds "$R" image
	nothing_lost "$C" src
	fresh
	begin $SLOW
	io write "$D" --ops 200 --threads 2 --bytes 512 --sectors 127:3 --seq "$OWN_SEQ" \
		--log "$TMP/own.log"
	io write "$D" --ops 100 --threads 4 --max-bytes 4k --seq 10000 --log "$TMP/own.log"
	io write "$D" --ops 60 --threads 4 --fua --max-bytes 64k --seq 20000 --log "$TMP/own.log"
	io write "$D" --ops 15 --threads 4 --max-bytes 2M --flush-every 5 --seq 30000 \
		--log "$TMP/own.log"
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	holds "$C" image
	fast
	wait_state c Skewed
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	same "$D" "$R"
}

t_buffered_and_unaligned_in_memory()
{
	begin $SLOW
	dd if=/dev/urandom of="$TMP/random" bs=1M count=2 status=none
	dd if="$TMP/random" of="$C" bs=7777 seek=11 conv=notrunc,fsync status=none
	dd if="$C" bs=7777 skip=11 count=260 status=none | cmp -n 2000000 - "$TMP/random" ||
		fail "read back something else"
	holds "$D" image
	dd if="$TMP/random" of="$D" bs=7777 seek=300 conv=notrunc,fsync status=none
	dd if="$D" bs=7777 skip=300 count=260 status=none | cmp -n 2000000 - "$TMP/random" ||
		fail "read back something else through the replica door"
	dd if="$TMP/random" of="$TMP/image.kept" bs=7777 seek=300 conv=notrunc status=none
	holds "$D" image
	fast
	wait_state c Skewed
	holds "$R" image
}

# Rule D: what is discarded is copied before, tracked, and a write of its own.
t_discard_and_write_zeroes()
{
	begin $SLOW
	io write "$C" --ops 150 --threads 4 --max-bytes 512k --discard 30 --zero 30 \
		--log "$TMP/src.log"
	holds "$D" image
	nothing_lost "$C" src
	if [ "$(cat "/sys/block/${C#/dev/}/queue/write_zeroes_max_bytes")" -gt 0 ]; then
		blkdiscard "$C" 2>/dev/null || blkdiscard -z "$C"
		! dmsio verify "$C" >/dev/null || fail "the discard did nothing"
		io verify "$C" --allow-zero
		holds "$D" image
	fi
	fast
	synced c
	holds "$R" image
	at_least "regions changed" "$(f c source_changed)" 1
	fresh
	# Through the replica door: aligned and not, whole regions and parts.
	begin $SLOW
	blkdiscard -z -o 512 -l 1048576 "$D"
	dd if=/dev/zero of="$TMP/image.kept" bs=512 seek=1 count=2048 conv=notrunc status=none
	blkdiscard -z -o $((64 * REGION_BYTES)) -l $((2 * REGION_BYTES)) "$D"
	dd if=/dev/zero of="$TMP/image.kept" bs=64k seek=64 count=2 conv=notrunc status=none
	holds "$D" image
	fields c replica_changed=19
	dmsio verify "$C" --max-seq "$IMAGE_SEQ" >/dev/null || fail "the source was changed"
	io write "$D" --ops 60 --threads 4 --max-bytes 128k --discard 30 --zero 30 --seq "$OWN_SEQ" \
		--sectors 10000:4000 --log "$TMP/own.log"
	nothing_lost "$D" own --sectors 10000:4000 --max-seq "$OWN_LAST"
	fast
	wait_state c Skewed
	same "$D" "$R"
	# A finished one: tracked, so that a refresh brings it over.
	op resync
	synced c
	blkdiscard -z -o $((5 * REGION_BYTES)) -l 4096 "$C"
	fields c source_changed=1
	op resync
	synced c
	same "$S" "$R"
}

t_overlapping_writers()
{
	begin $SLOW
	io write "$C" --ops 400 --threads 16 --max-bytes 64k --overlap --sectors 1000:2000
	io write "$C" --ops 400 --threads 16 --max-bytes 4k --overlap --sectors 5000:9 --seed 3
	holds "$D" image
	io write "$D" --ops 400 --threads 16 --max-bytes 32k --overlap --sectors 900:2200 --seed 2 \
		--seq "$OWN_SEQ"
	fast
	wait_state c Skewed
	same "$D" "$R"
	dmsio compare "$R" "$TMP/image.kept" --sectors 5000:100 >/dev/null ||
		fail "a write of the source is in the image"
}

# With such a rate the background comes to its second region tomorrow. That nothing is left
# for it must not wait for that.
t_a_copy_that_hosts_finish_is_finished_at_once()
{
	begin rate:1
	dd if="$S" of="$TMP/again" bs=1M status=none
	dd if="$TMP/again" of="$C" bs=1M oflag=direct conv=notrunc status=none
	synced c
	holds "$R" image
	fields c progress_status=Completed percent_synced=100
	fresh
	# Regions that hosts write as a whole are not copied at all.
	begin rate:1
	dd if="$TMP/again" of="$D" bs=1M oflag=direct conv=notrunc status=none
	wait_state c Skewed
	same "$D" "$R"
	holds "$R" image
}

# flushed SOURCE REPLICA [TIMES]: since "take_flushes", so often, or up to TIMES that, and
# hardly more
flushed()
{
	s=$(($(disk_stat "$D0" flushes) - fs)) r=$(($(disk_stat "$D1" flushes) - fr))
	at_least "flushes of the source" $s "$1"
	at_most "flushes of the source" $s $(($1 * ${3:-1} + 2))
	at_least "flushes of the replica" $r "$2"
	at_most "flushes of the replica" $r $(($2 * ${3:-1} + 2))
}

take_flushes()
{
	fs=$(disk_stat "$D0" flushes) fr=$(disk_stat "$D1" flushes)
}

t_a_flush_reaches_its_side()
{
	finished
	[ -n "$(disk_stat "$D0" flushes)" ] || skip "this kernel does not count flushes"
	grep -q 'write back' "/sys/block/$(kname "$D0")/queue/write_cache" ||
		skip "the disks have no write cache"
	io fill "$C" --sectors 0:8
	io fill "$D" --sectors 0:8
	wait_state c Skewed
	take_flushes
	io write "$C" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --flush-every 1
	flushed 20 0
	take_flushes
	io write "$D" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --flush-every 1
	flushed 0 20
	if [ "$(cat "/sys/block/$(kname "$D0")/queue/fua")" = 0 ]; then
		# The block layer may flush after a write that was FUA already.
		take_flushes
		io write "$C" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --fua
		flushed 20 0 2
		take_flushes
		io write "$D" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --fua
		flushed 0 20 2
	fi
	take_flushes
	io write "$C" --ops 20 --threads 1 --bytes 4k --sectors 0:8
	io write "$D" --ops 20 --threads 1 --bytes 4k --sectors 0:8
	flushed 0 0
	fresh
	# While it copies: a first write waits for its region's data to be durable (rule C).
	begin $SLOW
	take_flushes
	io fill "$C" --sectors 6400:8
	at_least "flushes of the replica" $(($(disk_stat "$D1" flushes) - fr)) 1
}

# without_caches DISK...: none of them has a write cache, until the test ends
without_caches()
{
	_caches=
	for _x; do
		_cache=/sys/block/$(kname "$_x")/queue/write_cache
		grep -q 'write back' "$_cache" || continue
		_caches="$_caches $_cache"
	done
	trap 'for _x in $_caches; do echo "write back" >"$_x"; done' EXIT
	for _x in $_caches; do
		echo "write through" >"$_x" || skip "the write cache cannot be taken away"
	done
}

# A disk that needs no flush gets none; what hosts wrote to the replica needs one to be found.
t_a_door_over_disks_without_a_cache_has_one()
{
	legs
	without_caches "$D0" "$D1" "$S" "$R"
	clone rate:1
	door
	reaches done_bytes 1
	grep -q 'write back' "/sys/block/$(kname "$D")/queue/write_cache" ||
		fail "the replica door says that it needs no flush"
	own_parts 20 4 $OWN_SEQ
	m=$(f c metadata_writes)
	sync "$D"
	at_least "metadata written by a flush" $(($(f c metadata_writes) - m)) 1
	m=$(f c metadata_writes)
	sync "$D"
	equal "metadata written by the next one" $(($(f c metadata_writes) - m)) 0
}

# lazily WHAT FLUSHES BLOCKS: since take_lazy, so many flushes of the replica, and up to so
# many blocks of metadata
lazily()
{
	equal "$1: flushes of the replica" $(($(disk_stat "$D1" flushes) - fr)) "$2"
	at_most "$1: blocks of metadata" $(($(f c metadata_writes) - m)) "$3"
	at_most "$1: sectors of metadata" $(($(disk_stat "$D2" write_sectors) - ms)) $((8 * $3))
	equal "$1: flushes of the source" $(($(disk_stat "$D0" flushes) - fs)) 0
}

take_lazy()
{
	take_flushes
	m=$(f c metadata_writes) ms=$(disk_stat "$D2" write_sectors)
}

# One map block each of U and T knows of all these regions.
t_first_writes_to_the_replica_cost_nothing_until_they_are_flushed()
{
	[ -n "$(disk_stat "$D0" flushes)" ] || skip "this kernel does not count flushes"
	grep -q 'write back' "/sys/block/$(kname "$D1")/queue/write_cache" ||
		skip "the disks have no write cache"
	begin rate:1
	reaches done_bytes 1
	take_lazy
	own_parts 20 10 $OWN_SEQ
	fields c replica_changed=10
	lazily "first writes" 0 0
	sync "$D"
	lazily "their flush" 1 2
	at_least "blocks that it wrote" $(($(f c metadata_writes) - m)) 2
	# From then on it is the replica's own: as of any disk.
	take_lazy
	own_parts 20 10 $((OWN_SEQ + 1))
	sync "$D"
	lazily "overwrites and a flush" 1 0
	# Where it is copied and the disk does not know it, more writes are as lazy.
	take_lazy
	own_parts 60 10 $OWN_SEQ
	own_parts 60 10 $((OWN_SEQ + 1))
	lazily "writes to what was copied" 0 0
	sync "$D"
	lazily "their flush" 1 2
	# With FUA a write waits for itself.
	take_lazy
	dmsio write "$D" --ops 1 --threads 1 --bytes 4k --sectors $((100 * REGION + 16)):8 --fua \
		>/dev/null
	at_least "metadata for FUA" $(($(f c metadata_writes) - m)) 2
	fast
	wait_state c Skewed
	for at in 20 38 60 78; do
		io verify "$D" --sectors $((at * REGION + 16)):8 --max-seq $((OWN_SEQ + 1))
		! dmsio verify "$D" --sectors $((at * REGION + 16)):8 --max-seq "$IMAGE_SEQ" \
			>/dev/null || fail "what was written to region $at is lost"
	done
}

t_a_file_system_on_top()
{
	command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4"
	N=49152
	finished
	mkfs.ext4 -q -E nodiscard "$C"
	mkdir "$TMP/mnt" "$TMP/own"
	mount "$C" "$TMP/mnt" || skip "no ext4"
	for i in $(seq 20); do
		dd if=/dev/urandom of="$TMP/mnt/before.$i" bs=4k count=8 status=none
	done
	(cd "$TMP/mnt" && md5sum before.*) >"$TMP/sums"
	sync
	op set rate 2097152
	op resync
	rm "$TMP"/mnt/before.*
	dd if=/dev/urandom of="$TMP/mnt/after" bs=64k count=16 status=none
	# Used while it is copied: its journal is replayed, files are changed.
	mount "$D" "$TMP/own" || fail "cannot mount the clone: $(dmesg | tail -n 3)"
	(cd "$TMP/own" && md5sum -c --quiet "$TMP/sums") >"$TMP/check" 2>&1 ||
		fail "files of before: $(cat "$TMP/check")"
	[ ! -e "$TMP/own/after" ] || fail "a file of after the instant is there"
	rm "$TMP"/own/before.1
	cp "$TMP/own/before.2" "$TMP/own/new"
	umount "$TMP/own"
	fast
	wait_state c Skewed
	umount "$TMP/mnt"
	e2fsck -fn "$R" >"$TMP/fsck" 2>&1 || fail "the clone: $(cat "$TMP/fsck")"
	e2fsck -fn "$C" >"$TMP/fsck" 2>&1 || fail "the source: $(cat "$TMP/fsck")"
	mount "$D" "$TMP/own"
	cmp "$TMP/own/new" "$TMP/own/before.2" || fail "what was copied there is something else"
	umount "$TMP/own"
}

all_stats()
{
	cat "/sys/block/$(kname "$D0")/stat" "/sys/block/$(kname "$D1")/stat" \
		"/sys/block/$(kname "$D2")/stat"
}

t_an_idle_clone_does_no_io()
{
	finished
	io write "$C" --ops 50
	io write "$D" --ops 50 --seq "$OWN_SEQ"
	! until_true 2 false || :
	before=$(all_stats)
	! until_true 3 false || :
	equal "I/O in idle seconds" "$(all_stats)" "$before"
}

_random()
{
	_seed=$(((_seed * 1103515245 + 12345) % 2147483648))
	_random=$((_seed / 65536 % $1))
}

# storm SEED COMMAND...: again and again until it is calm
storm()
{
	(
		_seed=$1
		shift
		while [ ! -e "$TMP/calm" ]; do
			"$@" >/dev/null 2>&1 || :
		done
	) &
	STORM="${STORM-} $!"
	echo $! >>"$BASE/pids"
}

some_operation()
{
	_random 12
	case $_random in
	0)	msg c fracture ;;
	1)	msg c split ;;
	2|3|4)	msg c resync ;;
	5)	msg c suspend ;;
	6)	msg c resume ;;
	7)	msg c abort ;;
	8)	msg c deactivate ;;
	9)	msg c activate ;;
	10)	msg c prepare ;;
	11)	msg c set rate 2097152; msg c set hold track; msg c set hold queue ;;
	esac
}

suspend_resume()
{
	_random 4
	case $_random in
	0)	dmsetup suspend "${P}c" ;;
	1)	dmsetup suspend --noflush "${P}c" ;;
	2)	dmsetup suspend --nolockfs "${P}c" ;;
	3)	reload --noflush ;;
	esac
	dmsetup resume "${P}c"
}

# Through the door something is refused in most states: what gets in must be right.
use_the_door()
{
	dmsio write "$D" --ops 20 --max-bytes 64k --keep-going
	dd if="$D" of=/dev/null bs=64k count=16 iflag=direct status=none
	dmsetup status "${P}d"
	synctl show "${P}c"
}

_live()
{
	dmsetup clear "${P}c" && dmsetup resume "${P}c"
}

# An operation ends; a copy may go on.
_not_in_flight()
{
	case $(f c progress_status) in
	Fracturing|Splitting|Detaching|Aborting|Suspending|Preparing) return 1 ;;
	esac
}

# at_rest: from wherever it was left to Synchronized, by a new instant
at_rest()
{
	until_true 30 _not_in_flight || fail "$(states c) is not over"
	fast
	msg c set priority high
	case $(f c copy_state) in
	Suspended)	op resume ;;
	Inactive|Initialized|Prepared) op activate ;;
	Unsynchronized) ;;
	*)		op resync ;;
	esac
	until_true 60 _is_done || fail "$(states c)"
}

_is_done()
{
	case $(f c copy_state) in
	Synchronized|Skewed) ;;
	*)	return 1 ;;
	esac
}

t_a_storm_of_operations()
{
	begin hold_max:2 priority:high
	LINE=$(clone_line hold_max:2 priority:high)
	writers src "$C" --threads 8 --hot 50
	STORM=
	storm 1 some_operation
	storm 2 some_operation
	storm 3 suspend_resume
	storm 4 use_the_door
	_who=$(cat "$TMP/src.pid")
	! until_true "${DM_SYNC_STORM:-10}" _gone "$_who" || fail "writers: $(cat "$TMP/src.out")"
	: >"$TMP/calm"
	for pid in $STORM; do
		until_true 60 _gone "$pid" || fail "process $pid hangs: $(cat "/proc/$pid/stack")"
	done
	until_true 10 _live || fail "the device cannot be resumed"
	at_rest
	stop src
	nothing_lost "$C" src
	fields c replica_errors=0 source_errors=0 held=0
	keep last "$C"
	op resync
	synced c
	holds "$R" last
	holds "$D" last
	remove d c
	! ls /sys/block/dm-*/dm-sync 2>/dev/null || fail "a sysfs directory was left"
}

run_tests t_writers_at_both_doors_while_it_copies t_both_sides_of_one_region \
	t_several_readers_see_the_same_while_writers_go_on t_shapes_from_one_sector_to_4_MiB \
	t_buffered_and_unaligned_in_memory t_discard_and_write_zeroes t_overlapping_writers \
	t_a_flush_reaches_its_side t_a_door_over_disks_without_a_cache_has_one \
	t_first_writes_to_the_replica_cost_nothing_until_they_are_flushed \
	t_a_file_system_on_top t_an_idle_clone_does_no_io \
	t_a_copy_that_hosts_finish_is_finished_at_once t_a_storm_of_operations

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mirror_io.sh - host I/O of every shape, while the copy runs and after it

. "$(dirname "$0")/lib.sh"
disks 3

# pair [OPTION...]: 16 MiB, the sides different before the first copy
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
}

# io NAME ARGUMENT...: run dmsio, show what it says when it fails
io()
{
	dmsio "$@" >"$TMP/io" 2>&1 || fail "dmsio $*: $(cat "$TMP/io")"
}

# Writers and readers for the whole first copy, then everything must be there.
t_writers_during_the_first_copy()
{
	pair rate:262144 priority:high
	background dmsio write "$M" --seconds 60 --threads 8 --max-bytes 512k --flush-every 50 \
		--ack "$TMP/ack" --log "$TMP/log"
	writers=$BG
	dmsio read "$M" --seconds 60 --threads 2 >"$TMP/read" 2>&1 &
	readers=$!
	echo $readers >>"$BASE/pids"
	until_true 10 test -s "$TMP/ack"
	[ "$(f m copy_state)" = Unsynchronized ] || fail "the copy was over too early"
	msg m set rate 4194304
	synced m
	until_true 3 false || kill $writers $readers
	wait_exit $writers || fail "writers: $(cat "$TMP/bg.log")"
	wait_exit $readers || fail "readers: $(cat "$TMP/read")"
	same "$S" "$R"
	io verify "$M" --ack "$TMP/log"
	io verify "$R" --ack "$TMP/log"
	fields m copy_state=Synchronized source_changed=0 replica_errors=0 source_errors=0
}

t_shapes_from_one_sector_to_4_MiB()
{
	pair
	synced m
	io write "$M" --ops 150 --threads 4 --max-bytes 4M --flush-every 25 --log "$TMP/log"
	io write "$M" --ops 600 --threads 4 --max-bytes 4k --seed 2 --log "$TMP/log"
	io write "$M" --ops 200 --threads 2 --bytes 512 --sectors 127:3 --seed 3 --log "$TMP/log"
	io write "$M" --ops 200 --threads 4 --fua --max-bytes 64k --seed 4 --log "$TMP/log"
	# The ends of the device.
	io fill "$M" --sectors 0:1
	io fill "$M" --sectors 32767:1
	same "$S" "$R"
	[ "$(f m copy_state)" = Synchronized ] || fail "$(states m)"
	io verify "$M" --ack "$TMP/log"
}

t_buffered_and_unaligned_in_memory()
{
	pair
	synced m
	dd if=/dev/urandom of="$TMP/random" bs=1M count=3 status=none
	dd if="$TMP/random" of="$M" bs=7777 seek=11 conv=notrunc,fsync status=none
	dd if="$TMP/random" of="$M" bs=512 seek=20001 count=999 oflag=direct conv=notrunc status=none
	same "$S" "$R"
	dd if="$M" bs=7777 skip=11 count=404 status=none | cmp -n 3000000 - "$TMP/random" ||
		fail "read back something else"
}

# After a discard or write-zeroes both sides hold the same, whatever the disks do.
t_discard_and_write_zeroes()
{
	pair
	synced m
	io write "$M" --ops 400 --threads 4 --max-bytes 1M --discard 30 --zero 30 --log "$TMP/log"
	same "$S" "$R"
	io verify "$M" --ack "$TMP/log"
	[ "$(cat "/sys/block/${M#/dev/}/queue/write_zeroes_max_bytes")" -gt 0 ] ||
		skip "the disks cannot write zeroes"
	io fill "$M"
	blkdiscard "$M" 2>/dev/null || blkdiscard -z "$M"
	same "$S" "$R"
	! dmsio verify "$M" >/dev/null || fail "the discard did nothing"
	io verify "$M" --allow-zero
	blkdiscard -z -o 512 -l 8388608 "$M"
	same "$S" "$R"
	# During a copy: marked regions, and a region that is copied in pieces.
	remove m
	blank "$D2"
	io fill "$S"
	io fill "$R"
	mirror m "$S" "$R" "$D2" 8192 rate:8388608
	io write "$(dev m)" --ops 200 --threads 4 --max-bytes 1M --discard 40 --zero 40 --pause 5000
	msg m set rate 0
	synced m
	same "$S" "$R"
}

# Nobody knows which of two overlapping writes is the later one, but the sides agree.
t_overlapping_writers()
{
	pair rate:8388608
	io write "$M" --ops 1500 --threads 16 --max-bytes 64k --overlap --sectors 1000:2000
	msg m set rate 0
	synced m
	same "$S" "$R"
	io write "$M" --ops 1500 --threads 16 --max-bytes 32k --overlap --sectors 3000:500 --seed 2
	io write "$M" --ops 1500 --threads 16 --max-bytes 4k --overlap --sectors 5000:9 --seed 3
	same "$S" "$R"
}

# Pages of a mapping change all the time; held is what comes after the instant of
# Suspended, so at that instant the sides must be equal.
t_stable_pages()
{
	pair hold_max:60
	synced m
	equal "stable_writes" "$(cat "/sys/block/${M#/dev/}/queue/stable_writes")" 1
	background dmsio mmap "$M" --seconds 120 --threads 4 --sectors 0:2048 --pause 1000
	for round in 1 2 3 4 5; do
		sleep 0.5
		msg m suspend
		wait_state m Suspended
		same "$S" "$R" --sectors 0:2048
		msg m resume
		synced m
	done
	kill "$BG"
	wait_exit "$BG" || fail "the mapping failed: $(cat "$TMP/bg.log")"
	[ "$(sed -n 's/^mapped ops=\([0-9]*\).*/\1/p' "$TMP/bg.log")" -gt 500 ] ||
		fail "hardly any page was changed in $round rounds: $(cat "$TMP/bg.log")"
	same "$S" "$R"
}

t_a_flush_reaches_both_sides()
{
	pair
	[ -n "$(disk_stat "$D0" flushes)" ] || skip "this kernel does not count flushes"
	grep -q 'write back' "/sys/block/$(kname "$D0")/queue/write_cache" ||
		skip "the disks have no write cache"
	synced m
	io fill "$M" --sectors 0:8
	s=$(disk_stat "$D0" flushes) r=$(disk_stat "$D1" flushes)
	io write "$M" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --flush-every 1
	at_least "flushes of the source" $(($(disk_stat "$D0" flushes) - s)) 20
	at_least "flushes of the replica" $(($(disk_stat "$D1" flushes) - r)) 20
	at_most "flushes of the source" $(($(disk_stat "$D0" flushes) - s)) 25
	# FUA: by the disk, or a flush of its own on each side.
	s=$(disk_stat "$D0" flushes) r=$(disk_stat "$D1" flushes)
	io write "$M" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --fua
	if [ "$(cat "/sys/block/$(kname "$D0")/queue/fua")" = 0 ]; then
		at_least "flushes of the source for FUA" $(($(disk_stat "$D0" flushes) - s)) 20
		at_least "flushes of the replica for FUA" $(($(disk_stat "$D1" flushes) - r)) 20
	fi
	# Nobody flushes for a plain write.
	s=$(disk_stat "$D0" flushes) r=$(disk_stat "$D1" flushes)
	io write "$M" --ops 20 --threads 1 --bytes 4k --sectors 0:8
	equal "flushes of the source for plain writes" $(($(disk_stat "$D0" flushes) - s)) 0
	equal "flushes of the replica for plain writes" $(($(disk_stat "$D1" flushes) - r)) 0
}

t_a_file_system_on_top()
{
	command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4"
	pair rate:4194304
	mkfs.ext4 -q -E nodiscard "$M"
	mkdir "$TMP/mnt"
	mount "$M" "$TMP/mnt" || skip "no ext4"
	cp -R /usr/include/linux/[a-g]* "$TMP/mnt/" 2>/dev/null || cp /etc/[a-m]* "$TMP/mnt/" 2>/dev/null || :
	msg m set rate 0
	synced m
	rm -rf "$TMP"/mnt/c*
	cp "$TMP"/mnt/[a-b]* /dev/null 2>/dev/null || :
	umount "$TMP/mnt"
	same "$S" "$R"
	e2fsck -fn "$R" >"$TMP/fsck" 2>&1 || fail "the replica's file system: $(cat "$TMP/fsck")"
}

t_an_idle_pair_does_no_io()
{
	pair
	synced m
	io write "$M" --ops 50
	sleep 2
	before=$(cat "/sys/block/$(kname "$D0")/stat" "/sys/block/$(kname "$D1")/stat" "/sys/block/$(kname "$D2")/stat")
	sleep 4
	after=$(cat "/sys/block/$(kname "$D0")/stat" "/sys/block/$(kname "$D1")/stat" "/sys/block/$(kname "$D2")/stat")
	equal "I/O in four idle seconds" "$after" "$before"
}

run_tests t_writers_during_the_first_copy t_shapes_from_one_sector_to_4_MiB \
	t_buffered_and_unaligned_in_memory t_discard_and_write_zeroes t_overlapping_writers \
	t_stable_pages t_a_flush_reaches_both_sides t_a_file_system_on_top \
	t_an_idle_pair_does_no_io

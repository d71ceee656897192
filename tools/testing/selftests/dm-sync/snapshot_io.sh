#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_io.sh - images are of one instant and stay so, whatever hosts do meanwhile

# shellcheck disable=SC2154 # D0...
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
disks 2
N=8192

# io NAME ARGUMENT...: run dmsio, show what it says when it fails
io()
{
	dmsio "$@" >"$TMP/io" 2>&1 || fail "dmsio $*: $(cat "$TMP/io")"
}

_longer_than()
{
	[ "$(wc -l <"$1")" -gt "$2" ]
}

# What was acknowledged before the request is in it; nothing that was issued after.
t_a_point_in_time_under_writers()
{
	volume
	rm -f "$TMP/ack"
	writers --fua --ack "$TMP/ack"
	for name in a b c; do
		until_true 20 test -s "$TMP/ack" || fail "nothing is acknowledged"
		cp "$TMP/ack" "$TMP/before.$name"
		create $name
		# The number of the newest write is told when one is acknowledged: a later bound.
		lines=$(wc -l <"$TMP/ack")
		until_true 20 _longer_than "$TMP/ack" $((lines + 5)) || fail "the writers stand still"
		# The last line may be there in part.
		tail -n 2 "$TMP/ack" | sed -n '1s/.* //p' >"$TMP/newest.$name"
		keep_image $name
	done
	more 100
	as_kept a b c
	stop_writers
	for name in a b c; do
		as_kept $name
		# A line may have been cut by the copy.
		sed -i '$d' "$TMP/before.$name"
		at_least "writes before $name" "$(wc -l <"$TMP/before.$name")" 1
		io verify "$(dev d.$name)" --ack "$TMP/before.$name" \
			--max-seq "$(cat "$TMP/newest.$name")"
		one_instant $name
	done
	different "$(dev d.a)" "$(dev d.b)"
	different "$(dev d.c)" "$V"
	no_write_is_lost
	# The check itself: a mixture of two instants is found.
	dd if="$TMP/c.kept" of="$TMP/a.kept" bs=1M skip=2 seek=2 conv=notrunc status=none
	! dmsio compare "$(dev d.a)" "$TMP/a.kept" >/dev/null || fail "nothing is compared"
}

# Chunks change their place while they are read.
t_several_readers_see_the_same_while_writers_go_on()
{
	volume
	create a
	keep a
	sum=$(dmsio sum "$V")
	writers --max-bytes 256k
	door=$(dev d.a) readers=
	for i in 1 2; do
		(
			for round in 1 2 3; do
				got=$(dmsio sum "$door")
				[ "$got" = "$sum" ] || fail "an image changed: round $round: $got"
			done
		) &
		readers="$readers $!"
		echo $! >>"$BASE/pids"
	done
	dmsio read "$door" --ops 300 --threads 3 --max-bytes 128k --max-seq 1 >"$TMP/read" 2>&1 ||
		fail "a reader of random pieces: $(cat "$TMP/read")"
	for reader in $readers; do
		wait_exit "$reader" 60 || fail "a reader of the whole image"
	done
	stop_writers
	as_kept a
	different "$(dev d.a)" "$V"
	no_write_is_lost
}

t_shapes_from_one_sector_to_4_MiB()
{
	volume
	create a
	keep a
	io write "$V" --ops 40 --threads 4 --max-bytes 4M --flush-every 10 --log "$TMP/log"
	as_kept a
	create b
	keep b
	io write "$V" --ops 300 --threads 4 --max-bytes 4k --seed 2 --log "$TMP/log"
	io write "$V" --ops 100 --threads 2 --bytes 512 --sectors 127:3 --seed 3 --log "$TMP/log"
	io write "$V" --ops 100 --threads 4 --fua --max-bytes 64k --seed 4 --log "$TMP/log"
	io fill "$V" --sectors 0:1
	io fill "$V" --sectors $((N - 1)):1
	as_kept a b
	no_write_is_lost
}

t_buffered_and_unaligned_in_memory()
{
	volume
	create a
	keep a
	dd if=/dev/urandom of="$TMP/random" bs=1M count=3 status=none
	dd if="$TMP/random" of="$V" bs=7777 seek=11 conv=notrunc,fsync status=none
	dd if="$V" bs=7777 skip=11 count=404 status=none | cmp -n 3000000 - "$TMP/random" ||
		fail "read back something else"
	as_kept a
	dd if="$TMP/random" of="$(dev d.a)" bs=7777 seek=100 conv=notrunc,fsync status=none
	dd if="$(dev d.a)" bs=7777 skip=100 count=404 status=none |
		cmp -n 3000000 - "$TMP/random" || fail "read back something else through the door"
	dd if="$TMP/random" of="$TMP/a.kept" bs=7777 seek=100 conv=notrunc status=none
	as_kept a
}

# Rule D: what is discarded has to be saved as well, whole chunks not excepted.
t_discard_and_write_zeroes()
{
	volume
	create a
	keep a
	io write "$V" --ops 200 --threads 4 --max-bytes 1M --discard 30 --zero 30 --log "$TMP/log"
	as_kept a
	no_write_is_lost
	dmsio fill "$V" >/dev/null
	create b
	keep b
	[ "$(cat "/sys/block/${V#/dev/}/queue/write_zeroes_max_bytes")" -gt 0 ] ||
		skip "the disks cannot write zeroes"
	blkdiscard "$V" 2>/dev/null || blkdiscard -z "$V"
	io verify "$V" --allow-zero
	! dmsio verify "$V" >/dev/null || fail "the discard did nothing"
	as_kept a b
	fields v@b saved_bytes=$((N * 512))
	# Through a door: an own write.
	blkdiscard -z -o 512 -l 1048576 "$(dev d.a)"
	dd if=/dev/zero of="$TMP/a.kept" bs=512 seek=1 count=2048 conv=notrunc status=none
	as_kept a b
}

t_overlapping_writers()
{
	volume
	create a
	keep a
	io write "$V" --ops 800 --threads 16 --max-bytes 64k --overlap --sectors 1000:2000
	io write "$V" --ops 800 --threads 16 --max-bytes 4k --overlap --sectors 5000:9 --seed 3
	as_kept a
	create b
	keep b
	io write "$V" --ops 500 --threads 16 --max-bytes 32k --overlap --sectors 900:2200 --seed 2
	as_kept a b
}

t_flushes_go_to_the_source_alone()
{
	legs
	[ -n "$(disk_stat "$D0" flushes)" ] || skip "this kernel does not count flushes"
	grep -q 'write back' "/sys/block/$(kname "$D0")/queue/write_cache" ||
		skip "the disks have no write cache"
	store
	create a
	io fill "$V" --sectors 0:8
	s=$(disk_stat "$D0" flushes) t=$(disk_stat "$D1" flushes)
	io write "$V" --ops 20 --threads 1 --bytes 4k --sectors 0:8 --flush-every 1
	at_least "flushes of the source" $(($(disk_stat "$D0" flushes) - s)) 20
	at_most "flushes of the source" $(($(disk_stat "$D0" flushes) - s)) 22
	equal "flushes of the store" $(($(disk_stat "$D1" flushes) - t)) 0
	# Through the door: to the store.
	io fill "$(dev d.a)" --sectors 512:8
	s=$(disk_stat "$D0" flushes) t=$(disk_stat "$D1" flushes)
	io write "$(dev d.a)" --ops 10 --threads 1 --bytes 4k --sectors 512:8 --flush-every 1
	at_least "flushes of the store" $(($(disk_stat "$D1" flushes) - t)) 10
	at_most "flushes of the source" $(($(disk_stat "$D0" flushes) - s)) 2
}

# Two images and the source are written to at the same time: nobody sees another's.
t_own_writes_are_kept_apart()
{
	volume
	create a b c
	keep c
	dmsio write "$V" --ops 150 --threads 3 --max-bytes 64k --log "$TMP/log" --seed 1 >/dev/null &
	first=$!
	dmsio write "$(dev d.a)" --ops 150 --threads 3 --max-bytes 64k --flush-every 20 \
		--log "$TMP/log.a" --seed 2 >"$TMP/out.a" 2>&1 &
	second=$!
	dmsio write "$(dev d.b)" --ops 150 --threads 3 --max-bytes 64k --flush-every 20 \
		--log "$TMP/log.b" --seed 3 >"$TMP/out.b" 2>&1 &
	third=$!
	echo $first $second $third >>"$BASE/pids"
	wait_exit $first 100 || fail "writers of the source failed"
	wait_exit $second 100 || fail "writers of a: $(cat "$TMP/out.a")"
	wait_exit $third 100 || fail "writers of b: $(cat "$TMP/out.b")"
	no_write_is_lost
	io verify "$(dev d.a)" --ack "$TMP/log.a"
	io verify "$(dev d.b)" --ack "$TMP/log.b"
	as_kept c
	fields v@c copy_state=Synchronized
	wait_state v@a Skewed
	wait_state v@b Skewed
	# Nobody's numbers where they do not belong: what a wrote is not in b or the source.
	for pair in "$(dev d.b) $TMP/log.a" "$V $TMP/log.a" "$(dev d.a) $TMP/log.b"; do
		! dmsio verify ${pair% *} --ack "${pair#* }" >/dev/null 2>&1 ||
			fail "${pair% *} holds what was written elsewhere: ${pair#* }"
	done
	# It all outlives the device.
	for name in a b c; do
		keep_image $name
	done
	again
	as_kept a b c
	# Deleting one takes nothing from the others.
	delete a
	as_kept b c
	fields v@b copy_state=Skewed
}

t_reset_takes_an_image_back_to_its_point_in_time()
{
	volume
	create a b
	keep a b
	when=$(f v@a sync_time)
	dmsio write "$V" --ops 60 --threads 2 --max-bytes 64k >/dev/null
	n=$(used)
	equal "reset of what was not written" "$(message v image reset-replica a)" 0
	for round in 1 2; do
		io write "$(dev d.a)" --ops 60 --threads 2 --max-bytes 64k --seed $round
		wait_state v@a Skewed
		[ "$(used)" -gt "$n" ] || fail "own writes take no space"
		different "$(dev d.a)" "$TMP/a.kept"
		image reset-replica a
		fields v@a copy_state=Synchronized progress_status=Completed "sync_time=$when"
		as_kept a b
		used_becomes "$n"
	done
	# It is acknowledged before the image is shown as written to; a reset undoes it.
	for round in 3 4 5 6 7; do
		io write "$(dev d.a)" --ops 1 --bytes 4k --seed $round
		image reset-replica a
		as_kept a
		fields v@a copy_state=Synchronized
	done
	again
	fields v@a copy_state=Synchronized
	as_kept a b
	# While somebody writes through the door: held, then goes on.
	background dmsio write "$(dev d.a)" --seconds 3600 --threads 3 --max-bytes 32k --pause 500
	wait_state v@a Skewed
	image reset-replica a
	wait_state v@a Skewed
	kill "$BG"
	wait_exit "$BG" || fail "a write through the door failed: $(cat "$TMP/bg.log")"
	image reset-replica a
	as_kept a b
}

t_several_doors_of_one_image()
{
	volume
	create a
	replica_door e v a
	io fill "$(dev d.a)" --sectors 100:300
	io fill "$(dev e)" --sectors 1000:300
	same "$(dev d.a)" "$(dev e)"
	remove e
	dmsio verify "$(dev d.a)" >/dev/null || fail "the other door"
}

# mount_image NAME
mount_image()
{
	mkdir -p "$TMP/$1"
	mount "$(dev "d.$1")" "$TMP/$1" || fail "cannot mount image $1: $(dmesg | tail -n 3)"
}

# Taking an image freezes the file system: its journal is empty, every file is there.
t_a_mounted_file_system()
{
	command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4"
	STORE_N=98304 N=16384
	volume
	mkfs.ext4 -q -E nodiscard "$V"
	mkdir "$TMP/mnt"
	mount "$V" "$TMP/mnt" || skip "no ext4"
	for i in $(seq 20); do
		dd if=/dev/urandom of="$TMP/mnt/before.$i" bs=4k count=8 status=none
	done
	(cd "$TMP/mnt" && md5sum before.*) >"$TMP/sums"
	# Not synced: the freeze writes it out.
	: >"$TMP/rounds"
	(
		i=0
		while [ ! -e "$TMP/stop" ]; do
			i=$((i + 1))
			printf '%020000d' $i >"$TMP/mnt/during.$((i % 40))" || exit 1
			rm -f "$TMP/mnt/during.$(((i + 20) % 40))"
			echo >>"$TMP/rounds"
		done
	) 2>"$TMP/during" &
	busy=$!
	echo $busy >>"$BASE/pids"
	image create a
	until_true 30 _longer_than "$TMP/rounds" 40 || fail "the file system stands still"
	# Then everything of before is destroyed.
	rm "$TMP"/mnt/before.*
	image create b
	: >"$TMP/stop"
	wait_exit $busy || fail "the file system failed: $(cat "$TMP/during")"
	umount "$TMP/mnt"
	door a
	door b
	if command -v dumpe2fs >/dev/null; then
		! dumpe2fs -h "$(dev d.a)" 2>/dev/null | grep -q needs_recovery ||
			fail "the image has a journal to be recovered"
	fi
	e2fsck -fn "$(dev d.a)" >"$TMP/fsck" 2>&1 || fail "image a: $(cat "$TMP/fsck")"
	e2fsck -fn "$(dev d.b)" >"$TMP/fsck" 2>&1 || fail "image b: $(cat "$TMP/fsck")"
	mount_image a
	(cd "$TMP/a" && md5sum -c --quiet "$TMP/sums") >"$TMP/check" 2>&1 ||
		fail "files of before: $(cat "$TMP/check")"
	mount_image b
	! ls "$TMP"/b/before.* >/dev/null 2>&1 || fail "deleted files are in the later image"
	# Read and write through its door.
	rm "$TMP"/a/before.1
	cp "$TMP/a/before.2" "$TMP/a/new"
	sync -f "$TMP/a"
	equal "delete while mounted" "$(message v image delete a)" EBUSY
	umount "$TMP/a" "$TMP/b"
	wait_state v@a Skewed
	e2fsck -fn "$(dev d.a)" >"$TMP/fsck" 2>&1 || fail "image a: $(cat "$TMP/fsck")"
	e2fsck -fn "$V" >"$TMP/fsck" 2>&1 || fail "the source: $(cat "$TMP/fsck")"
	mount_image a
	cmp "$TMP/a/new" "$TMP/a/before.2"
	umount "$TMP/a"
	image reset-replica a
	mount_image a
	(cd "$TMP/a" && md5sum -c --quiet "$TMP/sums") >"$TMP/check" 2>&1 ||
		fail "files of before after a reset: $(cat "$TMP/check")"
	umount "$TMP/a"
}

t_an_idle_store_does_no_io()
{
	volume
	create a
	io write "$V" --ops 50
	sleep 1
	before=$(cat "/sys/block/$(kname "$D0")/stat" "/sys/block/$(kname "$D1")/stat")
	sleep 3
	after=$(cat "/sys/block/$(kname "$D0")/stat" "/sys/block/$(kname "$D1")/stat")
	equal "I/O in three idle seconds" "$after" "$before"
}

run_tests t_a_point_in_time_under_writers t_several_readers_see_the_same_while_writers_go_on \
	t_shapes_from_one_sector_to_4_MiB t_buffered_and_unaligned_in_memory \
	t_discard_and_write_zeroes t_overlapping_writers t_flushes_go_to_the_source_alone \
	t_own_writes_are_kept_apart t_reset_takes_an_image_back_to_its_point_in_time \
	t_several_doors_of_one_image t_a_mounted_file_system t_an_idle_store_does_no_io

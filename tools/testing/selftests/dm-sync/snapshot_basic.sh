#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_basic.sh - a store is made, images are taken: fields, names, limits, I/O counts
#
# vm: --disk 64M --disk 64M --disk 64M,fua=on --disk 64M,fua=on

# shellcheck disable=SC2154 # D0...
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
need_program python3
disks 2
NL="python3 -SE $here/nl.py"

t_fields_of_an_image_from_creation_on()
{
	volume
	image create a
	fields v@a copy_state=Synchronized progress_status=Completed \
		"requested_copy_state=Not Applicable" sync_state=Idle sync_maintained=0 \
		percent_synced=100 sync_type=Snapshot sync_mode=Synchronous \
		copy_type=UnSyncAssoc "replica_type=After Delta" \
		"copy_methodology=Copy On Write" reason=none door_access=read-write \
		size_bytes=$((N * 512)) region_bytes=$CHUNK_BYTES recovery_point_objective=- \
		saved_bytes=0 alone_bytes=0 store_bytes=$((STORE_N * 512)) held=0
	[ "$(f v@a sync_time)" != - ] || fail "no sync_time"
	at_least "pause_ns" "$(f v@a pause_ns)" 1
	at_most "pause_ns" "$(f v@a pause_ns)" 30000000000
	equal "images, used, space" "$(status_word v 4) $(used) $(status_word v 6)" "1 0 ok"
	equal "slots" "$(status_word v 3)" "0/$(f v@a slots)"
	free=$(f v@a store_free_bytes)
	# One chunk that a needs alone, then one that both need, saved for the newer.
	dmsio fill "$V" --sectors 8:8 >/dev/null
	fields v@a saved_bytes=$CHUNK_BYTES alone_bytes=$CHUNK_BYTES source_changed=1 \
		store_free_bytes=$((free - CHUNK_BYTES))
	image create b
	fields v@b saved_bytes=0 alone_bytes=0
	dmsio fill "$V" --sectors 256:8 >/dev/null
	fields v@a saved_bytes=$CHUNK_BYTES alone_bytes=$CHUNK_BYTES source_changed=2
	fields v@b saved_bytes=$CHUNK_BYTES alone_bytes=0 source_changed=1
	equal "images, used" "$(status_word v 4) $(used)" "2 2"
	equal "bytes saved" "$(status_word v 5)" $((2 * CHUNK_BYTES))
	door b
	dmsio fill "$(dev d.b)" --sectors 512:8 >/dev/null
	wait_state v@b Skewed
	fields v@b progress_status=Completed "requested_copy_state=Not Applicable" \
		sync_maintained=0 sync_state=Idle door_access=read-write
	fields v@a copy_state=Synchronized
	equal "used" "$(used)" 3
}

# stopped NAME STATE PROGRESS SYNC_STATE
stopped()
{
	image create "$1" "$2"
	fields "v@$1" "copy_state=$3" "progress_status=$4" "sync_state=$5" sync_time=- \
		door_access=none "requested_copy_state=Not Applicable" sync_maintained=0
	dmsio fill "$V" --sectors 0:8 >/dev/null
	equal "chunks saved for nobody" "$(used)" 0
}

t_creation_can_stop_earlier()
{
	volume
	stopped i initialized Initialized Completed Initialized
	stopped p prepared Prepared "Requires activate" Prepared
	stopped x inactive Inactive Dormant Quiesced
	again
	fields v@i copy_state=Initialized
	fields v@p copy_state=Prepared
	fields v@x copy_state=Inactive sync_time=-
	for name in i p x; do
		image activate $name
		fields v@$name copy_state=Synchronized door_access=read-write
		[ "$(f v@$name sync_time)" != - ] || fail "$name: no sync_time"
		door $name
		same "$(dev d.$name)" "$V"
	done
	equal "stop_at nonsense" "$(message v image create y unsynchronized)" EINVAL
}

t_an_image_is_taken_up_where_it_stood()
{
	volume
	uuid=$(status_word v 2)
	create a b
	keep a
	dmsio write "$V" --ops 100 --threads 2 --max-bytes 64k >/dev/null
	image deactivate b force
	when=$(f v@a sync_time) id=$(f v@a uuid) saved=$(f v@a saved_bytes) n=$(used)
	again
	equal "uuid of the store" "$(status_word v 2)" "$uuid"
	fields v@a copy_state=Synchronized "sync_time=$when" uuid="$id" saved_bytes="$saved"
	fields v@b copy_state=Inactive door_access=none
	equal "used" "$(used)" "$n"
	as_kept a
	dmsio fill "$(dev d.a)" --sectors 0:300 --seq 5 >/dev/null
	wait_state v@a Skewed
	again
	fields v@a copy_state=Skewed progress_status=Completed
	dmsio verify "$(dev d.a)" --sectors 0:300 >/dev/null || fail "own writes are lost"
	dd if="$(dev d.a)" of="$TMP/own" bs=512 count=300 iflag=direct status=none
	dd if="$TMP/own" of="$TMP/a.kept" conv=notrunc status=none
	as_kept a
}

# wrong SENTENCE LINE: refused, and the store is what it was
wrong()
{
	before=$(dmsio sum "$ST")
	log_mark
	! dmsetup create "${P}v" --table "$2" >/dev/null 2>&1 || fail "accepted: $2"
	logged "$1"
	[ "$(dmsio sum "$ST")" = "$before" ] || fail "refused, but the store was written: $2"
	! dev v >/dev/null || remove v
}

t_wrong_stores_are_refused_untouched()
{
	STORE_N=16384
	legs
	store
	create a
	keep a
	dmsio fill "$V" --sectors 0:2000 >/dev/null
	remove d.a v
	CHUNK=64
	wrong "another chunk size" "$(store_line)"
	CHUNK=128
	wrong "source of another size" "0 $((N - 8)) sync snapshot $S $ST - 128"
	wrong "another uuid" "$(store_line uuid:12345678-9abc-4def-8123-456789abcdef)"
	slice small "$D1" $((STORE_N - 8192))
	wrong "smaller than the store" "0 $N sync snapshot $S $(dev small) - 128"
	# None of these did any harm.
	store
	door a
	as_kept a
	remove d.a v small
	# What is not ours.
	dmsio fill "$ST" --sectors 0:4096 >/dev/null
	wrong "not blank" "$(store_line)"
	blank "$ST"
	echo hello | dd of="$ST" bs=512 seek=200 conv=notrunc,sync oflag=direct status=none
	wrong "not blank" "$(store_line)"
	store format
	equal "images after format" "$(status_word v 4)" 0
	dmsetup table "${P}v" | grep -qv format || fail "format is shown: it would be done again"
	# It is for a store that is not in use, and never loses an image by a reload.
	image create kept
	log_mark
	LINE=$(store_line format)
	reload
	logged "format is ignored"
	fields v@kept copy_state=Synchronized
	equal "images after a reload with format" "$(status_word v 4)" 1
	# A device has one user only.
	wrong2="0 $N sync snapshot $S $ST - 128"
	! dmsetup create "${P}w" --table "$wrong2" >/dev/null 2>&1 || fail "the store has two users"
	! dmsetup create "${P}w" --table "0 $N sync mirror $S $ST - 128" >/dev/null 2>&1 ||
		fail "a mirror writes to the store"
	remove v
}

t_a_damaged_superblock_is_repaired_or_refused()
{
	STORE_N=16384
	volume
	create a
	keep a
	dmsio fill "$V" --sectors 0:1000 >/dev/null
	remove d.a v
	# Either home alone is enough; none is not. Which one is newer is not known here.
	dd if="$ST" of="$TMP/head" bs=64k count=2 iflag=direct status=none
	dd if=/dev/urandom of="$ST" bs=4k count=1 conv=notrunc oflag=direct status=none
	if store 2>/dev/null; then
		door a
		as_kept a
		remove d.a v
	fi
	dd if="$TMP/head" of="$ST" bs=64k conv=notrunc oflag=direct status=none
	dd if=/dev/urandom of="$ST" bs=64k count=2 conv=notrunc oflag=direct status=none
	wrong "superblock of the store is damaged\|not blank" "$(store_line)"
	dd if="$TMP/head" of="$ST" bs=64k conv=notrunc oflag=direct status=none
	store
	door a
	as_kept a
}

# by_netlink ATTRIBUTE: what "get" said
by_netlink()
{
	while read -r _key _value; do
		[ "$_key" != "$1" ] || echo "$_value"
	done <"$TMP/nl"
}

t_sysfs_netlink_and_status_agree()
{
	volume
	image create a
	image create b prepared
	dmsio fill "$V" --sectors 0:500 >/dev/null
	$NL get "${P}v@a" >"$TMP/nl" || fail "netlink: $(cat "$TMP/nl")"
	for pair in "id id" "size-bytes size_bytes" "region-bytes region_bytes" \
			"percent-synced percent_synced" "sync-maintained sync_maintained" \
			"held held" "hold-max hold_max" "metadata-writes metadata_writes" \
			"saved-bytes saved_bytes" "alone-bytes alone_bytes" "slots slots" \
			"store-bytes store_bytes" "store-free-bytes store_free_bytes" \
			"pause-ns pause_ns"; do
		equal "$pair" "$(by_netlink "${pair% *}")" "$(f v@a "${pair#* }")"
	done
	states=
	for attribute in copy-state progress-status requested-copy-state sync-state sync-type \
			sync-mode copy-type replica-type copy-methodology door-access; do
		states="$states $(by_netlink $attribute)"
	done
	equal "states by netlink" "$states" " 4 2 15 11 7 2 4 4 6 2"
	equal "image" "$(by_netlink image)" a
	equal "uuid" "$(by_netlink uuid)" "$(f v@a uuid | tr -d -)"
	equal "dump" "$($NL dump | sed 's/^[0-9]* //' | sort)" "${P}v@a 4
${P}v@b 11"
	equal "status" "$(status_word v 1) $(status_word v 3) $(status_word v 4) $(status_word v 5)" \
		"snapshot 4/$(f v@a slots) 2 $(f v@a saved_bytes)"
	equal "free" "$(f v@a store_free_bytes)" $((($(f v@a slots) - 4) * CHUNK_BYTES))
	equal "table" "$(dmsetup table "${P}v" | cut -d ' ' -f 3-4,7-8)" "sync snapshot - 128"
	# Events of a life: creation, changes, the end, in this order.
	$NL events 3600 >"$TMP/events" 2>&1 &
	echo $! >>"$BASE/pids"
	until_true 20 grep -q listening "$TMP/events" || fail "no listener"
	image create c
	image suspend c
	image delete c
	until_true 20 grep -q " delete ${P}v@c " "$TMP/events" || fail "events: $(cat "$TMP/events")"
	sed 1d "$TMP/events" | cut -d ' ' -f 2-5 >"$TMP/life"
	equal "first event" "$(head -n 1 "$TMP/life")" "create ${P}v@c 4 2"
	grep -q "^change ${P}v@c 9 3" "$TMP/life" || fail "no event of Suspended: $(cat "$TMP/life")"
	equal "last event" "$(tail -n 1 "$TMP/life" | cut -d ' ' -f 1-2)" "delete ${P}v@c"
	equal "events of others" "$(grep -vc "${P}v@c" "$TMP/life")" 0
	[ ! -d "$(sysdir v@c)" ] || fail "the directory of a deleted image is there"
}

t_names()
{
	volume
	long=n23456789.123456789_123456789-123456789+123456789.123456789.123
	image create twice
	equal "the same name" "$(message v image create twice)" EEXIST
	logged "there is an image of this name already"
	for name in A.b-c_d+9 - ... $long; do
		image create "$name"
		fields "v@$name" copy_state=Synchronized
		image delete "$name"
	done
	# Of a message's backslashes device-mapper takes every other.
	for name in "" . .. a/b a@b ä 'a\\b' "${long}x" a:b; do
		equal "image \"$name\"" "$(message v image create "$name")" EINVAL
	done
	equal "no such image" "$(message v image delete nobody)" ENOENT
	equal "no such operation" "$(message v image vanish twice)" EINVAL
	equal "no operation" "$(message v image)" EINVAL
	equal "images" "$(status_word v 4)" 1
}

# many FIRST END: images by one process, as starting dmsetup takes long on a small machine
many()
{
	$NL images "${P}v" "$1" "$2" >"$TMP/many" 2>&1 || fail "netlink: $(cat "$TMP/many")"
}

t_as_many_images_as_there_can_be()
{
	volume
	keep i0 i137 i249
	many 0 250
	equal "refused of 250" "$(cat "$TMP/many")" ""
	equal "images" "$(status_word v 4)" 250
	# One chunk is saved once for all of them.
	dmsio fill "$V" --sectors 300:8 >/dev/null
	equal "used" "$(used)" 1
	many 250 254
	equal "beyond what is possible" "$(cat "$TMP/many")" \
		"252 ENOSPC the store has as many images as it can have
253 ENOSPC the store has as many images as it can have"
	equal "images" "$(status_word v 4)" 252
	remove v
	store
	equal "images" "$(status_word v 4)" 252
	for i in i0 i137 i249; do
		door $i
		as_kept $i
	done
	shut i0 i137
	image delete i137
	image create anew
}

# chunks CHUNK: sources whose last chunk is short, I/O of every size
chunks()
{
	CHUNK=$1
	N=$((4096 - 5))
	[ "$1" -le 128 ] || N=$((8192 - 5))
	volume
	create a
	keep a
	dmsio write "$V" --ops 60 --threads 2 --max-bytes 256k >/dev/null
	create b
	keep b
	dmsio fill "$V" --sectors "$((N - 1)):1" >/dev/null
	dmsio write "$V" --ops 60 --threads 2 --max-bytes 1M >/dev/null
	as_kept a b
	dmsio fill "$V" >/dev/null
	as_kept a b
	equal "all saved for b" "$(f v@b saved_bytes)" $(((N + CHUNK - 1) / CHUNK * CHUNK * 512))
	again
	as_kept a b
	dmsio fill "$(dev d.a)" --sectors "$((N - 1)):1" --seq 77 >/dev/null
	dmsio verify "$(dev d.a)" --sectors "$((N - 1)):1" >/dev/null || fail "the last sector"
	as_kept b
	delete a b
	used_becomes 0
}

t_chunks_of_8_sectors() { chunks 8; }
t_chunks_of_32_sectors() { chunks 32; }
t_chunks_of_128_sectors() { chunks 128; }
t_chunks_of_2048_sectors() { chunks 2048; }

# Whether an empty flush counts as a write, too, depends on the kernel: E is 1 if so.
calibrate()
{
	sync "$CT"
	_writes=$(disk_stat "$CT" writes)
	sync "$CT"
	E=$(($(disk_stat "$CT" writes) - _writes))
}

# take_counts: of source and store, into variables
take_counts()
{
	sr=$(disk_stat "$CS" reads) srs=$(disk_stat "$CS" read_sectors)
	sw=$(disk_stat "$CS" writes) sf=$(disk_stat "$CS" flushes)
	tr=$(disk_stat "$CT" reads) tw=$(disk_stat "$CT" writes)
	tws=$(disk_stat "$CT" write_sectors) tf=$(disk_stat "$CT" flushes)
}

# counted WHAT SOURCE_READS READ_SECTORS WRITES STORE_READS WRITES WRITE_SECTORS FLUSHES
counted()
{
	equal "$1: reads of the source" $(($(disk_stat "$CS" reads) - sr)) "$2"
	equal "$1: sectors read" $(($(disk_stat "$CS" read_sectors) - srs)) "$3"
	equal "$1: writes to the source" $(($(disk_stat "$CS" writes) - sw)) "$4"
	equal "$1: flushes of the source" $(($(disk_stat "$CS" flushes) - sf)) 0
	equal "$1: reads of the store" $(($(disk_stat "$CT" reads) - tr)) "$5"
	equal "$1: writes to the store" $(($(disk_stat "$CT" writes) - tw - E * $8)) "$6"
	equal "$1: sectors written to the store" $(($(disk_stat "$CT" write_sectors) - tws)) "$7"
	equal "$1: flushes of the store" $(($(disk_stat "$CT" flushes) - tf)) "$8"
}

# counts SOURCE STORE FLUSHES IMAGES: exact I/O of first write, overwrite, read
counts()
{
	S=$1 ST=$2 N=8192
	CS=/dev/$(kname "$S") CT=/dev/$(kname "$ST")
	[ -n "$(disk_stat "$CS" flushes)" ] || skip "this kernel does not count flushes"
	blank "$ST"
	calibrate
	store
	many 0 "$4"
	equal "refused" "$(cat "$TMP/many")" ""
	# What belongs to the first save of all: a segment, a superblock.
	dmsio fill "$V" --sectors 0:8 >/dev/null
	take_counts
	for i in 1 2 3 4 5; do
		dmsio fill "$V" --sectors $((i * CHUNK + 16)):8 >/dev/null
	done
	counted "first writes" 5 $((5 * CHUNK)) 5 0 10 $((5 * (CHUNK + 8))) $((5 * $3))
	take_counts
	for i in 1 3 5; do
		dmsio fill "$V" --sectors $((i * CHUNK + 32)):8 >/dev/null
	done
	counted "overwrites" 0 0 3 0 0 0 0
	take_counts
	for i in 1 5 20 21; do
		dd if="$V" of=/dev/null bs=4k count=1 skip=$((i * CHUNK / 8 + 2)) iflag=direct status=none
	done
	counted "reads" 4 32 0 0 0 0 0
	# A stream is saved in ranges: 1 MiB is one read, and goes into one batch.
	take_counts
	dd if=/dev/zero of="$V" bs=1M count=1 seek=2 oflag=direct conv=notrunc status=none
	at_most "reads for 1 MiB" $(($(disk_stat "$CS" reads) - sr)) 4
	equal "sectors read for 1 MiB" $(($(disk_stat "$CS" read_sectors) - srs)) 2048
	at_most "flushes for 1 MiB" $(($(disk_stat "$CT" flushes) - tf)) $((4 * $3))
	remove v
}

without_fua()
{
	[ "$(cat "/sys/block/$(kname "$D0")/queue/fua")" = 0 ] || skip "the disks have FUA"
	grep -q 'write back' "/sys/block/$(kname "$D1")/queue/write_cache" || skip "no write cache"
	counts "$D0" "$D1" 1 "$1"
}

with_fua()
{
	disks 4
	[ "$(cat "/sys/block/$(kname "$D3")/queue/fua")" = 1 ] || skip "no disk with FUA"
	counts "$D2" "$D3" 0 "$1"
}

t_writes_counted_without_FUA() { without_fua 1; }
t_writes_counted_without_FUA_for_8_images() { without_fua 8; }
t_writes_counted_with_FUA() { with_fua 1; }
t_writes_counted_with_FUA_for_8_images() { with_fua 8; }

t_no_image_costs_nothing()
{
	volume
	CS=$S CT=$ST E=0
	take_counts
	dmsio write "$V" --ops 20 --threads 1 --bytes 4k >/dev/null
	counted "without an image" 0 0 20 0 0 0 0
}

run_tests t_fields_of_an_image_from_creation_on t_creation_can_stop_earlier \
	t_an_image_is_taken_up_where_it_stood t_wrong_stores_are_refused_untouched \
	t_a_damaged_superblock_is_repaired_or_refused t_sysfs_netlink_and_status_agree t_names \
	t_as_many_images_as_there_can_be t_chunks_of_8_sectors t_chunks_of_32_sectors \
	t_chunks_of_128_sectors t_chunks_of_2048_sectors t_writes_counted_without_FUA \
	t_writes_counted_without_FUA_for_8_images t_writes_counted_with_FUA \
	t_writes_counted_with_FUA_for_8_images t_no_image_costs_nothing

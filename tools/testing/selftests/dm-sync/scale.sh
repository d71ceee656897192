#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# scale.sh - a thousand pairs, and one of a TiB

. "$(dirname "$0")/lib.sh"
disks 2
need_program python3

# A kernel that checks every lock takes half an hour for a thousand.
[ "${DM_SYNC_PATIENCE:-1}" -eq 1 ] && PAIRS=1000 || PAIRS=100
PAIRS=${DM_SYNC_PAIRS:-$PAIRS}

# names PREFIX: of all devices of a kind
names()
{
	i=0
	while [ $i -lt $PAIRS ]; do
		echo "$P$1$i"
		i=$((i + 1))
	done
}

# One program makes them all, each from a line of "dmsetup create --concise".
create_all()
{
	i=0
	while [ $i -lt $PAIRS ]; do
		echo "${P}s$i,,,rw,0 8 linear $D0 $((i * 8))"
		echo "${P}r$i,,,rw,0 8 linear $D1 $((i * 8))"
		i=$((i + 1))
	done >"$TMP/sides"
	for part in 0 1 2 3; do
		awk -v part=$part 'NR % 4 == part' "$TMP/sides" | paste -s -d ';' |
			dmsetup create --concise || : >"$TMP/no-sides" &
	done
	wait
	[ ! -e "$TMP/no-sides" ] || fail "cannot make the sides"
	for sys in /sys/block/dm-*; do
		read -r name <"$sys/dm/name"
		echo "$name ${sys##*/}"
	done | awk -v p="$P" '
	substr($1, 1, length(p)) == p { of[substr($1, length(p) + 1)] = $2 }
	END {
		for (i = 0; ("s" i) in of; i++)
			printf "%s%sm%d,,,rw,0 8 sync mirror /dev/%s /dev/%s - 8",
			       i ? ";" : "", p, i, of["s" i], of["r" i]
	}' >"$TMP/pairs"
	dmsetup create --concise <"$TMP/pairs" || fail "cannot make the pairs"
}

all_synchronized()
{
	[ "$(synctl list 2>/dev/null | wc -l)" -eq $PAIRS ] &&
		python3 -SE "$here/nl.py" dump >"$TMP/dump" &&
		[ "$(grep -c ' 4$' "$TMP/dump")" -eq $PAIRS ]
}

t_many_pairs()
{
	dmsio fill "$D0" --sectors 0:$((PAIRS * 8)) >/dev/null
	dmsio fill "$D1" --sectors 0:$((PAIRS * 8)) --seq 1 >/dev/null
	create_all
	until_true 60 all_synchronized ||
		fail "$(grep -c ' 4$' "$TMP/dump") of $(wc -l <"$TMP/dump") pairs are Synchronized"
	! grep -q interrupted "$TMP/dump" || fail "the dump was interrupted though nothing changed"
	[ "$(cut -d ' ' -f 1 "$TMP/dump" | sort -u | wc -l)" -eq $PAIRS ] || fail "ids are not unique"
	[ "$(synctl -H 2>/dev/null | grep -c "^$P")" -eq $PAIRS ] || fail "synctl shows not all of them"
	same "$D0" "$D1" --sectors 0:$((PAIRS * 8))
	# One among so many.
	msg m7 fracture
	wait_state m7 Fractured
	# Each removal waits for grace periods, not for the others.
	names m | xargs -n 50 -P 8 dmsetup remove || fail "cannot remove the pairs"
	equal "pairs left" "$(synctl list 2>/dev/null | wc -l)" 0
	{ names s; names r; } | xargs -n 50 -P 8 dmsetup remove
}

# null NAME MEGABYTES BACKED: a null_blk device
null()
{
	dir=/sys/kernel/config/nullb/$1
	mkdir "$dir" 2>/dev/null || skip "no null_blk"
	echo "$2" >"$dir/size"
	echo "$3" >"$dir/memory_backed"
	echo 4096 >"$dir/blocksize"
	[ ! -e "$dir/discard" ] || echo 1 >"$dir/discard"
	echo 1 >"$dir/power"
	[ -e "/dev/$1" ] || skip "null_blk makes no /dev/$1"
}

no_nulls()
{
	for dir in /sys/kernel/config/nullb/dmst*; do
		[ ! -d "$dir" ] || { echo 0 >"$dir/power"; rmdir "$dir"; }
	done
}

# Cold writes all over a TiB: their marks go out together.
t_cold_writes_over_a_TiB()
{
	modprobe null_blk nr_devices=0 2>/dev/null || :
	no_nulls
	trap 'cleanup; no_nulls' EXIT
	null dmsts 1048576 0
	null dmstr 1048576 0
	null dmstm 32 1
	mirror m /dev/dmsts /dev/dmstr /dev/dmstm 128 assume_in_sync
	fields m copy_state=Synchronized size_bytes=1099511627776
	equal "regions" "$(status_word m 9)" 0/16777216
	before=$(disk_stat /dev/dmstm writes)
	source=$(disk_stat /dev/dmsts writes)
	dmsio write "$(dev m)" --threads 32 --bytes 4k --ops 12000 >"$TMP/writes"
	metadata=$(($(disk_stat /dev/dmstm writes) - before))
	equal "writes to the source" $(($(disk_stat /dev/dmsts writes) - source)) 12000
	ktap_print_msg "12000 cold writes took $metadata metadata writes"
	at_most "metadata writes for 12000 cold writes" $metadata 480
	equal "what the pair counts" "$(f m activity_misses)" \
		"$(($(f m activity_misses) + $(f m activity_hits) > 11999 ? $(f m activity_misses) : -1))"
	# The last regions of all.
	dd if=/dev/zero of="$(dev m)" bs=1M seek=1048575 count=1 oflag=direct conv=notrunc status=none
	msg m fracture
	wait_state m Fractured
	dd if=/dev/zero of="$(dev m)" bs=1M seek=1048575 count=1 oflag=direct conv=notrunc status=none
	fields m source_changed=16
	written=$(f m written_bytes)
	msg m resync
	synced m
	equal "bytes copied" $(($(f m written_bytes) - written)) 1048576
	remove m
	mirror m /dev/dmsts /dev/dmstr /dev/dmstm 128
	fields m copy_state=Synchronized read_bytes=0
}

run_tests t_many_pairs t_cold_writes_over_a_TiB

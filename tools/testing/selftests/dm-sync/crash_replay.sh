#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Power cuts at every point of a recorded workload (laws L1 and L3; rules M,
# M-degraded, M-flush and C of the design).
#
# Source, replica and metadata are slices of one dm-log-writes device, so that
# their writes are logged in one order. A workload with every state change runs
# over it. Then crash_points builds what a power cut would have left, at every
# flush and FUA write, and lets the pair recover from it.
#
# DM_SYNC_CRASH_SECONDS=S: time for the replay (default 120; a part of the points
# is drawn by chance when they do not fit); 0: all points, however long it takes.
# DM_SYNC_CRASH_SEED=N: other workload, other draws.
. "$(dirname "$0")/lib.sh"
need_program crash_load crash_points logreplay
need_target log-writes
modprobe -q loop 2>/dev/null || :

LEN=16360			# a short last region, a short last extent
REPLICA=16384
META=32768
META_LEN=2048
SEED=${DM_SYNC_CRASH_SEED-$(date +%s)}
SECONDS_MAX=${DM_SYNC_CRASH_SECONDS-120}
SLOW=4194304			# bytes a second, to have time for something during a copy

# memory NAME MEGABYTES: a loop device on memory, which has one queue and flushes fast; sets LOOP
memory() {
	truncate -s "$2M" "$TMP/$1"
	LOOP=$(losetup -f --show "$TMP/$1") || ktap_skip_all "no loop device"
	_own_loops="$_own_loops $LOOP"
}

mark() {
	dmsetup message "${P}log" 0 mark "p:$1"
}

# load DOOR_LETTER DEVICE OPTION...
load() {
	_letter=$1 _device=$2
	shift 2
	LOADS=$((${LOADS-0} + 1))
	crash_load write "$_device" --mark "${P}log:$_letter" --max 64 --seed $((SEED + LOADS)) "$@"
}

load_while() {
	load s "$DOOR" --threads 3 --seconds 30 "$@" &
	LOAD=$!
	echo "$LOAD" >>"$TMP/pids"
}

load_stop() {
	wait "$LOAD" || fail "the load failed"
}

stack() {
	table log "0 $((META + META_LEN)) log-writes $D0 $D1"
	slice source "$(dev log)" "$LEN"
	slice replica "$(dev log)" "$LEN" "$REPLICA"
	slice meta "$(dev log)" "$META_LEN" "$META"
	blank "$(dev meta)"
	crash_load fill "$(dev source)"
}

first_copy() {
	mark begin
	mirror m "$(dev source)" "$(dev replica)" "$(dev meta)" 128 "rate:$SLOW"
	mark created
	DOOR=$(dev m)
	load_while --batches 25
	load_stop
	msg m set rate 0
	synced m
	mark synced
	load s "$DOOR" --batches 40
}

resync_under_load() {
	msg m set rate "$SLOW"
	mark resync
	msg m resync
	load_while --batches 25
	load_stop
	msg m set rate 0
	synced m
	mark synced
}

split_and_resync() {
	load_while --batches 40
	until_true 5 msg m split || fail "no split"
	wait_state m Split
	mark split
	replica_door r m
	load r "$(dev r)" --threads 2 --batches 12
	load_stop
	remove r
	resync_under_load
}

fracture_and_resync() {
	load_while --batches 40
	msg m fracture
	wait_state m Fractured
	mark fractured
	load_stop
	resync_under_load
}

# Abort leaves an incomplete replica; from there on by resync.
abort_and_resync() {
	msg m fracture
	wait_state m Fractured
	load s "$DOOR" --batches 12
	msg m set rate 65536
	msg m resync
	load s "$DOOR" --batches 4
	msg m abort
	wait_state m Aborted
	mark aborted
	load s "$DOOR" --batches 8
	resync_under_load
}

suspend_and_resume() {
	msg m set hold track
	load_while --batches 20
	msg m suspend
	wait_state m Suspended
	mark suspended
	load_stop
	msg m resume
	synced m
	mark resumed
}

restore() {
	mark equal
	msg m split
	wait_state m Split
	mark split-for-restore
	replica_door r m
	load s "$DOOR" --batches 12
	load r "$(dev r)" --threads 2 --batches 12
	remove r
	msg m set rate "$SLOW"
	mark restore
	msg m restore
	load_while --batches 25
	load_stop
	msg m set rate 0
	synced m
	wait_settled m
	mark restored
	load s "$DOOR" --batches 12
}

marked() {
	[ "$(status_word m 9 | cut -d / -f 1)" -le "$1" ]
}

replica_table() {
	dmsetup suspend --noflush --nolockfs "${P}replica"
	echo "$1" | dmsetup load "${P}replica"
	dmsetup resume "${P}replica"
}

# The replica fails in the middle of a restore. Where the source has been brought
# back already it takes writes, which must not be lost; then the restore goes on.
broken_restore() {
	msg m fracture
	msg m resync
	synced m
	mark equal
	msg m split
	wait_state m Split
	load s "$DOOR" --batches 30 --area 0:8192
	msg m set rate 1048576
	mark restore
	msg m restore
	until_true 20 marked 40 || fail "the restore does not move: $(dmsetup status "${P}m")"
	msg m set rate 65536
	replica_table "0 $LEN error"
	load s "$DOOR" --batches 3 --area 0:1024 --threads 1
	wait_state m Broken
	mark broken
	load s "$DOOR" --batches 16 --area 0:1024
	replica_table "0 $LEN linear $(dev log) $REPLICA"
	mark again
	msg m set rate 0
	msg m restore
	synced m
	wait_settled m
	mark restored
	load s "$DOOR" --batches 12
}

record() {
	stack
	first_copy
	split_and_resync
	fracture_and_resync
	abort_and_resync
	suspend_and_resume
	restore
	broken_restore
	mark removing
	remove m
	mark removed
	remove meta replica source log
	echo "# $(logreplay list "$D1" | wc -l) entries, seed $SEED"
}

points() {
	crash_points --log "$D1" --work "$D2" --source "0:$LEN" --replica "$REPLICA" \
		--meta "$META:$META_LEN" --options 128 --seed "$SEED" "$@"
}

t_a_power_cut_at_every_flush_and_FUA_loses_nothing() {
	record
	if [ "$SECONDS_MAX" -eq 0 ]; then
		points --between 100
	else
		points --seconds "$SECONDS_MAX" --between 10
	fi
}

# Not every point shows it: a slow machine, which tries few, gets more draws.
t_metadata_that_was_not_durable_is_found_out() {
	for draw in 1 2 3 4 5 6; do
		points --seed $((SEED + draw)) --seconds 20 --points 60 --lose-activity \
			>"$TMP/control" 2>&1 || break
	done
	grep -q 'L3:' "$TMP/control" ||
		fail "a lost activity table went unnoticed: $(tail -n 5 "$TMP/control")"
}

memory data 18
D0=$LOOP
memory log 256
D1=$LOOP
memory work 18
D2=$LOOP
run_tests t_a_power_cut_at_every_flush_and_FUA_loses_nothing \
	t_metadata_that_was_not_durable_is_found_out

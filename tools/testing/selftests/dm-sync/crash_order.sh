#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The ordering rules M, M-degraded, M-flush and C, asserted on the trace of what
# was issued and what completed; no power is cut here.
#
# Source, replica and metadata are slices of one dm-log-writes device: the log
# tells what the metadata said, the kernel's block events tell the order. The
# sides are sparse and have more extents than the activity table has slots, so
# that extents must leave it. See crash_order.c for what is checked.
. "$(dirname "$0")/lib.sh"
need_program crash_load crash_order losetup
need_target log-writes
TRACING=/sys/kernel/tracing
modprobe -q loop 2>/dev/null
[ -d $TRACING/events ] || mount -t tracefs tracefs $TRACING 2>/dev/null
[ -d $TRACING/events/block ] || ktap_skip_all "the kernel has no block events"

EXTENT=2048
LEN=$((4160 * EXTENT))
META=$((2 * LEN))
META_LEN=2048

# sparse NAME SECTORS: a loop device on memory; sets LOOP
sparse() {
	rm -f "$TMP/$1"
	truncate -s "$2"b "$TMP/$1" 2>/dev/null || truncate -s $(($2 * 512)) "$TMP/$1"
	LOOP=$(losetup -f --show "$TMP/$1") || skip "no loop device"
	_own_loops="$_own_loops $LOOP"
}

number_of() {
	dmsetup info -c --noheadings -o major,minor --separator , "$P$1"
}

# The number as the kernel has it, for filters.
kernel_number() {
	number_of "$1" | { IFS=, read -r major minor; echo $((major << 20 | minor)); }
}

trace_start() {
	filter="dev == 0"
	for _name in m source replica meta; do
		filter="$filter || dev == $(kernel_number $_name)"
	done
	echo 0 >$TRACING/tracing_on
	echo counter >$TRACING/trace_clock
	echo 65536 >$TRACING/buffer_size_kb
	echo >$TRACING/trace
	for _event in block_bio_queue block_bio_complete; do
		echo "$filter" >$TRACING/events/block/$_event/filter
		echo 1 >$TRACING/events/block/$_event/enable
	done
	echo 1 >$TRACING/tracing_on
}

trace_stop() {
	echo 0 >$TRACING/tracing_on
	echo 0 >$TRACING/events/block/block_bio_queue/enable
	echo 0 >$TRACING/events/block/block_bio_complete/enable
	cat $TRACING/trace >"$TMP/trace"
	echo >$TRACING/trace
	echo 1024 >$TRACING/buffer_size_kb
	for _name in m source replica meta; do
		eval "N_$_name=$(number_of $_name)"
	done
}

stack() {
	sparse data $((META + META_LEN))
	D0=$LOOP
	sparse log 1048576
	D1=$LOOP
	table log "0 $((META + META_LEN)) log-writes $D0 $D1"
	slice source "$(dev log)" "$LEN"
	slice replica "$(dev log)" "$LEN" "$LEN"
	slice meta "$(dev log)" "$META_LEN" "$META"
	# A name for the trace before the pair is there.
	dmsetup create "${P}m" --notable
	trace_start
	mirror_line "$(dev source)" "$(dev replica)" "$(dev meta)" "$EXTENT" assume_in_sync |
		dmsetup load "${P}m"
	dmsetup resume "${P}m"
	DOOR=$(dev m)
}

order() {
	# shellcheck disable=SC2154 # set in trace_stop
	crash_order --log "$D1" --trace "$1" --pair "$N_m" --source "$N_source" \
		--replica "$N_replica" --meta "$N_meta" --meta-start "$META" >"$TMP/order"
}

# The same trace with what must not be: metadata that completes later than it
# did, and a replica that is not flushed.
# doctored RULE...: these have to notice
doctored() {
	awk -v late="block_bio_complete: $N_meta " '
		{ if (NR in held) print held[NR] }
		index($0, late) { held[NR + 300] = $0; next }
		{ print }' "$TMP/trace" >"$TMP/late"
	! order "$TMP/late" || fail "late metadata went unnoticed"
	grep -q '^# rule M,' "$TMP/order" || fail "late metadata: $(cat "$TMP/order")"
	grep -v ": $N_replica F[A-Z]* 0 + 0 " "$TMP/trace" >"$TMP/unflushed"
	! order "$TMP/unflushed" || fail "missing flushes went unnoticed"
	for _rule; do
		case $_rule in
		2)	grep -q '^# rule C,' "$TMP/order" ;;
		4)	grep -q '^# rule M-flush,' "$TMP/order" ;;
		esac || fail "missing flushes: $(cat "$TMP/order")"
	done
}

# verdict RULE...: none was broken, and these were put to the test
verdict() {
	trace_stop
	remove m
	remove meta replica source log
	order "$TMP/trace" || fail "$(cat "$TMP/order")"
	grep '^#' "$TMP/order"
	for _rule; do
		grep -q "^tested $_rule [1-9]" "$TMP/order" || fail "rule number $_rule was not tested"
	done
	doctored "$@"
}

touch_everything() {
	for _part in 0 1 2 3; do
		crash_load touch "$DOOR" --stride "$EXTENT" --area "$((_part * LEN / 4)):$((LEN / 4))" &
		eval "PART$_part=$!"
	done
	wait "$PART0" "$PART1" "$PART2" "$PART3" || fail "the writers failed"
}

writes() {
	crash_load write "${1:-$DOOR}" --batches 40 --area 8192:65536
}

t_nothing_is_issued_before_what_must_be_durable() {
	stack
	writes
	touch_everything
	touch_everything		# now there is no free slot
	writes
	msg m split
	wait_state m Split
	replica_door r m
	writes
	writes "$(dev r)"
	remove r
	msg m resync
	writes
	synced m
	writes
	msg m fracture
	wait_state m Fractured
	writes
	msg m restore
	writes
	wait_settled m
	writes
	verdict 0 1 2 4
}

# The replica fails all writes, comes back, is resynchronized.
lose_replica() {
	writes &
	LOAD=$!
	echo "$LOAD" >>"$TMP/pids"
	dmsetup suspend --noflush --nolockfs "${P}replica"
	echo "0 $LEN error" | dmsetup load "${P}replica"
	dmsetup resume "${P}replica"
	wait_state m Broken
	wait "$LOAD" || fail "the host's writes failed"
	dmsetup suspend --noflush --nolockfs "${P}replica"
	echo "0 $LEN linear $(dev log) $LEN" | dmsetup load "${P}replica"
	dmsetup resume "${P}replica"
	synced m
}

t_a_write_the_replica_missed_is_acknowledged_when_that_is_durable() {
	stack
	writes				# flushes that both sides take
	for _round in 1 2 3; do
		lose_replica
	done
	verdict 0 3 4
}

run_tests t_nothing_is_issued_before_what_must_be_durable \
	t_a_write_the_replica_missed_is_acknowledged_when_that_is_durable

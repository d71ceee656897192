#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# netlink.sh - the family dm-sync: events, dumps, errors, permissions

. "$(dirname "$0")/lib.sh"
disks 3
need_program python3
NL="python3 -SE $here/nl.py"

pair()
{
	slice s "$D0" 4096
	slice r "$D1" 4096
	dmsio fill "$(dev s)" --seq 2 >/dev/null
	dmsio fill "$(dev r)" --seq 1 >/dev/null
	mirror m "$(dev s)" "$(dev r)" - 128 "$@"
}

listen()
{
	$NL events 900 >"$TMP/events" 2>&1 &
	LISTENER=$!
	echo $LISTENER >>"$BASE/pids"
	until_true 20 grep -q listening "$TMP/events" || fail "no listener: $(cat "$TMP/events")"
}

# heard PATTERN: an event like that came
heard()
{
	until_true 20 grep -q -- "$1" "$TMP/events" || fail "no event \"$1\": $(cat "$TMP/events")"
}

# Every event has the next number, and none contradicts itself.
t_events_are_numbered_without_gaps()
{
	listen
	pair rate:1048576
	msg m set rate 0
	synced m
	for operation in fracture resync split resync suspend resume deactivate activate; do
		msg m $operation
		wait_settled m
	done
	synced m
	msg m set priority high
	remove m
	heard ' delete '
	kill $LISTENER
	sed -i 1d "$TMP/events"
	# seq note name copy progress requested sync maintained cause operation percent
	awk '
	seq && $1 != seq + 1 { print "gap before: " $0; bad = 1 }
	{ seq = $1 }
	$2 == "delete" { next }
	$4 == $6 { print "requested is what is: " $0; bad = 1 }
	($4 == 4) != ($8 == 1) { print "maintained contradicts: " $0; bad = 1 }
	$7 == 6 && $8 != 1 { print "in sync but not maintained: " $0; bad = 1 }
	$4 == 3 && $11 == 100 { print "100 percent too early: " $0; bad = 1 }
	END { exit bad }' "$TMP/events" >"$TMP/bad" || fail "$(cat "$TMP/bad")"
	cut -d ' ' -f 2,4-7 "$TMP/events" | grep -v ' 20 ' | uniq >"$TMP/trail"
	for step in "create 3 6 4 5" "change 4 2 15 6" "change 4 9 6 7" "change 6 2 15 13" \
		    "change 3 7 4 5" "change 4 10 7 7" "change 7 2 15 13" "change 4 16 9 8" \
		    "change 9 3 15 9" "change 4 16 8 8" "change 8 3 15 9"; do
		grep -q "^$step\$" "$TMP/trail" || fail "no event $step in: $(cat "$TMP/trail")"
	done
}

t_a_dump_never_contradicts_itself()
{
	pair
	synced m
	$NL soak 8 >"$TMP/soak" 2>&1 &
	soak=$!
	echo $soak >>"$BASE/pids"
	while kill -0 $soak 2>/dev/null; do
		msg m fracture
		wait_settled m
		msg m resync
		synced m
	done
	wait $soak || fail "$(cat "$TMP/soak")"
	grep -q '^dumps' "$TMP/soak" || fail "$(cat "$TMP/soak")"
}

t_all_interfaces_say_the_same()
{
	pair
	synced m
	msg m split
	wait_state m Split
	dmsio fill "$(dev m)" --sectors 0:300 >/dev/null
	$NL get "${P}m" >"$TMP/nl"
	nl() { sed -n "s/^$1 //p" "$TMP/nl"; }
	equal "copy-state" "$(nl copy-state)" 7
	equal "progress-status" "$(nl progress-status)" 2
	equal "sync-state" "$(nl sync-state)" 13
	equal "sync-type, mode, copy type, replica type" \
		"$(nl sync-type) $(nl sync-mode) $(nl copy-type) $(nl replica-type)" "6 2 3 2"
	equal "methodology and priority" "$(nl copy-methodology) $(nl copy-priority)" "3 1"
	equal "changed regions" "$(nl source-changed) $(f m source_changed)" "3 3"
	equal "status line" "$(status_word m 9)" "3/32"
	equal "size" "$(nl size-bytes) $(nl region-bytes) $(nl regions)" "2097152 65536 32"
	equal "percent" "$(nl percent-synced)" "$(f m percent_synced)"
	equal "uuid" "$(nl uuid)" "$(f m uuid | tr -d -)"
	equal "id" "$(nl id)" "$(f m id)"
	equal "generation" "$(nl generation)" "$(f m generation)"
	equal "metadata" "$(nl meta-major)" ""
	equal "door" "$(nl door-major):$(nl door-minor)" "$(cat "/sys/block/$(kname "$(dev m)")/dev")"
	synctl show "${P}m" >"$TMP/show" || fail "synctl show: $?"
	grep -q 'Split' "$TMP/show" || fail "synctl show: $(cat "$TMP/show")"
}

t_bad_requests_are_refused_with_a_sentence()
{
	pair
	synced m
	generation=$(f m generation)
	$NL bad >"$TMP/bad" 2>&1 || fail "$(cat "$TMP/bad")"
	! grep -v '^refused: ' "$TMP/bad" || fail "$(cat "$TMP/bad")"
	for setting in "copy-priority 4" "copy-priority 77" "hold 2" "recovery 2" "hold-max 86401" \
		       "copy-state 4" "sync-type 7"; do
		! $NL set "${P}m" $setting >"$TMP/set" 2>&1 || fail "took $setting"
		grep -q "^refused: " "$TMP/set" || fail "$setting: $(cat "$TMP/set")"
	done
	fields m generation=$generation copy_state=Synchronized copy_priority=Low
	$NL set "${P}m" copy-priority 3
	$NL set "${P}m" limit-bytes 1234567
	$NL set "${P}m" hold 1
	$NL set "${P}m" hold-max 9
	$NL set "${P}m" recovery 1
	fields m copy_priority=High limit_bytes_per_second=1234567 hold=track hold_max=9 recovery=manual
}

t_reading_needs_no_privilege_changing_does()
{
	pair
	synced m
	chmod 755 "$BASE" "$TMP"
	export NL_USER=65534
	$NL dump >"$TMP/dump" 2>&1 || fail "dump: $(cat "$TMP/dump")"
	grep -q "${P}m 4" "$TMP/dump" || fail "dump: $(cat "$TMP/dump")"
	$NL get "${P}m" >/dev/null || fail "get"
	$NL info >"$TMP/info" || fail "info"
	grep -q '^pairs 1$' "$TMP/info" || fail "info: $(cat "$TMP/info")"
	$NL ops "${P}m" 12 12? 22! >"$TMP/ops" 2>&1 || fail "ops: $(cat "$TMP/ops")"
	[ "$(cut -d ' ' -f 2,3 "$TMP/ops" | sort -u)" = "EACCES same" ] ||
		[ "$(cut -d ' ' -f 2,3 "$TMP/ops" | sort -u)" = "EPERM same" ] || fail "$(cat "$TMP/ops")"
	! $NL set "${P}m" copy-priority 3 >/dev/null || fail "a setting was taken"
	unset NL_USER
	fields m copy_state=Synchronized copy_priority=Low
}

t_a_listener_that_never_reads_stops_nothing()
{
	pair
	synced m
	python3 -SE -c '
import sys, time
sys.path.insert(0, sys.argv[1])
import nl
n = nl.Netlink()
n.socket.setsockopt(1, 8, 2304)
n.listen("monitor")
n.listen("progress")
print("deaf", flush=True)
time.sleep(120)' "$here" >"$TMP/deaf" 2>&1 &
	echo $! >>"$BASE/pids"
	until_true 20 grep -q deaf "$TMP/deaf" || fail "$(cat "$TMP/deaf")"
	for round in 1 2 3 4 5 6 7 8; do
		timeout 20 dmsetup message "${P}m" 0 fracture || fail "round $round: fracture hangs"
		wait_state m Fractured
		timeout 20 dmsetup message "${P}m" 0 resync || fail "round $round: resync hangs"
		synced m
	done
	dmsio write "$(dev m)" --ops 50 >/dev/null
	same "$(dev s)" "$(dev r)"
}

run_tests t_events_are_numbered_without_gaps t_a_dump_never_contradicts_itself \
	t_all_interfaces_say_the_same t_bad_requests_are_refused_with_a_sentence \
	t_reading_needs_no_privilege_changing_does t_a_listener_that_never_reads_stops_nothing

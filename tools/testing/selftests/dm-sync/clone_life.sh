#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_life.sh - a clone from its first event to its last: what is told, kept, and ends by itself

# shellcheck disable=SC2154,SC2086 # D0...; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_program python3 synctl
disks 3
NL="python3 -SE $here/nl.py"

# waiting: somebody waits for the pair, and has seen it
waiting()
{
	rm -f "$TMP/seen"
	background env SYNCTL_RECORD="$TMP/seen" synctl wait "${P}c"
	until_true 30 grep -qs "${P}c" "$TMP/seen" || fail "synctl wait: $(cat "$TMP/bg.log")"
}

t_wait_and_the_tool()
{
	legs
	keep image
	synctl -q clone "$S" "$R" -N "${P}c" --meta "$META" --rate 524288 >"$TMP/out" 2>&1 ||
		fail "synctl clone: $(cat "$TMP/out")"
	C=$(dev c)
	fields c copy_state=Unsynchronized sync_type=Clone
	background synctl wait "${P}c"
	code=0
	synctl wait "${P}c" --timeout 1 >/dev/null 2>&1 || code=$?
	[ "$code" -ne 0 ] || fail "wait says that it is complete: $(states c)"
	fast
	wait_exit "$BG" || fail "synctl wait: $(cat "$TMP/bg.log")"
	fields c copy_state=Synchronized
	holds "$R" image
	# A refresh is waited for likewise.
	dmsio fill "$C" --sectors 0:1000 >/dev/null
	synctl -q -y resync "${P}c" --wait || fail "resync --wait: $?"
	fields c copy_state=Synchronized
	same "$C" "$R"
	# One that hosts write to while it is copied is complete when it is Skewed.
	dmsio fill "$C" --sectors 0:1000 --seq 1500 >/dev/null
	slow
	op resync
	door
	dmsio fill "$D" --sectors 4096:8 --seq "$OWN_SEQ" >/dev/null
	waiting
	fields c copy_state=Unsynchronized
	fast
	wait_exit "$BG" || fail "synctl wait, written to: $(cat "$TMP/bg.log")"
	fields c copy_state=Skewed progress_status=Completed
	fresh
	# One that ends by itself, while somebody waits for it.
	legs
	synctl -q clone "$S" "$R" -N "${P}c" --meta "$META" --unassoc --rate 4096 \
		>"$TMP/out" 2>&1 || fail "synctl clone --unassoc: $(cat "$TMP/out")"
	waiting
	fields c copy_state=Unsynchronized
	fast
	wait_exit "$BG" || fail "synctl wait, unassoc: $(cat "$TMP/bg.log")"
	dissolved 1
	fresh
	# One that ends by itself: that it is gone is what was waited for.
	legs
	synctl -q clone "$S" "$R" -N "${P}c" --meta "$META" --unassoc --wait >"$TMP/out" 2>&1 ||
		fail "synctl clone --unassoc --wait: $(cat "$TMP/out")"
	dissolved 1
}

# refused WHAT WORD...: synctl refuses it, and says that
refused()
{
	_what=$1
	shift
	! synctl -q "$@" >"$TMP/out" 2>&1 || fail "accepted: synctl $*"
	grep -q "$_what" "$TMP/out" || fail "not \"$_what\": $(cat "$TMP/out")"
}

t_the_tool_says_which_number()
{
	legs
	slice tiny "$D2" 56 "$META_N"
	refused "too small: .* needs [0-9]* KiB of metadata" \
		clone "$S" "$R" -N "${P}c" --meta "$(dev tiny)"
	refused "too small: .* needs at least [0-9]* KiB" snapshot "$S" "$(dev tiny)" "${P}v"
	grep -q "enlarge the store" "$TMP/out" || fail "no advice: $(cat "$TMP/out")"
	synctl -q clone "$S" "$R" -N "${P}c" --meta "$META" --region 32K -W || fail "synctl clone: $?"
	remove c
	refused "32768 bytes: give that as --region" clone "$S" "$R" -N "${P}c" --meta "$META"
}

# listen: events from here on in $TMP/events
listen()
{
	$NL events 300 >"$TMP/events" 2>&1 &
	echo $! >>"$BASE/pids"
	until_true 20 grep -q listening "$TMP/events" || fail "no listener"
}

# trail: CopyState, ProgressStatus and SyncState of the pair's events, each once
trail()
{
	grep -E " (create|change|delete) ${P}c " "$TMP/events" | cut -d ' ' -f 4,5,7 |
		grep -v '^3 20 ' | uniq
}

_has_event()
{
	grep -q "$1" "$TMP/events"
}

t_events_of_a_kept_clone()
{
	legs
	listen
	clone
	synced c
	until_true 20 _has_event " change ${P}c 4 2 " || fail "events: $(cat "$TMP/events")"
	grep -m 1 " ${P}c " "$TMP/events" | grep -q "^[0-9]* create ${P}c " ||
		fail "the first event: $(cat "$TMP/events")"
	equal "trail" "$(trail | tail -n 2 | tr '\n' ',')" "3 6 15,4 2 14,"
	grep " ${P}c 3 6 " "$TMP/events" | cut -d ' ' -f 6 | grep -qvx 4 &&
		fail "requested: $(cat "$TMP/events")"
	door
	dmsio fill "$(dev d)" --sectors 0:8 >/dev/null
	until_true 20 _has_event " change ${P}c 13 2 15 14 0" || fail "events: $(cat "$TMP/events")"
	op resync
	synced c
	until_true 20 sh -c "[ \$(grep -c ' change ${P}c 4 2 ' $TMP/events) -ge 2 ]" ||
		fail "events: $(cat "$TMP/events")"
	equal "trail" "$(trail | tail -n 3 | tr '\n' ',')" \
		"13 2 14,3 7 15,4 2 14,"
	! _has_event " delete ${P}c " || fail "it was deleted: $(cat "$TMP/events")"
}

t_a_temporary_clone_ends_by_itself()
{
	legs
	keep image
	listen
	clone copy_type:unassoc rate:262144
	door
	table=$(dmsetup table "${P}c")
	sys=$(sysdir c)
	writers src "$C" --sectors "0:$((N / 4))"
	writers own "$D" --seq "$OWN_SEQ" --sectors "$((N / 4)):$((N / 4))"
	readers reader "$D"
	fast
	dissolved
	# In the same tables: nobody had to be asked, nothing was reopened.
	equal "the table" "$(dmsetup table "${P}c" | cut -d ' ' -f 1-7)" \
		"$(echo "$table" | cut -d ' ' -f 1-7)"
	until_true 10 test ! -e "$sys/copy_state" || fail "its fields are still there"
	until_true 20 _has_event " delete ${P}c " || fail "events: $(cat "$TMP/events")"
	equal "trail" "$(trail | tail -n 4 | tr '\n' ',')" "3 6 5,4 2 14,4 13 14,15 2 -,"
	equal "dump" "$($NL dump | grep -c "${P}c" || :)" 0
	# Both doors go on, each to its own side.
	! until_true 1 false || :
	stop src own reader
	nothing_lost "$C" src
	nothing_lost "$D" own --max-seq "$OWN_LAST"
	same "$C" "$S"
	same "$D" "$R"
	dmsio fill "$C" --sectors 0:600 --seq 5000000 >/dev/null
	dmsio fill "$D" --sectors 600:600 --seq 5000000 >/dev/null
	same "$C" "$S"
	same "$D" "$R"
	! dmsio verify "$R" --sectors 0:600 --max-seq 4999999 | grep -q "too new" ||
		fail "a write of the source went to the replica"
	dmsio verify "$S" --sectors 600:600 --ack "$TMP/src.log" >/dev/null ||
		fail "a write of the replica went to the source"
	[ "$(message c resync)" != 0 ] || fail "a resync of what is gone was accepted"
	# The same line again must not begin to overwrite.
	frozen=$(dmsio sum "$R")
	remove d c
	clone copy_type:unassoc
	equal "status after another start" "$(status_word c 1)" passthrough
	dmsio write "$C" --ops 30 >/dev/null
	equal "the replica after another start" "$(dmsio sum "$R")" "$frozen"
	remove c
	clone copy_type:unassoc format
	dissolved
	same "$S" "$R"
}

# stop_at STATE PROGRESS SYNC_STATE
stop_at()
{
	begin "stop_at:$(echo "$1" | tr '[:upper:]' '[:lower:]')"
	writes=$(disk_stat "$R" writes)
	fields c "copy_state=$1" "progress_status=$2" "sync_state=$3" sync_maintained=0 \
		"requested_copy_state=Not Applicable" sync_time=- door_access=none read_bytes=0
	dmsio write "$C" --ops 40 --log "$TMP/src.log" >/dev/null
	equal "writes to the replica" $(($(disk_stat "$R" writes) - writes)) 0
	again
	fields c "copy_state=$1" "progress_status=$2" sync_time=-
	keep image
	slow
	op activate
	dmsio write "$C" --ops 40 --log "$TMP/src.log" >/dev/null
	holds "$D" image
	fast
	synced c
	holds "$R" image
	[ "$(f c sync_time)" != - ] || fail "no sync_time"
	nothing_lost "$C" src
	fresh
}

t_stop_at_each_state()
{
	stop_at Initialized Completed Initialized
	stop_at Prepared "Requires activate" Prepared
	stop_at Inactive Dormant Quiesced
}

t_a_clone_is_taken_up_where_it_stood()
{
	legs
	keep image
	clone rate:524288 uuid:12345678-9abc-4def-8123-456789abcdef
	door
	dmsio write "$C" --ops 40 --max-bytes 64k --log "$TMP/src.log" >/dev/null
	dmsio write "$D" --ops 20 --max-bytes 32k --seq "$OWN_SEQ" --flush-every 5 >/dev/null
	keep own "$D"
	reaches done_bytes 2000000
	before=$(f c percent_synced) source=$(f c source_changed) replica=$(f c replica_changed)
	again $SLOW
	fields c uuid=12345678-9abc-4def-8123-456789abcdef copy_state=Unsynchronized \
		requested_copy_state=Synchronized sync_time=-
	# The same image, own writes in it; what was copied stays copied.
	holds "$D" own
	at_least "percent" "$(f c percent_synced)" "$before"
	at_least "regions changed on the source" "$(f c source_changed)" "$source"
	at_least "regions changed on the replica" "$(f c replica_changed)" "$replica"
	dmsio write "$C" --ops 40 --max-bytes 64k --log "$TMP/src.log" >/dev/null
	holds "$D" own
	fast
	wait_state c Skewed
	holds "$R" own
	nothing_lost "$C" src
	when=$(f c sync_time)
	# Complete: nothing is copied, and the maps tell what a refresh has to copy.
	op resync
	synced c
	when=$(f c sync_time)
	dmsio fill "$C" --sectors 256:1 >/dev/null
	dmsio fill "$D" --sectors 2560:1 >/dev/null
	again
	fields c copy_state=Skewed "sync_time=$when" read_bytes=0 written_bytes=0 \
		source_changed=1 replica_changed=1
	op fracture
	wait_state c Fractured
	again
	fields c copy_state=Fractured progress_status=Completed source_changed=1 replica_changed=1
	op resync
	synced c
	fields c written_bytes=$((2 * REGION_BYTES)) source_changed=0 replica_changed=0
	same "$S" "$R"
}

t_without_metadata_the_state_is_volatile()
{
	legs
	keep image
	META=-
	clone $SLOW
	door
	fields c metadata=- copy_state=Unsynchronized
	equal "last word of the status" "$(status_word c 16)" volatile
	dmsio write "$C" --ops 40 --max-bytes 64k >/dev/null
	holds "$D" image
	# Another start is another instant.
	remove d c
	keep later
	clone
	synced c
	holds "$R" later
	fields c written_bytes=$((N * 512))
	different "$R" "$TMP/image.kept"
}

run_tests t_wait_and_the_tool t_events_of_a_kept_clone t_a_temporary_clone_ends_by_itself \
	t_stop_at_each_state t_a_clone_is_taken_up_where_it_stood \
	t_without_metadata_the_state_is_volatile

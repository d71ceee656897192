#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# fault_replica.sh - the replica fails, in every state, and comes back
#
# The law: no host write fails; the pair is Broken with the right reason; every
# region the replica missed is marked; when it is back only those are copied.

# shellcheck disable=SC2119,SC2317,SC2329 # functions with options; called by name
. "$(dirname "$0")/lib.sh"
. "$here/fault.inc"
need_target flakey delay
disks 3

WRITE="a write to the replica failed"
FLUSH="a flush of the replica failed"
READ="a read of the replica failed"

_percent_is()
{
	[ "$(f m percent_synced)" -ge "$1" ]
}

t_writes_fail_while_it_follows()
{
	following
	writers
	read_only r
	broken "$WRITE"
	stop_writers 1
	at_least "replica errors" "$(f m replica_errors)" 1
	copies_the_rest heal r
	fields m source_errors=0 reason=none
}

t_it_dies_while_it_follows()
{
	following
	writers
	dead r
	broken "$WRITE"
	stop_writers 1
	# Still dead: asked again and again, and nothing changes.
	! until_true 3 _is_field "$(sysdir m)/copy_state" Unsynchronized ||
		fail "$(states m) with a dead replica"
	copies_the_rest heal r
}

t_it_dies_during_the_first_copy()
{
	legs
	pair rate:524288 priority:high
	writers
	until_true 20 _percent_is 20 || fail "no progress"
	dead r
	broken "$WRITE"
	stop_writers 1
	copies_the_rest heal r
}

t_it_dies_during_a_resync()
{
	following
	msg m fracture
	wait_state m Fractured
	dmsio write "$M" --ops 400 --max-bytes 64k --log "$TMP/log" >/dev/null
	msg m set priority high
	msg m set rate 524288
	msg m resync
	wait_state m Unsynchronized
	read_only r
	broken "$WRITE"
	copies_the_rest heal r
}

# What was written since the last flush may be gone from the replica.
t_only_the_flush_fails()
{
	following
	dmsio fill "$M" --sectors 4096:200 >/dev/null
	read_only r
	sync "$M" || fail "the host's flush failed"
	broken "$FLUSH"
	fields m source_changed=$EXTENT_REGIONS
	dmsio fill "$D1" --sectors 4096:200 --seq 1 >/dev/null
	copies_the_rest heal r
}

t_split_with_a_flush_that_fails()
{
	following
	dmsio fill "$M" --sectors 4096:200 >/dev/null
	read_only r
	msg m split || :
	broken "$FLUSH"
	dmsio write "$M" --ops 50 --max-bytes 8k >/dev/null || fail "a host write failed"
	dmsio fill "$D1" --sectors 4096:200 --seq 1 >/dev/null
	copies_the_rest heal r
}

t_suspend_with_a_flush_that_fails()
{
	following
	dmsio fill "$M" --sectors 4096:200 >/dev/null
	read_only r
	msg m suspend || :
	broken "$FLUSH"
	dmsio write "$M" --ops 50 --max-bytes 8k >/dev/null || fail "a host write failed"
	dmsio fill "$D1" --sectors 4096:200 --seq 1 >/dev/null
	copies_the_rest heal r
}

# A Fracture promises nothing about the replica: it succeeds, and knows what it may miss.
t_fracture_with_a_flush_that_fails()
{
	following
	dmsio fill "$M" --sectors 4096:200 >/dev/null
	read_only r
	msg m fracture
	wait_state m Fractured
	wait_field m progress_status Completed
	fields m source_changed=$EXTENT_REGIONS
	dmsio fill "$D1" --sectors 4096:200 --seq 1 >/dev/null
	heal r
	msg m resync
	synced m
	whole
}

t_it_dies_while_writes_are_held()
{
	following
	msg m suspend
	wait_state m Suspended
	background dmsio write "$M" --ops 40 --threads 4 --max-bytes 64k --log "$TMP/log"
	until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -gt 0 ]" || fail "nothing is held"
	dead r
	msg m resume
	broken "$WRITE"
	wait_exit "$BG" || fail "a held write failed: $(cat "$TMP/bg.log")"
	copies_the_rest heal r
}

t_manual_recovery_waits_for_resume()
{
	following recovery:manual
	writers
	dead r
	broken "$WRITE"
	heal r
	wait_state m Suspended
	fields m progress_status=Dormant "requested_copy_state=Not Applicable" held=0 \
		"reason=the replica came back"
	marked=$(f m source_changed)
	stop_writers 1
	at_least "regions marked" "$(f m source_changed)" "$marked"
	copies_the_rest msg m resume
}

# Of what was not restored yet only the replica knows the truth.
t_it_dies_during_a_restore()
{
	following
	replica_door d m
	msg m split
	wait_state m Split
	dmsio fill "$(dev d)" --sectors 0:8192 --seq 900 >/dev/null
	remove d
	dd if="$R" of="$TMP/truth" bs=1M count=4 iflag=direct status=none
	msg m set priority high
	msg m set rate 262144
	msg m restore
	until_true 20 sh -c "[ \$(cat $(sysdir m)/source_changed) -le 50 ]" || fail "no restore"
	dead r
	broken "$READ"
	at_least "regions left" "$(f m source_changed)" 1
	! dd if="$M" of=/dev/null bs=4k skip=1016 count=1 iflag=direct status=none 2>/dev/null ||
		fail "a region that is still to be restored was read"
	! dmsio fill "$M" --sectors 8130:8 >/dev/null 2>&1 ||
		fail "a region that is still to be restored was written in part"
	dd if="$M" of=/dev/null bs=4k skip=1100 count=1 iflag=direct status=none
	dmsio fill "$M" --sectors 12800:8 >/dev/null || fail "a host write elsewhere failed"
	heal r
	! until_true 5 _is_field "$(sysdir m)/copy_state" Unsynchronized ||
		fail "$(states m): half a restore was given up by itself"
	cmp -n 4194304 "$M" "$TMP/truth" || fail "reads do not show the restored data"
	msg m set rate 0
	msg m restore
	synced m
	wait_settled m
	same "$S" "$R"
	cmp -n 4194304 "$S" "$TMP/truth" || fail "the source was not restored"
	dmsio verify "$M" >/dev/null || fail "the source holds garbage"
}

# A failure pays no debt: what the restore left owing is owed after the recovery as well.
t_it_fails_after_a_restore()
{
	following
	msg m split
	wait_state m Split
	msg m restore
	wait_field m progress_status "Requires fracture"
	writers
	read_only r
	broken "$WRITE"
	stop_writers 1
	copies_the_rest heal r
	fields m "progress_status=Requires fracture"
	msg m fracture
	wait_state m Fractured
	msg m resync
	synced m
	wait_settled m
	fields m progress_status=Completed
}

t_it_comes_back_after_the_pair_was_removed()
{
	following
	writers
	dead r
	broken "$WRITE"
	stop_writers
	marked=$(f m source_changed)
	remove m
	pair
	broken "$WRITE"
	at_least "regions marked" "$(f m source_changed)" "$marked"
	dmsio write "$M" --ops 50 --max-bytes 8k >/dev/null || fail "a host write failed"
	copies_the_rest heal r
}

t_a_slow_replica_is_no_fault()
{
	following
	slow r 40
	writers
	msg m split
	wait_state m Split
	stop_writers 1
	msg m resync
	synced m
	fields m replica_errors=0 reason=none
	heal r
	whole
}

# Rule Q: a Split waits so long and no longer, and then was not asked for.
t_split_gives_up_on_a_replica_that_hangs()
{
	following
	dmsetup suspend --noflush "${P}r"
	background dmsio write "$M" --ops 20 --log "$TMP/log"
	until_true 5 sh -c "[ \$(cat /sys/block/${M#/dev/}/inflight | tr -d ' ') -gt 0 ]" ||
		fail "no write is stuck"
	msg m split
	wait_field m progress_status Splitting
	wait_field m progress_status Completed 45
	fields m copy_state=Synchronized sync_maintained=1
	dmsetup resume "${P}r"
	wait_exit "$BG" || fail "a write failed: $(cat "$TMP/bg.log")"
	whole
}

_probes()
{
	read -r _reads _writes <"/sys/block/$(kname "$R")/inflight"
	[ $((_reads + _writes)) -ge 1 ]
}

# It would write back what it read, whenever the replica answers: over anything newer.
t_nothing_begins_while_a_probe_hangs()
{
	following
	slice g "$D1" $N
	dead r
	dmsio fill "$M" --sectors 64:8 >/dev/null
	broken "$WRITE"
	dmsetup suspend --noflush --nolockfs "${P}g"
	swap r "0 $N linear $(dev g) 0"
	until_true 60 _probes || fail "nobody tries"
	for operation in resync detach; do
		equal "$operation" "$(message m $operation)" ETIMEDOUT
	done
	fields m copy_state=Broken
	dmsio fill "$M" --sectors 64:8 >/dev/null
	dmsetup resume "${P}g"
	synced m
	whole
}

run_tests t_writes_fail_while_it_follows t_it_dies_while_it_follows \
	t_it_dies_during_the_first_copy t_it_dies_during_a_resync t_only_the_flush_fails \
	t_split_with_a_flush_that_fails t_suspend_with_a_flush_that_fails \
	t_fracture_with_a_flush_that_fails t_it_dies_while_writes_are_held \
	t_manual_recovery_waits_for_resume t_it_dies_during_a_restore t_it_fails_after_a_restore \
	t_it_comes_back_after_the_pair_was_removed t_a_slow_replica_is_no_fault \
	t_split_gives_up_on_a_replica_that_hangs t_nothing_begins_while_a_probe_hangs

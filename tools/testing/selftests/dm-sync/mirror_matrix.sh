#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mirror_matrix.sh - every operation in every state a mirror can be in now
#
# One test for each state: each operation is asked for by netlink; what is refused must
# leave every field as it was, what holds already too. What would be accepted is asked
# for as a dry run there, and carried out with synctl in the walk over all states.

. "$(dirname "$0")/lib.sh"
disks 2
need_program synctl python3
NL="python3 -SE $here/nl.py"

# y accepted, n holds already, - refused, F only with force, N not supported
MATRIX="\
		  In Pr Un Sy Br Fr Sp Ia Su Ab
2 abort			-  -  y  -  -  -  -  -  -  n
4 activate		y  y  n  n  -  -  -  y  -  -
7 deactivate		n  -  y  y  y  y  y  n  y  -
8 detach		y  y  F  y  y  y  y  y  y  F
9 dissolve		-  -  F  y  y  y  y  y  y  F
10 failover		N  N  N  N  N  N  N  N  N  N
11 failback		N  N  N  N  N  N  N  N  N  N
12 fracture		-  -  y  y  -  n  -  -  y  -
14 resync		-  -  n  n  y  y  y  -  -  y
15 restore		-  -  -  n  y  y  y  -  -  -
16 resume		-  -  -  -  -  -  -  -  y  -
17 reset-to-sync	n  n  n  n  n  n  n  n  n  n
18 reset-to-async	N  N  N  N  N  N  N  N  N  N
19 return-to-resource-pool N N N N N  N  N  N  N  N
20 reverse		N  N  N  N  N  N  N  N  N  N
21 split		-  -  -  y  -  -  n  -  y  -
22 suspend		-  -  y  y  -  -  -  -  n  -
23 unprepare		y  n  -  -  y  y  y  y  -  y
24 prepare		y  n  -  -  y  y  y  y  -  y
25 reset-to-adaptive	N  N  N  N  N  N  N  N  N  N
26 reset-to-active	N  N  N  N  N  N  N  N  N  N
27 reset-replica	N  N  N  N  N  N  N  N  N  N"

# new [OPTION...]: a small pair without metadata
new()
{
	[ ! -e "$(dev m)" ] || remove m
	mirror m "$(dev s)" "$(dev r)" - 128 "$@"
}

breakable()
{
	slice s "$D0" 2048
	slice r "$D1" 2048
}

# swap DEVICE TABLE
swap()
{
	dmsetup suspend --nolockfs "$P$1"
	echo "$2" | dmsetup load "$P$1"
	dmsetup resume "$P$1"
}

# A write that nobody waits for.
prod()
{
	dd if=/dev/zero of="$(dev m)" bs=4k count=1 oflag=direct conv=notrunc status=none
}

# enter STATE: a new pair, and bring it there
enter()
{
	case $1 in
	In)	new stop_at:initialized ;;
	Pr)	new stop_at:prepared ;;
	Un)	new rate:4096 ;;
	Ab)	new rate:4096; msg m abort; wait_state m Aborted; msg m set rate 0 ;;
	*)	new assume_in_sync hold_max:600 recovery:manual ;;
	esac
	case $1 in
	Br)	swap r "0 2048 error"; prod; wait_state m Broken ;;
	Fr)	msg m fracture; wait_state m Fractured ;;
	Sp)	msg m split; wait_state m Split ;;
	Ia)	msg m deactivate; wait_state m Inactive ;;
	Su)	msg m suspend; wait_state m Suspended ;;
	esac
}

# verdicts WANTED: the answers to what is asked for, one "NUMBER RESULT same" each
verdicts()
{
	words=$(echo "$1" | cut -d ' ' -f 1 | tr '\n' ' ')
	$NL ops "${P}m" $words >"$TMP/verdicts" 2>&1 || fail "$(cat "$TMP/verdicts")"
	cut -d ' ' -f 1-3 "$TMP/verdicts" >"$TMP/got"
	echo "$1" | sed '/^$/d' | diff "$TMP/got" - >"$TMP/diff" ||
		fail "in $(states m), < got, > expected: $(cat "$TMP/diff")
$(grep -w changed "$TMP/verdicts")"
	! grep -q 'NO SENTENCE' "$TMP/verdicts" ||
		fail "refused without a reason: $(grep 'NO SENTENCE' "$TMP/verdicts")"
}

# wanted STATE: what the matrix says of a state
wanted()
{
	echo "$MATRIX" | {
		read -r names
		column=0
		for name in $names; do
			column=$((column + 1))
			[ "$name" != "$1" ] || break
		done
		while read -r number name row; do
			set -- $row
			eval "symbol=\${$column}"
			case $symbol in
			y)	echo "$number? 0 same" ;;
			n)	echo "$number 0 same" ;;
			-)	echo "$number EPERM same"
				echo "$number! EPERM same" ;;
			F)	echo "$number EPERM same"
				echo "$number? EPERM same" ;;
			N)	echo "$number EOPNOTSUPP same"
				echo "$number! EOPNOTSUPP same" ;;
			esac
		done
	}
}

row()
{
	breakable
	enter "$1"
	verdicts "$(wanted "$1")
0 ERANGE same
1 ERANGE same
28 ERANGE same
65535 ERANGE same
3 EOPNOTSUPP same
13 EOPNOTSUPP same"
	# What the pair says of itself: the same, as far as there is a verb.
	allowed=$(f m allowed_operations)
	accepted=" $(sed -n 's/^\([0-9]*\)?* 0 same/\1/p' "$TMP/got" | tr '\n' ' ')"
	echo "$MATRIX" | while read -r number name _; do
		case $accepted in
		*" $number "*) ;;
		*)	continue ;;
		esac
		case " $allowed " in
		*" $name "*) ;;
		*)	[ "$name" = unprepare ] || echo "$name" ;;
		esac
	done >"$TMP/lacking"
	[ ! -s "$TMP/lacking" ] || fail "allowed_operations lacks $(cat "$TMP/lacking"): $allowed"
	# The way out, where the matrix admits one at all.
	case $1 in
	Un|Ab)	force=--force ;;
	*)	force= ;;
	esac
	synctl -q detach "${P}m" $force || fail "detach: $?"
	until_true 20 sh -c "dmsetup status ${P}m | grep -q passthrough" ||
		fail "detach: $(dmsetup status "${P}m")"
}

# step OPERATION STATE: carried out with synctl
step()
{
	synctl -q -y "$1" "${P}m" >"$TMP/step" 2>&1 || fail "$1 in $(states m): $(cat "$TMP/step")"
	wait_state m "$2"
	[ "$(f m requested_copy_state)" = "Not Applicable" ] || [ "$2" = Unsynchronized ] ||
		fail "$1: requested_copy_state is $(f m requested_copy_state)"
}

slow() { msg m set rate 4096; }
fast() { msg m set rate 0; }

# Each accepted cell of the matrix once, but for those that end the pair.
t_walk_over_all_states()
{
	breakable
	new stop_at:initialized rate:4096 hold_max:600
	step prepare Prepared
	step activate Unsynchronized
	step abort Aborted
	step prepare Prepared
	step activate Unsynchronized
	step fracture Fractured
	step prepare Prepared
	step activate Unsynchronized
	step suspend Suspended
	step deactivate Inactive
	step activate Unsynchronized
	step deactivate Inactive
	step prepare Prepared
	step activate Unsynchronized
	step abort Aborted
	fast
	step resync Synchronized
	step split Split
	step prepare Prepared
	step activate Synchronized
	step fracture Fractured
	step deactivate Inactive
	step activate Synchronized
	step split Split
	step deactivate Inactive
	step activate Synchronized
	step deactivate Inactive
	step activate Synchronized
	step suspend Suspended
	step resume Synchronized
	step suspend Suspended
	step split Split
	step resync Synchronized
	step suspend Suspended
	step fracture Fractured
	step resync Synchronized
	step split Split
	step restore Synchronized
	step fracture Fractured
	step restore Synchronized
	step fracture Fractured
	step unprepare Prepared
	step activate Synchronized
	same "$(dev s)" "$(dev r)"
	remove m
	mirror m "$(dev s)" "$(dev r)" - 128 stop_at:initialized
	step activate Synchronized
	# Broken, with the replica dead until the operation is done.
	for operation in deactivate prepare; do
		swap r "0 2048 error"
		prod
		wait_state m Broken
		case $operation in
		deactivate)	step deactivate Inactive ;;
		prepare)	step prepare Prepared ;;
		esac
		swap r "0 2048 linear $D1 0"
		step activate Synchronized
	done
	swap r "0 2048 error"
	prod
	wait_state m Broken
	swap r "0 2048 linear $D1 0"
	synctl -q resync "${P}m" || fail "resync when Broken"
	synced m
	same "$(dev s)" "$(dev r)"
	synctl -q dissolve "${P}m"
	until_true 20 sh -c "dmsetup status ${P}m | grep -q passthrough" ||
		fail "dissolve: $(dmsetup status "${P}m")"
}

# The tool's exit codes and the kernel's sentence.
t_refusals_as_synctl_shows_them()
{
	breakable
	new assume_in_sync
	synctl resume "${P}m" >"$TMP/out" 2>&1 && fail "resume of a Synchronized pair"
	code=0
	synctl resume "${P}m" >"$TMP/out" 2>&1 || code=$?
	equal "exit code of a refusal" $code 5
	grep -q "synctl: ${P}m: " "$TMP/out" || fail "no sentence: $(cat "$TMP/out")"
	code=0
	synctl failover "${P}m" >"$TMP/out" 2>&1 || code=$?
	equal "exit code of what is not supported" $code 1
	code=0
	synctl resume "${P}nobody" >"$TMP/out" 2>&1 || code=$?
	equal "exit code for a pair that is not there" $code 3
}

t_initialized() { row In; }
t_prepared() { row Pr; }
t_unsynchronized() { row Un; }
t_synchronized() { row Sy; }
t_broken() { row Br; }
t_fractured() { row Fr; }
t_split() { row Sp; }
t_inactive() { row Ia; }
t_suspended() { row Su; }
t_aborted() { row Ab; }

# A replica that never was in sync is worth nothing: only force gives it up.
t_never_synchronized()
{
	breakable
	new rate:4096
	msg m fracture
	wait_state m Fractured
	verdicts "8 EPERM same
9 EPERM same
15 EPERM same
21 EPERM same
8! 0 changed"
	new rate:4096 hold_max:600
	msg m suspend
	wait_state m Suspended
	verdicts "8 EPERM same
9 EPERM same
21 EPERM same
21! EPERM same"
	new stop_at:inactive
	verdicts "8 EPERM same
9 EPERM same
9! 0 changed"
}

# A fractured replica that was written to is no image of anything.
t_restore_from_a_written_fracture_needs_force()
{
	breakable
	new assume_in_sync
	msg m fracture
	wait_state m Fractured
	replica_door d m
	dmsio fill "$(dev d)" --sectors 8:8 >/dev/null
	remove d
	verdicts "15 EPERM same
15! 0 changed"
	synced m
	same "$(dev s)" "$(dev r)"
}

t_an_operation_in_flight()
{
	breakable
	new assume_in_sync
	msg m split
	wait_state m Split
	dmsio fill "$(dev m)" >/dev/null
	slow
	msg m restore
	verdicts "12 EBUSY same
21 EBUSY same
22 EBUSY same
7 EBUSY same
24 EBUSY same
14 EBUSY same
8 EBUSY same
2 EPERM same"
	fast
	synced m
	# The restore owes a fracture.
	fields m "progress_status=Requires fracture"
	verdicts "14 EPERM same
15 EPERM same
22 EPERM same
7 EPERM same
20 EOPNOTSUPP same
10 EOPNOTSUPP same
12? 0 same
21 0 changed"
	wait_state m Split
}

t_unknown_operations_are_invalid()
{
	breakable
	new assume_in_sync
	before=$(f m generation)
	for word in "" 0 1 28 synchronise "resync now" "resync force force" "set" "set rate" \
		"set rate x1" "set rate 1e3" "set priority urgent" "set hold maybe" \
		"set hold_max 86401" "set uuid 0" "add-sync-pair" "activate-consistency"; do
		case $(message m $word) in
		EINVAL|EOPNOTSUPP) ;;
		*)	fail "message \"$word\": $(message m $word)" ;;
		esac
		equal "the generation after \"$word\"" "$(f m generation)" "$before"
	done
}

run_tests t_initialized t_prepared t_unsynchronized t_synchronized t_broken t_fractured t_split \
	t_inactive t_suspended t_aborted t_walk_over_all_states \
	t_refusals_as_synctl_shows_them t_never_synchronized \
	t_restore_from_a_written_fracture_needs_force t_an_operation_in_flight \
	t_unknown_operations_are_invalid

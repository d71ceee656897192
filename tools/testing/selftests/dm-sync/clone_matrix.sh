#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_matrix.sh - every operation in every state a clone can be in
#
# One test for each state: each operation is asked for by netlink; what is refused must
# leave every field as it was, what holds already too. What would be accepted is asked
# for as a dry run there, and carried out with synctl in the walks over all states.

# shellcheck disable=SC2154,SC2086 # D0...; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/clone.inc"
need_program synctl python3
disks 2
NL="python3 -SE $here/nl.py"

# y accepted, n holds already, - refused, F only with force, N not supported. Ix is an
# Inactive clone that is not complete.
MATRIX="\
		  In Pr Un Sy Br Fr Sp Ia Ix Su Ab Sk
2 abort			-  -  y  -  -  -  -  -  -  y  n  -
4 activate		y  y  n  n  -  -  -  y  y  -  -  -
7 deactivate		n  -  y  y  y  y  y  n  n  y  -  y
8 detach		y  y  F  y  F  y  y  y  F  F  F  y
9 dissolve		y  y  F  y  F  y  y  y  F  F  F  y
10 failover		N  N  N  N  N  N  N  N  N  N  N  N
11 failback		N  N  N  N  N  N  N  N  N  N  N  N
12 fracture		-  -  -  y  -  n  n  -  -  -  -  y
14 resync		-  -  n  y  y  y  y  -  -  -  y  y
15 restore		-  -  -  y  -  y  y  -  -  -  -  y
16 resume		-  -  -  -  -  -  -  -  -  y  -  -
17 reset-to-sync	N  N  N  N  N  N  N  N  N  N  N  N
18 reset-to-async	N  N  N  N  N  N  N  N  N  N  N  N
19 return-to-resource-pool N N N N N  N  N  N  N  N  N  N
20 reverse		N  N  N  N  N  N  N  N  N  N  N  N
21 split		-  -  -  y  -  n  n  -  -  -  -  y
22 suspend		-  -  y  n  -  -  -  -  -  n  -  -
23 unprepare		y  n  -  -  y  y  y  y  y  -  y  y
24 prepare		y  n  -  -  y  y  y  y  y  -  y  y
25 reset-to-adaptive	N  N  N  N  N  N  N  N  N  N  N  N
26 reset-to-active	N  N  N  N  N  N  N  N  N  N  N  N
27 reset-replica	N  N  N  N  N  N  N  N  N  N  N  N"

# The two sides, small; no metadata device. With TO_DELTA a delta is behind the replica.
sides()
{
	N=2048
	DELTA_AT=65536 DELTA_N=8192
	[ -z "${TO_DELTA-}" ] || DELTA_ON=$D1
	slice s "$D0" "$N"
	slice r "$D1" "$N" 8
	S=$(dev s) R=$(dev r) META=-
	dmsio fill "$S" --seq "$IMAGE_SEQ" >/dev/null
	[ -z "$DELTA_ON" ] || delta
}

# new [OPTION...]: a clone of them, $TYPE if that is set
new()
{
	for _name in d c; do
		! dev $_name >/dev/null || remove $_name
	done
	[ -z "$DELTA_ON" ] || blank "$DL"
	clone ${TYPE-} recovery:manual hold_max:600 "$@"
}

# broken: a piece of the copy could not be written
broken()
{
	dead r
	fast
	wait_state c Broken
	slow
}

# lost: a write of the host could be let go only without the image
lost()
{
	dead r
	[ -z "$DELTA_ON" ] || dead dl
	dmsio fill "$C" --sectors 1024:8 >/dev/null || fail "a host write failed with the replica"
	wait_state c Broken
	wait_field c progress_status "Requires resync"
}

# mend: what these have made of the devices
mend()
{
	heal r
	[ -z "$DELTA_ON" ] || heal dl
}

skew()
{
	door
	dmsio fill "$D" --sectors 64:8 --seq "$OWN_SEQ" >/dev/null
	wait_state c Skewed
	remove d
}

# enter STATE: a new clone, and bring it there
enter()
{
	case $1 in
	In)	new stop_at:initialized ;;
	Pr)	new stop_at:prepared ;;
	Ix)	new stop_at:inactive ;;
	Un|Br|Lo|Su|Ab)	new $SLOW ;;
	*)	new; synced c ;;
	esac
	case $1 in
	Br)	broken ;;
	Lo)	lost ;;
	Fr)	op fracture; wait_state c Fractured ;;
	Sp)	op split; wait_state c Split ;;
	Ia)	op deactivate; wait_state c Inactive ;;
	Su)	op suspend; wait_state c Suspended ;;
	Ab)	op abort; wait_state c Aborted ;;
	Sk)	skew ;;
	esac
}

# verdicts WANTED: the answers to what is asked for, one "NUMBER RESULT same" each
verdicts()
{
	words=$(echo "$1" | cut -d ' ' -f 1 | tr '\n' ' ')
	$NL ops "${P}c" $words >"$TMP/verdicts" 2>&1 || fail "$(cat "$TMP/verdicts")"
	cut -d ' ' -f 1-3 "$TMP/verdicts" >"$TMP/got"
	echo "$1" | sed '/^$/d' | diff "$TMP/got" - >"$TMP/diff" ||
		fail "in $(states c), < got, > expected: $(cat "$TMP/diff")
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

# agrees: what the clone says of itself is the same, as far as there is a verb
agrees()
{
	allowed=" $(f c allowed_operations) "
	sed -n 's/^\([0-9]*\)?* 0 same/\1/p' "$TMP/got" >"$TMP/accepted"
	echo "$MATRIX" | sed 1d | while read -r number name _; do
		is=no says=no
		! grep -qx "$number" "$TMP/accepted" || is=yes
		case $allowed in
		*" $name "*)	says=yes ;;
		esac
		[ $is = $says ] || [ "$name" = unprepare ] ||
			echo "$name: $is, allowed_operations: $says"
	done >"$TMP/lacking"
	[ ! -s "$TMP/lacking" ] || fail "$(cat "$TMP/lacking")"
}

# row STATE [COLUMN]
row()
{
	sides
	enter "$1"
	[ -z "$DELTA_ON" ] || fields c sync_mode=Asynchronous
	verdicts "$(wanted "${2:-$1}")
0 ERANGE same
1 ERANGE same
28 ERANGE same
65535 ERANGE same
3 EOPNOTSUPP same
13 EOPNOTSUPP same"
	agrees
	# The way out that every state has.
	case $1 in
	Un|Br|Lo|Su|Ab|Ix)	force=--force ;;
	*)	force= ;;
	esac
	synctl -q -y detach "${P}c" $force || fail "detach: $?"
	dissolved 20
	fresh
}

t_initialized() { row In; }
t_prepared() { row Pr; }
t_unsynchronized() { row Un; }
t_synchronized() { row Sy; }
t_broken() { row Br; }
t_broken_without_an_image() { row Lo Br; }
t_fractured() { row Fr; }
t_split() { row Sp; }
t_inactive() { row Ia; }
t_inactive_and_incomplete() { row Ix; }
t_suspended() { row Su; }
t_aborted() { row Ab; }
t_skewed() { row Sk; }

# The states that a clone is in that ends when it is complete: the same columns.
t_temporary_clones()
{
	TYPE=copy_type:unassoc
	for state in In Pr Un Br Ix Su Ab; do
		row $state
	done
}

# With old data in a delta: the same columns, and what is saved is in the way of nothing.
t_clones_with_a_delta()
{
	TO_DELTA=yes
	for state in In Pr Un Sy Br Fr Sp Ia Ix Su Ab Sk; do
		row $state
	done
	row Lo Br
	TYPE=copy_type:unassoc
	row Un
	row Su
}

t_walks_with_a_delta()
{
	TO_DELTA=yes
	t_walk_over_all_states
	fresh
	t_walk_from_skewed
	fresh
	t_walk_from_broken
}

# step OPERATION STATE: carried out with synctl
step()
{
	synctl -q -y "$1" "${P}c" >"$TMP/step" 2>&1 || fail "$1 in $(states c): $(cat "$TMP/step")"
	wait_state c "$2"
	[ "$2" = Unsynchronized ] || wait_settled c
	[ "$(f c requested_copy_state)" = "Not Applicable" ] || [ "$2" = Unsynchronized ] ||
		fail "$1: requested_copy_state is $(f c requested_copy_state)"
}

# Each accepted cell of the matrix once, but for those that end the pair.
t_walk_over_all_states()
{
	sides
	new stop_at:initialized $SLOW
	step prepare Prepared
	step activate Unsynchronized
	step abort Aborted
	step prepare Prepared
	step activate Unsynchronized
	step suspend Suspended
	step resume Unsynchronized
	step suspend Suspended
	step abort Aborted
	step resync Unsynchronized
	step deactivate Inactive
	step activate Unsynchronized
	step suspend Suspended
	step deactivate Inactive
	step unprepare Prepared
	fast
	step activate Synchronized
	step resync Synchronized
	step restore Synchronized
	step fracture Fractured
	step resync Synchronized
	step split Split
	step resync Synchronized
	step fracture Fractured
	step restore Synchronized
	step split Split
	step restore Synchronized
	step fracture Fractured
	step deactivate Inactive
	step activate Synchronized
	step split Split
	step deactivate Inactive
	step activate Synchronized
	step fracture Fractured
	step prepare Prepared
	step activate Synchronized
	step split Split
	step prepare Prepared
	step activate Synchronized
	step deactivate Inactive
	step activate Synchronized
	same "$S" "$R"
	new stop_at:initialized
	step activate Synchronized
	same "$S" "$R"
}

t_walk_from_skewed()
{
	sides
	new
	synced c
	skew
	step fracture Fractured
	step resync Synchronized
	skew
	step split Split
	step resync Synchronized
	skew
	step restore Synchronized
	same "$S" "$R"
	skew
	step deactivate Inactive
	step activate Synchronized
	skew
	step prepare Prepared
	step activate Synchronized
	skew
	step resync Synchronized
	same "$S" "$R"
	skew
	synctl -q -y dissolve "${P}c"
	dissolved 20
}

_is_suspended()
{
	[ "$way" = broken ] && [ "$(f c copy_state)" = Suspended ]
}

# Broken in both ways, with the replica dead until the operation is done.
t_walk_from_broken()
{
	sides
	for way in broken lost; do
		for operation in deactivate prepare; do
			new $SLOW
			$way
			case $operation in
			deactivate)	step deactivate Inactive ;;
			prepare)	step prepare Prepared ;;
			esac
			mend
			fast
			step activate Synchronized
			same "$S" "$R"
		done
		new $SLOW
		$way
		mend
		fast
		# A probe may be sooner: then there is nothing that a resync is for.
		_is_suspended || synctl -q -y resync "${P}c" >"$TMP/step" 2>&1 || _is_suspended ||
			fail "resync in $(states c): $(cat "$TMP/step")"
		! _is_suspended || step resume Synchronized
		wait_state c Synchronized
		wait_settled c
		same "$S" "$R"
	done
}

t_a_restore_in_flight()
{
	sides
	new
	synced c
	dmsio fill "$C" >/dev/null
	slow
	op restore
	fields c copy_state=Synchronized progress_status=Restoring \
		"sync_state=Restore In Progress" "requested_copy_state=Not Applicable"
	verdicts "4 EBUSY same
7 EBUSY same
8 EBUSY same
9 EBUSY same
12 EBUSY same
14 EBUSY same
15 EBUSY same
16 EBUSY same
21 EBUSY same
22 EBUSY same
24 EBUSY same
2 EPERM same
2? EPERM same
20 EOPNOTSUPP same
27 EOPNOTSUPP same"
	# The way out: half a restore, which only another one completes.
	synctl -q -y abort --force "${P}c" || fail "abort --force: $?"
	wait_state c Broken
	fields c progress_status=Dormant requested_copy_state=Synchronized sync_state=Broken
	verdicts "15? 0 same
14 EPERM same
7 EPERM same
24 EPERM same
9 EPERM same
8 EPERM same
12 EPERM same
21 EPERM same
22 EPERM same
4 EPERM same
16 EPERM same"
	fast
	op restore
	synced c
	wait_settled c
	same "$S" "$R"
}

t_unknown_operations_are_invalid()
{
	sides
	new
	synced c
	before=$(f c generation)
	for word in "" 0 1 28 synchronise "resync now" "resync force force" "set" "set rate" \
		"set rate x1" "set priority urgent" "set hold maybe" "set hold_max 86401" \
		"set copy_type unassoc" "set methodology full" "set on_full drop" "image create a" \
		"add-sync-pair" "activate-consistency"; do
		case $(message c $word) in
		EINVAL|EOPNOTSUPP) ;;
		*)	fail "message \"$word\": $(message c $word)" ;;
		esac
		equal "the generation after \"$word\"" "$(f c generation)" "$before"
	done
	code=0
	synctl resume "${P}c" >"$TMP/out" 2>&1 || code=$?
	equal "exit code of a refusal" $code 5
	grep -q "synctl: ${P}c: " "$TMP/out" || fail "no sentence: $(cat "$TMP/out")"
	code=0
	synctl failover "${P}c" >"$TMP/out" 2>&1 || code=$?
	equal "exit code of what is not supported" $code 1
}

run_tests t_initialized t_prepared t_unsynchronized t_synchronized t_broken \
	t_broken_without_an_image t_fractured t_split t_inactive t_inactive_and_incomplete \
	t_suspended t_aborted t_skewed t_temporary_clones t_clones_with_a_delta \
	t_walk_over_all_states t_walk_from_skewed t_walk_from_broken t_walks_with_a_delta \
	t_a_restore_in_flight \
	t_unknown_operations_are_invalid

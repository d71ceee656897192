#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_ops.sh - every operation on an image in every state, and what it promises
#
# One test for each state: each operation is asked for by netlink; what is refused must
# leave every field as it was, what holds already too. What would be accepted is a dry run
# there and carried out in the walk over all states, but for restores, which have a script
# of their own.

# shellcheck disable=SC2154,SC2086 # D0...; lists of words
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
need_program python3
disks 2
NL="python3 -SE $here/nl.py"

# y accepted, n holds already, - refused, B busy, F only with force, N not supported; Re
# is Synchronized, and the source is being restored from it
MATRIX="\
		  In Pr Sy Sk Su Ia Br Re
2 abort			-  -  -  -  -  -  -  F
4 activate		y  y  n  n  -  y  -  B
7 deactivate		n  -  y  y  y  n  y  B
8 detach		y  y  N  N  N  y  F  B
9 dissolve		y  y  y  y  y  y  y  B
10 failover		N  N  N  N  N  N  N  N
11 failback		N  N  N  N  N  N  N  N
12 fracture		N  N  N  N  N  N  N  N
14 resync		-  -  y  y  -  -  y  B
15 restore		-  -  y  y  -  -  -  B
16 resume		-  -  -  -  y  -  -  B
17 reset-to-sync	N  N  N  N  N  N  N  N
18 reset-to-async	N  N  N  N  N  N  N  N
19 return-to-resource-pool y y y  y  y  y  y  B
20 reverse		N  N  N  N  N  N  N  N
21 split		N  N  N  N  N  N  N  N
22 suspend		-  -  y  y  n  -  -  B
23 unprepare		y  n  -  -  -  y  y  B
24 prepare		y  n  -  -  -  y  y  B
25 reset-to-adaptive	N  N  N  N  N  N  N  N
26 reset-to-active	N  N  N  N  N  N  N  N
27 reset-replica	-  -  n  y  -  -  -  B"

# A store that cannot be written, and a write that would have to be saved.
break_image()
{
	swap st "0 $STORE_N error"
	dmsio fill "$V" --sectors 0:8 >/dev/null || fail "the source failed with the store"
	wait_state v@x Broken
	swap st "0 $STORE_N linear $D1 0"
	space_becomes ok
}

# skew: a first own write
skew()
{
	door x
	dmsio fill "$(dev d.x)" --sectors 64:8 >/dev/null
	wait_state v@x Skewed
	shut x
}

# enter STATE: a new image x, and bring it there
enter()
{
	case $1 in
	In)	image create x initialized ;;
	Pr)	image create x prepared ;;
	Ia)	image create x inactive ;;
	*)	image create x ;;
	esac
	case $1 in
	Sk)	skew ;;
	Su)	image suspend x ;;
	Br)	break_image ;;
	Re)	restoring ;;
	esac
}

# A restore that stands: a chunk takes it eighteen hours.
restoring()
{
	dmsio fill "$V" --sectors 0:1024 >/dev/null
	msg v set rate 1
	image restore x
}

# verdicts WANTED: the answers to what is asked for, one "NUMBER RESULT same" each
verdicts()
{
	words=$(echo "$1" | while read -r word _; do echo "$word"; done)
	$NL ops "${P}v@x" $words >"$TMP/verdicts" 2>&1 || fail "$(cat "$TMP/verdicts")"
	cut -d ' ' -f 1-3 "$TMP/verdicts" >"$TMP/got"
	echo "$1" | diff "$TMP/got" - >"$TMP/diff" ||
		fail "in $(f v@x copy_state), < got, > expected: $(cat "$TMP/diff")
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
			B)	echo "$number EBUSY same"
				echo "$number! EBUSY same" ;;
			N)	echo "$number EOPNOTSUPP same"
				echo "$number! EOPNOTSUPP same" ;;
			esac
		done
	}
}

row()
{
	volume hold_max:600
	enter "$1"
	verdicts "$(wanted "$1")
0 ERANGE same
1 ERANGE same
28 ERANGE same
65535 ERANGE same
3 EOPNOTSUPP same
13 EOPNOTSUPP same"
	# What the image says of itself: the same, as far as there is a verb.
	allowed=" $(f v@x allowed_operations) "
	accepted=" $(sed -n 's/^\([0-9]*\)?* 0 same/\1/p' "$TMP/got" | tr '\n' ' ')"
	echo "$MATRIX" | {
		read -r _
		while read -r number name _; do
			is=no says=no
			case $accepted in
			*" $number "*)	is=yes ;;
			esac
			case $allowed in
			*" $name "*)	says=yes ;;
			esac
			[ $is = $says ] || [ "$name" = unprepare ] ||
				fail "$name: $is, allowed_operations: $says"
		done
	}
	[ "$1" != Re ] || image abort x force
	image delete x force
	nothing_left "delete"
}

t_initialized() { row In; }
t_prepared() { row Pr; }
t_synchronized() { row Sy; }
t_skewed() { row Sk; }
t_suspended() { row Su; }
t_inactive() { row Ia; }
t_broken() { row Br; }
t_restoring() { row Re; }

# step OPERATION STATE [WORD]: by message
step()
{
	_op=$1 _to=$2
	shift 2
	image "$_op" x "$@"
	fields v@x "copy_state=$_to" "requested_copy_state=Not Applicable"
}

# Each accepted cell of the matrix once, but for those that end the image.
t_walk_over_all_states()
{
	volume hold_max:600
	enter In
	step prepare Prepared
	step activate Synchronized
	step resync Synchronized
	step suspend Suspended
	step resume Synchronized
	step suspend Suspended
	step deactivate Inactive
	step prepare Prepared
	step activate Synchronized
	step deactivate Inactive
	step unprepare Prepared
	step activate Synchronized
	skew
	step suspend Suspended
	step resume Skewed
	step reset-replica Synchronized
	skew
	step resync Synchronized
	skew
	step deactivate Inactive
	step activate Synchronized
	break_image
	step resync Synchronized
	break_image
	step deactivate Inactive
	step activate Synchronized
	break_image
	step prepare Prepared
	step activate Synchronized
	door x
	same "$(dev d.x)" "$V"
	shut x
	image delete x
	enter In
	step activate Synchronized
	image delete x
	enter In
	step unprepare Prepared
}

# ends STATE OPERATION [force]: the image is gone, its space is back, no trace is left
ends()
{
	_state=$1
	shift
	enter "$_state"
	_op=$1
	shift
	image "$_op" x "$@"
	[ ! -d "$(sysdir v@x)" ] || fail "the directory is there after $_op in $_state"
	nothing_left "$_op in $_state"
}

t_every_end_of_an_image()
{
	volume hold_max:600
	for state in In Pr Sy Sk Su Ia Br; do
		ends $state return-to-resource-pool
		ends $state dissolve
	done
	ends Sy delete
	for state in In Pr Ia; do
		ends $state detach
	done
	ends Br detach force
	# What was dissolved stays away.
	remove v
	store
	nothing_left "another start"
	enter Sy
}

# taken: five images with writes between them, and what they held
taken()
{
	rm -f "$TMP"/*.kept
	for name in a b c d e; do
		create $name
		keep $name
		dmsio write "$V" --ops 10 --threads 2 --max-bytes 64k --seed "$1" >/dev/null
	done
	dmsio fill "$(dev d.c)" --sectors 700:300 >/dev/null
	keep_image c
}

# in_order NAME...: delete them, and compare the others each time
in_order()
{
	taken 1
	left="a b c d e"
	for gone; do
		delete "$gone"
		left=${left%"$gone"*}${left#*"$gone"}
		dmsio fill "$V" --sectors $(($(used) % 30 * 128)):200 >/dev/null
		as_kept $left
	done
	nothing_left "all are deleted"
	equal "space" "$(status_word v 6)" ok
}

t_deleted_from_the_oldest_on() { volume; in_order a b c d e; }
t_deleted_from_the_newest_on() { volume; in_order e d c b a; }
t_deleted_in_the_middle_first()
{
	volume
	in_order c b d a e
	in_order b d a e c
}

t_what_is_deleted_stays_so()
{
	volume
	taken 3
	delete b d
	again
	as_kept a c e
	equal "images" "$(status_word v 4)" 3
	at_least "chunks in use" "$(used)" 1
	delete a c e
	nothing_left "all are deleted"
	remove v
	store
	nothing_left "all were deleted"
}

t_deactivate_and_activate_under_writers()
{
	volume
	create a b
	keep b
	writers
	more 50
	image deactivate a
	fields v@a copy_state=Inactive progress_status=Dormant sync_state=Quiesced sync_time=- \
		door_access=none saved_bytes=0
	! dd if="$(dev d.a)" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "an Inactive image can be read"
	as_kept b
	image activate a
	fields v@a copy_state=Synchronized door_access=read-write
	one=$(dmsio sum "$(dev d.a)")
	more 100
	stop_writers
	equal "the image after activation" "$(dmsio sum "$(dev d.a)")" "$one"
	one_instant a
	different "$(dev d.a)" "$(dev d.b)"
	as_kept b
	no_write_is_lost
}

t_resync_is_a_new_point_in_time()
{
	volume
	create a b
	keep b
	dmsio fill "$(dev d.a)" --sectors 0:500 >/dev/null
	wait_state v@a Skewed
	when=$(f v@a sync_time)
	writers
	for round in 1 2 3; do
		more 50
		image resync a
		fields v@a copy_state=Synchronized progress_status=Completed
		one=$(dmsio sum "$(dev d.a)")
		[ "$one" != "$(dmsio sum "$(dev d.b)")" ] || fail "the old content is there"
		more 50
		equal "round $round" "$(dmsio sum "$(dev d.a)")" "$one"
	done
	stop_writers
	[ "$(f v@a sync_time)" != "$when" ] || fail "sync_time is the old one"
	equal "the image" "$(dmsio sum "$(dev d.a)")" "$one"
	one_instant a
	as_kept b
	no_write_is_lost
	delete b a
	used_becomes 0
}

t_suspend_holds_what_needs_saving()
{
	volume hold_max:600
	create a
	keep a
	dmsio fill "$V" --sectors 0:8 >/dev/null
	image suspend a
	fields v@a copy_state=Suspended progress_status=Dormant sync_state=Quiesced \
		door_access=read-only
	n=$(used)
	# A chunk that is protected already: passes. Reads: pass. The rest waits.
	soon dmsio fill "$V" --sectors 8:8 >/dev/null || fail "a write to a saved chunk waits"
	dmsio fill "$V" --sectors 1280:8 --seq 77 >/dev/null &
	writer=$!
	echo $writer >>"$BASE/pids"
	until_true 20 held_is 1 || fail "nothing is held: $(dmsetup status "${P}v")"
	fields v@a held="$(status_word v 7)"
	soon dmsio read "$V" --ops 50 --max-bytes 16k >/dev/null || fail "reads wait too"
	soon dmsio fill "$V" --sectors 16:8 --seq 3 >/dev/null || fail "others wait, too"
	kill -0 $writer 2>/dev/null || fail "the write went through"
	dmsio verify "$S" --sectors 1280:8 --max-seq 76 >/dev/null || fail "written while held"
	as_kept a
	! dmsio fill "$(dev d.a)" --sectors 0:8 >/dev/null 2>&1 || fail "written while read only"
	equal "used" "$(used)" "$n"
	image resume a
	wait_exit $writer || fail "the held write failed"
	fields v@a copy_state=Synchronized door_access=read-write held=0
	holds_seq 77 1280 8
	equal "used" "$(used)" $((n + 1))
	as_kept a
	# hold_max ends it: saved, and the image is still Suspended.
	msg v set hold_max 2
	image suspend a
	soon dmsio fill "$V" --sectors 2560:8 >/dev/null || fail "held for ever"
	wait_field v@a reason "writes were held for the longest time allowed"
	fields v@a copy_state=Suspended
	as_kept a
	image resume a
	as_kept a
	# A deletion lets them go as well.
	msg v set hold_max 600
	image suspend a
	dmsio fill "$V" --sectors 3840:8 >/dev/null &
	writer=$!
	echo $writer >>"$BASE/pids"
	until_true 20 held_is 1 || fail "nothing is held"
	delete a
	wait_exit $writer || fail "the held write failed"
}

t_suspend_and_resume_of_an_image_under_writers()
{
	volume hold_max:600
	create a b
	keep a b
	writers
	for round in 1 2 3; do
		# For a new image everything has to be saved: each writer is held some time.
		image suspend a
		image create r force
		until_true 30 held_is 4 || fail "round $round: $(status_word v 7) are held"
		as_kept a
		image resume a
		until_true 10 _unheld || fail "round $round: $(status_word v 7) are held still"
		image delete r
	done
	stop_writers
	as_kept a b
	no_write_is_lost
}

_unheld()
{
	[ "$(status_word v 7)" = 0 ]
}

t_the_source_door_suspended_resumed_reloaded_under_load()
{
	volume
	create a
	keep a
	writers
	LINE=$(store_line)
	for round in 1 2 3; do
		dmsetup suspend "${P}v"
		as_kept a
		equal "create while suspended" "$(message v image create no$round)" EBUSY
		dmsetup resume "${P}v"
		reload
		reload --noflush
		reload --nolockfs
		as_kept a
		fields v@a copy_state=Synchronized
		image create t
		more 20
		image delete t
	done
	# A suspended image with held writes does not stop the device from being suspended.
	image suspend a
	image create b force
	until_true 30 held_is 1 || fail "nothing is held"
	soon dmsetup suspend "${P}v" || fail "cannot be suspended"
	dmsetup resume "${P}v"
	as_kept a
	fields v@a copy_state=Suspended
	image resume a
	stop_writers
	as_kept a
	no_write_is_lost
	# Size and chunk size are no matter of a reload.
	for line in "0 $((N - 8)) sync snapshot $S $ST - 128" "0 $N sync snapshot $S $ST - 64"; do
		! echo "$line" | dmsetup load "${P}v" 2>/dev/null || fail "loaded: $line"
	done
	dmsetup clear "${P}v"
}

t_the_store_grows_by_a_reload_under_load()
{
	STORE_N=8192 N=16384
	volume
	create a
	keep a
	slots=$(f v@a slots)
	writers --sectors 0:2048
	STORE_N=49152
	swap st "0 $STORE_N linear $D1 0"
	LINE=$(store_line)
	reload --noflush
	[ "$(f v@a slots)" -gt $((slots * 4)) ] || fail "slots: $slots, then $(f v@a slots)"
	fields v@a store_bytes=$((STORE_N * 512)) copy_state=Synchronized
	stop_writers
	# More than the old size had room for.
	dmsio fill "$V" --seq 9 >/dev/null
	fields v@a copy_state=Synchronized saved_bytes=$((N * 512))
	[ "$((N / CHUNK))" -gt "$slots" ] || fail "the old size had room for all"
	as_kept a
	again
	as_kept a
	delete a
	used_becomes 0
}

t_the_module_stays_while_it_is_in_use()
{
	[ -z "${DM_SYNC_KEEP_MODULE-}" ] || skip "DM_SYNC_KEEP_MODULE is set"
	volume
	create a
	shut a
	! rmmod dm-sync 2>/dev/null || fail "removed with a store"
	door a
	# The replica door outlives the source door, and is shut then.
	remove v
	! dd if="$(dev d.a)" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null ||
		fail "the door is open without a source door"
	! rmmod dm-sync 2>/dev/null || fail "removed with a replica door"
	shut a
	mod=$(find "$here/../../../../build/$(uname -r)" -name dm-sync.ko 2>/dev/null | head -n 1)
	rmmod dm-sync || fail "not removed when nothing is left"
	if [ -e "$mod" ]; then
		insmod "$mod"
	else
		modprobe dm-sync
	fi
	store
	door a
	same "$(dev d.a)" "$V"
}

run_tests t_initialized t_prepared t_synchronized t_skewed t_suspended t_inactive t_broken \
	t_restoring t_walk_over_all_states t_every_end_of_an_image t_deleted_from_the_oldest_on \
	t_deleted_from_the_newest_on t_deleted_in_the_middle_first t_what_is_deleted_stays_so \
	t_deactivate_and_activate_under_writers t_resync_is_a_new_point_in_time \
	t_suspend_holds_what_needs_saving t_suspend_and_resume_of_an_image_under_writers \
	t_the_source_door_suspended_resumed_reloaded_under_load \
	t_the_store_grows_by_a_reload_under_load t_the_module_stays_while_it_is_in_use

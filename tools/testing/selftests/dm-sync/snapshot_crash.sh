#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshot_crash.sh - power cuts at every point of a recorded life of images
#
# Rules S, S-invalid and D. Source and store lie on one dm-log-writes device. Images are
# taken under load, written to, reset, refreshed, restored from, deleted, and given up
# because the store is full. Then crash_images builds what a power cut would have left and
# takes the store up: no image shows what came after its point in time, nothing that was
# acknowledged is lost, what was deleted or given up stays so, a restore goes on.
#
# DM_SYNC_CRASH_SECONDS=S: time for the replay (default 60; a part of the points is drawn
# by chance when they do not fit); 0: all points, however long it takes.
# DM_SYNC_CRASH_SEED=N: other workload, other draws.

# shellcheck disable=SC2154 # D0...
. "$(dirname "$0")/lib.sh"
. "$here/snapshot.inc"
. "$here/crash.inc"
need_program crash_load crash_images
need_target log-writes delay

AT=4096				# of the store
STORE_N=8448			# 400 slots
CHUNK=$UNIT
SLOW=262144			# bytes a second, to have time for something during a restore

# taken LETTER [OPERATION]: an image, or an old one's new point in time
taken()
{
	mark "taking:$1"
	image "${2-create}" "$1"
	[ "${2-create}" != create ] || door "$1"
	as_taken "$1" "$(dev "d.$1")"
	mark "promised:$1"
}

gone()
{
	shut "$1"
	mark "ending:$1"
	image delete "$1"
	mark "gone:$1"
}

own_writes()
{
	load "$1" "$(dev "d.$1")" --threads 2 "$2" "$3"
}

images_under_load()
{
	load s "$V" --batches 4
	load_while --batches 24 --discard 8
	taken a
	taken b
	load_stop
	load s "$V" --batches 4
	load_while --batches 16
	taken w
	own_writes w --batches 6
	load_stop
	mark resetting:w
	image reset-replica w
	mark reset:w
	own_writes w --batches 6
}

refreshed_and_deleted()
{
	load_while --batches 16
	taken b resync
	gone a
	load_stop
	taken c
	load s "$V" --batches 8 --discard 20
}

_not_restoring()
{
	[ "$(f "v@$1" progress_status)" != Restoring ]
}

# restored LETTER: with writes meanwhile
restored()
{
	msg v set rate "$SLOW"
	mark "restore:$1"
	image restore "$1"
	mark "restoring:$1"
	load_while --batches 12
	load_stop
	msg v set rate 0
	until_true 60 _not_restoring "$1" || fail "the restore does not end"
	mark "restored:$1"
	load s "$V" --batches 4
}

run_full()
{
	gone b
	taken d
	mark full
	for _round in 1 2 3 4; do	# not every draw touches enough chunks
		load_while --batches 60 --max 128
		load_stop
		! _any_broken || break
	done
	until_true 60 _any_broken || fail "the store did not run full: $(dmsetup status "${P}v")"
	for _image in w c d; do
		[ "$(f "v@$_image" copy_state)" != Broken ] || {
			mark "dropped:$_image"
			echo "# $_image was given up"
		}
	done
	load s "$V" --batches 8
	for _image in w c d; do
		gone "$_image"
	done
	mark room
}

_any_broken()
{
	cat "/sys/block/${V#/dev/}/dm-sync/images"/*/copy_state | grep -q Broken
}

record()
{
	log_over $((AT + STORE_N)) "$(late $AT $STORE_N 8)"
	slice s "$(dev log)" $N
	slice st "$(dev log)" $STORE_N $AT
	S=$(dev s) ST=$(dev st)
	blank "$ST"
	crash_load fill "$S"
	mark begin
	store on_full:drop
	mark created
	images_under_load
	refreshed_and_deleted
	restored b
	restored w
	run_full
	taken e
	load s "$V" --batches 6
	shut e
	mark removing
	remove v
	mark removed
	remove st s log base
}

# points OPTION...
points()
{
	crash_images snapshot --log "$D1" --work "$D2" --source "0:$N" \
		--replica "$AT:$STORE_N" --unit $CHUNK --refs "$REFS" \
		--options "1 on_full:drop" "$@"
}

t_a_power_cut_at_every_point_leaves_every_image_as_it_was()
{
	record
	if [ "$SECONDS_MAX" -eq 0 ]; then
		points --between 100 --seed "$SEED"
	else
		points --seconds "$SECONDS_MAX" --seed "$SEED"
	fi
}

# Slot blocks are type 7, records of images type 6.
t_what_was_not_durable_is_found_out()
{
	REFS=$(echo "$BASE"/refs.*)
	control points "from after its point in time\|was promised, and is" lose:7
	control points "from after its point in time" late
	control points "was promised, and is\|is there, \|was given up, and is" lose:6
	control points "source.*older than acknowledged" lie
}

memory data 7
D0=$LOOP
memory log 128
D1=$LOOP
memory work 7
D2=$LOOP
echo "# seed $SEED"
run_tests t_a_power_cut_at_every_point_leaves_every_image_as_it_was \
	t_what_was_not_durable_is_found_out

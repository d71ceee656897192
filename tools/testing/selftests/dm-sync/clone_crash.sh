#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# clone_crash.sh - power cuts at every point of a recorded life of a clone
#
# Rules C, SC and S-invalid. Source, replica and metadata lie on one dm-log-writes device.
# The clone is copied under load and used through both doors, refreshed, cut off, aborted,
# restored from, loses its image because the replica fails; a temporary one ends by itself;
# one saves to a delta, which is a fourth slice.
# Then crash_images builds what a power cut would have left and takes the clone up: its
# replica is, at once and when the copy has ended, what the source was at the point in
# time, with the writes that its own door acknowledged; the source has lost nothing. A
# refresh after that makes both equal: what either side had of its own was remembered.
#
# DM_SYNC_CRASH_SECONDS=S: time for the replay (default 60; a part of the points is drawn
# by chance when they do not fit); 0: all points, however long it takes.
# DM_SYNC_CRASH_SEED=N: other workload, other draws.

# shellcheck disable=SC2154 # D0...
. "$(dirname "$0")/lib.sh"
. "$here/crash.inc"
need_program crash_load crash_images
need_target log-writes delay

REPLICA=4096
META=8192
META_N=512
DELTA=8704
DELTA_TABLES=2048
DELTA_N=$((DELTA_TABLES + 100 * UNIT))	# for 100 of 250 regions: now and then it is full
METHOD=methodology:copy_on_write
WITH_DELTA=
SLOW=524288			# bytes a second, to have time for something during a copy

# clone OPTION...
clone()
{
	table v "0 $N sync clone $(dev s) $(dev r) $(dev m) $UNIT $# $*"
	V=$(dev v)
	replica_door d v
}

# Through a door that is shut there are none.
own_writes()
{
	[ -z "$WITH_DELTA" ] || [ "$(f v door_access)" = read-write ] || return 0
	load r "$(dev d)" --threads 2 "$@"
}

fast()
{
	msg v set rate 0
}

_over()
{
	case $(f v copy_state)/$(f v progress_status) in
	Unsynchronized/*|*ing)	return 1 ;;
	esac
}

over()
{
	fast
	until_true 60 _over || fail "the copy does not end: $(dmsetup status "${P}v")"
}

# refreshed [BATCHES [RATE]]: a new point in time, under load, which goes on
refreshed()
{
	msg v set rate "${2:-$SLOW}"
	if [ -n "$WITH_DELTA" ]; then
		refreshed_shut "${1:-20}"
		return
	fi
	load_while --batches "${1:-20}"
	mark taking:r
	msg v resync
	wait_state v Unsynchronized
	as_taken r "$(dev d)"
	mark promised:r
}

# refreshed_shut BATCHES: what it is cannot be read of the replica. It is the source's
# content, to which nobody writes just then.
refreshed_shut()
{
	mark taking:r
	as_taken r "$V"
	msg v resync
	wait_state v Unsynchronized
	mark promised:r
	load_while --batches "$1"
}

# refreshed_under_load: or what it is when it is complete
refreshed_under_load()
{
	load s "$V" --batches 4
	msg v set rate $SLOW
	load_while --batches 20
	mark taking:r
	msg v resync
	wait_state v Unsynchronized
	mark promised:r
	load_stop
	over
	as_taken r "$(dev d)"
	own_writes --batches 4
}

stack()
{
	log_over $((DELTA + DELTA_N)) "$(late $REPLICA 4096 12)" "$(late $META $META_N 4)" \
		"$(late $DELTA $DELTA_TABLES 4)" \
		"$(late $((DELTA + DELTA_TABLES)) $((DELTA_N - DELTA_TABLES)) 12)"
	slice s "$(dev log)" $N
	slice r "$(dev log)" $N $REPLICA
	slice m "$(dev log)" $META_N $META
	blank "$(dev m)"
	[ -z "$WITH_DELTA" ] || stack_delta
	crash_load fill "$(dev s)"
	mark begin
	mark taking:r
	as_taken r "$(dev s)"
}

stack_delta()
{
	slice x "$(dev log)" $DELTA_N $DELTA
	blank "$(dev x)"
	METHOD="methodology:snap_and_clone delta:$(dev x)"
}

unstack()
{
	mark removing
	remove d v
	mark removed
	[ -z "$WITH_DELTA" ] || remove x
	remove m r s log base
}

first_copy()
{
	# shellcheck disable=SC2086 # words
	clone $METHOD rate:$SLOW
	mark promised:r
	mark created
	load_while --batches 20
	own_writes --batches 8
	load_stop
	over
	load s "$V" --batches 6
	own_writes --batches 4
}

refresh_and_cut()
{
	refreshed
	own_writes --batches 4
	load_stop
	over
	msg v fracture
	wait_state v Fractured
	load s "$V" --batches 6
	own_writes --batches 4
	refreshed
	load_stop
}

suspend_and_abort()
{
	over
	refreshed 30 32768
	msg v suspend
	wait_state v Suspended
	mark suspended
	msg v resume
	load_stop
	over
	refreshed 4 16384
	mark void:r
	msg v abort
	wait_state v Aborted
	load_stop
	load s "$V" --batches 4
	refreshed
	load_stop
	over
}

restored()
{
	load s "$V" --batches 8
	own_writes --batches 6
	dd if="$(dev d)" of="$TMP/want" bs=64k iflag=direct status=none
	msg v set rate $SLOW
	mark restore:r
	msg v restore
	until_true 30 _looks_like "$V" "$TMP/want" || fail "the source is not the replica's"
	mark restoring:r
	load_while --batches 16
	load_stop
	over
	mark restored:r
	load s "$V" --batches 6
	own_writes --batches 4
}

# What hosts changed of an image that is being copied is in the delta, and found there.
taken_up_in_the_middle()
{
	over
	load s "$V" --batches 8
	refreshed 8 65536
	load_stop
	mark shutting
	remove d v
	mark restarting
	# shellcheck disable=SC2086 # words
	clone $METHOD rate:65536
	load s "$V" --batches 8
}

# put NAME LINE: another table
put()
{
	dmsetup suspend --noflush --nolockfs "$P$1"
	echo "$2" | dmsetup load "$P$1"
	dmsetup resume "$P$1"
}

# What the image still needs cannot be copied: it is given up, and the source goes on.
lost()
{
	refreshed 4 32768
	load_stop
	mark failing
	put r "0 $N error"
	[ -z "$WITH_DELTA" ] || put x "0 $DELTA_N error"
	load s "$V" --batches 8
	wait_state v Broken
	[ -z "$WITH_DELTA" ] || wait_field v progress_status "Requires resync"
	mark dropped:r
	load s "$V" --batches 6
	put r "0 $N linear $(dev log) $REPLICA"
	[ -z "$WITH_DELTA" ] || put x "0 $DELTA_N linear $(dev log) $DELTA"
	refreshed
	load_stop
	mark room
	over
}

# points OPTION...
points()
{
	# shellcheck disable=SC2086 # words
	crash_images clone --log "$D1" --work "$D2" --source "0:$N" --replica "$REPLICA:$N" \
		--meta "$META:$META_N" --unit $UNIT --refs "$REFS" $WITH_DELTA \
		--options "${OPTIONS-1 methodology:copy_on_write}" "$@"
}

# replay SHARE_OF_TIME: in percent
replay()
{
	if [ "$SECONDS_MAX" -eq 0 ]; then
		points --between 100 --seed "$SEED"
	else
		points --seconds $((SECONDS_MAX * $1 / 100)) --seed "$SEED"
	fi
}

# The uncopied map is type 9.
t_a_power_cut_at_every_point_leaves_the_clone_what_it_is_to_be()
{
	stack
	first_copy
	refresh_and_cut
	suspend_and_abort
	restored
	lost
	unstack
	replay 80
	control points "from after its point in time\|replica.*older than acknowledged" lose:9
	control points "replica.*: sector" late
	control points "source.*older than acknowledged" lie
}

# Nobody writes to the source here: after a cut all of an extent that was in use is taken for
# changed, and then a refresh copies it whatever the replica map, type 4, has lost.
t_what_hosts_wrote_to_the_replica_is_known_after_a_power_cut()
{
	stack
	clone "$METHOD" rate:$SLOW
	mark promised:r
	mark created
	own_writes --batches 10
	over
	own_writes --batches 6
	unstack
	replay 20
	control points "replica, refreshed" lose:4
}

_passes_through()
{
	dmsetup status "${P}v" | grep -q passthrough
}

t_a_temporary_clone_ends_by_itself_and_its_replica_stays()
{
	OPTIONS="2 methodology:copy_on_write copy_type:unassoc"
	stack
	clone methodology:copy_on_write copy_type:unassoc rate:$SLOW
	mark promised:r
	mark created
	load_while --batches 16
	own_writes --batches 6
	load_stop
	fast
	until_true 60 _passes_through || fail "it does not end: $(dmsetup status "${P}v")"
	mark ended
	load s "$V" --batches 6
	own_writes --batches 6
	unstack
	replay 30
}

# The table of a delta is type 11; type 0 is what is in its slots.
t_a_power_cut_leaves_a_clone_with_a_delta_what_it_is_to_be()
{
	WITH_DELTA="--delta $DELTA:$DELTA_N"
	OPTIONS="2 methodology:snap_and_clone delta:@"
	stack
	first_copy
	refresh_and_cut
	over
	refreshed_under_load
	taken_up_in_the_middle
	suspend_and_abort
	restored
	lost
	unstack
	replay 80
	control points "from after its point in time\|the clone is Broken" lose:11
	control points "replica.*: sector" lose:0
	control points "from after its point in time" late
	control points "source.*older than acknowledged" lie
}

memory data 7
D0=$LOOP
memory log 128
D1=$LOOP
memory work 7
D2=$LOOP
echo "# seed $SEED"
run_tests t_a_power_cut_at_every_point_leaves_the_clone_what_it_is_to_be \
	t_what_hosts_wrote_to_the_replica_is_known_after_a_power_cut \
	t_a_temporary_clone_ends_by_itself_and_its_replica_stays \
	t_a_power_cut_leaves_a_clone_with_a_delta_what_it_is_to_be

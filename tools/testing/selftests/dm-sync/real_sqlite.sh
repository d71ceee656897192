#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# real_sqlite.sh - databases of SQLite, in both kinds of journal, written without a pause:
# whatever image or clone is taken, it holds them as they were at an instant
#
# vm: --disk 200M --disk 200M --disk 16M

# shellcheck disable=SC2154 # D0...
. "$(dirname "$0")/lib.sh"
. "$here/real.inc"
need_program python3 mkfs.ext4 e2fsck
disks 3 200
LITE="python3 -SE $here/real_sqlite.py"
python3 -SE -c 'import sqlite3' 2>/dev/null || ktap_skip_all "Python has no module sqlite3"

# load: both databases are written until stop_load
load()
{
	for journal in wal delete; do
		mkdir "$TMP/v/$journal"
		# shellcheck disable=SC2086 # words
		launch $journal $LITE write "$TMP/v/$journal/db" $journal
	done
	goes_on wal 5
	goes_on delete 5
}

stop_load()
{
	for journal in wal delete; do
		eval "_pid=\$PID_$journal"
		! _gone "$_pid" || fail "$journal has ended: $(tail -n 5 "$TMP/$journal.log")"
		ended $journal TERM
	done
}

# before, after NAME: how far both are; a point in time NAME lies in between
before()
{
	eval "LOW_wal_$1=$(noted wal) LOW_delete_$1=$(noted delete)"
}

after()
{
	eval "HIGH_wal_$1=$(($(noted wal) + 1)) HIGH_delete_$1=$(($(noted delete) + 1))"
}

go_on()
{
	goes_on wal 4
	goes_on delete 4
}

# databases NAME DIRECTORY: below it both are what they were at the point in time NAME;
# looked at in a copy, since opening them writes
databases()
{
	for journal in wal delete; do
		rm -rf "$TMP/copy"
		cp -a "$2/$journal" "$TMP/copy"
		eval "_low=\$LOW_${journal}_$1 _high=\$HIGH_${journal}_$1"
		# shellcheck disable=SC2086 # words
		$LITE check "$TMP/copy/db" "$_low" "$_high" >"$TMP/check" 2>&1 ||
			fail "$1, journal $journal: $(cat "$TMP/check")"
	done
}

# image_holds NAME: the file system was frozen, so it is read as it is
image_holds()
{
	replica_door "d.$1" v "$1"
	mount_on image "$(dev "d.$1")" -o ro
	databases "$1" "$TMP/image"
	unmount image
	fields "v@$1" copy_state=Synchronized
	clean "$(dev "d.$1")"
	remove "d.$1"
}

t_images_in_a_row()
{
	legs
	volume "0 $N sync snapshot $S $O - $CHUNK"
	load
	for image in a b c d e; do
		before $image
		equal "image create" "$(message v image create $image)" 0
		after $image
		go_on
	done
	# Some while the source is written, then all of them.
	image_holds a
	image_holds d
	equal "image delete" "$(message v image delete c)" 0
	go_on
	stop_load
	for image in a b d e; do
		image_holds $image
	done
	unmount v
	equal "restore" "$(message v image restore b)" 0
	mount_on v "$V"
	databases b "$TMP/v"
	wait_settled v@b 60
	databases b "$TMP/v"
	unmount v
	clean "$V"
	image_holds a
	image_holds e
}

# Something was copied for it, or all of it.
_has_passed()
{
	[ "$(f v written_bytes)" != "$written" ] || [ "$(f v sync_time)" != "$time" ]
}

# point NAME OPERATION: a new point in time of the clone
point()
{
	written=$(f v written_bytes) time=$(f v sync_time)
	before "$1"
	equal "$2" "$(message v "$2")" 0
	until_true 60 _has_passed || fail "nothing is copied: $(dmsetup status "${P}v")"
	after "$1"
	go_on
}

# clone_holds NAME: whoever mounts it may write to it
clone_holds()
{
	mount_on clone "$(dev d)"
	databases "$1" "$TMP/clone"
	unmount clone
	clean "$(dev d)"
}

t_a_clone_again_and_again()
{
	legs
	blank "$D2"
	volume "0 $N sync clone $S $O $D2 $CHUNK 1 stop_at:prepared"
	replica_door d v
	load
	msg v set rate 65536
	point one activate
	fields v copy_state=Unsynchronized
	clone_holds one
	msg v set rate 0
	msg v set priority high
	until_true 90 complete || fail "not complete: $(dmsetup status "${P}v")"
	clone_holds one
	for name in two three; do
		point $name resync
		until_true 90 complete || fail "not complete: $(dmsetup status "${P}v")"
		clone_holds $name
	done
	equal split "$(message v split)" 0
	wait_state v Split
	go_on
	clone_holds three
	stop_load
	unmount v
	equal detach "$(message v detach)" 0
	until_true 30 _passes_through || fail "not detached: $(dmsetup status "${P}v")"
	remove d v
	mount_on clone "$O"
	databases three "$TMP/clone"
	unmount clone
	mount_on v "$S"
	before source
	after source
	databases source "$TMP/v"
	unmount v
	clean "$S"
}

# Written or not.
complete()
{
	case $(f v copy_state) in
	Synchronized|Skewed) return 0 ;;
	esac
	return 1
}

run_tests t_images_in_a_row t_a_clone_again_and_again

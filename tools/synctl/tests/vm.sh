#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# synctl against the module. Needs root, dm-sync loaded, and three disks:
#   tools/testing/vm/run --disk 64M --disk 64M --disk 16M -- tools/synctl/tests/vm.sh
# Prints TAP.

set -u
cd "$(dirname "$0")" || exit 1
export LC_ALL=C.UTF-8
SOURCE=${1:-/dev/vm/d0} REPLICA=${2:-/dev/vm/d1} META=${3:-/dev/vm/d2}
SCHEMA=$PWD/../../../Documentation/synctl-status.schema.json
VALIDATE=$PWD/validate.py
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
# A copy in memory starts faster than one on a shared file system.
cp ../synctl "$DIR/synctl"
cd "$DIR" || exit 1
PATH=$DIR:$PATH
count=0
failed=0

# t WHAT EXIT COMMAND...: run, compare the exit code; output in ./out and ./err
t()
{
	local what=$1 want=$2 rc
	shift 2
	"$@" >out 2>err </dev/null
	rc=$?
	count=$((count + 1))
	if [ "$rc" -eq "$want" ]; then
		echo "ok $count - $what"
	else
		echo "not ok $count - $what"
		echo "# exit code $rc, not $want: $*"
		sed 's/^/# /' out err
		failed=$((failed + 1))
	fi
}

# has TEXT FILE: the last output had it
has()
{
	t "  says: $1" 0 grep -qF -e "$1" "$2.kept"
}

keep()
{
	cp out out.kept
	cp err err.kept
}

valid()
{
	/usr/bin/python3 -B "$VALIDATE" "$SCHEMA" <"$1"
}

creating()
{
	t "no pairs, and no error" 0 synctl
	t "a mirror is made" 0 synctl mirror "$SOURCE" "$REPLICA" -N db0 --meta "$META" \
		--rate 20M --format -y
	t "its copy runs" 0 synctl wait db0 --for 'percent_synced>=10' --timeout 60
	t "a time that passes" 8 synctl wait db0 --for Split --timeout 0.2
	t "the first copy ends" 0 synctl wait db0 --timeout 120
	t "both sides are equal" 0 cmp "$SOURCE" "$REPLICA"
	t "a device in use cannot be taken again" 5 \
		synctl mirror "$SOURCE" "$REPLICA" -N other -y
	keep
	has "already used by another pair" err
	t "nor without a word" 2 synctl mirror "$SOURCE" "$REPLICA" -N other
	keep
	has "(db0)" err
}

looking()
{
	for pair in db0 /dev/mapper/db0 "$SOURCE" "$REPLICA" "$META" id:1 'd*' all; do
		t "a pair is found as $pair" 0 synctl show "$pair"
		keep
		has "db0  /dev/mapper/db0" out
	done
	t "a pair that is not there" 3 synctl show nobody
	t "JSON of status" 0 synctl status -j
	keep
	t "  fits the schema" 0 valid out.kept
	t "JSON of watch" 0 synctl watch --once -j
	keep
	t "  fits the schema" 0 valid out.kept
	t "anyone may look" 0 setpriv --reuid 65534 --clear-groups "$DIR/synctl" list
	t "but not touch" 4 setpriv --reuid 65534 --clear-groups "$DIR/synctl" fracture db0
	t "another network namespace has no pairs" 0 unshare -n "$DIR/synctl" status
	t "and nothing to operate" 6 unshare -n "$DIR/synctl" fracture db0
	keep
	has "network namespace" err
}

operating()
{
	t "split, and wait" 0 synctl split db0 -W --timeout 30
	t "the replica's door" 0 synctl door db0
	t "  can be read" 0 dd if=/dev/mapper/db0-replica of=/dev/null bs=64k count=1
	t "the state forbids it" 5 synctl suspend db0 -y
	keep
	has "allowed now: " err
	has "EPERM" err
	t "a no-op is a success" 0 synctl split db0 -W
	t "an operation not built yet" 1 synctl failover db0
	t "resync, and wait" 0 synctl resync db0 -W --timeout 60
	t "restore is asked about" 2 synctl restore db0
	t "suspend too" 2 synctl suspend db0
	t "suspend" 0 synctl suspend db0 -y --hold-max 60 -W
	t "resume" 0 synctl resume db0 -W
	t "a setting" 0 synctl set db0 rate=5M priority=same
	t "  is there" 0 synctl wait db0 --for 'limit_bytes=5M' --timeout 1
	t "  and the other" 0 synctl wait db0 --for 'copy_priority=same' --timeout 1
	t "a value out of range" 1 synctl set db0 hold-max=99999
	keep
	has "hold-max must be 1 to 3600" err
	t "history" 0 synctl history db0
	keep
	has "operation:split" out
}

# A listener that is stopped loses events, and must end with the right state.
healing()
{
	SYNCTL_RCVBUF=1 synctl events >stream 2>stream.err &
	local listener=$! i
	for i in $(seq 100); do
		grep -q ready stream && break
		sleep 0.1
	done
	kill -STOP "$listener"
	for i in $(seq 30); do
		dmsetup message db0 0 "set rate $((i * 100000))"
	done
	synctl fracture db0 -W
	kill -CONT "$listener"
	sleep 1
	synctl resync db0 -W --timeout 60
	sleep 1
	kill "$listener"
	wait "$listener" 2>/dev/null
	cp stream out.kept
	cp stream.err err.kept
	has " lost " out
	has "copy_state:Synchronized->Fractured" out
	has "limit_bytes:5242880->3000000" out
	has "copy_state:Unsynchronized->Synchronized" out
}

removing()
{
	t "remove takes the replica's door too" 0 synctl remove db0 -v
	keep
	has "db0-replica: removed" out
	t "the pair is taken up where it stood" 0 synctl mirror "$SOURCE" "$REPLICA" -N db0 \
		--meta "$META" -y -W --timeout 60
	synctl show db0 | sed -n 's/.*uuid /SYNC-/p' >uuid
	dmsetup info -c --noheadings -o uuid db0 >dm-uuid
	t "  with the uuid it had" 0 cmp uuid dm-uuid
	t "detach" 0 synctl detach db0 -W --timeout 30
	t "  and there is no pair" 3 synctl show db0
	t "its device is removed all the same" 0 synctl remove db0
	t "a foreign metadata device" 0 sh -c "yes | dd of=$META bs=4k count=16 oflag=direct"
	t "  is not touched" 5 synctl mirror "$SOURCE" "$REPLICA" -N db0 --meta "$META" -y
	keep
	has "not blank" err
	t "no device is left" 0 sh -c '! dmsetup info db0 2>/dev/null'
}

imaging()
{
	t "no store of this name" 3 synctl snapshot vol@one
	keep
	has "synctl snapshot SOURCE STORE vol@one" err
	t "an image is taken, and its store made" 0 \
		synctl snapshot "$SOURCE" "$REPLICA" vol@one --chunk 32K --format -y
	keep
	has "writes paused for" out
	md5sum <"$SOURCE" >before
	t "the source changes" 0 dd if=/dev/urandom of=/dev/mapper/vol bs=64k count=20 oflag=direct
	t "another image" 0 synctl snapshot vol@two -j
	keep
	t "  its JSON fits the schema" 0 valid out.kept
	t "a name that is taken" 5 synctl snapshot vol@one
	t "a store has images" 0 synctl status vol
	keep
	has "2 images listed" out
	t "and is not one itself" 2 synctl resync vol
	t "settings of the store" 0 synctl set vol rate=5M hold-max=2m on-full=hold
	t "  are in its table" 0 sh -c 'dmsetup table vol | grep rate:5242880 |
		grep hold_max:120 | grep -q on_full:hold'
	t "a setting by an image" 0 synctl set vol@one rate=3M
	t "  is the store's" 0 sh -c 'dmsetup table vol | grep -q rate:3145728'
	t "a value out of range" 1 synctl set vol hold-max=99999
	keep
	has "hold_max is 1 to 3600 seconds" err
	t "and back again" 0 synctl set vol rate=0 on-full=drop
	t "the door of an image" 0 synctl door vol@one
	md5sum </dev/mapper/vol@one >after
	t "  shows what the source was" 0 cmp before after
	t "it is written to" 0 dd if=/dev/zero of=/dev/mapper/vol@one bs=64k count=1 oflag=direct
	t "  which is no fault" 0 synctl status vol@one --check
	t "  and undone" 0 synctl reset vol@one -W
	md5sum </dev/mapper/vol@one >after
	t "  altogether" 0 cmp before after
	t "deleting is asked about" 2 synctl remove vol@two
	t "and never meant by a glob" 3 synctl remove 'vol@*' -y
	t "delete" 0 synctl remove vol@two -y
	t "take the store down" 0 synctl remove vol
	t "a chunk size it does not have" 5 synctl snapshot "$SOURCE" "$REPLICA" vol --chunk 64K
	t "bring it back" 0 synctl snapshot "$SOURCE" "$REPLICA" vol
	t "  with its image" 0 synctl show vol@one
	t "all devices, no images" 0 synctl remove all
	t "no device is left" 0 sh -c '! dmsetup info vol 2>/dev/null'
}

deltas()
{
	t "a clone by way of a delta needs one" 2 \
		synctl clone "$SOURCE" "$REPLICA" -N cp --methodology snap-and-clone -y
	t "  of its own" 2 synctl clone "$SOURCE" "$REPLICA" -N cp -y \
		--methodology snap-and-clone --delta "$REPLICA"
	md5sum <"$SOURCE" >before
	t "a clone with a delta" 0 synctl clone "$SOURCE" "$REPLICA" -N cp -y --format \
		--methodology snap-and-clone --delta "$META" --rate 20M
	t "  which is in its table" 0 sh -c 'dmsetup table cp | grep -q " delta:[0-9]*:[0-9]"'
	t "  and has room" 0 synctl show cp
	keep
	has "Delta space" out
	t "JSON of it" 0 synctl show cp -j
	keep
	t "  fits the schema" 0 valid out.kept
	t "the source changes" 0 dd if=/dev/urandom of=/dev/mapper/cp bs=64k seek=900 count=20 \
		oflag=direct
	t "the copy ends" 0 synctl wait cp --timeout 120
	t "its door" 0 synctl door cp
	md5sum </dev/mapper/cp-replica >after
	t "  shows what the source was" 0 cmp before after
	t "it goes" 0 synctl remove cp
}

echo "TAP version 13"
creating
looking
operating
healing
removing
imaging
deltas
echo "1..$count"
[ "$failed" -eq 0 ] || echo "# $failed failed"
[ "$failed" -eq 0 ]

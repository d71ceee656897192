#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Tests of synctl that need no dm-sync in the kernel. Prints TAP.
#   run.sh            test
#   run.sh --golden   write the expected outputs anew

set -u
cd "$(dirname "$0")" || exit 1
LC_ALL=C.UTF-8
export LC_ALL
unset COLUMNS SYNCTL_RECORD
SYNCTL=../synctl
TOP=../../..
MAN=$TOP/Documentation/man/synctl.8
PYTHON=${PYTHON:-python3}
[ -x /usr/bin/python3 ] && PYTHON=/usr/bin/python3
GOLDEN=${1:-}
count=0
failed=0
mkdir -p out golden

# result RC WHAT
result()
{
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		failed=$((failed + 1))
	fi
}

skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# Number the lines of a test program.
program()
{
	"$1" >out/program 2>&1
	rc=$?
	while read -r line; do
		case $line in
		'ok - '*' # SKIP '*)
			skip "${line#ok - }" ""
			;;
		'ok - '*)
			result 0 "$(basename "$1"): ${line#ok - }"
			;;
		'not ok - '*)
			result 1 "$(basename "$1"): ${line#not ok - }"
			;;
		*)
			echo "# $line"
			;;
		esac
	done <out/program
	result "$rc" "$(basename "$1") ends well"
}

# golden SCENE NAME RC ARGUMENTS...: output, errors and exit code as committed
golden()
{
	scene=$1
	name=$2
	want=$3
	shift 3
	SYNCTL_REPLAY=out/$scene.nl "$SYNCTL" "$@" >out/stdout 2>out/stderr </dev/null
	rc=$?
	{
		echo "\$ synctl $*"
		cat out/stdout
		echo "-- stderr, exit $rc"
		cat out/stderr
	} >"out/$name.txt"
	[ "$GOLDEN" = --golden ] && cp "out/$name.txt" golden/
	if [ "$rc" -ne "$want" ]; then
		echo "# exit code $rc, not $want"
		result 1 "$name: $*"
		return
	fi
	diff -u "golden/$name.txt" "out/$name.txt" >out/diff 2>&1
	rc=$?
	[ "$rc" -eq 0 ] || sed 's/^/# /' out/diff
	result "$rc" "$name: $*"
}

# valid SCENE ARGUMENTS...: the output fits the schema
valid()
{
	scene=$1
	shift
	SYNCTL_REPLAY=out/$scene.nl "$SYNCTL" "$@" >out/json 2>/dev/null </dev/null
	"$PYTHON" -B validate.py "$TOP/Documentation/synctl-status.schema.json" \
		<out/json >out/why 2>&1
	rc=$?
	[ "$rc" -eq 0 ] || sed 's/^/# /' out/why
	result "$rc" "valid JSON: $* ($scene)"
}

# exits RC ARGUMENTS...
exits()
{
	want=$1
	shift
	SYNCTL_REPLAY=out/status.nl "$SYNCTL" "$@" >out/stdout 2>out/stderr </dev/null
	rc=$?
	[ "$rc" -eq "$want" ] || sed 's/^/# /' out/stdout out/stderr
	[ "$rc" -eq "$want" ]
	result $? "exit code $want: $*"
}

scenes()
{
	for scene in status events refused broken unstable empty history images deltas clones \
		removed; do
		./fixture "$scene" >"out/$scene.nl" || exit 1
	done
}

goldens()
{
	golden status status 0 status
	golden status status-bytes 0 status -b -H 'c*' db0
	golden status show 0 show all --all
	golden status list 0 list
	golden status json 0 show db0 mail future -j
	golden status watch 0 watch --once
	golden status watch-ascii 0 watch --once --ascii --bar-width 30
	golden status check 2 status --check
	golden status dry-run 0 resync home cut --force -n
	golden status note 0 resync home -v
	golden status set-dry-run 0 set db0 rate=100M priority=same hold-max=5m -n
	golden status suspend-asks 2 suspend mail
	golden status restore-asks 2 restore cut
	golden status selectors 0 list id:2 uuid:6f1f2c0e-6c1c-4c0a-9a3e-0d8f5c1a7703 4000:42
	golden events events 0 events --progress
	golden events events-json 0 events -j mail
	golden events events-count 0 events --count 2
	golden events events-now 0 events --now
	golden refused refused 5 fracture home
	golden refused refused-json 5 fracture home -j
	golden broken broken-dump 7 status
	golden unstable unstable-dump 11 status
	golden empty empty 0 status
	golden history history 0 history mail
	golden images images 0 status
	golden images images-bytes 0 status -b -H vol
	golden images images-check 2 status --check
	golden images images-show 0 show vol@monday vol@tuesday
	golden images images-list 0 list vol 4000:30
	golden images images-json 0 show vol@monday -j
	golden images images-watch 0 watch --once --ascii --bar-width 10
	golden images images-events 0 events --now
	golden images images-remove-asks 2 remove vol@monday
	golden images images-remove 0 remove vol@monday vol@tuesday -n
	golden images images-remove-store 0 remove vol -n
	golden images images-remove-glob 3 remove 'vol@*' -n
	golden images images-resync-asks 2 resync vol@monday
	golden images images-restore-asks 2 restore vol@monday
	golden images images-suspend-asks 2 suspend vol@monday
	golden images images-store 2 resync vol -y
	golden images images-set 0 set vol rate=100M priority=same hold-max=5m on-full=hold -n
	golden images images-set-image 0 set vol@monday rate=1M -n
	golden images images-set-mixed 0 set vol mail vol@tuesday rate=0 -n
	golden images images-set-hold 2 set vol hold=track -n
	golden images images-set-on-full 2 set vol@monday on-full=hold -n
	golden images images-refused 5 fracture vol@monday
	golden images images-reset 0 reset vol@tuesday -n
	golden images images-door 0 door vol@monday -n
	golden images snapshot 0 snapshot vol@wednesday -n
	golden images snapshot-stop-at 0 snapshot vol@wednesday --stop-at prepared --force -n
	golden images snapshot-no-image 2 snapshot vol
	golden images snapshot-name 2 snapshot vol@next/week
	golden images snapshot-chunk 2 snapshot vol@wednesday --chunk 4K
	golden images snapshot-on-full 2 snapshot vol@wednesday --on-full hold
	golden images snapshot-two 2 snapshot /dev/sdb vol@wednesday
	golden images images-events-store 0 events vol --now
	golden images images-lost 5 resync web@v1 -v
	golden images images-wait 11 wait db@old
	golden deltas deltas 0 status
	golden deltas deltas-bytes 0 status -b -H slow
	golden deltas deltas-show 0 show slow whole plain
	golden deltas deltas-all 0 show whole --all -b
	golden deltas deltas-json 0 show slow plain -j
	golden clones clones 0 status
	golden clones clones-wait 0 wait written
	golden clones clones-wait-unassoc 0 wait single
	golden clones clones-wait-gone 0 wait single --for gone
	golden clones clones-wait-both 0 wait written single
	golden clones clones-wait-broken 9 wait rests
	golden clones clones-wait-mirror 9 wait mirror --fail-on Skewed
	golden clones clones-resync-wait 0 resync written -W
	golden removed clones-removed 9 wait single
	golden removed clones-removed-gone 0 wait single --for gone
	golden clones clones-suspend-asks 2 suspend slow
	golden clones clones-deactivate-asks 2 deactivate slow
	golden clones clones-deactivate-rests 2 deactivate rests
	golden clones clones-deactivate 0 deactivate written lost -n
	golden deltas delta-missing 2 clone /dev/sdb1 /dev/sdc1 --methodology Snap-And-Clone
	golden deltas delta-idle 2 clone /dev/sdb1 /dev/sdc1 --delta /dev/sdd1
	golden deltas delta-other 2 clone /dev/sdb1 /dev/sdc1 --methodology full --delta=/dev/sdd1
	golden deltas delta-mirror 2 mirror /dev/sdb1 /dev/sdc1 --delta /dev/sdd1
	golden status help-snapshot 0 help snapshot
	golden status help-clone 0 help clone
	golden status states-snapshot 0 states snapshot
	golden status states-clone 0 states clone
	golden status help 0 help
	golden status help-mirror 0 mirror --help
	golden status help-exit-codes 0 help exit-codes
}

wrong_lines()
{
	exits 2 resinc home
	exits 2 status --no-such-option
	exits 2 list --force
	exits 2 resync
	exits 2 set db0
	exits 2 set db0 colour=red
	exits 2 set db0 rate=fast
	exits 2 set db0 hold-max=500ms -n
	exits 2 set db0 hold-max=2h -n
	exits 0 set db0 hold-max=1h -n
	exits 2 suspend db0 --hold-max 1.5 -y -n
	exits 0 suspend db0 --hold-max 1m -y -n
	exits 2 wait db0 --for sometime
	exits 2 wait db0 --for 'percent_synced>>3'
	exits 2 decode nothing 3
	exits 2 decode CopyState happy
	exits 2 restore cut
	exits 3 show nobody
	exits 3 resync 'x*'
	exits 3 mirror /dev/null /dev/zero
	exits 3 clone /dev/null /dev/zero
	exits 3 snapshot /dev/null /dev/zero vol@monday
	exits 2 clone /dev/null /dev/zero --assume-in-sync
	exits 2 mirror /dev/null /dev/zero --unassoc
	exits 2 snapshot /dev/null /dev/zero vol --delta /dev/full
	exits 2 clone /dev/null /dev/zero --delta
	exits 3 clone /dev/null /dev/zero --methodology snap_and_clone --delta /dev/full
	exits 2 states disks
	exits 0 wait mail --for Synchronized
	exits 0 wait db0 --for 'percent_synced >= 42'
	exits 0 wait db0 mail --any --for 'sync_maintained=yes'
	exits 0 -- status
	exits 0 --json status
	exits 9 wait home --for Synchronized
	exits 9 wait home --for Synchronized --fail-on Broken
	exits 0 decode ProgressStatus 17
}

jsons()
{
	valid status status -j
	valid status show all -j
	valid status list -j
	valid status watch --once -j
	valid status wait mail -j
	valid images status -j
	valid images events -j --now
	valid deltas status -j
	valid deltas events -j --now
	valid empty status -j
	valid unstable status -j
	valid broken status -j
	valid events events -j --progress
	valid history history mail -j
	"$SYNCTL" schema status | cmp -s - "$TOP/Documentation/synctl-status.schema.json"
	result $? "synctl schema status prints the committed schema"
	SYNCTL_REPLAY=out/status.nl "$SYNCTL" show mail -j | grep -q 9007199254740993
	result $? "a number beyond 2^53 is printed exactly"
	SYNCTL_REPLAY=out/status.nl "$SYNCTL" show mail -j | grep -q 18446744073709551615
	result $? "and the largest of 64 bits"
}

drift()
{
	if [ -e "$MAN" ]; then
		"$SYNCTL" dump-commands | "$PYTHON" -B check_man.py "$MAN" >out/why
		rc=$?
		sed 's/^/# /' out/why
		result $rc "each command and option is in synctl(8), and nothing else"
		if command -v mandoc >/dev/null; then
			mandoc -T lint -W warning "$MAN" >out/why 2>&1
			rc=$?
			sed 's/^/# /' out/why
			result $rc "mandoc finds nothing in synctl(8)"
		else
			skip "mandoc finds nothing in synctl(8)" "no mandoc"
		fi
	fi
	make -s -C "$TOP/tools/gen" check >out/why 2>&1
	rc=$?
	[ "$rc" -eq 0 ] || sed 's/^/# /' out/why
	result $rc "generated files are as the specification makes them"
	"$SYNCTL" states -H >out/states && [ "$(wc -l <out/states)" -eq 17 ]
	result $? "the table of states has a line for each of the 16 verbs"
	"$SYNCTL" states --dot >out/dot && grep -q '"Fractured" -> "Synchronized" .*resync' out/dot
	result $? "and is printed as a graph"
	lines=$("$SYNCTL" help | wc -l)
	[ "$lines" -le 42 ]
	result $? "the help has 42 lines at most ($lines)"
}

echo "TAP version 13"
scenes
program ./test_shim
program ./test_decode
goldens
wrong_lines
jsons
drift
echo "1..$count"
[ "$failed" -eq 0 ] || echo "# $failed failed"
[ "$failed" -eq 0 ]

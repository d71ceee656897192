#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftest.sh - TAP test of the harness itself
#
# A harness that passes what it should fail is worse than none, so most of this
# is about failures: each way in which a machine may end badly must be seen. The
# machines run two at a time; each leaves its status and output in a file.

set -u
here=$(cd "$(dirname "$0")" && pwd)
# The machine sees this directory at the same path: not below /dev or /run.
cd "$here" || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
count=0
failed=0

result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count $2"
	else
		echo "not ok $count $2"
		failed=$((failed + 1))
		[ -e "$tmp/${3:-}.out" ] && tail -n 30 "$tmp/$3.out" | sed 's/^/# /'
	fi
}

# machine NAME STATUS ARGUMENTS...: run in the background, status kept in a file
machine() {
	local name=$1
	shift
	(
		"$here/run" --no-module "$@" > "$tmp/$name.out" 2>&1
		echo $? > "$tmp/$name.status"
	) &
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
		wait -n
	done
}

status_is() {
	[ "$(cat "$tmp/$1.status")" = "$2" ]
}

has() {
	grep -q -- "$2" "$tmp/$1.out"
}

# shellcheck disable=SC2016 # expanded in the machine
inside='
echo "cwd $(pwd)"; echo "path $PATH"; echo "udev $DM_DISABLE_UDEV"; id -u
printf "no newline at the end of this; <<vm-end wrong 0>>"
echo; echo to-stderr > /dev/stderr
[ "$(readlink -f /dev/vm/four)" = /dev/vdb ] && blockdev --getss /dev/vm/four | sed s/^/lbs-/
begin=$(date +%s%N)
dd if=/dev/vm/slow of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null
echo "slow $((($(date +%s%N) - begin) / 1000000))"
dd if=/dev/zero of=/dev/vm/bad bs=4k count=1 oflag=direct 2>/dev/null && echo write-0-good
dd if=/dev/zero of=/dev/vm/bad bs=4k seek=2 count=1 oflag=direct 2>/dev/null || echo write-16-bad
for dir in /tmp /dev/shm; do touch $dir/x && echo "$(stat -f -c %T $dir) $dir"; done
[ -d /sys/kernel/debug/block ] && [ -d /sys/kernel/config ] && ping -c 1 127.0.0.1 >/dev/null 2>&1 ||
	ip addr show lo 2>/dev/null | grep -q UP; echo world
modprobe -a dm-flakey dm-log-writes dm-delay dm-mirror dm-snapshot null_blk brd loop ext4 xfs raid1 &&
	echo modules
cat /sys/block/sda/queue/fua | sed s/^/fua-/
echo "$(($(date +%s) / 100))"
exit 7'

echo "TAP version 13"
machine inside --disk 8M,name=slow,iops=100 --disk 4M,name=four,lbs=4096 \
	--disk 4M,name=bad,error=write@16 --disk 4M,name=f,fua=on -- sh -c "$inside"
machine panic -- sh -c 'echo before; sleep 1; echo c > /proc/sysrq-trigger; sleep 60'
machine warning -- sh -c 'echo "WARNING: CPU: 0 PID: 1 at nowhere" > /dev/kmsg; exit 0'
machine gone -- sh -c '/run/vm/bin/reboot -f; sleep 60'
machine silent --silent 5 -- sh -c 'echo one; sleep 600'
machine total --timeout 9 -- sh -c 'while :; do echo .; sleep 0.5; done'
machine killed -- sh -c 'kill -9 $$'
machine boot --append rdinit=/nowhere -- true
now=$(($(date +%s) / 100))
wait

status_is inside 7; result $? "the command's status is passed on" inside
has inside "^cwd $here\$" && has inside "^path .*$PATH" && has inside '^udev 1$' && has inside '^0$'
result $? "directory, PATH, environment, root" inside
has inside '^no newline at the end of this; <<vm-end wrong 0>>$' && has inside '^to-stderr$'
result $? "output comes unchanged, a foreign end mark is no end" inside
has inside '^lbs-4096$'; result $? "a disk is found by its serial number, logical block size" inside
slow=$(sed -n 's/^slow //p' "$tmp/inside.out")
[ "${slow:-0}" -gt 1300 ] && [ "$slow" -lt 20000 ]
result $? "a limit of 100 requests a second (200 took $slow ms)" inside
has inside write-0-good && has inside write-16-bad; result $? "an error at a sector" inside
# A tree below /tmp stays visible: there the overlay serves as /tmp.
{ has inside 'tmpfs /tmp' || [ "${here#/tmp/}" != "$here" ]; } && has inside 'tmpfs /dev/shm' && has inside '^world$'
result $? "temporary and kernel file systems, loopback" inside
has inside '^modules$'; result $? "modules of the running kernel can be loaded" inside
has inside '^fua-1$'; result $? "a disk with FUA" inside
has inside "^$now\$" || has inside "^$((now - 1))\$"; result $? "the clock is right" inside
status_is panic 120 && has panic 'sysrq triggered crash' && has panic before
result $? "a panic is seen and shown" panic
! has panic 'once more'; result $? "it is the command's: no second machine" panic
status_is boot 120 && has boot 'once more' && [ "$(grep -c 'the kernel complained' "$tmp/boot.out")" = 2 ]
result $? "a kernel that dies before the command gets one more chance" boot
status_is warning 120 && has warning 'at nowhere'
result $? "a warning of the kernel fails a command that succeeded" warning
status_is gone 121; result $? "a machine that ends without the end mark" gone
status_is silent 124 && has silent 'without output' && has silent 'vm: .* sleep'
result $? "silence, with the tasks of the machine shown" silent
status_is total 124 && has total 'altogether'; result $? "the total time" total
status_is killed 137; result $? "a command that is killed" killed
"$here/run" --kernel 0.0-none -- true > "$tmp/none.out" 2>&1
[ $? -eq 122 ] && has none 'not installed'; result $? "a kernel that is not there" none
"$here/run" --disk 1M,colour=red -- true > "$tmp/disk.out" 2>&1
[ $? -eq 122 ] && has disk 'unknown key'; result $? "a disk that makes no sense" disk

"$here/selftest-powerd" > "$tmp/powerd.out" 2>&1
result $? "powerd by itself ($(grep -c '^ok' "$tmp/powerd.out") tests)" powerd

# One cut of an honest and a lying disk: flushed data stays on the one and is gone from
# the other, unflushed data is gone from both. cmp against a file of the letter.
# shellcheck disable=SC2016
fill='dd() { /bin/dd "$@" 2>/dev/null; }; letter() { yes "$1" | tr -d "\n" | head -c 4096; }'
# shellcheck disable=SC2016
load=$fill'; for d in good liar; do letter F | dd of=/dev/vm/$d bs=4k oflag=direct conv=fsync; done
for d in good liar; do letter U | dd of=/dev/vm/$d bs=4k seek=1 oflag=direct; done
echo written; dd if=/dev/zero of=/dev/vm/mark bs=512 count=1 oflag=direct; sleep 60'
# shellcheck disable=SC2016
check=$fill'; at() { dd if=/dev/vm/$1 bs=4k skip=$2 count=1 iflag=direct | tr "\0" 0 | head -c 2; }
echo "state $(at good 0) $(at good 1) $(at liar 0) $(at liar 1)"; grep written "$POWERCUT_LOAD"
[ "$(at good 0) $(at good 1) $(at liar 0) $(at liar 1)" = "FF 00 00 00" ]'
"$here/powercut" --disk 1M,name=good --disk 1M,name=liar --lie liar --mode all --after 0.2 \
	--load "$load" --check "$check" --run=--no-module > "$tmp/cut.out" 2>&1
result $? "a power cut: unflushed data is lost, flushed data only by a disk that lies" cut

echo "1..$count"
[ "$failed" -eq 0 ]

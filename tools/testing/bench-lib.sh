# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bench-lib.sh - what the parts of the bench share; sourced, in the machine
#
# A part has dm-sync and a target that is in the kernel do the same loads on the same
# disks, one after the other ($who is sync, then peer). counted() keeps what reached each
# disk meanwhile; show() divides by the number of host I/Os and prints both beside the
# budget. Counts come from /sys/block/*/stat; but those of writes from a tracepoint of the
# block layer, because the former count an empty flush as a write, too, and do not tell
# which have FUA.

set -eu
export LC_ALL=C

who=sync
failed=0
trace=/sys/kernel/tracing
chunk_kib=64
declare -A before count ios saved copies

die() {
	echo "bench: $*" >&2
	exit 1
}

#----------------------------------------------------------------
# Devices
#----------------------------------------------------------------

# The name below /sys/block of a disk of the machine.
disk() {
	basename "$(readlink -f "/dev/vm/$1")"
}

sectors() {
	blockdev --getsz "/dev/vm/$1"
}

# The device of a device-mapper name; devno: as major:minor.
door() {
	echo "/dev/$(dmsetup info -c --noheadings -o blkdevname "$1")"
}

devno() {
	dmsetup info -c --noheadings --separator : -o major,minor "$1"
}

field() {
	cat "/sys/block/$(dmsetup info -c --noheadings -o blkdevname "$1")/dm-sync/$2"
}

# So that what an earlier one left there is not taken up.
blank() {
	dd if=/dev/zero of="/dev/vm/$1" bs=1M count=64 oflag=direct status=none 2> /dev/null || true
}

has_target() {
	modprobe -q "dm-$1" 2> /dev/null || true
	dmsetup targets | grep -q "^$1 "
}

# within SECONDS COMMAND...
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || die "this does not come true: $*"
		sleep 0.1
	done
}

state_is() {	# name, CopyState
	[ "$(field "$1" copy_state)" = "$2" ]
}

#----------------------------------------------------------------
# Load, and what it does to the disks
#----------------------------------------------------------------

load() {	# device, fio options; prints fio's line of results
	local to=$1
	shift
	fio --name=load --filename="$to" --direct=1 --ioengine=libaio --bs=4k \
		--allow_file_create=0 --randrepeat=1 --minimal --terse-version=3 "$@"
}

# Writes, or reads, uniform over the whole device. One seed is one sequence of places.
uniform() {	# device, read or write, number, queue depth, seed
	load "$1" --rw="rand$2" --io_size=$(($3 * 4))k --iodepth="$4" --randrepeat=0 \
		--randseed="$5" --norandommap --size="$(blockdev --getsize64 "$1")" > /dev/null
}

# One write, or read, of 4 KiB in every other piece of 64 KiB.
strided() {	# device, read or write, number, queue depth, offset in MiB, fio options
	local to=$1 rw=$2 n=$3 depth=$4 offset=$5
	shift 5
	load "$to" --rw="$rw:124k" --number_ios="$n" --iodepth="$depth" --offset="${offset}m" \
		--size=$((n * 128))k "$@" > /dev/null
}

# What a load leaves to be done behind it is counted with it.
settle() {
	sync
	sleep 0.3
}

read_stat() {	# disk: reads, KiB read, KiB written, flushes
	local f
	read -ra f < "/sys/block/$(disk "$1")/stat"
	echo "${f[0]} $((f[2] / 2)) $((f[6] / 2)) ${f[15]}"
}

writes_begin() {
	echo 16384 > $trace/buffer_size_kb
	echo > $trace/trace
	echo 'rwbs ~ "W*" || rwbs ~ "FW*"' > $trace/events/block/block_rq_issue/filter
	echo 1 > $trace/events/block/block_rq_issue/enable
}

writes_end() {
	echo 0 > $trace/events/block/block_rq_issue/enable
	# entries that are there, and those that were
	awk '/^# entries/ { split($3, n, "/"); exit n[1] != n[2] }' "$trace/trace" ||
		die "the trace is not complete"
}

# Writes of a disk, then those of them with FUA.
writes_of() {
	awk -v disk="$(tr : , < "/sys/block/$(disk "$1")/dev")" '
		match($0, / block_rq_issue: /) {
			split(substr($0, RSTART + RLENGTH), word, " ")
			if (word[1] == disk) {
				n++
				fua += word[2] ~ /WF/
			}
		}
		END { print n + 0, fua + 0 }' "$trace/trace"
}

keep() {	# key, disk, field, value; also summed up for all disks
	local all="$who $1 all $3"
	count["$who $1 $2 $3"]=$4
	count["$all"]=$((${count["$all"]:-0} + $4))
}

# counted KEY NUMBER DISK... -- COMMAND...: a load of so many host I/Os
counted() {
	local key=$1 disks=() d b a i names=(reads rkib wkib flushes)
	ios[$key]=$2
	shift 2
	while [ "$1" != -- ]; do
		disks+=("$1")
		shift
	done
	shift
	for d in "${disks[@]}"; do
		before[$d]=$(read_stat "$d")
	done
	writes_begin
	"$@"
	settle
	writes_end
	for d in "${disks[@]}"; do
		read -ra b <<< "${before[$d]}"
		read -ra a <<< "$(read_stat "$d")"
		for i in 0 1 2 3; do
			keep "$key" "$d" "${names[i]}" $((a[i] - b[i]))
		done
		read -ra a <<< "$(writes_of "$d")"
		keep "$key" "$d" writes "${a[0]}"
		keep "$key" "$d" fua "${a[1]}"
	done
}

# KiB that drivers have allocated: kmalloc in its caches, large pieces, which are what all
# caches do not have of the slabs' memory, and vmalloc.
kernel_kib() {
	local shrink
	settle
	echo 3 > /proc/sys/vm/drop_caches
	for shrink in /sys/kernel/slab/kmalloc-*/shrink; do
		echo 1 > "$shrink"
	done
	echo 1 > /proc/sys/vm/stat_refresh
	awk '/^kmalloc-[0-9]/ { n += $2 * $4 / 1024 } $13 == "slabdata" { n -= $15 * $6 * 4 }
		/^(Slab|VmallocUsed):/ { n += $2 }
		END { printf "%.0f\n", n }' /proc/slabinfo /proc/meminfo
}

#----------------------------------------------------------------
# Results
#----------------------------------------------------------------

number() {	# an expression of awk, with at most 4 decimals
	awk "BEGIN { x = sprintf(\"%.4f\", $1); sub(/\\.?0+\$/, \"\", x); print x }"
}

title() {	# what the table is of, the peer
	printf '\n%s\n%-54s %9s %12s  %-10s\n' "$1" "" dm-sync "$2" budget
}

# row NAME OURS PEER'S [OPERATOR LIMIT]; what has no budget has no verdict
row() {
	local verdict=
	if [ -n "${4-}" ]; then
		verdict=holds
		awk "BEGIN { exit !($2 $4 $5) }" || { verdict=FAILS; failed=1; }
	fi
	printf '  %-52s %9s %12s  %-10s %s\n' "$1" "$2" "${3:--}" "${4-} ${5-}" "$verdict"
}

#
# What each host I/O cost, of dm-sync or the peer. What is saved is saved once for each
# chunk, and two random writes may meet in one: so where saved[] is known all but the
# host's own writes are divided by that. Metadata is what a store gets beside the chunks, of
# which the peer may keep several copies; "blocks" are units of 4 KiB, "ios" are reads and
# writes.
#
each() {	# who, key, disk, field
	local at="$1 $2 $3" n=${ios[$2]} kept=1
	[ -n "${count["$at reads"]-}" ] || return 0
	if [ -n "${saved[$2]-}" ] && [ "$3 $4" != "source writes" ]; then
		n=${saved[$2]}
	fi
	[ "$1" = sync ] || kept=${copies[$2]:-1}
	case $4 in
	meta)	number "(${count["$at wkib"]} - ${saved[$2]} * $kept * $chunk_kib) / $n" ;;
	blocks)	number "${count["$at wkib"]} / 4 / $n" ;;
	ios)	number "(${count["$at reads"]} + ${count["$at writes"]}) / $n" ;;
	*)	number "${count["$at $4"]} / $n" ;;
	esac
}

show() {	# name, key, disk, field, operator, limit
	row "$1" "$(each sync "$2" "$3" "$4")" "$(each peer "$2" "$3" "$4")" "${5-}" "${6-}"
}

verdict() {
	echo
	[ $failed = 0 ] && echo "all budgets of this part hold" ||
		echo "some budgets of this part do not hold"
	exit $failed
}

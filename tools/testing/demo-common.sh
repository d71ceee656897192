# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # variables are for those that source this
#
# demo-common.sh - what the demonstrations share; sourced by demo-mirror, demo-snapshot
# and demo-clone in the machine that tools/testing/demo boots
#
# A demonstration prints each command that it runs, the fields that the kernel shows
# then, and sizes and speeds that it measured itself. It ends with an error as soon as a
# file is not what it must be. Its disk in use is /dev/vm/source, mounted on $mnt by way
# of $door; $view is where a replica or an image is looked at, $work is for notes.

set -eEu
export LC_ALL=C.UTF-8 SYNCTL_NO_OSC=1 PATH="$PWD/tools/synctl:$PATH"
work=/tmp/notes
mnt=/tmp/disk
view=/tmp/view
patience=${DM_SYNC_PATIENCE:-1}
pair=
writer=
bold='' dim='' off=''
if [ "${DM_SYNC_DEMO_TERMINAL:-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') off=$(printf '\033[0m')
fi
rm -rf "$work"
mkdir -p "$work" "$mnt" "$view"

#----------------------------------------------------------------
# Talking
#----------------------------------------------------------------

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$off"; }
say() { printf '   %s\n' "$*"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; "$@"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }

# A subshell takes the whole along.
fail() {
	echo "demo: $*" >&2
	[ $BASHPID = $$ ] || kill -TERM $$
	exit 1
}
trap 'fail "this failed: $BASH_COMMAND"' ERR
trap 'exit 1' TERM

# With the bar where there is a terminal; the machine itself has none.
bar() {
	printf '%s$ %s%s\n' "$dim" "$*" "$off"
	if [ "${DM_SYNC_DEMO_TERMINAL:-}" ]; then
		script -qefc "$*" /dev/null
	else
		"$@"
	fi
}

mib() { echo "$(($1 / 1048576)) MiB"; }

# The time in microseconds.
now() { echo "${EPOCHREALTIME/[.,]/}"; }

# speed BYTES BEGIN: since then
speed() {
	local us=$(($(now) - $2))
	printf '%d MiB in %d.%d s, %d MB/s' $(($1 / 1048576)) $((us / 1000000)) \
		$((us / 100000 % 10)) $(($1 / (us + 1)))
}

#----------------------------------------------------------------
# Pairs. $pair is the name of the source door.
#----------------------------------------------------------------

# Where the kernel shows the fields.
sysfs() { echo "/sys/block/$(dmsetup info -c --noheadings -o blkdevname "$pair")/dm-sync"; }

# value FIELD; of an image "images/NAME/FIELD"
value() { cat "$(sysfs)/$1"; }

# fields_of DIRECTORY: those that say how it stands; images/NAME, or . for the pair
fields_of() {
	local d f
	d=$(sysfs)/$1
	printf '   '
	for f in copy_state progress_status sync_state percent_synced sync_maintained; do
		printf '%s=%s  ' "$f" "$(tr ' ' '_' < "$d/$f")"
	done
	echo
}
fields() { fields_of .; }

# until_is WANTED COMMAND...: wait until it prints that number, or a larger one
until_is() {
	local end=$((SECONDS + 60 * patience)) wanted=$1
	shift
	until [ "$("$@")" -ge "$wanted" ]; do
		[ $SECONDS -le $end ] || fail "$*: $("$@") and not $wanted"
		sleep 0.1
	done
}

# put_on DISK: bytes written to it so far, as the block layer counts them
put_on() {
	local stat
	read -r -a stat < "/sys/class/block/$(basename "$(readlink -f "/dev/vm/$1")")/stat"
	echo $((stat[6] * 512))
}

# udev does not run in here: make the names that it would make.
nodes() {
	mkdir -p /dev/mapper
	dmsetup mknodes
}

# fresh NAME...: disks without anything of an earlier demonstration
fresh() {
	local disk
	for disk; do
		dd if=/dev/zero of="/dev/vm/$disk" bs=1M count=8 oflag=direct status=none
	done
}

#----------------------------------------------------------------
# Files
#----------------------------------------------------------------

# Real files: this machine's own headers and documentation.
files() {
	(cd / && find usr/include usr/share/doc usr/share/perl* -xdev -type f \
		-size -64k 2>/dev/null | head -n "$1")
}

# disk_in_use COUNT: a file system with that many files, and notes of what they are
disk_in_use() {
	local count
	run mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/vm/source
	mount /dev/vm/source "$mnt"
	files "$1" | tar -C / -cf - -T - 2>/dev/null | tar -C "$mnt" -xf -
	sync
	count=$(find "$mnt" -type f | wc -l)
	[ "$count" -ge 100 ] || fail "this machine has only $count files to show"
	say "$count files, $(du -sm "$mnt" | cut -f1) MiB, on a disk of" \
		"$(mib "$(blockdev --getsize64 /dev/vm/source)")"
	note_files first "$mnt"
	umount "$mnt"
}

# change NUMBER: rewrite 40 files, and add one of 20 MiB
change() {
	find "$mnt/usr" -type f | sort | head -n 40 > "$work/list"
	while read -r f; do
		echo "change $1" >> "$f"
	done < "$work/list"
	head -c 20M /dev/urandom > "$mnt/new$1"
	sync
	say "40 files rewritten, 20 MiB added"
}

# The log is written all the time and has its own check.
checksums() {
	(cd "$1" && find . -xdev -type f ! -name busy.log ! -path './lost+found*' -print0 |
		sort -z | xargs -0 sha256sum)
}

# note_files NAME DIRECTORY: what its files are now
note_files() { checksums "$2" > "$work/$1.sums"; }

# as_noted NAME DIRECTORY [WHAT]
as_noted() {
	checksums "$2" > "$work/now.sums"
	cmp "$work/$1.sums" "$work/now.sums" >&2 || {
		diff "$work/$1.sums" "$work/now.sums" | head -n 10 >&2
		fail "${3:-$2}: the files are not what they were"
	}
	say "$(wc -l < "$work/now.sums") files compared by checksum: all equal${3:+ ($3)}"
}

# Are they others than noted? So that "all equal" means something.
changed_since() {
	checksums "$2" > "$work/now.sums"
	! cmp -s "$work/$1.sums" "$work/now.sums" || fail "$2: nothing has changed"
}

#----------------------------------------------------------------
# Somebody uses the disk all the time: appends lines to a log and syncs each.
#----------------------------------------------------------------

busy() {
	local n=0
	while [ -e "$work/busy" ]; do
		n=$((n + 1))
		echo "line $n" >> "$mnt/busy.log"
		sync "$mnt/busy.log"
		echo "$n" >> "$work/written"
		sleep 0.05
	done
}

# The number of the last line that is known to be on the disk.
written() { tail -n 1 "$work/written"; }

start_busy() {
	rm -f "$mnt/busy.log"
	echo 0 > "$work/written"
	touch "$work/busy"
	busy &
	writer=$!
	until_is 3 written
}

stop_busy() {
	rm "$work/busy"
	wait "$writer" || fail "whoever wrote the log got an error"
}

# log_is DIRECTORY FROM TO: the log there ends in between, and is whole up to there
log_is() {
	local lines
	lines=$(wc -l < "$1/busy.log")
	[ "$lines" -ge "$2" ] || fail "$1: the log has $lines lines; $2 had been written"
	[ "$lines" -le "$3" ] || fail "$1: the log has $lines lines; $3 could be there at most"
	head -n "$2" "$1/busy.log" | cmp - <(seq -f 'line %.0f' "$2") ||
		fail "$1: the log is damaged"
	say "the log has $lines lines there: $2 were synced before that instant, line $(($3 + 1))" \
		"was begun after it"
}

# clean DEVICE: a file system without a fault
clean() {
	e2fsck -fn "$1" > "$work/fsck" 2>&1 || fail "$1: $(cat "$work/fsck")"
	say "e2fsck of $1: no fault"
}

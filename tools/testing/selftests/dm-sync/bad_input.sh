#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# bad_input.sh - what makes no sense is refused with a sentence, and nothing is touched

. "$(dirname "$0")/lib.sh"
disks 3

N=4096				# sectors of source and replica, 2 MiB

legs()
{
	slice s "$D0" $N
	slice r "$D1" $N
	slice meta "$D2" 2048
	S=$(dev s) R=$(dev r) META=$(dev meta)
	blank "$D2"
}

# writes_of DEVICE...: so far
writes_of()
{
	for _d; do
		read -r _ _ _ _ _x _ <"/sys/block/$(kname "$_d")/stat"
		echo "$_x"
	done
}

# refused SENTENCE LINE: and no device is written to, no device is left. The sentences
# are looked for in the end, all at once.
refused()
{
	echo "$1" >>"$TMP/sentences"
	echo "dmst case $(wc -l <"$TMP/sentences"): $2" >/dev/kmsg
	before=$(writes_of "$D0" "$D1" "$D2")
	! echo "$2" | dmsetup create "${P}bad" 2>/dev/null || fail "was taken: $2"
	equal "writes by \"$2\"" "$(writes_of "$D0" "$D1" "$D2")" "$before"
	! dev bad >/dev/null || fail "a device is left by \"$2\""
}

with_these_sentences()
{
	log_since >"$TMP/log"
	awk '
	NR == FNR { want[++n] = $0; next }
	match($0, /dmst case [0-9]+: /) { at = substr($0, RSTART + 10) + 0; line[at] = $0; next }
	at && index($0, want[at]) { good[at] = 1 }
	at { said[at] = said[at] "\n  " $0 }
	END {
		for (i = 1; i <= n; i++)
			if (!good[i]) {
				print "not \"" want[i] "\" for " line[i] ", but:" said[i]
				bad = 1
			}
		exit bad
	}' "$TMP/sentences" "$TMP/log" >"$TMP/missing" || fail "$(cat "$TMP/missing")"
}

t_table_lines_that_make_no_sense()
{
	legs
	refused "Arguments: mirror" "0 $N sync"
	refused "Arguments: mirror" "0 $N sync mirror $S $R -"
	refused "The kind of pair must be mirror, snapshot or clone" "0 $N sync raid $S $R - 128"
	for region in 0 1 4 7 12 129 -8 4194304 99999999999999999999 1e3 128k 0x80 ""; do
		[ "$region" ] || continue
		refused "Region size is a power of two" "0 $N sync mirror $S $R - $region"
	done
	refused "Invalid number of options" "0 $N sync mirror $S $R - 128 999"
	refused "Invalid number of options" "0 $N sync mirror $S $R - 128 x"
	refused "Invalid number of options" "0 $N sync mirror $S $R - 128 2 rate:0"
	refused "More words than the number of options says" \
		"0 $N sync mirror $S $R - 128 1 rate:0 format"
	for option in colour colour:red rate format:yes assume_in_sync:1 : :x mirror; do
		refused "Unknown option" "0 $N sync mirror $S $R - 128 1 $option"
	done
	refused "copy_type is sync" "0 $N sync mirror $S $R - 128 1 copy_type:async"
	refused "on_source_error is error" "0 $N sync mirror $S $R - 128 1 on_source_error:failover"
	refused "methodology is" "0 $N sync mirror $S $R - 128 1 methodology:copy_on_write"
	refused "priority is" "0 $N sync mirror $S $R - 128 1 priority:urgent"
	refused "stop_at is" "0 $N sync mirror $S $R - 128 1 stop_at:broken"
	refused "recovery is" "0 $N sync mirror $S $R - 128 1 recovery:"
	refused "hold is" "0 $N sync mirror $S $R - 128 1 hold:ever"
	refused "rate is" "0 $N sync mirror $S $R - 128 1 rate:-1"
	refused "rate is" "0 $N sync mirror $S $R - 128 1 rate:18446744073709551616"
	refused "hold_max is" "0 $N sync mirror $S $R - 128 1 hold_max:86401"
	refused "hold_max is" "0 $N sync mirror $S $R - 128 1 hold_max:4294967297"
	refused "uuid has the form" "0 $N sync mirror $S $R - 128 1 uuid:1"
	with_these_sentences
}

t_table_lines_of_a_store_that_make_no_sense()
{
	legs
	refused "Arguments: snapshot" "0 $N sync snapshot $S $R -"
	refused "A snapshot store has its metadata in itself" "0 $N sync snapshot $S $R $META 128"
	refused "Source and store are the same device" "0 $N sync snapshot $S $S - 128"
	refused "Cannot open the store" "0 $N sync snapshot $S /dev/nothing - 128"
	refused "A chunk of a snapshot store is at most" "0 $N sync snapshot $S $R - 4096"
	refused "The store is too small" "0 $N sync snapshot $S $META - 128"
	refused "The source is smaller" "0 $((N + 8)) sync snapshot $S $R - 128"
	refused "on_full is drop or hold" "0 $N sync snapshot $S $R - 128 1 on_full:wait"
	refused "hold_max is" "0 $N sync snapshot $S $R - 128 1 hold_max:0"
	for option in recovery:auto copy_type:sync stop_at:inactive hold:track assume_in_sync; do
		refused "The option is one of another kind of pair" \
			"0 $N sync snapshot $S $R - 128 1 $option"
	done
	refused "The option is one of another kind of pair" \
		"0 $N sync mirror $S $R - 128 1 on_full:drop"
	with_these_sentences
}

t_sizes_that_do_not_fit()
{
	legs
	slice small "$D1" 4088 8192
	slice tiny "$D2" 56 4096
	refused "The source is smaller" "0 $((N + 8)) sync mirror $S $R - 128"
	refused "The replica is smaller" "0 $N sync mirror $S $(dev small) - 128"
	refused "The metadata device is too small" "0 $N sync mirror $S $R $(dev tiny) 128"
	refused "Too many regions" "0 68719476736 sync mirror $S $R - 8"
	refused "The source is smaller" "0 9007199254740992 sync mirror $S $R - 2097152"
	with_these_sentences
	! echo "0 0 sync mirror $S $R - 128" | dmsetup create "${P}bad" 2>/dev/null ||
		fail "took a table of no sectors"
	! dev bad >/dev/null || remove bad
	! printf '%s\n' "0 8 linear $S 0" "8 1000 sync mirror $S $R - 128" |
		dmsetup create "${P}bad" 2>/dev/null || fail "took a part of a table"
}

t_devices_that_are_not_there_or_the_same()
{
	legs
	refused "Source and replica are the same device" "0 $N sync mirror $S $S - 128"
	refused "The metadata device must not be source or replica" "0 $N sync mirror $S $R $S 128"
	refused "The metadata device must not be source or replica" "0 $N sync mirror $S $R $R 128"
	refused "Cannot open the source" "0 $N sync mirror /dev/nothing $R - 128"
	refused "Cannot open the source" "0 $N sync mirror 77:77777 $R - 128"
	refused "Cannot open the replica" "0 $N sync mirror $S /dev/null - 128"
	refused "Cannot open the metadata device" "0 $N sync mirror $S $R /dev/nothing 128"
	refused "Cannot open the metadata device" "0 $N sync mirror $S $R none 128"
	with_these_sentences
}

t_devices_that_are_in_use()
{
	legs
	mirror m "$S" "$R" "$META" 128
	synced m
	slice s2 "$D0" $N 8192
	slice r2 "$D1" $N 8192
	slice meta2 "$D2" 2048 4096
	refused "The metadata device is already used" \
		"0 $N sync mirror $(dev s2) $(dev r2) $META 128"
	refused "The replica is already used" "0 $N sync mirror $(dev s2) $R $(dev meta2) 128"
	refused "The replica is already used" "0 $N sync mirror $(dev s2) $S $(dev meta2) 128"
	refused "The source is already used" "0 $N sync mirror $R $(dev r2) $(dev meta2) 128"
	refused "already used" "0 $N sync mirror $(dev s2) $(dev r2) $S 128"
	with_these_sentences
	fields m copy_state=Synchronized
	dmsio write "$(dev m)" --ops 20 >/dev/null
	same "$S" "$R"
}

# What holds anything else is left as it is, to the byte.
t_metadata_devices_that_hold_something()
{
	legs
	dmsio fill "$S" >/dev/null
	if command -v mkfs.ext4 >/dev/null; then
		mkfs.ext4 -q -O ^has_journal "$META"
		sync
		content=$(dmsio sum "$META")
		refused "the metadata device is not blank" "0 $N sync mirror $S $R $META 128"
		equal "the file system" "$(dmsio sum "$META")" "$content"
	fi
	# One byte anywhere in the part that would be used.
	blank "$META"
	printf x | dd of="$META" bs=1 seek=40000 conv=notrunc,fsync status=none
	refused "the metadata device is not blank" "0 $N sync mirror $S $R $META 128"
	# Garbage with our magic in it is not ours either.
	blank "$META"
	mirror m "$S" "$R" "$META" 128 assume_in_sync
	remove m
	for sector in 0 8; do
		dd if=/dev/urandom of="$META" bs=512 seek=$((sector + 1)) count=1 oflag=direct \
			conv=notrunc status=none
	done
	content=$(dmsio sum "$META")
	refused "metadata device" "0 $N sync mirror $S $R $META 128"
	equal "the damaged metadata" "$(dmsio sum "$META")" "$content"
	with_these_sentences
	# Who says "format" gets it.
	mirror m "$S" "$R" "$META" 128 format
	synced m
	same "$S" "$R"
}

# With one home of the superblock gone the other one serves, on the safe side.
t_one_damaged_home_of_the_superblock()
{
	legs
	for home in 0 8; do
		dmsio fill "$S" >/dev/null
		blank "$META"
		mirror m "$S" "$R" "$META" 128
		synced m
		uuid=$(f m uuid)
		dmsio write "$(dev m)" --ops 100 --flush-every 10 >/dev/null
		msg m fracture
		wait_state m Fractured
		dmsio write "$(dev m)" --ops 100 --seed 2 >/dev/null
		remove m
		dd if=/dev/urandom of="$META" bs=512 seek=$home count=8 oflag=direct conv=notrunc status=none
		mirror m "$S" "$R" "$META" 128
		fields m uuid=$uuid
		case $(f m copy_state) in
		Fractured)	msg m resync ;;
		*)		msg m resync || msg m activate || : ;;
		esac
		synced m
		same "$S" "$R"
		remove m
	done
}

t_metadata_of_another_pair()
{
	legs
	mirror m "$S" "$R" "$META" 128 uuid:11111111-2222-4333-8444-555555555555
	synced m
	remove m
	content=$(dmsio sum "$META")
	refused "another uuid" \
		"0 $N sync mirror $S $R $META 128 1 uuid:11111111-2222-4333-8444-555555555556"
	refused "another region size" "0 $N sync mirror $S $R $META 256"
	refused "another size" "0 2048 sync mirror $S $R $META 128"
	with_these_sentences
	equal "the metadata" "$(dmsio sum "$META")" "$content"
	mirror m "$S" "$R" "$META" 128 uuid:11111111-2222-4333-8444-555555555555
	fields m copy_state=Synchronized read_bytes=0
}

t_replica_doors_that_make_no_sense()
{
	legs
	mirror m "$S" "$R" - 128 assume_in_sync
	M=$(dev m)
	refused "Arguments: <source door>" "0 $N sync-replica"
	refused "Arguments: <source door>" "0 $N sync-replica $M image another"
	refused "have no images" "0 $N sync-replica $M image"
	refused "There is no such source door" "0 $N sync-replica /dev/nothing"
	refused "not the source door of an active pair" "0 $N sync-replica $S"
	refused "not the source door of an active pair" "0 $N sync-replica 77:77777"
	refused "as large as its source door" "0 2048 sync-replica $M"
	refused "as large as its source door" "0 $((N * 2)) sync-replica $M"
	with_these_sentences
}

t_odd_names()
{
	legs
	long=$(printf '%0118d' 7)
	mirror "$long" "$S" "$R" - 128 assume_in_sync
	equal "a long name" "$(status_word "$long" 3)" Synchronized
	remove "$long"
	mirror 'a*b;c' "$S" "$R" - 128 assume_in_sync
	equal "a name of marks" "$(status_word 'a*b;c' 3)" Synchronized
	synctl list >"$TMP/list" || fail "synctl list: $?"
	[ -s "$TMP/list" ] || fail "synctl does not list it"
	remove 'a*b;c'
}

run_tests t_table_lines_that_make_no_sense t_table_lines_of_a_store_that_make_no_sense \
	t_sizes_that_do_not_fit \
	t_devices_that_are_not_there_or_the_same t_devices_that_are_in_use \
	t_metadata_devices_that_hold_something t_one_damaged_home_of_the_superblock \
	t_metadata_of_another_pair t_replica_doors_that_make_no_sense t_odd_names

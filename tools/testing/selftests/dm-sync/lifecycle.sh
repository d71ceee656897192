#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# lifecycle.sh - tables loaded, suspended, resumed, replaced and removed under I/O

. "$(dirname "$0")/lib.sh"
disks 3

pair()
{
	slice s "$D0" 16384
	slice r "$D1" 16384
	S=$(dev s) R=$(dev r)
	dmsio fill "$S" --seq 2 >/dev/null
	dmsio fill "$R" --seq 1 >/dev/null
	blank "$D2"
	mirror m "$S" "$R" "$D2" 128 "$@"
	M=$(dev m)
	LINE=$(mirror_line "$S" "$R" "$D2" 128)
}

load()
{
	background dmsio write "$M" --seconds 120 --threads 4 --max-bytes 64k --pause 500 \
		--flush-every 20 --log "$TMP/log"
	LOADER=$BG
	dmsio read "$M" --seconds 120 --threads 2 --pause 500 >"$TMP/read" 2>&1 &
	READER=$!
	echo $READER >>"$BASE/pids"
	until_true 20 test -s "$TMP/log"
}

stop_load()
{
	kill "$LOADER" "$READER"
	wait_exit "$LOADER" || fail "the writers failed: $(cat "$TMP/bg.log")"
	wait_exit "$READER" || fail "the readers failed: $(cat "$TMP/read")"
	dmsio verify "$M" --ack "$TMP/log" >"$TMP/verify" 2>&1 ||
		fail "acknowledged writes are lost: $(cat "$TMP/verify")"
}

# swap [OPTION...]: the identical table again
swap()
{
	echo "$LINE" | dmsetup load "${P}m"
	dmsetup suspend "$@" "${P}m"
	dmsetup resume "${P}m"
}

t_suspend_and_resume_under_load()
{
	pair
	synced m
	load
	for _ in 1 2 3 4; do
		dmsetup suspend "${P}m"
		# Nothing is in flight: the sides are equal.
		same "$S" "$R"
		dmsetup resume "${P}m"
		dmsetup suspend --noflush --nolockfs "${P}m"
		dmsetup resume "${P}m"
		dmsetup suspend --nolockfs "${P}m"
		dmsetup resume "${P}m"
		sleep 0.1
	done
	stop_load
	fields m copy_state=Synchronized source_changed=0
	same "$S" "$R"
}

t_table_reload_under_load()
{
	pair
	synced m
	uuid=$(f m uuid)
	load
	for _ in 1 2 3; do
		swap
		swap --noflush
		swap --nolockfs
		swap --noflush --nolockfs
		sleep 0.1
	done
	stop_load
	fields m uuid=$uuid copy_state=Synchronized source_changed=0
	same "$S" "$R"
}

t_reload_during_the_first_copy()
{
	pair rate:262144
	LINE="$LINE 1 rate:262144"
	load
	for _ in 1 2 3; do
		swap
		fields m copy_state=Unsynchronized sync_time=-
		swap --noflush
		dmsetup suspend "${P}m"
		dmsetup resume "${P}m"
	done
	# What was copied stays copied.
	at_least "bytes copied before" $(($(f m written_bytes))) 1
	LINE=$(mirror_line "$S" "$R" "$D2" 128 rate:0)
	swap
	synced m
	stop_load
	same "$S" "$R"
}

t_reload_changes_settings()
{
	pair priority:low hold:queue recovery:auto
	synced m
	fields m copy_priority=Low hold=queue recovery=auto
	LINE=$(mirror_line "$S" "$R" "$D2" 128 priority:high hold:track recovery:manual \
		rate:1048576 hold_max:77)
	swap
	fields m copy_priority=High hold=track recovery=manual hold_max=77 \
		limit_bytes_per_second=1048576 copy_state=Synchronized
	# What the table says can be loaded back, also what was set by message.
	msg m set hold_max 55
	msg m set priority same
	before=$(dmsetup table "${P}m")
	LINE=$before
	swap
	equal "the table" "$(dmsetup table "${P}m")" "$before"
	fields m copy_priority=Same hold_max=55
}

t_reload_while_writes_are_held()
{
	pair hold_max:600
	synced m
	msg m suspend
	wait_state m Suspended
	for flags in "--noflush" "--noflush --nolockfs" "" "--nolockfs"; do
		[ "$(f m copy_state)" = Suspended ] || { msg m suspend; wait_state m Suspended; }
		dmsio fill "$M" --sectors 0:8 >/dev/null &
		writer=$!
		echo $writer >>"$BASE/pids"
		until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -ge 1 ]" || fail "nothing is held"
		echo "$LINE 1 hold_max:600" | dmsetup load "${P}m"
		timeout 30 dmsetup suspend $flags "${P}m" || fail "suspend $flags hangs"
		timeout 30 dmsetup resume "${P}m" || fail "resume after suspend $flags hangs"
		fields m copy_state=Suspended
		case $flags in
		*noflush*)
			# Held before, held after.
			until_true 10 sh -c "[ \$(cat $(sysdir m)/held) -ge 1 ]" ||
				fail "no write is held after suspend $flags"
			kill -0 $writer || fail "the write went through by suspend $flags" ;;
		esac
		timeout 30 dmsetup message "${P}m" 0 resume || fail "resume hangs"
		wait_exit $writer
		synced m
		same "$S" "$R"
	done
}

t_remove_while_suspended_keeps_the_state()
{
	pair
	synced m
	msg m suspend
	wait_state m Suspended
	remove m
	echo "$LINE" | dmsetup create "${P}m"
	fields m copy_state=Suspended progress_status=Dormant
	# After a start nothing is held: a boot would hang on it.
	timeout 20 dmsio fill "$(dev m)" --sectors 0:8 >/dev/null || fail "a write hangs"
	msg m resume
	synced m
	same "$S" "$R"
}

t_inactive_tables_come_and_go()
{
	pair
	synced m
	generation=$(f m generation)
	for _ in 1 2 3 4 5; do
		echo "$LINE" | dmsetup load "${P}m"
		echo "$LINE 1 rate:4096" | dmsetup load "${P}m"
		dmsetup clear "${P}m"
	done
	fields m generation=$generation copy_state=Synchronized limit_bytes_per_second=0
	equal "metadata in use" "$(dmsetup table "${P}m" | wc -l)" 1
	# A table that is loaded and never resumed writes nothing.
	remove m
	blank "$D2"
	before=$(dmsio sum "$D2")
	dmsetup create "${P}m" --notable
	echo "$LINE" | dmsetup load "${P}m"
	dmsetup clear "${P}m"
	equal "metadata after a load" "$(dmsio sum "$D2")" "$before"
	remove m
}

t_reload_with_another_geometry_is_refused()
{
	pair
	synced m
	for line in "$(mirror_line "$S" "$R" "$D2" 256)" \
		    "0 8192 sync mirror $S $R $D2 128"; do
		echo "$line" | dmsetup load "${P}m" 2>/dev/null || continue
		dmsetup suspend "${P}m"
		! dmsetup resume "${P}m" 2>/dev/null || fail "took: $line"
		dmsetup clear "${P}m"
		echo "$LINE" | dmsetup load "${P}m"
		dmsetup resume "${P}m"
		fields m copy_state=Synchronized
	done
	dmsio write "$M" --ops 20 >/dev/null
	same "$S" "$R"
}

t_rename()
{
	pair
	synced m
	dmsetup rename "${P}m" "${P}n"
	equal "status by the new name" "$(status_word n 3)" Synchronized
	dmsio write "$(dev n)" --ops 20 >/dev/null
	same "$S" "$R"
}

t_deferred_remove()
{
	pair
	synced m
	background dmsio write "$M" --seconds 200 --threads 2
	until_true 10 sh -c "[ \$(dmsetup info -c --noheadings -o open ${P}m) -ge 1 ]"
	! dmsetup remove "${P}m" 2>/dev/null || fail "removed while in use"
	dmsetup remove --deferred "${P}m"
	kill "$BG"
	wait_exit "$BG" || fail "$(cat "$TMP/bg.log")"
	until_true 10 sh -c "! dmsetup info ${P}m" 2>/dev/null >/dev/null || fail "not removed when free"
	same "$S" "$R"
}

t_force_remove_with_io()
{
	pair
	synced m
	background dmsio write "$M" --seconds 30 --threads 4 --keep-going --pause 1000
	sleep 0.3
	dmsetup remove --force "${P}m" 2>/dev/null || :
	kill "$BG"
	wait_exit "$BG" || :
	remove m 2>/dev/null || :
	echo "$LINE" | dmsetup create "${P}m"
	synced m
	same "$S" "$R"
}

t_the_module_is_in_use_or_goes()
{
	[ -z "${DM_SYNC_KEEP_MODULE-}" ] || skip "DM_SYNC_KEEP_MODULE is set"
	pair
	synced m
	! rmmod dm-sync 2>/dev/null || fail "removed while a pair lives"
	replica_door d m
	msg m fracture
	wait_state m Fractured
	remove m
	! rmmod dm-sync 2>/dev/null || fail "removed while a replica door lives"
	remove d
	mod=$(find "$here/../../../../build/$(uname -r)" -name dm-sync.ko 2>/dev/null | head -n 1)
	rmmod dm-sync || fail "not removed when nothing is left"
	! dmsetup targets | grep -q '^sync' || fail "a target is left"
	if [ -e "$mod" ]; then
		insmod "$mod"
	else
		modprobe dm-sync
	fi
	echo "$LINE" | dmsetup create "${P}m"
	fields m copy_state=Fractured
}

run_tests t_suspend_and_resume_under_load t_table_reload_under_load \
	t_reload_during_the_first_copy t_reload_changes_settings t_reload_while_writes_are_held \
	t_remove_while_suspended_keeps_the_state t_inactive_tables_come_and_go \
	t_reload_with_another_geometry_is_refused t_rename t_deferred_remove \
	t_force_remove_with_io t_the_module_is_in_use_or_goes

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# real_postgres.sh - PostgreSQL in use on a source door: an image and a clone taken in the
# middle of it are databases, on which a second server runs beside the first
#
# Beside the client that commits numbered rows (see real.inc) runs pgbench: the sums of its
# four tables are equal at every instant that there ever was, and at hardly any other.
#
# vm: --disk 200M --disk 200M --disk 16M

# shellcheck disable=SC2086,SC2154 # lists of words; D0...
. "$(dirname "$0")/lib.sh"
. "$here/real.inc"
need_program setpriv mkfs.ext4 e2fsck
disks 3 200

for PG in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /)")"; do
	[ ! -x "$PG/initdb" ] || [ ! -x "$PG/pg_amcheck" ] || break
done
for program in initdb postgres psql pg_isready pgbench pg_amcheck; do
	[ -x "$PG/$program" ] || ktap_skip_all "no $program of PostgreSQL 14 or newer is installed"
done

#----------------------------------------------------------------
# Servers. A is the one on the source, B the one on the copy.
#----------------------------------------------------------------

SOCKETS=$BASE/sockets
PORT_A=5433 PORT_B=5434

settings()
{
	cat <<-END
	listen_addresses = ''
	unix_socket_directories = '$SOCKETS'
	shared_buffers = 16MB
	max_connections = 20
	max_wal_size = 16MB
	min_wal_size = 4MB
	checkpoint_timeout = 30s
	wal_level = minimal
	max_wal_senders = 0
	jit = off
	END
}

# client PORT PROGRAM [ARGUMENT...]
client()
{
	_port=$1 _program=$2
	shift 2
	"$PG/$_program" -h "$SOCKETS" -p "$_port" -U postgres "$@"
}

# sql PORT STATEMENT
sql()
{
	client "$1" psql -qAtX -v ON_ERROR_STOP=1 -c "$2" postgres
}

# A server that is not there any more will not answer.
_answers()
{
	eval "_port=\$PORT_$1 _pid=\$PID_$1"
	! _gone "$_pid" || fail "server $1 has ended: $(tail -n 20 "$TMP/$1.log")"
	client "$_port" pg_isready -q
}

# server A|B DIRECTORY: start it and wait until it is recovered
server()
{
	eval "_port=\$PORT_$1"
	launch "$1" $OWNER "$PG/postgres" -D "$2" -p "$_port"
	until_true 120 _answers "$1" || fail "server $1 does not answer: $(tail -n 20 "$TMP/$1.log")"
}

# recovered A|B: it found a database that had not been shut down
recovered()
{
	grep -q "not properly shut down" "$TMP/$1.log" ||
		fail "server $1 had nothing to recover: $(cat "$TMP/$1.log")"
}

# Made once, in memory: the tests begin with copies of it.
template()
{
	[ ! -e "$BASE/template.done" ] || return 0
	mkdir -m 777 "$SOCKETS" "$BASE/template"
	$OWNER "$PG/initdb" -D "$BASE/template/data" -U postgres -A trust -N --no-locale -E UTF8 \
		--wal-segsize=1 >"$TMP/initdb" 2>&1 || fail "initdb: $(cat "$TMP/initdb")"
	settings >>"$BASE/template/data/postgresql.conf"
	server A "$BASE/template/data"
	client $PORT_A pgbench -q -i -s 1 postgres >"$TMP/init" 2>&1 || fail "$(cat "$TMP/init")"
	sql $PORT_A "create extension amcheck"
	sql $PORT_A "create table mark (n serial primary key, filler text default repeat('x', 200))"
	ended A INT 0
	touch "$BASE/template.done"
}

# Whatever the test comes to: no server stays, and nothing is mounted.
halt()
{
	for _server in A B; do
		eval "_pid=\${PID_$_server-}"
		[ -z "$_pid" ] || ! kill -QUIT "$_pid" 2>/dev/null || until_true 30 _gone "$_pid" || :
	done
}

# load: rows and pgbench on server A until stop_load
load()
{
	echo 'insert into mark default values returning n \watch 0.02' >"$TMP/rows.sql"
	launch rows "$PG/psql" -qAtX -v ON_ERROR_STOP=1 -h "$SOCKETS" -p $PORT_A -U postgres \
		-f "$TMP/rows.sql" postgres
	launch bench "$PG/pgbench" -h "$SOCKETS" -p $PORT_A -U postgres -c 2 -T 3000 postgres
	goes_on rows 10
	until_true 60 has_history $PORT_A || fail "pgbench does nothing: $(cat "$TMP/bench.log")"
}

has_history()
{
	[ "$(sql "$1" 'select count(*) > 20 from pgbench_history')" = t ]
}

stop_load()
{
	! _gone "$PID_bench" || fail "pgbench has ended: $(cat "$TMP/bench.log")"
	! _gone "$PID_rows" || fail "the rows have ended: $(tail -n 5 "$TMP/rows.log")"
	ended rows TERM
	ended bench TERM
}

#----------------------------------------------------------------
# What must be so
#----------------------------------------------------------------

# sound PORT: indices and tables agree, and so do the sums
sound()
{
	client "$1" pg_amcheck -d postgres --heapallindexed >"$TMP/amcheck" 2>&1 ||
		fail "pg_amcheck: $(cat "$TMP/amcheck")"
	equal "sums of pgbench" "$(sql "$1" "select a = t and a = b and a = h from
		(select sum(abalance) a from pgbench_accounts) a,
		(select sum(tbalance) t from pgbench_tellers) t,
		(select sum(bbalance) b from pgbench_branches) b,
		(select sum(delta) h from pgbench_history) h")" t
	has_history "$1" || fail "what pgbench did is not there"
}

# rows_are PORT LOW HIGH: as real.inc has it
rows_are()
{
	_got=$(sql "$1" "select count(*) || ' ' || max(n) from mark")
	equal "rows, last row" "$_got" "${_got#* } ${_got#* }"
	at_least "last row" "${_got#* }" "$2"
	at_most "last row" "${_got#* }" "$3"
}

# alive PORT: it can be worked with
alive()
{
	client "$1" pgbench -n -t 20 postgres >"$TMP/alive" 2>&1 || fail "pgbench: $(cat "$TMP/alive")"
}

#----------------------------------------------------------------
# Tests
#----------------------------------------------------------------

t_an_image_from_the_middle_runs_beside_and_comes_back()
{
	trap halt EXIT
	template
	legs
	volume "0 $N sync snapshot $S $O - $CHUNK"
	cp -a "$BASE/template/data" "$TMP/v/"
	server A "$TMP/v/data"
	load
	low=$(noted rows)
	equal "image create" "$(message v image create a)" 0
	high=$(($(noted rows) + 1))
	goes_on rows 30

	replica_door d v a
	mount_on image "$(dev d)"
	rm -f "$TMP/image/data/postmaster.pid"
	server B "$TMP/image/data"
	recovered B
	rows_are $PORT_B "$low" "$high"
	sound $PORT_B
	alive $PORT_B
	sound $PORT_B
	goes_on rows 10
	stop_load
	ended B INT 0
	unmount image

	last=$(noted rows)
	rows_are $PORT_A "$last" $((last + 1))
	sound $PORT_A
	ended A INT 0
	unmount v

	# Without what the second server did to it.
	fields v@a copy_state=Skewed
	equal "reset" "$(message v image reset-replica a)" 0
	wait_state v@a Synchronized
	equal "restore" "$(message v image restore a)" 0
	mount_on v "$V"
	rm -f "$TMP/v/data/postmaster.pid"
	server A "$TMP/v/data"
	recovered A
	rows_are $PORT_A "$low" "$high"
	sound $PORT_A
	alive $PORT_A
	wait_settled v@a 60
	sound $PORT_A
	ended A INT 0
	unmount v
	clean "$V"
}

# The instant has passed when the first piece was copied.
_copies()
{
	[ "$(f v written_bytes)" -gt 0 ]
}

t_a_clone_from_the_middle_becomes_a_database_of_its_own()
{
	trap halt EXIT
	template
	legs
	blank "$D2"
	# So slow that nobody can miss that it is being copied, until it is told otherwise.
	volume "0 $N sync clone $S $O $D2 $CHUNK 3 copy_type:unassoc stop_at:prepared rate:65536"
	cp -a "$BASE/template/data" "$TMP/v/"
	server A "$TMP/v/data"
	load
	fields v copy_state=Prepared
	low=$(noted rows)
	equal "activate" "$(message v activate)" 0
	until_true 60 _copies || fail "nothing is copied: $(dmsetup status "${P}v")"
	high=$(($(noted rows) + 1))
	fields v copy_state=Unsynchronized
	goes_on rows 30

	# The log of the database is replayed while most of it comes from the source.
	replica_door d v
	mount_on clone "$(dev d)"
	rm -f "$TMP/clone/data/postmaster.pid"
	server B "$TMP/clone/data"
	recovered B
	rows_are $PORT_B "$low" "$high"
	alive $PORT_B
	fields v copy_state=Unsynchronized
	equal "set rate" "$(message v set rate 0)" 0
	sound $PORT_B

	# The relation ends by itself, under two servers that do not notice.
	until_true 90 _passes_through || fail "it does not end: $(dmsetup status "${P}v")"
	alive $PORT_B
	sound $PORT_B
	rows_are $PORT_B "$low" "$high"
	count=$(sql $PORT_B "select count(*) from pgbench_history")
	goes_on rows 10
	stop_load
	last=$(noted rows)
	rows_are $PORT_A "$last" $((last + 1))
	sound $PORT_A
	ended A INT 0
	ended B INT 0
	unmount v clone
	remove d v
	clean "$S"
	clean "$O"

	mount_on clone "$O"
	server B "$TMP/clone/data"
	rows_are $PORT_B "$low" "$high"
	equal "history" "$(sql $PORT_B "select count(*) from pgbench_history")" "$count"
	alive $PORT_B
	sound $PORT_B
	ended B INT 0
	unmount clone
}

run_tests t_an_image_from_the_middle_runs_beside_and_comes_back \
	t_a_clone_from_the_middle_becomes_a_database_of_its_own

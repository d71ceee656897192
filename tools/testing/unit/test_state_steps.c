// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where operations and events lead a mirror: the transition table and the event table row by row,
 * the absence of every other row, and the invariants on everything that can come out.
 *
 * States are written CopyState/ProgressStatus/SyncState as the specification writes them, with
 * RequestedCopyState in a column of its own; "from" and "=" keep what was there.
 */
#include <errno.h>

#include "state_table.h"

/* facts by letters (state_table.h); '!' before a letter says that it must not hold */
static const char *const operations[] = {
/*	| op         | from                 | facts | Rq | during | after   | Rq | SyncMaintained */
	"| 4 Activate   | Pr In                |    | 4  | 3/6/5    | 4/2/6   | 15 | F>T |",
	"| 4 Activate   | Ia                   | e  | 4  | 3/7/5    | 4/2/6   | 15 | F>T |",
	"| 4 Activate   | Ia                   | !e | 4  | 3/6/5    | 4/2/6   | 15 | F>T |",
	"| 7 Deactivate | Un Sy Sk Fr Sp Su Br |    | 8  | from/16/8 | 8/3/9  | 15 | =>F |",
	"| 22 Suspend   | Sy                   |    | 9  | 4/16/8   | 9/3/9   | 15 | T>F |",
	"| 22 Suspend   | Un                   |    | 9  | 3/16/8   | 9/3/9   | 15 | F>F |",
	"| 16 Resume    | Su                   | n!m | 15 | 4/2/6   | 4/2/6   | 15 | T>T |",
	"| 16 Resume    | Su                   | !n!e | 4 | 3/6/5   | 4/2/6   | 15 | F>T |",
	"| 16 Resume    | Su                   | e!n | 4 | 3/7/5    | 4/2/6   | 15 | F>T |",
	"| 16 Resume    | Su                   | m!e | 4 | 3/6/5    | 4/2/6   | 15 | F>T |",
	"| 16 Resume    | Su                   | me | 4  | 3/7/5    | 4/2/6   | 15 | F>T |",
	"| 12 Fracture  | Sy Un                |    | 6  | from/9/7 | 6/2/13  | 15 | =>F |",
	"| 12 Fracture  | Su                   |    | 6  | 9/9/7    | 6/2/13  | 15 | F>F |",
	"| 21 Split     | Sy                   |    | 7  | 4/10/7   | 7/2/13  | 15 | T>F |",
	"| 21 Split     | Su                   |    | 7  | 9/10/7   | 7/2/13  | 15 | F>F |",
	"| 14 Resync    | Fr Sp Br Ab Sk       |    | 4  | 3/7/5    | 4/2/6   | 15 | F>T |",
	"| 15 Restore   | Fr Sp Sk Br          |    | 4  | from/8/10 | 4/17/6 | 15 | F>T |",
	"| 10 Failover  | Sy                   |    | 10 | 4/11/8   | 10/2/13 | 15 | T>F |",
	"| 10 Failover  | Su Sp Fr Ia Br Un Sk |    | 10 | from/11/8 | 10/2/13 | 15 | F>F |",
	"| 11 Failback  | Fo                   |    | 4  | 10/12/10 | 4/2/6   | 15 | F>T |",
	"| 20 Reverse   | Sy                   |    | 15 | 4/11/8   | 4/2/6   | 15 | T>T |",
	"| 20 Reverse   | Fr                   |    | 15 | 6/11/8   | 6/18/13 | 15 | F>F |",
	"| 20 Reverse   | Sp                   |    | 15 | 7/11/8   | 7/18/13 | 15 | F>F |",
	"| 20 Reverse   | Su                   |    | 15 | 9/11/8   | 9/3/9   | 15 | F>F |",
	"| 20 Reverse   | Fo                   | s  | 6  | 10/11/8  | 6/18/13 | 15 | F>F |",
	"| 20 Reverse   | Fo                   | !s | 6  | 10/11/8  | 5/18/12 | 4  | F>F |",
	"| 17 To Sync   | In Pr Un Sy Br Fr Sp Ia Su Ab Sk | | = | from/=/= | from/=/= | = | => |",
	"| 18 To Async  | In Pr Un Sy Br Fr Sp Ia Su Ab Sk | | = | from/=/= | from/=/= | = | => |",
	"| 2 Abort      | Un                   |    | 12 | from/14/8 | 12/18/9 | 15 | F>F |",
	"| 23 Prepare   | In Ia Fr Sp Br Ab Sk |    | 11 | from/5/3 | 11/19/4 | 15 | F>F |",
	"| 24 Prepare   | In Ia Fr Sp Br Ab Sk |    | 11 | from/5/3 | 11/19/4 | 15 | F>F |",
	"| 8 Detach | In Pr Un Sy Br Fr Sp Ia Su Fo Ab Sk | | 15 | from/13/= | 15/2/NULL | 15 | =>F |",
	"| 9 Dissolve   | Un Sy Br Fr Sp Ia Su Ab Sk | | 15 | from/13/= | 15/2/NULL | 15 | =>F |",
};

struct row {
	char name[32], from[64], facts[8], rq[8], during[24], after[24], after_rq[8], kept[8];
};

static void read_row(const char *text, struct row *row)
{
	text = next_cell(text, row->name, sizeof(row->name));
	text = next_cell(text, row->from, sizeof(row->from));
	text += strspn(text, "|");
	/* the facts may be blank, which next_cell() would skip */
	{
		size_t len = strcspn(text, "|"), n = 0;

		for (size_t i = 0; i < len; i++)
			if (text[i] != ' ')
				row->facts[n++] = text[i];
		row->facts[n] = 0;
		text += len;
	}
	text = next_cell(text, row->rq, sizeof(row->rq));
	text = next_cell(text, row->during, sizeof(row->during));
	text = next_cell(text, row->after, sizeof(row->after));
	text = next_cell(text, row->after_rq, sizeof(row->after_rq));
	next_cell(text, row->kept, sizeof(row->kept));
}

static bool facts_match(const char *letters, unsigned int bits)
{
	static const char names[] = "cewshrmnf";

	for (; *letters; letters++) {
		bool want = *letters != '!';

		if (!want)
			letters++;
		if ((bits >> (strchr(names, *letters) - names) & 1) != want)
			return false;
	}
	return true;
}

static bool has_column(const char *from, int copy_state)
{
	while (*from) {
		size_t len = strcspn(from, " ");

		if (copy_state_of(from, len) == copy_state)
			return true;
		from += len;
		from += strspn(from, " ");
	}
	return false;
}

/* "from", "=" and a number are each one part of a written state */
static int part(const char *text, int present)
{
	return *text == 'f' || *text == '=' ? present : atoi(text);
}

/* Compare a step with CS/PS/SS and a requested state as they are written. */
static void same(const char *name, const struct dm_sync_state *s, const struct dm_sync_step *got,
		 const char *text, const char *rq)
{
	const char *progress = strchr(text, '/') + 1;
	const char *sync_state = strchr(progress, '/') + 1;
	struct dm_sync_state next = *s;
	int want_sync;

	next.copy_state = got->copy_state;
	next.progress = got->progress;
	next.requested = got->requested;
	want_sync = *sync_state == 'N' ? -1 : part(sync_state, dm_sync_derive_sync_state(s));
	expect(got->copy_state == part(text, s->copy_state) &&
	       got->progress == part(progress, s->progress) &&
	       got->requested == part(rq, s->requested) &&
	       dm_sync_derive_sync_state(&next) == want_sync,
	       "%s from %d/%d: %d/%d/%d requested %d, expected %s requested %s", name,
	       s->copy_state, s->progress, got->copy_state, got->progress,
	       dm_sync_derive_sync_state(&next), got->requested, text, rq);
}

static void maintained(const char *name, const struct dm_sync_state *s,
		       const struct dm_sync_step *got, char want)
{
	bool now = s->copy_state == 4, next = got->copy_state == 4;

	expect(!want || next == (want == 'T' || (want == '=' && now)), "%s from %d: SyncMaintained",
	       name, s->copy_state);
}

static void check_operation(const struct row *row, int copy_state, unsigned int bits)
{
	struct dm_sync_state s = mirror(copy_state, settled_progress(copy_state), 15);
	struct dm_sync_facts f = facts_of(bits);
	struct dm_sync_step during, after;

	if (copy_state == 3 || copy_state == 5 || copy_state == 13)
		s.requested = 4;
	if (!expect(dm_sync_transition(&s, &f, (unsigned int)atoi(row->name), &during, &after),
		    "%s from %d: no transition", row->name, copy_state))
		return;
	same(row->name, &s, &during, row->during, row->rq);
	same(row->name, &s, &after, row->after, row->after_rq);
	maintained(row->name, &s, &during, row->kept[0]);
	if (row->kept[1])
		maintained(row->name, &s, &after, row->kept[2]);
}

static bool covered[28][16];

static void test_operations(void)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		struct row row;

		read_row(operations[i], &row);
		for (int c = 0; c < STATE_COLUMNS; c++) {
			int copy_state = state_columns[c].copy_state;

			if (!has_column(row.from, copy_state))
				continue;
			covered[atoi(row.name)][copy_state] = true;
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++)
				if (facts_match(row.facts, bits))
					check_operation(&row, copy_state, bits);
		}
		point("transition: %s from %s %s", row.name, row.from, row.facts);
	}
}

static void test_no_other(void)
{
	for (unsigned int op = 0; op <= 40; op++) {
		for (int c = 0; c < STATE_COLUMNS; c++) {
			int copy_state = state_columns[c].copy_state;
			struct dm_sync_state s = mirror(copy_state,
							settled_progress(copy_state), 15);
			struct dm_sync_facts f = facts_named("cews");
			struct dm_sync_step during, after;
			bool want = op < 28 && covered[op][copy_state];

			expect(dm_sync_transition(&s, &f, op, &during, &after) == want,
			       "op %u from %s", op, state_columns[c].name);
			s.sync_type = 8;
			expect(!dm_sync_transition(&s, &f, op, &during, &after), "op %u, clone", op);
		}
	}
	point("no transition that the table does not have");
}

/* From states in which something runs or is owed. */
static void test_special(void)
{
	static const struct {
		const char *text;
		unsigned int op;
		int copy_state, progress;
		const char *facts, *during, *rq, *after, *after_rq;
	} rows[] = {
		{ "Abort of Restore", 2, 6, 8, "", "6/14/8", "12", "5/3/12", "4" },
		{ "Abort of Restore", 2, 7, 8, "", "7/14/8", "12", "5/3/12", "4" },
		{ "Abort of Restore", 2, 13, 8, "", "13/14/8", "12", "5/3/12", "4" },
		{ "Abort of Restore", 2, 5, 8, "", "5/14/8", "12", "5/3/12", "4" },
		{ "Abort of Prepare", 2, 6, 5, "", "6/14/8", "12", "12/18/9", "15" },
		{ "Abort of Prepare", 2, 7, 5, "", "7/14/8", "12", "12/18/9", "15" },
		{ "Abort of Prepare", 2, 5, 5, "", "5/14/8", "12", "12/18/9", "15" },
		{ "Abort of Prepare", 2, 13, 5, "", "13/14/8", "12", "12/18/9", "15" },
		/* these CopyStates have no Aborting; and nobody requests the state he is in */
		{ "Abort of Prepare", 2, 2, 5, "", "2/5/3", "12", "12/18/9", "15" },
		{ "Abort of Prepare", 2, 8, 5, "", "8/5/3", "12", "12/18/9", "15" },
		{ "Abort of Prepare", 2, 12, 5, "", "12/5/3", "15", "12/18/9", "15" },
		{ "Fracture with 17", 12, 4, 17, "f", "4/9/7", "6", "6/2/13", "15" },
		{ "Split with 17", 21, 4, 17, "f", "4/10/7", "7", "7/2/13", "15" },
		{ "Detach with 17", 8, 4, 17, "f", "4/13/6", "15", "15/2/NULL", "15" },
		{ "Resync with 18", 14, 6, 18, "", "3/7/5", "4", "4/2/6", "15" },
		{ "Resync with 18", 14, 5, 18, "m", "3/7/5", "4", "4/2/6", "15" },
		{ "Resync of unknown", 14, 5, 0, "m", "3/7/5", "4", "4/2/6", "15" },
		{ "Abort while Pending", 2, 3, 20, "", "3/14/8", "12", "12/18/9", "15" },
		{ "Suspend while Pending", 22, 3, 20, "", "3/16/8", "9", "9/3/9", "15" },
		{ "Restore again", 15, 5, 3, "rs", "5/8/10", "4", "4/17/6", "15" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dm_sync_state s = mirror(rows[i].copy_state, rows[i].progress, 15);
		struct dm_sync_facts f = facts_named(rows[i].facts);
		struct dm_sync_step during, after;

		if (!expect(dm_sync_transition(&s, &f, rows[i].op, &during, &after), "%s: none",
			    rows[i].text))
			continue;
		same(rows[i].text, &s, &during, rows[i].during, rows[i].rq);
		same(rows[i].text, &s, &after, rows[i].after, rows[i].after_rq);
	}
	point("transitions from states in which something runs or is owed");
}

/* Reset To Sync drains what an asynchronous mirror has not sent; else nothing moves. */
static void test_drain(void)
{
	struct dm_sync_state s = mirror(4, 2, 15);
	struct dm_sync_step during, after;
	struct dm_sync_facts f = facts_named("");

	s.copy_type = 2;
	if (expect(dm_sync_transition(&s, &f, 17, &during, &after), "no transition")) {
		same("Reset To Sync", &s, &during, "4/6/6", "15");
		same("Reset To Sync", &s, &after, "4/2/6", "15");
	}
	f = facts_named("n");
	if (expect(dm_sync_transition(&s, &f, 17, &during, &after), "no transition"))
		same("Reset To Sync", &s, &during, "4/2/6", "15");
	point("transition: 17 with a backlog");
	s.progress = 6;
	ok(dm_sync_event_step(&s, &f, DM_SYNC_EV_COPY_DONE, false, false, &after) &&
	   after.copy_state == 4 && after.progress == 2, "the backlog has drained");
}

#define AUTO	1	/* recovery: auto */
#define MARKED	2	/* some region is marked */

/* Event rows: states are CopyState/ProgressStatus/RequestedCopyState here. */
static const struct {
	const char *text;
	enum dm_sync_event ev;
	const char *facts;
	int flags;
	const char *from, *after;
} events[] = {
{ "E1 replica error", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/2/15 4/17/15 3/6/4 3/7/4 3/20/4", "5/3/4" },
{ "E3 no flow, no change", DM_SYNC_EV_REPLICA_ERROR, "", 0,
  "2/2/15 11/19/15 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15 13/18/4 5/3/4 5/18/4 5/0/4", "=" },
{ "E17 restore fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "6/8/4 7/8/4 13/8/4 5/8/4", "5/3/4" },
{ "E17 resync fails", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0, "3/7/4", "5/3/4" },
{ "E17 restore fails", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "6/8/4 7/8/4 13/8/4 5/8/4", "5/3/4" },
{ "E17 failback fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "10/12/4", "10/2/4" },
{ "E18 fracture cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/9/6 3/9/6 9/9/6", "6/2/15" },
{ "deactivate cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/16/8 3/16/8", "8/3/15" },
{ "abort cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "3/14/12", "12/18/15" },
{ "abort of restore", DM_SYNC_EV_REPLICA_ERROR, "", 0, "6/14/12 7/14/12 5/14/12", "5/3/4" },
{ "failed split stays requested", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/10/7 9/10/7", "5/3/7" },
{ "failed suspend stays requested", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/16/9 3/16/9", "5/3/9" },
{ "detach goes on", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/13/15 3/13/15", "=" },
{ "error with maps lost", DM_SYNC_EV_REPLICA_ERROR, "m", 0, "3/7/4", "5/18/4" },
{ "E4 automatic", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO, "5/3/4 5/3/7 5/3/9", "3/7/4" },
{ "E4 manual", DM_SYNC_EV_REPLICA_RETURNED, "", 0, "5/3/4 5/3/7", "9/3/15" },
{ "E4 not for lost maps or state", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO, "5/18/4 5/0/4", "=" },
{ "E4 not over a half restored source", DM_SYNC_EV_REPLICA_RETURNED, "r", AUTO, "5/3/4", "=" },
{ "E4 not while an operation runs", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO,
  "5/16/8 5/13/15 5/8/4 5/5/11 5/14/12", "=" },
{ "E4 only for Broken", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO,
  "2/2/15 3/7/4 4/2/15 6/2/15 7/2/15 8/3/15 9/3/15 11/19/15 12/18/15 13/18/4", "=" },
{ "E5 source error during copy", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0, "3/6/4 3/7/4 3/20/4", "5/3/4" },
{ "E5 only during copy", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0,
  "4/2/15 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15", "=" },
{ "E6 source error for the host", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "4/2/15 4/17/15", "5/3/4" },
{ "E7 source error, replica not current", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0,
  "3/6/4 3/7/4 6/2/15 8/3/15 9/3/15 12/18/15", "5/3/4" },
{ "E7 not in these", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0,
  "2/2/15 11/19/15 7/2/15 13/18/4 5/3/4", "=" },
{ "E10 maps lost", DM_SYNC_EV_MAPS_LOST, "", 0,
  "2/2/15 11/19/15 3/6/4 4/2/15 4/17/15 5/3/4 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15 13/18/4 4/10/7",
  "5/18/4" },
{ "E10 maps lost, nothing worse", DM_SYNC_EV_MAPS_LOST, "", 0, "5/18/4 5/0/4 4/13/15 15/2/15", "=" },
{ "E10 state unknown", DM_SYNC_EV_STATE_UNKNOWN, "", 0,
  "2/2/15 2/4/4 3/7/4 4/2/15 5/3/4 5/18/4 6/2/15 8/3/15 9/3/15", "5/0/4" },
{ "E10 state unknown already", DM_SYNC_EV_STATE_UNKNOWN, "", 0, "5/0/4", "=" },
{ "copy done", DM_SYNC_EV_COPY_DONE, "", 0, "3/6/4 3/7/4 3/20/4", "4/2/15" },
{ "copy done, fracture owed", DM_SYNC_EV_COPY_DONE, "f", 0, "3/7/4", "4/17/15" },
{ "restore done", DM_SYNC_EV_COPY_DONE, "", 0, "6/8/4 7/8/4 13/8/4 5/8/4", "4/17/15" },
{ "copy done, but another state comes", DM_SYNC_EV_COPY_DONE, "", 0,
  "3/9/6 3/14/12 3/16/9 3/16/8 3/13/15 4/2/15 5/3/4 6/2/15 9/3/15", "=" },
{ "E12 copies continue", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "3/6/4 3/7/4", "=" },
{ "E12 pending, first copy", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "3/20/4", "3/6/4" },
{ "E12 pending, later copy", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED, "3/20/4", "3/7/4" },
{ "E12 restore continues", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "6/8/4 7/8/4 13/8/4 5/8/4", "=" },
{ "E12 cut not logged, clean", DM_SYNC_EV_CRASH_RECOVERY, "e", 0,
  "4/9/6 4/10/7 4/16/8 4/16/9 4/13/15", "4/2/15" },
{ "E12 cut not logged, marked", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "4/9/6 4/10/7 4/16/8 4/16/9 4/13/15", "3/7/4" },
{ "E12 cut not logged, Unsynchronized", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "3/9/6 3/14/12 3/16/9 3/16/8 3/13/15", "3/7/4" },
{ "E12 cut not logged, first copy", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "3/9/6 3/14/12", "3/6/4" },
{ "E12 cut not logged, Suspended", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "9/9/6 9/10/7 9/16/8 9/13/15", "9/3/15" },
{ "E12 cut not logged, Fractured", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "6/16/8 6/5/11 6/13/15", "6/2/15" },
{ "E12 cut not logged, Broken", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "5/16/8 5/5/11 5/13/15", "5/3/4" },
{ "E12 cut not logged, Broken, no maps", DM_SYNC_EV_CRASH_RECOVERY, "em", MARKED, "5/16/8", "5/18/4" },
{ "E12 cut not logged, Skewed", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED, "13/16/8 13/5/11", "13/18/4" },
{ "E12 restore was being aborted", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "6/14/12 7/14/12 13/14/12 5/14/12", "5/3/4" },
{ "E12 idle mirror, marks", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED, "4/2/15 4/17/15", "3/7/4" },
{ "E12 idle mirror, no marks", DM_SYNC_EV_CRASH_RECOVERY, "e", 0, "4/2/15 4/17/15", "=" },
{ "E12 settled states stay", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "2/2/15 5/3/4 5/3/7 5/18/4 5/0/4 6/2/15 7/2/15 6/18/15 8/3/15 9/3/15 10/2/15 11/19/15"
  " 12/18/15 13/18/4", "=" },
{ "E12 being created, copy", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/4", "3/6/4" },
{ "E12 being created, stop", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/15", "2/2/15" },
{ "E12 being created, Prepared", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/11 2/5/11", "11/19/15" },
{ "E12 being created, Inactive", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/8", "8/3/15" },
{ "E14 stalled", DM_SYNC_EV_STALLED, "", 0, "3/6/4 3/7/4", "3/20/4" },
{ "E14 nothing to stall", DM_SYNC_EV_STALLED, "", 0, "4/2/15 3/9/6 6/8/4 5/3/4 9/3/15 3/20/4", "=" },
{ "E14 progress again, first copy", DM_SYNC_EV_UNSTALLED, "", 0, "3/20/4", "3/6/4" },
{ "E14 progress again", DM_SYNC_EV_UNSTALLED, "e", 0, "3/20/4", "3/7/4" },
{ "E14 was not stalled", DM_SYNC_EV_UNSTALLED, "e", 0, "3/7/4 4/2/15 9/3/15", "=" },
{ "E11m, E15 replica written or differs", DM_SYNC_EV_REPLICA_SKEWED, "", 0,
  "3/7/4 4/2/15 4/17/15 8/3/15 9/3/15", "13/18/4" },
{ "E13 split brain", DM_SYNC_EV_REPLICA_SKEWED, "", 0, "10/2/15", "13/18/4" },
{ "E11f written while cut", DM_SYNC_EV_REPLICA_SKEWED, "", 0, "6/2/15 7/2/15", "=" },
{ "E16 source grown", DM_SYNC_EV_REPLICA_TOO_SMALL, "", 0, "4/2/15 3/7/4 6/2/15 9/3/15", "5/18/4" },
{ "E19 split drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "4/10/7", "4/2/15" },
{ "E19 with fracture owed", DM_SYNC_EV_DRAIN_TIMEOUT, "ef", 0, "4/10/7", "4/17/15" },
{ "E19 split of Suspended", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "9/10/7", "9/3/15" },
{ "suspend drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "4/16/9", "4/2/15" },
{ "suspend drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "", 0, "3/16/9", "3/6/4" },
{ "no drain to time out", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "4/9/6 4/16/8 4/2/15 3/7/4", "=" },
};

static void check_event(size_t i, const char *from)
{
	int cs = 0, ps = 0, rq = 0, want[3];
	struct dm_sync_facts f = facts_named(events[i].facts);
	struct dm_sync_step after;
	struct dm_sync_state s;
	bool changed;

	if (sscanf(from, "%d/%d/%d", &cs, &ps, &rq) != 3)
		abort();
	s = mirror(cs, ps, rq);
	want[0] = cs, want[1] = ps, want[2] = rq;
	if (events[i].after[0] != '=' &&
	    sscanf(events[i].after, "%d/%d/%d", &want[0], &want[1], &want[2]) != 3)
		abort();
	changed = dm_sync_event_step(&s, &f, events[i].ev, events[i].flags & AUTO,
				     events[i].flags & MARKED, &after);
	expect(changed == (events[i].after[0] != '=') && after.copy_state == want[0] &&
	       after.progress == want[1] && after.requested == want[2],
	       "%s from %d/%d/%d: %s %d/%d/%d, expected %s", events[i].text, cs, ps, rq,
	       changed ? "to" : "stays", after.copy_state, after.progress, after.requested,
	       events[i].after);
}

static void test_events(void)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		const char *from = events[i].from;

		while (*from) {
			check_event(i, from);
			from += strcspn(from, " ");
			from += strspn(from, " ");
		}
		point("event: %s", events[i].text);
	}
}

static void test_pending_returns(void)
{
	struct dm_sync_facts f = facts_named("e");
	struct dm_sync_state s = mirror(3, 20, 4);
	struct dm_sync_step after;

	f.before_pending = 6;
	ok(dm_sync_event_step(&s, &f, DM_SYNC_EV_UNSTALLED, false, false, &after) &&
	   after.progress == 6, "Pending returns to what it covered, Synchronizing");
	f = facts_named("");
	f.before_pending = 7;
	ok(dm_sync_event_step(&s, &f, DM_SYNC_EV_UNSTALLED, false, false, &after) &&
	   after.progress == 7, "Pending returns to what it covered, Resyncing");
	s = mirror(4, 2, 15);
	s.copy_type = 2;
	ok(dm_sync_event_step(&s, &f, DM_SYNC_EV_STALLED, false, false, &after) &&
	   after.copy_state == 4 && after.progress == 20, "an asynchronous backlog is Pending");
	s.sync_type = 7;
	ok(!dm_sync_event_step(&s, &f, DM_SYNC_EV_REPLICA_ERROR, false, false, &after),
	   "no events for types that are not built");
}

static void test_create(void)
{
	static const struct {
		const char *text;
		unsigned int stop_at;
		bool assume;
		int result;
		const char *first, *first_rq, *after, *after_rq;
	} rows[] = {
		{ "none", 0, false, 0, "2/4/2", "4", "3/6/5", "4" },
		{ "synchronized", 4, false, 0, "2/4/2", "4", "3/6/5", "4" },
		{ "assume-in-sync", 0, true, 0, "2/4/2", "4", "4/2/6", "15" },
		{ "initialized", 2, false, 0, "2/4/2", "15", "2/2/2", "15" },
		{ "prepared", 11, false, 0, "2/4/2", "11", "11/19/4", "15" },
		{ "inactive", 8, false, 0, "2/4/2", "8", "8/3/9", "15" },
		{ "inactive, in sync", 8, true, 0, "2/4/2", "8", "8/3/9", "15" },
		{ "prepared, in sync", 11, true, -EINVAL, "", "", "", "" },
		{ "initialized, in sync", 2, true, -EINVAL, "", "", "", "" },
		{ "fractured", 6, false, -EINVAL, "", "", "", "" },
		{ "no state", 1, false, -EINVAL, "", "", "", "" },
		{ "no state", 99, false, -EINVAL, "", "", "", "" },
	};
	struct dm_sync_step first, after;
	struct dm_sync_state s = mirror(0, 0, 0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int result = dm_sync_create_step(&s, rows[i].stop_at, rows[i].assume,
						 &first, &after);

		expect(result == rows[i].result, "%s: %d", rows[i].text, result);
		if (result || rows[i].result)
			continue;
		same(rows[i].text, &s, &first, rows[i].first, rows[i].first_rq);
		same(rows[i].text, &s, &after, rows[i].after, rows[i].after_rq);
	}
	s.copy_type = 2;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EOPNOTSUPP, "async");
	s.copy_type = 4;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EINVAL, "mirror, CopyType 4");
	s.sync_type = 7;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EOPNOTSUPP, "snapshot");
	s.sync_type = 5;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EINVAL, "no type");
	point("creation");
}

/* The invariants, independently of dm_sync_invariants(): what the specification's 1.4 says. */
static bool sound(const struct dm_sync_state *s)
{
	bool runs = listed("9, 10, 11, 13, 16", s->progress);

	if (dm_sync_derive_sync_state(s) == 6 && !dm_sync_derive_maintained(s))
		return false;
	if (dm_sync_derive_maintained(s) && dm_sync_derive_sync_state(s) != 6 && !runs)
		return false;
	if (s->requested != 15 && (s->requested == s->copy_state || s->requested < 2 ||
				   s->requested > 12 || s->requested == 5))
		return false;
	return s->copy_state >= 2 && s->copy_state != 14 && s->progress != 15 &&
	       dm_sync_pair_legal(s->copy_state, s->progress);
}

static bool sound_step(const struct dm_sync_state *s, const struct dm_sync_step *step)
{
	struct dm_sync_state next = *s;
	const char *why;

	next.copy_state = step->copy_state;
	next.progress = step->progress;
	next.requested = step->requested;
	return dm_sync_invariants(&next, &why) && sound(&next);
}

static void check_all_from(const struct dm_sync_state *s, const struct dm_sync_facts *f)
{
	struct dm_sync_step during, after;
	const char *why;

	for (unsigned int op = 2; op <= 27; op++) {
		if (dm_sync_transition(s, f, op, &during, &after)) {
			/* asked for what admission lets through, and for what is not built yet */
			enum dm_sync_admit a = dm_sync_admit(s, f, op, true, &why);

			if (a != DM_SYNC_ADMIT_OK && a != DM_SYNC_ADMIT_UNSUPPORTED)
				continue;
			if (a == DM_SYNC_ADMIT_UNSUPPORTED && s->progress != 2)
				continue;
			if (!sound_step(s, &during) || !sound_step(s, &after))
				expect(false, "op %u from %d/%d/%d", op, s->copy_state, s->progress,
				       s->requested);
		} else if (dm_sync_admit(s, f, op, true, &why) == DM_SYNC_ADMIT_OK) {
			expect(false, "op %u from %d/%d is admitted and leads nowhere", op,
			       s->copy_state, s->progress);
		}
	}
	for (int ev = 0; ev <= DM_SYNC_EV_REPLICA_TOO_SMALL; ev++) {
		for (int flags = 0; flags < 4; flags++) {
			bool changed = dm_sync_event_step(s, f, (enum dm_sync_event)ev,
							  flags & AUTO,
							  flags & MARKED, &after);
			bool differs = after.copy_state != s->copy_state ||
				       after.progress != s->progress ||
				       after.requested != s->requested;

			if (changed != differs || !sound_step(s, &after))
				expect(false, "event %d from %d/%d/%d: %d/%d/%d", ev, s->copy_state,
				       s->progress, s->requested, after.copy_state, after.progress,
				       after.requested);
		}
	}
}

/* From every state that is one, with every combination of facts: nothing unsound comes out. */
static void test_sound(void)
{
	for (int copy_state = 0; copy_state < 16; copy_state++) {
		int states = 0;

		for (int i = 0; i <= 20 * 16 + 15; i++) {
			struct dm_sync_state s = mirror(copy_state, i / 16, i % 16);
			const char *why;

			if (!dm_sync_invariants(&s, &why))
				continue;
			states++;
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++) {
				struct dm_sync_facts f = facts_of(bits);

				check_all_from(&s, &f);
			}
		}
		expect((states > 0) == listed("2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15", copy_state),
		       "%d states with CopyState %d", states, copy_state);
		point("sound whatever happens in %d states with CopyState %d", states, copy_state);
	}
}

int main(void)
{
	plan(0);
	test_operations();
	test_no_other();
	test_special();
	test_drain();
	test_events();
	test_pending_returns();
	test_create();
	test_sound();
	return done();
}

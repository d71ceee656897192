// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where operations and events lead a pair: the transition tables and the event table row by row,
 * the absence of every other row, and the invariants on everything that can come out.
 *
 * States are written CopyState/ProgressStatus/SyncState as the specification writes them, with
 * RequestedCopyState in a column of its own; "from" and "=" keep what was there.
 */
#include <errno.h>

#include "state_table.h"

/* facts by letters (state_table.h); '!' before a letter says that it must not hold */
static const char *const mirror_operations[] = {
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
	NULL
};

static const char *const snapshot_operations[] = {
	"| 4 Activate   | In Pr Ia    |    | 4  | 3/6/5     | 4/2/11  | 15 | F>F |",
	"| 7 Deactivate | Sy Sk Su Br |    | 8  | from/16/8 | 8/3/9   | 15 | F>F |",
	"| 14 Resync    | Sy Sk Br    |    | 4  | 3/7/5     | 4/2/11  | 15 | F>F |",
	"| 27 Reset Replica | Sk      |    | 4  | 13/7/11   | 4/2/11  | 15 | F>F |",
	"| 15 Restore   | Sy          |    | 15 | 4/8/10    | 4/2/11  | 15 | F>F |",
	"| 15 Restore   | Sk          |    | 4  | 13/8/10   | 4/2/11  | 15 | F>F |",
	"| 15 Restore   | Br          |    | 4  | 5/8/10    | 4/2/11  | 15 | F>F |",
	"| 22 Suspend   | Sy Sk       |    | 9  | from/16/8 | 9/3/9   | 15 | F>F |",
	"| 16 Resume    | Su          | !p | 15 | 4/2/11    | 4/2/11  | 15 | F>F |",
	"| 16 Resume    | Su          | p  | 15 | 13/2/11   | 13/2/11 | 15 | F>F |",
	"| 23 Prepare   | In Ia Br    |    | 11 | from/5/3  | 11/19/4 | 15 | F>F |",
	"| 24 Prepare   | In Ia Br    |    | 11 | from/5/3  | 11/19/4 | 15 | F>F |",
	"| 19 Return | In Pr Sy Sk Su Ia Br | | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	"| 9 Dissolve | In Pr Sy Sk Su Ia Br | | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	"| 8 Detach     | In Pr Ia Br |    | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	NULL
};

static const char *const clone_operations[] = {
	"| 4 Activate   | In Pr Ia    |    | 4  | 3/6/15    | 4/2/14  | 15 | F>F |",
	"| 22 Suspend   | Un          |    | 9  | 3/16/8    | 9/3/9   | 15 | F>F |",
	"| 16 Resume    | Su          | !e | 4  | 3/6/15    | 4/2/14  | 15 | F>F |",
	"| 16 Resume    | Su          | e  | 4  | 3/7/15    | 4/2/14  | 15 | F>F |",
	"| 2 Abort      | Un Su       |    | 12 | from/14/8 | 12/18/9 | 15 | F>F |",
	"| 14 Resync    | Sy Sk Fr Sp |    | 4  | 3/7/15    | 4/2/14  | 15 | F>F |",
	"| 14 Resync    | Br Ab       |    | 4  | 3/7/15    | 4/2/14  | 15 | F>F |",
	"| 15 Restore   | Sy          |    | 15 | 4/8/10    | 4/2/14  | 15 | F>F |",
	"| 15 Restore   | Sk Fr Sp Br |    | 4  | from/8/10 | 4/2/14  | 15 | F>F |",
	"| 12 Fracture  | Sy Sk       |    | 6  | from/9/8  | 6/2/14  | 15 | F>F |",
	"| 21 Split     | Sy Sk       |    | 7  | from/10/8 | 7/2/14  | 15 | F>F |",
	"| 7 Deactivate | Un Sy Sk Fr Sp Su Br | | 8 | from/16/8 | 8/3/9 | 15 | F>F |",
	"| 23 Prepare   | In Ia Fr Sp Br Ab Sk | | 11 | from/5/3 | 11/19/4 | 15 | F>F |",
	"| 24 Prepare   | In Ia Fr Sp Br Ab Sk | | 11 | from/5/3 | 11/19/4 | 15 | F>F |",
	"| 8 Detach | In Pr Un Sy Br Fr Sp Ia Su Ab Sk | | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	"| 9 Dissolve | In Pr Un Sy Br Fr Sp Ia Su Ab Sk | | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	NULL
};

/* CopyType 5 in the states that it has: only SyncState differs, and how it ends. */
static const char *const temporary_operations[] = {
	"| 4 Activate   | In Pr Ia    |    | 4  | 3/6/5     | 4/2/14  | 15 | F>F |",
	"| 22 Suspend   | Un          |    | 9  | 3/16/8    | 9/3/9   | 15 | F>F |",
	"| 16 Resume    | Su          | !e | 4  | 3/6/5     | 4/2/14  | 15 | F>F |",
	"| 16 Resume    | Su          | e  | 4  | 3/7/5     | 4/2/14  | 15 | F>F |",
	"| 2 Abort      | Un Su       |    | 12 | from/14/8 | 12/18/9 | 15 | F>F |",
	"| 14 Resync    | Br Ab       |    | 4  | 3/7/5     | 4/2/14  | 15 | F>F |",
	"| 7 Deactivate | Un Su Br    |    | 8  | from/16/8 | 8/3/9   | 15 | F>F |",
	"| 24 Prepare   | In Ia Br Ab |    | 11 | from/5/3  | 11/19/4 | 15 | F>F |",
	"| 8 Detach     | Sy          |    | 15 | 4/13/14   | 15/2/NULL | 15 | F>F |",
	"| 9 Dissolve | In Pr Un Sy Br Ia Su Ab | | 15 | from/13/= | 15/2/NULL | 15 | F>F |",
	NULL
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
	bool mirror = s->sync_type == 6;
	bool now = mirror && s->copy_state == 4, next = mirror && got->copy_state == 4;

	expect(!want || next == (want == 'T' || (want == '=' && now)), "%s from %d: SyncMaintained",
	       name, s->copy_state);
}

static void check_operation(char kind, const struct row *row, int copy_state, unsigned int bits)
{
	struct dm_sync_state s = pair_of(kind, copy_state, settled_of(kind, copy_state), 15);
	struct dm_sync_facts f = facts_of(bits);
	struct dm_sync_step during, after;

	if (copy_state == 3 || copy_state == 5 || (copy_state == 13 && kind == 'M'))
		s.requested = 4;
	if (!expect(dm_sync_transition(&s, &f, (unsigned int)atoi(row->name), &during, &after),
		    "%c: %s from %d: no transition", kind, row->name, copy_state))
		return;
	same(row->name, &s, &during, row->during, row->rq);
	same(row->name, &s, &after, row->after, row->after_rq);
	maintained(row->name, &s, &during, row->kept[0]);
	if (row->kept[1])
		maintained(row->name, &s, &after, row->kept[2]);
}

static bool covered[28][16];

static void test_operations(char kind, const char *const operations[])
{
	memset(covered, 0, sizeof(covered));
	for (size_t i = 0; operations[i]; i++) {
		struct row row;

		read_row(operations[i], &row);
		for (int c = 0; c < STATE_COLUMNS; c++) {
			int copy_state = state_columns[c].copy_state;

			if (!has_column(row.from, copy_state))
				continue;
			covered[atoi(row.name)][copy_state] = true;
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++)
				if (facts_match(row.facts, bits))
					check_operation(kind, &row, copy_state, bits);
		}
		point("transition of kind %c: %s from %s %s", kind, row.name, row.from, row.facts);
	}
}

/* What test_operations() has just seen is all that there is. */
static void test_no_other(char kind)
{
	for (unsigned int op = 0; op <= 40; op++) {
		for (int c = 0; c < STATE_COLUMNS; c++) {
			int copy_state = state_columns[c].copy_state;
			struct dm_sync_state s = pair_of(kind, copy_state,
							 settled_of(kind, copy_state), 15);
			struct dm_sync_facts f = facts_named("cews");
			struct dm_sync_step during, after;
			bool want = op < 28 && covered[op][copy_state];

			expect(dm_sync_transition(&s, &f, op, &during, &after) == want,
			       "%c: op %u from %s", kind, op, state_columns[c].name);
			s.copy_type = 9;
			expect(!dm_sync_transition(&s, &f, op, &during, &after), "op %u, no type",
			       op);
		}
	}
	point("no transition that the table of kind %c does not have", kind);
}

/* From states in which something runs or is owed. */
static const struct {
	char kind;
	const char *text;
	unsigned int op;
	int copy_state, progress;
	const char *facts, *during, *rq, *after, *after_rq;
} special[] = {
	{ 'M', "Abort of Restore", 2, 6, 8, "", "6/14/8", "12", "5/3/12", "4" },
	{ 'M', "Abort of Restore", 2, 7, 8, "", "7/14/8", "12", "5/3/12", "4" },
	{ 'M', "Abort of Restore", 2, 13, 8, "", "13/14/8", "12", "5/3/12", "4" },
	{ 'M', "Abort of Restore", 2, 5, 8, "", "5/14/8", "12", "5/3/12", "4" },
	{ 'M', "Abort of Prepare", 2, 6, 5, "", "6/14/8", "12", "12/18/9", "15" },
	{ 'M', "Abort of Prepare", 2, 7, 5, "", "7/14/8", "12", "12/18/9", "15" },
	{ 'M', "Abort of Prepare", 2, 5, 5, "", "5/14/8", "12", "12/18/9", "15" },
	{ 'M', "Abort of Prepare", 2, 13, 5, "", "13/14/8", "12", "12/18/9", "15" },
	/* these CopyStates have no Aborting; and nobody requests the state he is in */
	{ 'M', "Abort of Prepare", 2, 2, 5, "", "2/5/3", "12", "12/18/9", "15" },
	{ 'M', "Abort of Prepare", 2, 8, 5, "", "8/5/3", "12", "12/18/9", "15" },
	{ 'M', "Abort of Prepare", 2, 12, 5, "", "12/5/3", "15", "12/18/9", "15" },
	{ 'M', "Fracture with 17", 12, 4, 17, "f", "4/9/7", "6", "6/2/13", "15" },
	{ 'M', "Split with 17", 21, 4, 17, "f", "4/10/7", "7", "7/2/13", "15" },
	{ 'M', "Detach with 17", 8, 4, 17, "f", "4/13/6", "15", "15/2/NULL", "15" },
	{ 'M', "Resync with 18", 14, 6, 18, "", "3/7/5", "4", "4/2/6", "15" },
	{ 'M', "Resync with 18", 14, 5, 18, "m", "3/7/5", "4", "4/2/6", "15" },
	{ 'M', "Resync of unknown", 14, 5, 0, "m", "3/7/5", "4", "4/2/6", "15" },
	{ 'M', "Abort while Pending", 2, 3, 20, "", "3/14/8", "12", "12/18/9", "15" },
	{ 'M', "Suspend while Pending", 22, 3, 20, "", "3/16/8", "9", "9/3/9", "15" },
	{ 'M', "Restore again", 15, 5, 3, "rs", "5/8/10", "4", "4/17/6", "15" },

	{ 'S', "Abort of Restore", 2, 4, 8, "", "4/14/8", "12", "5/3/12", "4" },
	{ 'S', "Abort of Restore", 2, 13, 8, "", "13/14/8", "12", "5/3/12", "4" },
	{ 'S', "Abort of Restore", 2, 5, 8, "", "5/14/8", "12", "5/3/12", "4" },
	{ 'S', "Restore again", 15, 5, 3, "rsp", "5/8/10", "4", "4/2/11", "15" },
	{ 'S', "Resync of full store", 14, 5, 18, "m", "3/7/5", "4", "4/2/11", "15" },
	{ 'S', "Return of full store", 19, 5, 18, "m", "5/13/12", "15", "15/2/NULL", "15" },

	{ '4', "Abort of Restore", 2, 4, 8, "", "4/14/8", "12", "5/3/12", "4" },
	{ '4', "Abort of Restore", 2, 7, 8, "", "7/14/8", "12", "5/3/12", "4" },
	{ '4', "Abort of Restore", 2, 13, 8, "", "13/14/8", "12", "5/3/12", "4" },
	{ '4', "Abort of Prepare", 2, 6, 5, "", "6/14/8", "12", "12/18/9", "15" },
	{ '4', "Abort of Prepare", 2, 13, 5, "", "13/14/8", "12", "12/18/9", "15" },
	{ '4', "Abort of Prepare", 2, 2, 5, "", "2/5/3", "12", "12/18/9", "15" },
	{ '5', "Abort of Prepare", 2, 8, 5, "", "8/5/3", "12", "12/18/9", "15" },
	{ '4', "Abort while Pending", 2, 3, 20, "", "3/14/8", "12", "12/18/9", "15" },
};

static void test_special(void)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		struct dm_sync_state s = pair_of(special[i].kind, special[i].copy_state,
						 special[i].progress, 15);
		struct dm_sync_facts f = facts_named(special[i].facts);
		struct dm_sync_step during, after;

		if (!expect(dm_sync_transition(&s, &f, special[i].op, &during, &after), "%s: none",
			    special[i].text))
			continue;
		same(special[i].text, &s, &during, special[i].during, special[i].rq);
		same(special[i].text, &s, &after, special[i].after, special[i].after_rq);
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
struct event_row {
	const char *text;
	enum dm_sync_event ev;
	const char *facts;
	int flags;
	const char *from, *after;
};

static const struct event_row mirror_events[] = {
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
{ "E8, E11 are not a mirror's", DM_SYNC_EV_STORE_FULL, "e", AUTO, "4/2/15 3/7/4 5/3/4 9/3/15", "=" },
{ "E8, E11 are not a mirror's", DM_SYNC_EV_STORE_HOLD, "e", AUTO, "4/2/15", "=" },
{ "E8, E11 are not a mirror's", DM_SYNC_EV_STORE_SPACE, "e", AUTO, "9/3/15", "=" },
{ "E8, E11 are not a mirror's", DM_SYNC_EV_REPLICA_WRITTEN, "e", AUTO, "4/2/15 6/2/15", "=" },
{ .text = NULL }
};

static const struct event_row snapshot_events[] = {
{ "E3 the store fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/2/15 13/2/15", "5/3/4" },
{ "E3 no flow, no change", DM_SYNC_EV_REPLICA_ERROR, "", 0,
  "2/2/15 11/19/15 8/3/15 9/3/15 5/3/4 5/18/4 5/0/4", "=" },
{ "E17 resync fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "3/6/4 3/7/4", "5/3/4" },
{ "E17 reset fails", DM_SYNC_EV_REPLICA_ERROR, "p", 0, "13/7/4", "5/3/4" },
{ "E17 restore fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/8/15 13/8/4 5/8/4", "5/3/4" },
{ "E17 restore fails", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0, "4/8/15 13/8/4 5/8/4", "5/3/4" },
{ "E17 restore fails", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "4/8/15 13/8/4 5/8/4", "5/3/4" },
{ "E5 a bad chunk is not a bad image", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0,
  "4/2/15 13/2/15 9/3/15 5/3/4", "=" },
{ "E6 is a mirror's", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "4/2/15 13/2/15", "=" },
{ "E7 source error", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "3/6/4 3/7/4 8/3/15 9/3/15", "5/3/4" },
{ "abort of restore", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/14/12 13/14/12 5/14/12", "5/3/4" },
{ "deactivate cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/16/8 13/16/8", "8/3/15" },
{ "failed suspend stays requested", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/16/9 13/16/9", "5/3/9" },
{ "return goes on", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/13/15 13/13/15", "=" },
{ "E4 the image is what it was", DM_SYNC_EV_REPLICA_RETURNED, "w", AUTO, "5/3/4 5/3/9", "4/2/15" },
{ "E4 and what was written", DM_SYNC_EV_REPLICA_RETURNED, "wp", AUTO, "5/3/4", "13/2/15" },
{ "E4 manual", DM_SYNC_EV_REPLICA_RETURNED, "wp", 0, "5/3/4", "9/3/15" },
{ "E4 there was no image", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO, "5/3/4", "=" },
{ "E4 the image is lost", DM_SYNC_EV_REPLICA_RETURNED, "w", AUTO, "5/18/4 5/0/4", "=" },
{ "E4 not over a half restored source", DM_SYNC_EV_REPLICA_RETURNED, "wr", AUTO, "5/3/4", "=" },
{ "E8 store full", DM_SYNC_EV_STORE_FULL, "w", AUTO, "4/2/15 13/2/15", "5/18/4" },
{ "E8 after holding, and in Broken", DM_SYNC_EV_STORE_FULL, "w", AUTO, "9/3/15 5/3/4", "5/18/4" },
{ "E8 while the image is being made or reset", DM_SYNC_EV_STORE_FULL, "w", AUTO,
  "3/6/4 3/7/4 13/7/4", "5/18/4" },
{ "E8 in a restore", DM_SYNC_EV_STORE_FULL, "w", AUTO, "4/8/15 13/8/4 5/8/4", "5/18/4" },
{ "E8 in the abort of one", DM_SYNC_EV_STORE_FULL, "w", AUTO, "4/14/12 13/14/12 5/14/12", "5/18/4" },
{ "E8 the image is to go anyway", DM_SYNC_EV_STORE_FULL, "w", AUTO,
  "4/16/8 13/16/8 9/16/8 5/16/8", "8/3/15" },
{ "E8 failed suspend stays requested", DM_SYNC_EV_STORE_FULL, "w", AUTO, "4/16/9 13/16/9", "5/18/9" },
{ "E8 there is no image", DM_SYNC_EV_STORE_FULL, "w", AUTO,
  "2/2/15 11/19/15 8/3/15 5/18/4 5/0/4 4/13/15 8/5/11 5/5/11", "=" },
{ "E8 on_full:hold", DM_SYNC_EV_STORE_HOLD, "w", AUTO, "4/2/15 13/2/15", "9/3/15" },
{ "E8 nothing to hold", DM_SYNC_EV_STORE_HOLD, "w", AUTO,
  "2/2/15 3/7/4 8/3/15 9/3/15 5/3/4 4/8/15 4/16/9 4/13/15 13/7/4", "=" },
{ "E8 space again", DM_SYNC_EV_STORE_SPACE, "w", AUTO, "9/3/15", "4/2/15" },
{ "E8 space again, written before", DM_SYNC_EV_STORE_SPACE, "wp", AUTO, "9/3/15", "13/2/15" },
{ "E8 space again, manual", DM_SYNC_EV_STORE_SPACE, "wp", 0, "9/3/15", "=" },
{ "E8 space, and none was missing", DM_SYNC_EV_STORE_SPACE, "w", AUTO, "4/2/15 5/18/4 9/16/8", "=" },
{ "E10 maps lost", DM_SYNC_EV_MAPS_LOST, "", 0,
  "2/2/15 11/19/15 3/6/4 4/2/15 4/8/15 5/3/4 8/3/15 9/3/15 13/2/15 4/16/9", "5/18/4" },
{ "E10 state unknown", DM_SYNC_EV_STATE_UNKNOWN, "", 0, "2/4/4 4/2/15 5/3/4 8/3/15 13/2/15", "5/0/4" },
{ "E11 the first write", DM_SYNC_EV_REPLICA_WRITTEN, "", 0, "4/2/15", "13/2/15" },
{ "E11 not the first", DM_SYNC_EV_REPLICA_WRITTEN, "p", 0, "13/2/15", "=" },
{ "E11 something is in flight", DM_SYNC_EV_REPLICA_WRITTEN, "", 0,
  "4/16/8 4/16/9 4/13/15 4/8/15 13/7/4 3/7/4 9/3/15 5/3/4", "=" },
{ "E11m, E15 are not a snapshot's", DM_SYNC_EV_REPLICA_SKEWED, "", 0, "4/2/15 9/3/15 8/3/15", "=" },
{ "E14, E16 are not a snapshot's", DM_SYNC_EV_STALLED, "", 0, "3/6/4 3/7/4 4/2/15 4/8/15", "=" },
{ "E14, E16 are not a snapshot's", DM_SYNC_EV_REPLICA_TOO_SMALL, "", 0, "4/2/15 13/2/15", "=" },
{ "image taken", DM_SYNC_EV_COPY_DONE, "", 0, "3/6/4 3/7/4", "4/2/15" },
{ "a fracture is nothing to a snapshot", DM_SYNC_EV_COPY_DONE, "f", 0, "3/6/4 13/7/4", "4/2/15" },
{ "image reset", DM_SYNC_EV_COPY_DONE, "p", 0, "13/7/4", "4/2/15" },
{ "restore done, written or not", DM_SYNC_EV_COPY_DONE, "", 0, "4/8/15 13/8/4 5/8/4", "4/2/15" },
{ "restore done, written or not", DM_SYNC_EV_COPY_DONE, "p", 0, "4/8/15 13/8/4 5/8/4", "4/2/15" },
{ "nothing was copied", DM_SYNC_EV_COPY_DONE, "", 0, "4/2/15 13/2/15 9/3/15 5/3/4 13/16/9", "=" },
{ "suspend drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "", 0, "4/16/9", "4/2/15" },
{ "suspend drain timeout, written", DM_SYNC_EV_DRAIN_TIMEOUT, "p", 0, "4/16/9 13/16/9", "13/2/15" },
{ "E12 image, reset, restore continue", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED,
  "3/6/4 3/7/4 13/7/4 4/8/15 13/8/4 5/8/4", "=" },
{ "E12 cut not logged", DM_SYNC_EV_CRASH_RECOVERY, "ew", MARKED, "4/16/8 4/16/9 4/13/15", "4/2/15" },
{ "E12 cut not logged, written", DM_SYNC_EV_CRASH_RECOVERY, "ewp", MARKED,
  "4/16/8 4/16/9 4/13/15 13/16/8 13/16/9 13/13/15", "13/2/15" },
{ "E12 cut not logged, Suspended", DM_SYNC_EV_CRASH_RECOVERY, "p", MARKED, "9/16/8 9/13/15", "9/3/15" },
{ "E12 cut not logged, Inactive", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "8/5/11 8/13/15", "8/3/15" },
{ "E12 cut not logged, Prepared", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "11/13/15", "11/19/15" },
{ "E12 cut not logged, Broken", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED,
  "5/16/8 5/5/11 5/13/15", "5/3/4" },
{ "E12 cut not logged, image lost", DM_SYNC_EV_CRASH_RECOVERY, "m", MARKED,
  "5/16/8 5/13/15", "5/18/4" },
{ "E12 restore was being aborted", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED,
  "4/14/12 13/14/12 5/14/12", "5/3/4" },
{ "E12 a write was not logged as one", DM_SYNC_EV_CRASH_RECOVERY, "p", MARKED, "4/2/15", "13/2/15" },
{ "E12 settled states stay", DM_SYNC_EV_CRASH_RECOVERY, "ew", MARKED,
  "2/2/15 4/2/15 13/2/15 5/3/4 5/3/9 5/18/4 5/0/4 8/3/15 9/3/15 11/19/15", "=" },
{ "E12 being created, image", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/4", "3/6/4" },
{ "E12 being created, Prepared", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/11", "11/19/15" },
{ "E12 being created, Inactive", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/8", "8/3/15" },
{ .text = NULL }
};

static const struct event_row clone_events[] = {
{ "E2, E3 replica error", DM_SYNC_EV_REPLICA_ERROR, "", 0,
  "3/6/4 3/7/4 3/20/4 4/2/15 13/2/15", "5/3/4" },
{ "E3 no flow, no change", DM_SYNC_EV_REPLICA_ERROR, "", 0,
  "2/2/15 11/19/15 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15 5/3/4 5/18/4 5/0/4", "=" },
{ "E2 protection needed the replica", DM_SYNC_EV_STORE_FULL, "", AUTO,
  "3/6/4 3/7/4 3/20/4 5/3/4 9/3/15", "5/18/4" },
{ "E2 all was copied, or nothing counts", DM_SYNC_EV_STORE_FULL, "", AUTO,
  "2/2/15 11/19/15 4/2/15 13/2/15 6/2/15 7/2/15 8/3/15 12/18/15 5/18/4 5/0/4 4/8/15", "=" },
{ "E2 the copy ends anyway", DM_SYNC_EV_STORE_FULL, "", AUTO, "3/14/12 9/14/12", "12/18/15" },
{ "E2 the copy ends anyway", DM_SYNC_EV_STORE_FULL, "", AUTO, "3/16/8 9/16/8 5/16/8", "8/3/15" },
{ "E2 failed suspend", DM_SYNC_EV_STORE_FULL, "", AUTO, "3/16/9", "5/18/9" },
{ "E17 restore fails", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/8/15 6/8/4 7/8/4 13/8/4 5/8/4", "5/3/4" },
{ "E17 restore fails", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0, "4/8/15 7/8/4 13/8/4", "5/3/4" },
{ "E18 fracture cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/9/6 13/9/6", "6/2/15" },
{ "failed split stays requested", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/10/7 13/10/7", "5/3/7" },
{ "deactivate cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "3/16/8 4/16/8 13/16/8", "8/3/15" },
{ "abort cannot fail", DM_SYNC_EV_REPLICA_ERROR, "", 0, "3/14/12 9/14/12", "12/18/15" },
{ "abort of restore", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/14/12 6/14/12 13/14/12", "5/3/4" },
{ "detach goes on", DM_SYNC_EV_REPLICA_ERROR, "", 0, "4/13/15 3/13/15", "=" },
{ "E4 automatic", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO, "5/3/4 5/3/7 5/3/9", "3/7/4" },
{ "E4 manual", DM_SYNC_EV_REPLICA_RETURNED, "", 0, "5/3/4", "9/3/15" },
{ "E4 the image is lost", DM_SYNC_EV_REPLICA_RETURNED, "w", AUTO, "5/18/4 5/0/4", "=" },
{ "E4 not over a half restored source", DM_SYNC_EV_REPLICA_RETURNED, "wr", AUTO, "5/3/4", "=" },
{ "E5 source error during copy", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0, "3/6/4 3/7/4 3/20/4", "5/3/4" },
{ "E5 only during copy", DM_SYNC_EV_SOURCE_COPY_ERROR, "", 0,
  "4/2/15 13/2/15 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15", "=" },
{ "E6 is a mirror's", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0, "4/2/15 13/2/15 7/2/15", "=" },
{ "E7 source error", DM_SYNC_EV_SOURCE_WRITE_ERROR, "", 0,
  "3/6/4 3/7/4 6/2/15 8/3/15 9/3/15 12/18/15", "5/3/4" },
{ "E8 is a snapshot's", DM_SYNC_EV_STORE_HOLD, "", AUTO, "4/2/15 13/2/15 3/6/4", "=" },
{ "E8 is a snapshot's", DM_SYNC_EV_STORE_SPACE, "", AUTO, "9/3/15", "=" },
{ "E10 maps lost", DM_SYNC_EV_MAPS_LOST, "", 0,
  "2/2/15 11/19/15 3/6/4 4/2/15 5/3/4 6/2/15 7/2/15 8/3/15 9/3/15 12/18/15 13/2/15 4/10/7",
  "5/18/4" },
{ "E10 state unknown", DM_SYNC_EV_STATE_UNKNOWN, "", 0, "3/7/4 4/2/15 5/3/4 13/2/15", "5/0/4" },
{ "E11 the first write", DM_SYNC_EV_REPLICA_WRITTEN, "", 0, "4/2/15", "13/2/15" },
{ "E11 not the first", DM_SYNC_EV_REPLICA_WRITTEN, "p", 0, "13/2/15", "=" },
{ "E11f written while cut", DM_SYNC_EV_REPLICA_WRITTEN, "", 0, "6/2/15 7/2/15", "=" },
{ "E11 in a copy, or in flight", DM_SYNC_EV_REPLICA_WRITTEN, "", 0,
  "3/6/4 3/7/4 3/20/4 4/9/6 4/10/7 4/13/15 4/16/8 4/8/15", "=" },
{ "E15 verify found a mismatch", DM_SYNC_EV_REPLICA_SKEWED, "", 0, "4/2/15", "13/2/15" },
{ "E15 while cut, or not complete", DM_SYNC_EV_REPLICA_SKEWED, "", 0,
  "6/2/15 7/2/15 3/7/4 8/3/15 9/3/15", "=" },
{ "E16 source grown", DM_SYNC_EV_REPLICA_TOO_SMALL, "", 0, "4/2/15 3/7/4 6/2/15 13/2/15", "5/18/4" },
{ "E14 stalled", DM_SYNC_EV_STALLED, "", 0, "3/6/4 3/7/4", "3/20/4" },
{ "E14 nothing to stall", DM_SYNC_EV_STALLED, "", 0, "4/2/15 4/8/15 5/3/4 9/3/15 3/20/4", "=" },
{ "E14 progress again, first copy", DM_SYNC_EV_UNSTALLED, "", 0, "3/20/4", "3/6/4" },
{ "E14 progress again", DM_SYNC_EV_UNSTALLED, "e", 0, "3/20/4", "3/7/4" },
{ "copy done", DM_SYNC_EV_COPY_DONE, "", 0, "3/6/4 3/7/4 3/20/4", "4/2/15" },
{ "copy done, no fracture owed", DM_SYNC_EV_COPY_DONE, "f", 0, "3/6/4 4/8/15", "4/2/15" },
{ "copy done, written meanwhile", DM_SYNC_EV_COPY_DONE, "p", 0, "3/6/4 3/7/4 3/20/4", "13/2/15" },
{ "restore done, written or not", DM_SYNC_EV_COPY_DONE, "", 0, "4/8/15 6/8/4 13/8/4 5/8/4", "4/2/15" },
{ "restore done, written or not", DM_SYNC_EV_COPY_DONE, "p", 0, "4/8/15 7/8/4 13/8/4", "4/2/15" },
{ "copy done, but another state comes", DM_SYNC_EV_COPY_DONE, "", 0,
  "3/14/12 3/16/9 3/16/8 3/13/15 4/2/15 5/3/4 6/2/15 9/3/15 13/2/15", "=" },
{ "E19 split drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "4/10/7", "4/2/15" },
{ "E19 split drain timeout, written", DM_SYNC_EV_DRAIN_TIMEOUT, "ep", 0, "4/10/7 13/10/7", "13/2/15" },
{ "suspend drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "e", 0, "3/16/9", "3/7/4" },
{ "suspend drain timeout", DM_SYNC_EV_DRAIN_TIMEOUT, "", 0, "3/16/9", "3/6/4" },
{ "E12 copy and restore continue", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "3/6/4 3/7/4 4/8/15 6/8/4 13/8/4 5/8/4", "=" },
{ "E12 cut not logged, marks are no doubt", DM_SYNC_EV_CRASH_RECOVERY, "e", MARKED,
  "4/9/6 4/10/7 4/16/8 4/13/15", "4/2/15" },
{ "E12 cut not logged, written", DM_SYNC_EV_CRASH_RECOVERY, "ep", MARKED,
  "4/9/6 4/13/15 13/9/6 13/10/7 13/16/8 13/5/11", "13/2/15" },
{ "E12 cut not logged, Unsynchronized", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED,
  "3/14/12 3/16/9 3/16/8 3/13/15 3/20/4", "3/6/4" },
{ "E12 cut not logged, Suspended", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED,
  "9/14/12 9/16/8 9/13/15", "9/3/15" },
{ "E12 cut not logged, Fractured", DM_SYNC_EV_CRASH_RECOVERY, "ep", MARKED,
  "6/16/8 6/5/11 6/13/15", "6/2/15" },
{ "E12 restore was being aborted", DM_SYNC_EV_CRASH_RECOVERY, "ep", MARKED,
  "4/14/12 6/14/12 7/14/12 13/14/12 5/14/12", "5/3/4" },
{ "E12 settled states stay", DM_SYNC_EV_CRASH_RECOVERY, "ew", MARKED,
  "2/2/15 4/2/15 13/2/15 5/3/4 5/18/4 5/0/4 6/2/15 7/2/15 8/3/15 9/3/15 11/19/15 12/18/15", "=" },
{ "E12 being created, copy", DM_SYNC_EV_CRASH_RECOVERY, "", MARKED, "2/4/4", "3/6/4" },
{ .text = NULL }
};

static const struct event_row temporary_events[] = {
{ "copy done, written or not", DM_SYNC_EV_COPY_DONE, "", 0, "3/6/4 3/7/4 3/20/4", "4/2/15" },
{ "copy done, written or not", DM_SYNC_EV_COPY_DONE, "p", 0, "3/6/4 3/7/4 3/20/4", "4/2/15" },
{ "E11, E15 it ends all the same", DM_SYNC_EV_REPLICA_WRITTEN, "", 0, "4/2/15 4/13/15", "=" },
{ "E11, E15 it ends all the same", DM_SYNC_EV_REPLICA_SKEWED, "", 0, "4/2/15 4/13/15", "=" },
{ "E12 it ends after a crash", DM_SYNC_EV_CRASH_RECOVERY, "p", MARKED, "4/13/15", "4/2/15" },
{ "E12 it ends after a crash", DM_SYNC_EV_CRASH_RECOVERY, "p", MARKED, "4/2/15", "=" },
{ "E2 replica error", DM_SYNC_EV_REPLICA_ERROR, "", 0, "3/6/4 4/2/15", "5/3/4" },
{ "E4 automatic", DM_SYNC_EV_REPLICA_RETURNED, "", AUTO, "5/3/4", "3/7/4" },
{ .text = NULL }
};

static void check_event(char kind, const struct event_row *row, const char *from)
{
	int cs = 0, ps = 0, rq = 0, want[3];
	struct dm_sync_facts f = facts_named(row->facts);
	struct dm_sync_step after;
	struct dm_sync_state s;
	bool changed;

	if (sscanf(from, "%d/%d/%d", &cs, &ps, &rq) != 3)
		abort();
	s = pair_of(kind, cs, ps, rq);
	want[0] = cs, want[1] = ps, want[2] = rq;
	if (row->after[0] != '=' &&
	    sscanf(row->after, "%d/%d/%d", &want[0], &want[1], &want[2]) != 3)
		abort();
	expect(sound(&s), "%c: %s from %d/%d/%d: no such state", kind, row->text, cs, ps, rq);
	changed = dm_sync_event_step(&s, &f, row->ev, row->flags & AUTO, row->flags & MARKED,
				     &after);
	expect(changed == (row->after[0] != '=') && after.copy_state == want[0] &&
	       after.progress == want[1] && after.requested == want[2],
	       "%c: %s from %d/%d/%d: %s %d/%d/%d, expected %s", kind, row->text, cs, ps, rq,
	       changed ? "to" : "stays", after.copy_state, after.progress, after.requested,
	       row->after);
}

static void test_events(char kind, const struct event_row *row)
{
	for (; row->text; row++) {
		const char *from = row->from;

		while (*from) {
			check_event(kind, row, from);
			from += strcspn(from, " ");
			from += strspn(from, " ");
		}
		point("event, kind %c: %s", kind, row->text);
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
	s.copy_type = 4;
	ok(!dm_sync_event_step(&s, &f, DM_SYNC_EV_REPLICA_ERROR, false, false, &after),
	   "no events for what is no type");
}

static const struct {
	char kind;
	const char *text;
	unsigned int stop_at;
	bool assume;
	int result;
	const char *first, *first_rq, *after, *after_rq;
} creations[] = {
	{ 'M', "none", 0, false, 0, "2/4/2", "4", "3/6/5", "4" },
	{ 'M', "synchronized", 4, false, 0, "2/4/2", "4", "3/6/5", "4" },
	{ 'M', "assume-in-sync", 0, true, 0, "2/4/2", "4", "4/2/6", "15" },
	{ 'M', "initialized", 2, false, 0, "2/4/2", "15", "2/2/2", "15" },
	{ 'M', "prepared", 11, false, 0, "2/4/2", "11", "11/19/4", "15" },
	{ 'M', "inactive", 8, false, 0, "2/4/2", "8", "8/3/9", "15" },
	{ 'M', "inactive, in sync", 8, true, 0, "2/4/2", "8", "8/3/9", "15" },
	{ 'M', "prepared, in sync", 11, true, -EINVAL, "", "", "", "" },
	{ 'M', "initialized, in sync", 2, true, -EINVAL, "", "", "", "" },
	{ 'M', "fractured", 6, false, -EINVAL, "", "", "", "" },
	{ 'M', "no state", 1, false, -EINVAL, "", "", "", "" },
	{ 'M', "no state", 99, false, -EINVAL, "", "", "", "" },

	{ 'S', "snapshot", 0, false, 0, "2/4/2", "4", "4/2/11", "15" },
	{ 'S', "snapshot", 4, false, 0, "2/4/2", "4", "4/2/11", "15" },
	{ 'S', "snapshot, initialized", 2, false, 0, "2/4/2", "15", "2/2/2", "15" },
	{ 'S', "snapshot, prepared", 11, false, 0, "2/4/2", "11", "11/19/4", "15" },
	{ 'S', "snapshot, inactive", 8, false, 0, "2/4/2", "8", "8/3/9", "15" },
	{ 'S', "snapshot, split", 7, false, -EINVAL, "", "", "", "" },
	{ 'S', "snapshot, in sync", 0, true, -EINVAL, "", "", "", "" },
	{ 'S', "snapshot, inactive, in sync", 8, true, -EINVAL, "", "", "", "" },
	{ '4', "clone", 0, false, 0, "2/4/2", "4", "3/6/15", "4" },
	{ '4', "clone, initialized", 2, false, 0, "2/4/2", "15", "2/2/2", "15" },
	{ '4', "clone, prepared", 11, false, 0, "2/4/2", "11", "11/19/4", "15" },
	{ '4', "clone, inactive", 8, false, 0, "2/4/2", "8", "8/3/9", "15" },
	{ '4', "clone, in sync", 0, true, -EINVAL, "", "", "", "" },
	{ '5', "temporary clone", 0, false, 0, "2/4/2", "4", "3/6/5", "4" },
	{ '5', "temporary clone, inactive", 8, false, 0, "2/4/2", "8", "8/3/9", "15" },
	{ '5', "temporary clone, in sync", 4, true, -EINVAL, "", "", "", "" },
};

static void test_create(void)
{
	struct dm_sync_step first, after;
	struct dm_sync_state s;

	for (size_t i = 0; i < sizeof(creations) / sizeof(creations[0]); i++) {
		int result;

		s = pair_of(creations[i].kind, 0, 0, 0);
		result = dm_sync_create_step(&s, creations[i].stop_at, creations[i].assume, &first,
					     &after);
		expect(result == creations[i].result, "%s: %d", creations[i].text, result);
		if (result || creations[i].result)
			continue;
		same(creations[i].text, &s, &first, creations[i].first, creations[i].first_rq);
		same(creations[i].text, &s, &after, creations[i].after, creations[i].after_rq);
	}
	s = mirror(0, 0, 0);
	s.copy_type = 2;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EOPNOTSUPP, "async");
	s.copy_type = 4;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EINVAL, "mirror, CopyType 4");
	s.sync_type = 7, s.copy_type = 5;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EINVAL, "snapshot, CopyType 5");
	s.sync_type = 5;
	expect(dm_sync_create_step(&s, 0, false, &first, &after) == -EINVAL, "no type");
	point("creation");
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
			if (a == DM_SYNC_ADMIT_UNSUPPORTED &&
			    (s->progress != 2 || s->sync_type != 6))
				continue;
			if (!sound_step(s, &during) || !sound_step(s, &after))
				expect(false, "op %u from %d/%d/%d", op, s->copy_state, s->progress,
				       s->requested);
		} else if (dm_sync_admit(s, f, op, true, &why) == DM_SYNC_ADMIT_OK) {
			expect(false, "op %u from %d/%d is admitted and leads nowhere", op,
			       s->copy_state, s->progress);
		}
	}
	for (int ev = 0; ev <= DM_SYNC_EV_STORE_SPACE; ev++) {
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
static void test_sound(char kind)
{
	int total = 0;

	for (int copy_state = 0; copy_state < 16; copy_state++) {
		int states = 0;

		for (int i = 0; i <= 20 * 16 + 15; i++) {
			struct dm_sync_state s = pair_of(kind, copy_state, i / 16, i % 16);
			const char *why;

			if (!dm_sync_invariants(&s, &why))
				continue;
			states++;
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++) {
				struct dm_sync_facts f = facts_of(bits);

				/* without those that mean nothing to the kind */
				if (facts_match(kind == 'M' ? "!p" : "!h!n!f", bits))
					check_all_from(&s, &f);
			}
		}
		expect((states > 0) == (kind == 'M' ?
		       listed("2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15", copy_state) :
		       is_shown(kind, copy_state, settled_of(kind, copy_state % 14)) ||
		       copy_state == 15), "%c: %d states with CopyState %d", kind, states,
		       copy_state);
		total += states;
	}
	point("sound whatever happens in %d states of kind %c", total, kind);
}

int main(void)
{
	plan(0);
	test_operations('M', mirror_operations);
	test_no_other('M');
	test_operations('S', snapshot_operations);
	test_no_other('S');
	test_operations('4', clone_operations);
	test_no_other('4');
	test_operations('5', temporary_operations);
	test_special();
	test_drain();
	test_events('M', mirror_events);
	test_events('S', snapshot_events);
	test_events('4', clone_events);
	test_events('5', temporary_events);
	test_pending_returns();
	test_create();
	for (const char *kind = "MS45"; *kind; kind++)
		test_sound(*kind);
	return done();
}

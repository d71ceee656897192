// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which operation a pair admits: every cell of the three admission matrices with every combination
 * of what the footnotes depend on, the obligations ("Requires ..."), operations in flight, and
 * numbers that are none.
 */
#include "state_table.h"

static const char *const matrix[] = {
/*	| op | In | Pr | Un | Sy | Br | Fr | Sp | Ia | Su | Fo | Ab | Sk | */
	"| 2 Abort | – | – | ✓ | – | – | – | – | – | – | – | n | – |",
	"| 4 Activate | ✓P | ✓ | n | n | – | – | – | ✓ | – | – | – | – |",
	"| 7 Deactivate | n P | – | ✓ | ✓ | ✓P | ✓P | ✓P | n | ✓P | – | – | ✓P |",
	"| 8 Detach | ✓ | ✓ | F | ✓ | F¹ | ✓² | ✓ | ✓² | ✓² | ✓³ | F | ✓ |",
	"| 9 Dissolve | – | – | F | ✓ | F¹ | ✓² | ✓ | ✓² | ✓² | – | F | ✓ |",
	"| 10 Failover | – | – | F | ✓ | ✓⁴ | ✓⁴ | ✓ | ✓⁴ | ✓⁴ | n | – | F |",
	"| 11 Failback | – | – | – | – | – | – | – | – | – | ✓ | – | – |",
	"| 12 Fracture | – | – | ✓ | ✓ | – | n | –⁵ | – | ✓ | – | – | – |",
	"| 14 Resync | – | – | n | n | ✓ | ✓ | ✓ | – | – | – | ✓ | ✓ |",
	"| 15 Restore | – | – | – | n | ✓⁶ | ✓⁴ | ✓ | – | – | – | – | ✓ |",
	"| 16 Resume | – | – | – | – | – | – | – | – | ✓ | – | – | – |",
	"| 17 Reset mode | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓⁷ | – | ✓ | ✓ |",
	"| 18 Reset mode | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓⁷ | – | ✓ | ✓ |",
	"| 19 Return | N | N | N | N | N | N | N | N | N | N | N | N |",
	"| 20 Reverse | – | – | – | ✓ | – | ✓ | ✓ | – | ✓⁷ | ✓ | – | – |",
	"| 21 Split | – | – | – | ✓ | – | – | n | – | ✓⁸ | – | – | – |",
	"| 22 Suspend | – | – | ✓ | ✓ | – | – | – | – | n | – | – | – |",
	"| 23 Prepare | ✓ | n | – | – | ✓ | ✓ | ✓ | ✓ | – | – | ✓ | ✓ |",
	"| 24 Prepare | ✓ | n | – | – | ✓ | ✓ | ✓ | ✓ | – | – | ✓ | ✓ |",
	"| 25 | N | N | N | N | N | N | N | N | N | N | N | N |",
	"| 26 | N | N | N | N | N | N | N | N | N | N | N | N |",
	"| 27 Reset Replica | N | N | N | N | N | N | N | N | N | N | N | N |",
};

#define ROWS	(sizeof(matrix) / sizeof(matrix[0]))

/* The other two have columns of their own; "F if incomplete" and what follows 9 are footnotes. */
static const char *const snapshot_matrix[] = {
	"| op | In | Pr | Sy | Sk | Su | Ia | Br |",
	"| 2 Abort | – | – | – (while Restoring: F) | – | – | – | – |",
	"| 4 Activate | ✓ | ✓ | n | n | – | ✓ | – |",
	"| 7 Deactivate | n | – | ✓ | ✓ | ✓ | n | ✓ |",
	"| 8 Detach⁹ | ✓ | ✓ | N | N | N | ✓ | F |",
	"| 9 Dissolve | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |",
	"| 14 Resync | – | – | ✓ new PIT | ✓ new PIT | – | – | ✓ |",
	"| 15 Restore | – | – | ✓ | ✓ | – | – | – |",
	"| 16 Resume | – | – | – | – | ✓ | – | – |",
	"| 19 Return | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |",
	"| 22 Suspend | – | – | ✓P | ✓P | n | – | – |",
	"| 23 Prepare | ✓ | n | – | – | – | ✓ | ✓ |",
	"| 24 Prepare | ✓ | n | – | – | – | ✓ | ✓ |",
	"| 27 Reset Replica | – | – | n | ✓ | – | – | – |",
	NULL
};

static const char *const clone_matrix[] = {
	"| op | In | Pr | Un | Sy | Br | Fr/Sp | Ia | Su | Ab | Sk |",
	"| 2 Abort | – | – | ✓ | – | – | – | – | ✓P | n | – |",
	"| 4 Activate | ✓ | ✓ | n | n | – | – | ✓ | – | – | – |",
	"| 7 Deactivate | n | – | ✓ | ✓ | ✓ | ✓ | n | ✓ | – | ✓ |",
	"| 8 Detach | ✓ | ✓ | F | ✓ | F | ✓ | F if incomplete | F | F | ✓ |",
	"| 9 Dissolve | ✓ | ✓ | F | ✓ | F | ✓ | F if incomplete | F | F | ✓ |",
	"| 12 Fracture | – | – | – | ✓ | – | n | – | – | – | ✓ |",
	"| 21 Split | – | – | – | ✓ | – | n | – | – | – | ✓ |",
	"| 14 Resync | – | – | n | ✓ new PIT | ✓ | ✓ new PIT | – | – | ✓ | ✓ new PIT |",
	"| 15 Restore | – | – | – | ✓ | – | ✓ | – | – | – | ✓ |",
	"| 16 Resume | – | – | – | – | – | – | – | ✓ | – | – |",
	"| 22 Suspend | – | – | ✓ | n | – | – | – | n | – | – |",
	"| 23 Prepare | ✓ | n | – | – | ✓ | ✓ | ✓ | – | ✓ | ✓ |",
	"| 24 Prepare | ✓ | n | – | – | ✓ | ✓ | ✓ | – | ✓ | ✓ |",
	NULL
};

/* What no state of a kind has: the rows of N, and the operations on groups. */
static const char *unsupported(char kind)
{
	return kind == 'M' ? "3, 5, 6, 13, 10, 11, 18, 19, 20, 25, 26, 27" :
	       kind == 'S' ? "3, 5, 6, 13, 10, 11, 12, 17, 18, 20, 21, 25, 26" :
			     "3, 5, 6, 13, 10, 11, 17, 18, 19, 20, 25, 26, 27";
}

static const char *const verdicts[] = {
	"ok", "no-op", "force", "refused", "busy", "unsupported", "invalid",
};

static const struct dm_sync_facts best = {
	.replica_consistent = true, .ever_synced = true, .was_synced = true, .source_ok = true,
};

/* The specification's numbers of operations that this version refuses as Not Supported. */
static bool not_built(int op)
{
	return op == 10 || op == 11 || op == 18 || op == 20;
}

/* The footnotes, in the specification's order. */
static enum dm_sync_admit noted(const char *cell, const struct dm_sync_facts *f)
{
	bool force = cell[0] == 'F';

	if (strstr(cell, "¹"))
		return f->was_synced ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_FORCE;
	if (strstr(cell, "²"))
		return f->ever_synced ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_FORCE;
	if (strstr(cell, "⁴"))
		return f->replica_consistent ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_FORCE;
	if (strstr(cell, "⁶"))
		return f->source_ok && f->replica_consistent ? DM_SYNC_ADMIT_OK :
		       DM_SYNC_ADMIT_REFUSED;
	if (strstr(cell, "⁷"))
		return f->held_writes ? DM_SYNC_ADMIT_BUSY : DM_SYNC_ADMIT_OK;
	if (strstr(cell, "⁸"))
		return f->was_synced ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_REFUSED;
	return force ? DM_SYNC_ADMIT_FORCE : DM_SYNC_ADMIT_OK;
}

/*
 * Broken with cause restore-incomplete "admits Restore (again), or Resync+Force". What else leads
 * to the half restored source being taken for the truth, or ends the pair on it, needs force too.
 */
static bool half_restored(int op, const struct dm_sync_facts *f, enum dm_sync_admit *want)
{
	if (!f->restore_incomplete)
		return false;
	switch (op) {
	case 15:
		*want = f->source_ok ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_REFUSED;
		return true;
	case 7: case 8: case 9: case 14: case 23: case 24:
		*want = DM_SYNC_ADMIT_FORCE;
		return true;
	}
	return false;
}

static enum dm_sync_admit wanted(const char *cell, int op, int copy_state,
				 const struct dm_sync_facts *f, bool force)
{
	enum dm_sync_admit want;

	if (!strcmp(cell, "N") || not_built(op))
		return DM_SYNC_ADMIT_UNSUPPORTED;
	if (!strncmp(cell, "–", strlen("–")))
		return DM_SYNC_ADMIT_REFUSED;
	if (cell[0] == 'n' || op == 17)
		return DM_SYNC_ADMIT_NOOP;
	if (copy_state != 5 || !half_restored(op, f, &want))
		want = noted(cell, f);
	return want == DM_SYNC_ADMIT_FORCE && force ? DM_SYNC_ADMIT_OK : want;
}

/* Asks, and checks that a sentence comes with the answer exactly where one is due. */
static enum dm_sync_admit ask(const struct dm_sync_state *s, const struct dm_sync_facts *f,
			      unsigned int op, bool force)
{
	const char *why = "not set";
	enum dm_sync_admit got = dm_sync_admit(s, f, op, force, &why);
	bool due = got != DM_SYNC_ADMIT_OK && got != DM_SYNC_ADMIT_NOOP;

	if (due != (why != NULL) || (why && (!*why || strlen(why) >= 80)))
		expect(false, "op %u at %d/%d: %s, sentence: %s", op, s->copy_state, s->progress,
		       verdicts[got], why ? why : "none");
	return got;
}

static void check_cell(const char *cell, int op, int copy_state, int progress)
{
	struct dm_sync_state s = mirror(copy_state, progress, 15);

	for (unsigned int bits = 0; bits < 2u << FACTS; bits++) {
		bool force = bits >> FACTS;
		struct dm_sync_facts f = facts_of(bits);
		enum dm_sync_admit got = ask(&s, &f, (unsigned int)op, force);
		enum dm_sync_admit want = wanted(cell, op, copy_state, &f, force);

		expect(got == want, "op %d at %d/%d, facts %x, force %d: %s, expected %s", op,
		       copy_state, progress, bits & ((1u << FACTS) - 1), force, verdicts[got],
		       verdicts[want]);
	}
}

/* Every cell with every combination of facts, with and without force. */
static void test_matrix(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *row = matrix[i];
		char name[32], cell[16];
		int op;

		row = next_cell(row, name, sizeof(name));
		op = atoi(name);
		for (int c = 0; c < STATE_COLUMNS; c++) {
			int copy_state = state_columns[c].copy_state;

			row = next_cell(row, cell, sizeof(cell));
			check_cell(cell, op, copy_state, settled_progress(copy_state));
			if (copy_state == 3) {
				check_cell(cell, op, 3, 6);
				check_cell(cell, op, 3, 20);
			}
		}
		point("admission: %s", name);
	}
}

/*
 * A Restore that stopped midway left the source half restored: it may be repeated while the image
 * is there, and what takes that source for the truth or gives up the image needs force.
 */
static bool half_restored_image(char kind, int op, const struct dm_sync_facts *f,
				enum dm_sync_admit *want)
{
	if (!f->restore_incomplete)
		return false;
	if (op == 15 && kind != '5') {
		*want = f->maps_lost || !f->source_ok ? DM_SYNC_ADMIT_REFUSED : DM_SYNC_ADMIT_OK;
		return true;
	}
	*want = DM_SYNC_ADMIT_FORCE;
	return listed("7, 14, 23, 24", op) || (kind == 'S' && listed("9, 19", op));
}

static enum dm_sync_admit image_wants(char kind, const char *cell, int op, int copy_state,
				      const struct dm_sync_facts *f, bool force)
{
	enum dm_sync_admit want;

	if (!strcmp(cell, "N"))
		return DM_SYNC_ADMIT_UNSUPPORTED;
	if (copy_state != 5 || !half_restored_image(kind, op, f, &want)) {
		if (!strncmp(cell, "–", strlen("–")))
			return DM_SYNC_ADMIT_REFUSED;
		if (cell[0] == 'n')
			return DM_SYNC_ADMIT_NOOP;
		want = cell[0] == 'F' ? DM_SYNC_ADMIT_FORCE : DM_SYNC_ADMIT_OK;
		if (!strcmp(cell, "F if incomplete") && f->replica_consistent)
			want = DM_SYNC_ADMIT_OK;
	}
	return want == DM_SYNC_ADMIT_FORCE && force ? DM_SYNC_ADMIT_OK : want;
}

static void check_image_cell(char kind, const char *cell, int op, int copy_state)
{
	struct dm_sync_state s = pair_of(kind, copy_state, settled_of(kind, copy_state), 15);

	for (unsigned int bits = 0; bits < 2u << FACTS; bits++) {
		bool force = bits >> FACTS;
		struct dm_sync_facts f = facts_of(bits);
		enum dm_sync_admit got = ask(&s, &f, (unsigned int)op, force);
		enum dm_sync_admit want = image_wants(kind, cell, op, copy_state, &f, force);

		expect(got == want, "%c: op %d at %d, facts %x, force %d: %s, expected %s", kind,
		       op, copy_state, bits & ((1u << FACTS) - 1), force, verdicts[got],
		       verdicts[want]);
	}
}

/* The cell itself, as it is stored. */
static void check_stored(char kind, const char *cell, int op, int copy_state)
{
	bool incomplete = !strcmp(cell, "F if incomplete");
	char want = !strncmp(cell, "✓", strlen("✓")) || incomplete ? 'y' :
		    !strncmp(cell, "–", strlen("–")) ? '-' : cell[0];
	char want_note = incomplete ? 'i' : !strcmp(cell, "✓P") ? 'P' : ' ';
	char note, got = dm_sync_matrix_cell(kind == 'S' ? 7 : 8, (unsigned int)op,
					     (u8)copy_state, &note);

	expect(got == want && note == want_note, "%c: op %d at %d: %c%c, expected %c%c", kind, op,
	       copy_state, got, note, want, want_note);
}

/* One cell of a table with a column for one or two CopyStates. */
static void check_column(char kind, const char *name, const char *cell, int op)
{
	for (size_t at = 0; name[at]; at += 2 + (name[at + 2] == '/')) {
		int copy_state = copy_state_of(name + at, 2);

		check_stored(kind, cell, op, copy_state);
		/* a temporary clone is never cut or kept, and Synchronized only to be detached */
		if (kind != '5' || !listed("4, 6, 7, 13", copy_state))
			check_image_cell(kind, cell, op, copy_state);
	}
}

static void test_image_matrix(char kind, const char *const rows[])
{
	for (size_t i = 1; rows[i]; i++) {
		const char *header = rows[0], *row = rows[i];
		char name[32], column[8], cell[40];
		int op;

		header = next_cell(header, column, sizeof(column));
		row = next_cell(row, name, sizeof(name));
		op = atoi(name);
		while (header[1]) {
			header = next_cell(header, column, sizeof(column));
			row = next_cell(row, cell, sizeof(cell));
			check_column(kind, column, cell, op);
		}
		point("admission of kind %c: %s", kind, name);
	}
}

/* States that a kind is never in, and operations that it never has. */
static void test_image_never(char kind)
{
	for (int copy_state = 2; copy_state <= 13; copy_state++) {
		struct dm_sync_state s = pair_of(kind, copy_state, settled_of(kind, copy_state),
						 15);
		bool never = listed(kind == 'S' ? "6, 7, 10, 12" : kind == '4' ? "10" :
				    "6, 7, 10, 13", copy_state);

		for (int op = 2; op <= 27; op++) {
			enum dm_sync_admit got = ask(&s, &best, (unsigned int)op, true);
			bool none = listed(unsupported(kind), op);

			if (none)
				expect(got == DM_SYNC_ADMIT_UNSUPPORTED, "%c: op %d at %d: %s",
				       kind, op, copy_state, verdicts[got]);
			else
				expect((got == DM_SYNC_ADMIT_INVALID) == never,
				       "%c: op %d at %d: %s", kind, op, copy_state, verdicts[got]);
		}
	}
	point("states and operations that kind %c never has", kind);
}

/* The stored matrix itself, including the rows that are masked for now. */
static void test_cells(void)
{
	static const char *const notes[] = { "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸" };

	for (size_t i = 0; i < ROWS; i++) {
		const char *row = matrix[i];
		char name[32], cell[16];

		row = next_cell(row, name, sizeof(name));
		for (int c = 0; c < STATE_COLUMNS; c++) {
			char note, got, want, want_note = ' ';

			row = next_cell(row, cell, sizeof(cell));
			got = dm_sync_matrix_cell(6, (unsigned int)atoi(name),
						  (u8)state_columns[c].copy_state, &note);
			want = !strncmp(cell, "✓", strlen("✓")) ? 'y' :
			       !strncmp(cell, "–", strlen("–")) ? '-' : cell[0];
			for (int n = 0; n < 8; n++)
				if (strstr(cell, notes[n]))
					want_note = (char)('1' + n);
			if (strchr(cell, 'P'))
				want_note = 'P';
			expect(got == want && note == want_note, "%s, %s: %c%c, expected %c%c",
			       name, state_columns[c].name, got, note, want, want_note);
		}
	}
	point("the stored matrix is the specification's, masked rows included");
	ok(dm_sync_matrix_cell(6, 5, 4, NULL) == ' ' &&
	   dm_sync_matrix_cell(6, 28, 4, NULL) == ' ' &&
	   dm_sync_matrix_cell(7, 4, 6, NULL) == ' ' &&
	   dm_sync_matrix_cell(8, 4, 10, NULL) == ' ' &&
	   dm_sync_matrix_cell(9, 4, 4, NULL) == ' ' && dm_sync_matrix_cell(6, 4, 15, NULL) == ' ',
	   "what is no cell is blank");
}

/* With an obligation: every operation not named is refused, whatever force says. */
static void check_owed(char kind, int copy_state, int progress, const char *facts,
		       const char *admitted, const char *noop)
{
	struct dm_sync_state s = pair_of(kind, copy_state, progress, 15);
	struct dm_sync_facts f = facts_named(facts);

	for (int op = 2; op <= 27; op++) {
		enum dm_sync_admit want = listed(unsupported(kind), op) ?
					  DM_SYNC_ADMIT_UNSUPPORTED :
					  listed(noop, op) ? DM_SYNC_ADMIT_NOOP :
					  listed(admitted, op) ? DM_SYNC_ADMIT_OK :
					  DM_SYNC_ADMIT_REFUSED;
		enum dm_sync_admit got = ask(&s, &f, (unsigned int)op, true);

		expect(got == want, "%c: op %d at %d/%d: %s, expected %s", kind, op, copy_state,
		       progress, verdicts[got], verdicts[want]);
	}
	point("obligation %d/%d of kind %c", copy_state, progress, kind);
}

static void test_owed(void)
{
	check_owed('M', 4, 17, "cews", "8, 9, 12, 21", "4, 17");
	check_owed('M', 6, 18, "cews", "7, 8, 9, 14, 23, 24", "17");
	check_owed('M', 7, 18, "cews", "7, 8, 9, 14, 23, 24", "17");
	check_owed('M', 5, 18, "cews", "7, 8, 9, 14, 15, 23, 24", "17");
	check_owed('M', 12, 18, "cews", "8, 9, 14, 23, 24", "2, 17");
	check_owed('M', 13, 18, "cews", "7, 8, 9, 14, 15, 23, 24", "17");
	check_owed('M', 11, 19, "cews", "4, 8", "17, 23, 24");
	/* unknown: Broken, with nothing known about the replica: no restore from it */
	check_owed('M', 5, 0, "cews", "7, 8, 9, 14, 23, 24", "17");

	check_owed('S', 5, 18, "ewsm", "7, 8, 9, 14, 19, 23, 24", "");
	/* what a restore left half done cannot be completed without the image */
	check_owed('S', 5, 18, "ewsmr", "7, 8, 9, 14, 19, 23, 24", "");
	check_owed('S', 5, 0, "cews", "7, 8, 9, 14, 19, 23, 24", "");
	check_owed('S', 11, 19, "cews", "4, 8, 9, 19", "23, 24");
	check_owed('4', 5, 18, "ewsm", "7, 8, 9, 14, 23, 24", "");
	check_owed('4', 5, 0, "cews", "7, 8, 9, 14, 23, 24", "");
	check_owed('4', 12, 18, "cews", "8, 9, 14, 23, 24", "2");
	check_owed('4', 11, 19, "cews", "4, 8, 9", "23, 24");
	check_owed('5', 12, 18, "cews", "8, 9, 14, 23, 24", "2");
}

/* What a running operation leaves open, or nothing: the instants of a snapshot, creation. */
static enum dm_sync_admit in_flight_wants(char kind, int copy_state, int progress, int op,
					  bool force)
{
	if (listed(unsupported(kind), op))
		return DM_SYNC_ADMIT_UNSUPPORTED;
	if (op == 2 && progress == 5 && kind != 'S')
		return DM_SYNC_ADMIT_OK;
	if (op == 2 && progress == 8)
		return force ? DM_SYNC_ADMIT_OK : DM_SYNC_ADMIT_FORCE;
	/* a complete temporary clone ends: nothing but that end is admitted */
	if (kind == '5' && copy_state == 4 && progress == 2 && listed("8, 9", op))
		return DM_SYNC_ADMIT_OK;
	return DM_SYNC_ADMIT_BUSY;
}

static bool something_runs(char kind, int copy_state, int progress)
{
	if (kind == 'S' && (copy_state == 3 || (copy_state == 13 && progress == 7)))
		return true;
	if (kind == '5' && copy_state == 4 && progress == 2)
		return true;
	return listed("4, 5, 8, 9, 10, 11, 12, 13, 14, 16", progress);
}

/* What runs refuses everything else; only Abort gets through to what copies or prepares. */
static void check_in_flight(char kind)
{
	for (int copy_state = 2; copy_state <= 13; copy_state++) {
		for (int progress = 0; progress <= 20; progress++) {
			struct dm_sync_state s = pair_of(kind, copy_state, progress, 15);

			if (!something_runs(kind, copy_state, progress) ||
			    (kind == 'M' ? !dm_sync_pair_legal(s.copy_state, s.progress) :
			     !is_shown(kind, copy_state, progress)))
				continue;
			for (int op = 2; op <= 27; op++) {
				for (int force = 0; force < 2; force++) {
					enum dm_sync_admit want, got;

					want = in_flight_wants(kind, copy_state, progress, op,
							       force);
					got = ask(&s, &best, (unsigned int)op, force);
					expect(got == want, "%c: op %d at %d/%d: %s, expected %s",
					       kind, op, copy_state, progress, verdicts[got],
					       verdicts[want]);
				}
			}
		}
	}
	point("an operation in flight refuses the others, kind %c", kind);
}

static void test_strangers(void)
{
	static const unsigned int none[] = { 0, 1, 28, 31, 32, 33, 99, 0x8000, 0xffff, ~0u };
	struct dm_sync_state s = mirror(4, 2, 15);

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		expect(ask(&s, &best, none[i], true) == DM_SYNC_ADMIT_INVALID, "op %u", none[i]);
	point("numbers that are no operation are invalid");

	for (int type = 0; type < 256; type++) {
		s.sync_type = (u8)type;
		for (unsigned int op = 2; type != 6 && op <= 27; op++)
			expect(ask(&s, &best, op, true) == DM_SYNC_ADMIT_INVALID,
			       "op %u on type %d with a mirror's CopyType", op, type);
	}
	point("other types of pair are refused");

	s = mirror(4, 2, 15);
	s.copy_type = 2;
	expect(ask(&s, &best, 12, true) == DM_SYNC_ADMIT_UNSUPPORTED, "asynchronous");
	s.copy_type = 4;
	expect(ask(&s, &best, 12, true) == DM_SYNC_ADMIT_INVALID, "no mirror's CopyType");
	s = pair_of('S', 4, 2, 15);
	s.copy_type = 5;
	expect(ask(&s, &best, 9, true) == DM_SYNC_ADMIT_INVALID, "no snapshot's CopyType");
	point("other CopyTypes are refused");

	for (const char *kind = "MS45"; *kind; kind++) {
		for (int copy_state = 0; copy_state < 256; copy_state++) {
			s = pair_of(*kind, copy_state, 2, 15);
			if (copy_state < 2 || copy_state > 13)
				expect(ask(&s, &best, 8, true) == (copy_state == 15 ?
				       DM_SYNC_ADMIT_REFUSED : DM_SYNC_ADMIT_INVALID),
				       "%c: CopyState %d", *kind, copy_state);
		}
	}
	point("states that are none, and the pair that has ended");
}

/* What belongs to the point in time by now cannot be dropped; what must not be, need not be. */
static void test_merged(void)
{
	struct dm_sync_facts f = facts_named("cewsp");
	struct dm_sync_state s = pair_of('S', 13, 2, 15);
	u32 force;

	f.writes_merged = true;
	for (int forced = 0; forced < 2; forced++)
		expect(ask(&s, &f, 27, forced) == DM_SYNC_ADMIT_REFUSED, "Skewed, force %d", forced);
	dm_sync_allowed_ops(&s, &f, &force);
	expect(!(force & 1u << 27), "nor is it said that force would help");
	for (unsigned int op = 14; op <= 15; op++)
		expect(ask(&s, &f, op, false) == DM_SYNC_ADMIT_OK, "op %u", op);
	s = pair_of('S', 4, 2, 15);
	f.replica_written = false;
	expect(ask(&s, &f, 27, false) == DM_SYNC_ADMIT_NOOP, "Synchronized");
	s = pair_of('S', 13, 2, 15);
	f.writes_merged = false;
	expect(ask(&s, &f, 27, false) == DM_SYNC_ADMIT_OK, "as ever");
	point("Reset Replica of an image whose source was restored to its own writes");
}

/* The bitmaps that are published say the same as asking one by one, in every state there is. */
static void test_allowed(char kind)
{
	for (int copy_state = 0; copy_state < 16; copy_state++) {
		for (int progress = 0; progress <= 20; progress++) {
			for (unsigned int bits = 0; bits < 1u << FACTS; bits += 7) {
				struct dm_sync_state s = pair_of(kind, copy_state, progress, 15);
				struct dm_sync_facts f = facts_of(bits);
				u32 want = 0, want_force = 0, got, force;

				for (unsigned int op = 2; op <= 27; op++) {
					enum dm_sync_admit a = ask(&s, &f, op, false);

					if (a == DM_SYNC_ADMIT_OK || a == DM_SYNC_ADMIT_NOOP)
						want |= 1u << op;
					if (a == DM_SYNC_ADMIT_FORCE)
						want_force |= 1u << op;
				}
				got = dm_sync_allowed_ops(&s, &f, &force);
				expect(got == want && force == want_force, "at %d/%d", copy_state,
				       progress);
			}
		}
	}
	point("allowed operations as bitmaps, kind %c", kind);
}

int main(void)
{
	plan(0);
	test_matrix();
	test_cells();
	test_image_matrix('S', snapshot_matrix);
	test_image_matrix('4', clone_matrix);
	test_image_matrix('5', clone_matrix);
	test_owed();
	for (const char *kind = "MS45"; *kind; kind++) {
		if (*kind != 'M')
			test_image_never(*kind);
		check_in_flight(*kind);
		test_allowed(*kind);
	}
	test_merged();
	test_strangers();
	return done();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What follows from a state: the pairs that may be seen, SyncState, SyncMaintained, PercentSynced,
 * CopyMethodology, ReplicaType, SyncTime, the replica door, where writes go and what they wait for;
 * and the invariants of what is stored.
 */
#include "state_table.h"

static const char *const pairs[] = {
/*	| CopyState | ProgressStatus values | */
	"| 2 Initialized | 4, 2, 5, 13, 0 |",
	"| 3 Unsynchronized | 6, 7, 20, 9, 11(Force), 13(Force), 14, 16 |",
	"| 4 Synchronized | 2, 17, 20(async backlog), 6(async→sync drain), 8(snapshot/clone restore),"
		" 9, 10, 11, 13, 14(Force, restore), 16 |",
	"| 5 Broken | 3, 18, 0, 5, 8, 11, 13, 14, 16 |",
	"| 6 Fractured | 2, 18(after Reverse Roles), 5, 8, 11, 13, 14, 16 |",
	"| 7 Split | 2, 18(after Reverse Roles), 5, 8, 11, 13, 14, 16 |",
	"| 8 Inactive | 3, 5, 11, 13 |",
	"| 9 Suspended | 3, 9, 10, 11, 13, 14(clone), 16 |",
	"| 10 Failedover | 2, 11, 12, 13 |",
	"| 11 Prepared | 19, 13 |",
	"| 12 Aborted | 18, 5, 13 |",
	"| 13 Skewed | 2(snapshot/clone), 18(mirror), 5, 7(Reset Replica), 8, 9, 10, 11(Force), 13,"
		" 14, 16 |",
	"| 14 Mixed | 15, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20 |",
	"| 15 N/A | 2 |",
};

static const char *pair_row(int copy_state)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (atoi(pairs[i] + 2) == copy_state)
			return strchr(pairs[i] + 2, '|');
	return "";
}

static void test_pairs(void)
{
	for (int copy_state = 0; copy_state <= 15; copy_state++)
		for (int progress = 0; progress <= 20; progress++)
			expect(dm_sync_pair_legal((u8)copy_state, (u8)progress) ==
			       listed(pair_row(copy_state), progress), "%d/%d", copy_state, progress);
	point("pairs of CopyState and ProgressStatus");
	for (int copy_state = 0; copy_state < 256; copy_state++)
		for (int progress = 0; progress < 256; progress++)
			if (copy_state > 15 || progress > 20)
				expect(!dm_sync_pair_legal((u8)copy_state, (u8)progress), "%d/%d",
				       copy_state, progress);
	point("numbers beyond both are no pair");
}

/* Of each kind exactly the pairs that it shows, and none that the table does not have. */
static void test_pairs_of_kind(char kind)
{
	for (int copy_state = 0; copy_state < 20; copy_state++) {
		for (int progress = 0; progress < 40; progress++) {
			struct dm_sync_state s = pair_of(kind, copy_state, progress, 15);
			bool want = is_shown(kind, copy_state, progress);
			const char *why;

			expect(dm_sync_invariants(&s, &why) == want, "%c: %d/%d", kind, copy_state,
			       progress);
			expect(!want || listed(pair_row(copy_state), progress),
			       "%c: %d/%d is not in the table", kind, copy_state, progress);
		}
	}
	point("pairs of CopyState and ProgressStatus of kind %c", kind);
}

/* kinds: M mirror, S snapshot, 4 and 5 the clones by CopyType */
static const struct {
	char kind;
	u8 sync_type, copy_type;
} kinds[] = {
	{ 'M', 6, 3 }, { 'M', 6, 2 }, { 'S', 7, 4 }, { '4', 8, 4 }, { '5', 8, 5 },
};

static const struct {
	const char *copy_states, *progress, *kinds;
	int sync_state;
} sync_states[] = {
	{ "15, 14", "*", "MS45", -1 },
	{ "*", "4", "MS45", 2 },
	{ "*", "5", "MS45", 3 },
	{ "*", "8, 12", "MS45", 10 },
	{ "*", "9, 10", "M", 7 },
	{ "*", "9, 10", "S45", 8 },
	{ "*", "11, 14, 16", "MS45", 8 },
	/* 13 Detaching: as with Completed, so by CopyState alone */
	{ "2", "*", "MS45", 2 },
	{ "11", "*", "MS45", 4 },
	{ "3", "*", "MS5", 5 },
	{ "3", "*", "4", 15 },
	{ "4", "*", "M", 6 },
	{ "4, 13", "*", "S", 11 },
	{ "4, 13, 6, 7", "*", "45", 14 },
	{ "5", "*", "MS45", 12 },
	{ "6, 7, 13, 10", "*", "M", 13 },
	{ "8, 9, 12", "*", "MS45", 9 },
	{ "*", "*", "MS45", -1 },
};

static int want_sync_state(char kind, int copy_state, int progress)
{
	size_t i = 0;

	while (!strchr(sync_states[i].kinds, kind) ||
	       !listed(sync_states[i].copy_states, copy_state) ||
	       !listed(sync_states[i].progress, progress))
		i++;
	return sync_states[i].sync_state;
}

static void test_sync_state(void)
{
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (int copy_state = 0; copy_state <= 15; copy_state++) {
			for (int progress = 0; progress <= 20; progress++) {
				struct dm_sync_state s = mirror(copy_state, progress, 15);
				int want = want_sync_state(kinds[k].kind, copy_state, progress);

				s.sync_type = kinds[k].sync_type;
				s.copy_type = kinds[k].copy_type;
				if (!dm_sync_pair_legal(s.copy_state, s.progress))
					continue;
				expect(dm_sync_derive_sync_state(&s) == want,
				       "type %d/%d at %d/%d: %d, expected %d", s.sync_type,
				       s.copy_type, copy_state, progress,
				       dm_sync_derive_sync_state(&s), want);
				expect(dm_sync_derive_maintained(&s) ==
				       (kinds[k].kind == 'M' && copy_state == 4),
				       "SyncMaintained of type %d/%d at %d/%d", s.sync_type,
				       s.copy_type, copy_state, progress);
			}
		}
		point("SyncState and SyncMaintained, type %d/%d", kinds[k].sync_type,
		      kinds[k].copy_type);
	}
}

/* The matrix by settled state: SyncState of Mirror, Snapshot, Clone (CopyType 4). */
static const struct {
	int copy_state;
	const char *progress;
	int mirror, snapshot, clone;
} settled_fields[] = {
	{ 2, "2", 2, 2, 2 }, { 11, "19", 4, 4, 4 }, { 3, "6, 7", 5, 5, 15 }, { 4, "2", 6, 11, 14 },
	{ 5, "3, 18", 12, 12, 12 }, { 6, "2", 13, -1, 14 }, { 7, "2", 13, -1, 14 },
	{ 8, "3", 9, 9, 9 }, { 9, "3", 9, 9, 9 }, { 10, "2", 13, -1, -1 }, { 12, "18", 9, -2, 9 },
	{ 13, "18, 2", 13, 11, 14 },
};

static void test_settled(void)
{
	for (size_t i = 0; i < sizeof(settled_fields) / sizeof(settled_fields[0]); i++) {
		for (int progress = 0; progress <= 20; progress++) {
			struct dm_sync_state s = mirror(settled_fields[i].copy_state, progress, 15);

			if (!listed(settled_fields[i].progress, progress))
				continue;
			expect(dm_sync_derive_sync_state(&s) == settled_fields[i].mirror,
			       "mirror at %d/%d", s.copy_state, progress);
			s.sync_type = 7, s.copy_type = 4;
			expect(settled_fields[i].snapshot == -2 ||
			       dm_sync_derive_sync_state(&s) == settled_fields[i].snapshot,
			       "snapshot at %d/%d", s.copy_state, progress);
			s.sync_type = 8;
			expect(dm_sync_derive_sync_state(&s) == settled_fields[i].clone,
			       "clone at %d/%d", s.copy_state, progress);
		}
	}
	point("fields by settled state");
}

static const struct {
	int copy_state, progress;
	const char *facts;
	u64 total, remaining;
	int percent;
} percents[] = {
	/* copying: rounded down, never 100 */
	{ 3, 6, "", 1000, 1000, 0 }, { 3, 6, "", 1000, 991, 0 }, { 3, 6, "", 1000, 990, 1 },
	{ 3, 7, "", 1000, 1, 99 }, { 3, 7, "", 1000, 0, 99 }, { 3, 20, "", 4, 2, 50 },
	{ 3, 9, "", 4, 1, 75 }, { 3, 16, "", 3, 2, 33 }, { 3, 14, "", 3, 1, 66 },
	{ 3, 6, "", 0, 0, 99 }, { 3, 6, "", 10, 11, 0 }, { 3, 7, "m", 4, 2, -1 },
	{ 3, 6, "", ~0ULL, ~0ULL, 0 }, { 3, 6, "", ~0ULL, 1, 99 },
	{ 3, 6, "", ~0ULL, ~0ULL / 2 - (1ULL << 20), 50 },
	{ 3, 6, "", 1ULL << 63, 1ULL << 62, 50 }, { 3, 6, "", (1ULL << 60) + 1, 1ULL << 60, 0 },
	/* restoring and failing back: the share that has come back */
	{ 6, 8, "", 200, 150, 25 }, { 7, 8, "", 200, 0, 99 }, { 13, 8, "", 200, 100, 50 },
	{ 5, 8, "", 200, 20, 90 }, { 10, 12, "", 200, 20, 90 },
	/* synchronized */
	{ 4, 2, "", 1000, 7, 100 }, { 4, 17, "", 1000, 0, 100 }, { 4, 2, "", 0, 0, 100 },
	{ 4, 9, "", 1000, 7, 100 }, { 4, 20, "", 1000, 7, 100 },
	/* what a resync would start from */
	{ 6, 2, "", 1000, 5, 99 }, { 6, 2, "", 1000, 0, 100 }, { 7, 2, "", 1000, 100, 90 },
	{ 9, 3, "", 1000, 250, 75 }, { 8, 3, "", 1000, 10, 99 }, { 12, 18, "", 1000, 600, 40 },
	{ 5, 3, "", 1000, 1, 99 }, { 11, 19, "", 1000, 1000, 0 }, { 2, 2, "", 1000, 1000, 0 },
	{ 6, 2, "", ~0ULL, 1, 99 }, { 6, 2, "", ~0ULL, 0, 100 },
	/* nothing to say */
	{ 2, 4, "", 1000, 1000, -1 }, { 5, 18, "", 1000, 1000, -1 }, { 5, 3, "m", 1000, 1000, -1 },
	{ 13, 18, "", 1000, 1, -1 }, { 10, 2, "", 1000, 1, -1 }, { 10, 11, "", 1000, 1, -1 },
	{ 5, 0, "", 1000, 1, -1 }, { 2, 0, "", 1000, 1, -1 }, { 15, 2, "", 1000, 1, -1 },
};

static void test_percent(void)
{
	struct dm_sync_facts none = facts_named("");
	struct dm_sync_state s;

	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		struct dm_sync_facts f = facts_named(percents[i].facts);
		int got;

		s = mirror(percents[i].copy_state, percents[i].progress, 15);
		got = dm_sync_derive_percent(&s, &f, percents[i].total, percents[i].remaining);
		expect(got == percents[i].percent, "%d/%d %s, %llu of %llu left: %d, expected %d",
		       s.copy_state, s.progress, percents[i].facts,
		       (unsigned long long)percents[i].remaining,
		       (unsigned long long)percents[i].total, got, percents[i].percent);
	}
	point("PercentSynced by state");

	s = mirror(6, 2, 15);
	for (u64 total = 1; total <= 300; total++)
		for (u64 left = 0; left <= total; left++)
			expect(dm_sync_derive_percent(&s, &none, total, left) ==
			       (int)(100 * (total - left) / total), "%llu of %llu",
			       (unsigned long long)left, (unsigned long long)total);
	point("PercentSynced is rounded down");
}

/* A 100 means that nothing remains, and Synchronized means 100, whatever the state. */
static void test_percent_bounds(char kind)
{
	for (int copy_state = 2; copy_state <= 15; copy_state++) {
		for (int progress = 0; progress <= 20; progress++) {
			struct dm_sync_state s = pair_of(kind, copy_state, progress, 15);
			const char *why;

			if (!dm_sync_invariants(&s, &why))
				continue;
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++) {
				struct dm_sync_facts f = facts_of(bits);
				int some = dm_sync_derive_percent(&s, &f, 1ULL << 40, 1);

				expect(some >= -1 && some <= 100 &&
				       (some == 100) == (copy_state == 4 && progress != 8),
				       "%c: %d/%d: %d", kind, copy_state, progress, some);
			}
		}
	}
	point("PercentSynced is 100 where CopyState is Synchronized or nothing remains, kind %c",
	      kind);
}

static void test_image_percent(void)
{
	static const struct {
		char kind;
		int copy_state, progress;
		const char *facts;
		u64 remaining;		/* of 100 */
		int percent;
	} rows[] = {
		{ 'S', 4, 2, "", 60, 100 }, { 'S', 3, 7, "", 0, 99 }, { 'S', 8, 3, "", 0, -1 },
		{ 'S', 13, 2, "p", 0, -1 }, { 'S', 13, 7, "p", 40, 60 }, { 'S', 13, 7, "p", 0, 99 },
		{ 'S', 4, 8, "", 25, 75 }, { 'S', 4, 8, "", 0, 99 }, { 'S', 13, 8, "p", 0, 99 },
		{ 'S', 5, 18, "m", 0, -1 }, { 'S', 5, 3, "m", 0, -1 }, { 'S', 5, 3, "", 0, 100 },
		{ 'S', 5, 0, "", 0, -1 }, { 'S', 9, 3, "", 0, 100 },
		{ '4', 3, 6, "", 1, 99 }, { '4', 3, 7, "", 0, 99 }, { '4', 4, 2, "", 0, 100 },
		{ '4', 13, 2, "p", 0, -1 }, { '4', 6, 2, "", 30, 70 }, { '4', 8, 3, "", 30, 70 },
		{ '4', 12, 18, "", 30, 70 }, { '4', 9, 3, "", 30, 70 }, { '4', 4, 8, "", 30, 70 },
		{ '4', 5, 18, "m", 0, -1 }, { '5', 3, 20, "", 30, 70 }, { '5', 4, 13, "", 0, 100 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dm_sync_state s = pair_of(rows[i].kind, rows[i].copy_state,
						 rows[i].progress, 15);
		struct dm_sync_facts f = facts_named(rows[i].facts);
		int got = dm_sync_derive_percent(&s, &f, 100, rows[i].remaining);

		expect(got == rows[i].percent, "%c: %d/%d %s: %d, expected %d", rows[i].kind,
		       s.copy_state, s.progress, rows[i].facts, got, rows[i].percent);
	}
	point("PercentSynced of snapshots and clones");
}

/* What was asked for, all the time: 4 and 5 are not among the legal ones of these types. */
static void test_image_methodology(void)
{
	for (const char *kind = "S45"; *kind; kind++) {
		for (int configured = 0; configured <= 9; configured++) {
			for (int i = 0; i < 16 * 21; i++) {
				struct dm_sync_state s = pair_of(*kind, i / 21, i % 21, 15);
				struct dm_sync_facts f = facts_named("em");
				int want = configured == 0 || configured == 2 ? 6 : configured;

				s.methodology = (u8)configured;
				if (is_shown(*kind, s.copy_state, s.progress))
					expect(dm_sync_derive_methodology(&s, &f) == want,
					       "%c: %d at %d/%d", *kind, configured, s.copy_state,
					       s.progress);
			}
		}
	}
	point("CopyMethodology of snapshots and clones");
}

static void test_replica_type(void)
{
	static const struct {
		int sync_type, copy_type, methodology, replica_type;
	} rows[] = {
		{ 6, 3, 3, 2 }, { 6, 3, 5, 2 }, { 6, 2, 8, 2 }, { 7, 4, 6, 4 }, { 7, 4, 7, 4 },
		{ 7, 4, 2, 4 }, { 7, 4, 1, 3 }, { 8, 4, 6, 2 }, { 8, 5, 9, 2 }, { 7, 5, 6, 0 },
		{ 3, 3, 3, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int copy_state = 2; copy_state <= 15; copy_state++) {
			struct dm_sync_state s = mirror(copy_state, 2, 15);

			s.sync_type = (u8)rows[i].sync_type;
			s.copy_type = (u8)rows[i].copy_type;
			s.methodology = (u8)rows[i].methodology;
			expect(dm_sync_derive_replica_type(&s) == rows[i].replica_type,
			       "%d/%d/%d: %d", s.sync_type, s.copy_type, s.methodology,
			       dm_sync_derive_replica_type(&s));
		}
	}
	point("ReplicaType");
}

static void test_methodology(void)
{
	static const struct {
		int configured, copy_state, progress;
		const char *facts;
		int reported;
	} rows[] = {
		/* first copy: full, whatever is configured */
		{ 3, 3, 6, "", 3 }, { 4, 3, 6, "", 3 }, { 5, 3, 6, "", 3 }, { 2, 3, 6, "", 3 },
		{ 4, 3, 20, "", 3 }, { 4, 3, 16, "", 3 },
		/* driven by the maps */
		{ 3, 3, 7, "e", 4 }, { 4, 3, 7, "e", 4 }, { 5, 3, 7, "e", 5 }, { 0, 3, 7, "e", 4 },
		{ 5, 3, 20, "e", 5 }, { 5, 3, 7, "", 5 }, { 4, 6, 8, "e", 4 }, { 5, 7, 8, "e", 5 },
		/* no maps: everything */
		{ 5, 3, 7, "em", 3 }, { 4, 5, 8, "em", 3 },
		/* at rest: what is configured, never a request's "implementation decides" */
		{ 3, 4, 2, "e", 3 }, { 4, 4, 2, "e", 4 }, { 5, 4, 2, "e", 5 }, { 2, 4, 2, "e", 3 },
		{ 0, 6, 2, "e", 3 }, { 5, 6, 2, "e", 5 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dm_sync_state s = mirror(rows[i].copy_state, rows[i].progress, 15);
		struct dm_sync_facts f = facts_named(rows[i].facts);

		s.methodology = (u8)rows[i].configured;
		expect(dm_sync_derive_methodology(&s, &f) == rows[i].reported,
		       "%d at %d/%d %s: %d, expected %d", rows[i].configured, s.copy_state,
		       s.progress, rows[i].facts, dm_sync_derive_methodology(&s, &f),
		       rows[i].reported);
	}
	point("CopyMethodology as it is at the moment");
}

static void test_types(void)
{
	static const struct {
		int sync_type, copy_type;
		const char *methodologies;
		int mode;
	} rows[] = {
		{ 6, 3, "3, 4, 5", 2 }, { 6, 2, "3, 4, 5, 8", 3 }, { 7, 4, "6, 7, 1", 2 },
		{ 8, 5, "3, 6, 7, 9", 2 }, { 8, 4, "3, 6, 7, 9", 2 },
	};

	for (int type = 0; type < 12; type++) {
		for (int copy = 0; copy < 8; copy++) {
			struct dm_sync_state s = mirror(4, 2, 15);
			const char *legal = "";
			int mode = 0;

			for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
				if (rows[i].sync_type == type && rows[i].copy_type == copy)
					legal = rows[i].methodologies, mode = rows[i].mode;
			for (int m = 0; m < 256; m++)
				expect(dm_sync_type_legal((u8)type, (u8)copy, (u8)m) ==
				       listed(legal, m), "%d/%d/%d", type, copy, m);
			s.sync_type = (u8)type, s.copy_type = (u8)copy;
			expect(dm_sync_derive_mode(&s) == mode, "SyncMode of %d/%d", type, copy);
			if (!*legal)
				expect(dm_sync_derive_sync_state(&s) == -1, "SyncState of %d/%d", type,
				       copy);
		}
	}
	point("combinations of types, and SyncMode");
}

static void test_mode(void)
{
	for (const char *kind = "S45"; *kind; kind++) {
		for (int methodology = 3; methodology <= 9; methodology++) {
			struct dm_sync_state s = pair_of(*kind, 4, 2, 15);
			bool fed = *kind != 'S' && methodology == 9;

			s.methodology = (u8)methodology;
			expect(dm_sync_derive_mode(&s) == (fed ? 3 : 2), "%c: %d", *kind,
			       methodology);
		}
	}
	point("SyncMode: a clone that is fed from a snapshot of the source is asynchronous");
}

/* What a stored state must never be. */
static void test_invariants(void)
{
	static const struct {
		int sync_type, copy_type, copy_state, progress, requested;
		bool holds;
	} rows[] = {
		{ 6, 3, 4, 2, 15, true }, { 6, 3, 3, 7, 4, true }, { 6, 3, 5, 3, 7, true },
		{ 6, 2, 4, 20, 15, true }, { 7, 4, 13, 2, 15, true }, { 8, 4, 4, 8, 15, true },
		{ 6, 3, 15, 2, 15, true },
		{ 6, 3, 4, 2, 4, false },	/* requested is what it is */
		{ 6, 3, 4, 2, 5, false }, { 6, 3, 4, 2, 13, false }, { 6, 3, 4, 2, 14, false },
		{ 6, 3, 4, 2, 0, false }, { 6, 3, 4, 2, 1, false }, { 6, 3, 4, 2, 16, false },
		{ 6, 3, 14, 15, 15, false }, { 6, 3, 4, 15, 15, false }, { 6, 3, 14, 2, 15, false },
		{ 6, 3, 0, 2, 15, false }, { 6, 3, 1, 2, 15, false }, { 6, 3, 16, 2, 15, false },
		{ 6, 3, 4, 7, 4, false }, { 6, 3, 6, 9, 15, false },	/* no such pair */
		{ 6, 3, 13, 2, 15, false }, { 6, 3, 4, 8, 15, false }, { 6, 3, 13, 7, 4, false },
		{ 6, 3, 4, 20, 15, false },	/* no backlog when synchronous */
		{ 6, 4, 4, 2, 15, false }, { 7, 3, 4, 2, 15, false }, { 8, 2, 4, 2, 15, false },
		{ 0, 3, 4, 2, 15, false }, { 9, 4, 4, 2, 15, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dm_sync_state s = mirror(rows[i].copy_state, rows[i].progress,
						rows[i].requested);
		const char *why = "not set";
		bool holds;

		s.sync_type = (u8)rows[i].sync_type;
		s.copy_type = (u8)rows[i].copy_type;
		holds = dm_sync_invariants(&s, &why);
		expect(holds == rows[i].holds && holds == !why, "type %d/%d at %d/%d/%d: %s",
		       rows[i].sync_type, rows[i].copy_type, rows[i].copy_state, rows[i].progress,
		       rows[i].requested, why ? why : "holds");
	}
	point("invariants of a stored state");
}

/* n none, o read-only, w read-write; c read-only if the replica is known consistent */
static const char door_row[] =
/*	  In Pr Un Sy Br Fr Sp Ia Su Fo Ab Sk */
	" n  n  n  n  c  w  w  o  c  w  n  w ";

static void test_door(void)
{
	for (int c = 0; c < STATE_COLUMNS; c++) {
		int copy_state = state_columns[c].copy_state;
		struct dm_sync_state s = mirror(copy_state, settled_progress(copy_state), 15);

		for (unsigned int bits = 0; bits < 1u << FACTS; bits++) {
			struct dm_sync_facts f = facts_of(bits);
			char want = door_row[3 * c + 1];

			if (want == 'c')
				want = bits & 1 ? 'o' : 'n';
			expect("now"[dm_sync_door(&s, &f)] == want, "%s, facts %x",
			       state_columns[c].name, bits);
		}
	}
	point("replica door by CopyState");

	for (int copy_state = 2; copy_state <= 13; copy_state++) {
		struct dm_sync_state s = mirror(copy_state, 8, 4);
		struct dm_sync_facts f = facts_of(0xf);

		expect(!dm_sync_door(&s, &f), "restoring from %d", copy_state);
		s.progress = 0;
		expect(!dm_sync_door(&s, &f), "unknown %d", copy_state);
		s = mirror(copy_state, settled_progress(copy_state), 15);
		s.sync_type = 3;
		expect(!dm_sync_door(&s, &f), "no type, %d", copy_state);
	}
	point("replica door while restoring, unknown, of no type");
}

/*
 * n none, h held, o read-only, w read-write; "none/ro" is read-only if the replica is whole (c),
 * and "-" a state that there is not.
 */
static const struct {
	char kind;
	const char *methodologies, *row;
} image_doors[] = {
	/*		 In Pr Un Sy Br Fr Sp Ia Su Fo Ab Sk */
	{ 'S', "6, 7",	" n  n  h  w  n  -  -  n  o  -  -  w " },
	{ '4', "6, 7",	" n  n  w  w  n  w  w  c  o  -  n  w " },
	{ '4', "3, 9",	" n  n  n  w  n  w  w  c  n  -  n  w " },
	{ '5', "2, 6, 7", " n  n  w  w  n  -  -  c  o  -  n  - " },
	{ '5', "3, 9",	" n  n  n  w  n  -  -  c  n  -  n  - " },
};

static void check_image_door(char kind, int methodology, const char *row, unsigned int bits)
{
	struct dm_sync_facts f = facts_of(bits);

	for (int c = 0; c < STATE_COLUMNS; c++) {
		int copy_state = state_columns[c].copy_state;
		struct dm_sync_state s = pair_of(kind, copy_state, settled_of(kind, copy_state),
						 15);
		char want = row[3 * c + 1], got;

		s.methodology = (u8)methodology;
		if (want == '-')
			continue;
		got = "now"[dm_sync_door(&s, &f)];
		if (want == 'c')
			want = bits & 1 ? 'o' : 'n';
		expect(dm_sync_door_holds(&s) == (want == 'h'), "%c: %s is held", kind,
		       state_columns[c].name);
		if (want == 'h')
			want = 'n';
		expect(got == want, "%c: method %d, %s, facts %x: %c, expected %c", kind,
		       methodology, state_columns[c].name, bits, got, want);
	}
}

static void test_image_door(void)
{
	for (size_t i = 0; i < sizeof(image_doors) / sizeof(image_doors[0]); i++) {
		for (int m = 0; m < 10; m++)
			for (unsigned int bits = 0; bits < 1u << FACTS; bits++)
				if (listed(image_doors[i].methodologies, m))
					check_image_door(image_doors[i].kind, m,
							 image_doors[i].row, bits);
		point("replica door of kind %c, methodologies %s", image_doors[i].kind,
		      image_doors[i].methodologies);
	}
}

/* Restoring reads the image, so it stays readable; what prepares or aborts closes the door. */
static void test_image_door_running(void)
{
	for (const char *kind = "S4"; *kind; kind++) {
		for (int copy_state = 2; copy_state <= 13; copy_state++) {
			for (int progress = 0; progress <= 20; progress++) {
				struct dm_sync_state s = pair_of(*kind, copy_state, progress, 15);
				struct dm_sync_facts f = facts_named("cews");

				if (!is_shown(*kind, copy_state, progress))
					continue;
				if (progress == 8)
					expect(dm_sync_door(&s, &f) == 1, "%c: %d/8", *kind,
					       copy_state);
				if (listed("0, 5, 14", progress))
					expect(!dm_sync_door(&s, &f), "%c: %d/%d", *kind,
					       copy_state, progress);
				if (*kind == 'S' && progress == 7)
					expect(dm_sync_door_holds(&s) && !dm_sync_door(&s, &f),
					       "%d/7", copy_state);
				else if (copy_state != 3)
					expect(!dm_sync_door_holds(&s), "%c: %d/%d", *kind,
					       copy_state, progress);
			}
		}
	}
	point("replica door while something runs");
}

/* Where old data is saved before it is overwritten, and where a clone remembers what changed. */
static void test_protection(void)
{
	for (const char *kind = "MS45"; *kind; kind++) {
		for (int copy_state = 2; copy_state <= 15; copy_state++) {
			for (int progress = 0; progress <= 20; progress++) {
				struct dm_sync_state s = pair_of(*kind, copy_state, progress, 15);
				bool broken = copy_state == 5 && !listed("0, 18", progress);
				bool want = *kind == 'S' ? listed("3, 4, 13, 9", copy_state) :
					    *kind != 'M' && listed("3, 9", copy_state);

				expect(dm_sync_preserves(&s) == (want || (broken && *kind != 'M')),
				       "%c: preserves at %d/%d", *kind, copy_state, progress);
				if (*kind == 'M')
					continue;
				expect(dm_sync_tracks_source(&s) ==
				       (*kind != 'S' && listed("3, 4, 5, 6, 7, 9, 12, 13",
							       copy_state)),
				       "%c: tracks at %d/%d", *kind, copy_state, progress);
				expect(dm_sync_flow(&s) == DM_SYNC_FLOW_NONE, "%c: flow at %d/%d",
				       *kind, copy_state, progress);
				expect(dm_sync_holds_writes(&s) == (copy_state == 9),
				       "%c: holds at %d/%d", *kind, copy_state, progress);
			}
		}
	}
	point("protection of a point in time, and tracking");
}

/* k kept, n now, p the point in time, 0 none; states as CopyState/ProgressStatus */
static void test_sync_time(void)
{
	static const struct {
		const char *kinds, *facts;
		int from[2], to[2];
		char want;
	} rows[] = {
		/* never yet synchronized, until the point in time has been reached */
		{ "S45", "", { 2, 4 }, { 2, 2 }, '0' }, { "S45", "", { 2, 4 }, { 11, 19 }, '0' },
		{ "S45", "", { 2, 2 }, { 3, 6 }, 'k' }, { "S", "", { 2, 4 }, { 4, 2 }, 'p' },
		{ "S45", "", { 3, 6 }, { 4, 2 }, 'p' }, { "4", "p", { 3, 6 }, { 13, 2 }, 'p' },
		{ "45", "", { 3, 20 }, { 4, 2 }, 'p' }, { "S45", "", { 3, 6 }, { 5, 3 }, 'k' },
		/* the next one, or not */
		{ "S4", "p", { 13, 2 }, { 3, 7 }, 'k' }, { "S45", "", { 3, 7 }, { 4, 2 }, 'p' },
		{ "S45", "", { 3, 7 }, { 5, 3 }, 'k' }, { "45", "", { 3, 14 }, { 12, 18 }, 'k' },
		/* written, suspended, cut, broken, ended: the image is of the same moment */
		{ "S4", "", { 4, 2 }, { 13, 2 }, 'k' }, { "S", "", { 4, 16 }, { 9, 3 }, 'k' },
		{ "S", "", { 9, 3 }, { 4, 2 }, 'k' }, { "S", "p", { 9, 3 }, { 13, 2 }, 'k' },
		{ "4", "", { 4, 9 }, { 6, 2 }, 'k' }, { "4", "p", { 13, 10 }, { 7, 2 }, 'k' },
		{ "S4", "", { 4, 2 }, { 5, 3 }, 'k' }, { "S4", "", { 4, 2 }, { 5, 18 }, 'k' },
		{ "S", "w", { 5, 3 }, { 4, 2 }, 'k' }, { "S", "", { 13, 7 }, { 4, 2 }, 'k' },
		/* given up */
		{ "S", "", { 4, 16 }, { 8, 3 }, '0' }, { "4", "", { 4, 16 }, { 8, 3 }, 'k' },
		{ "S45", "", { 8, 5 }, { 11, 19 }, '0' }, { "4", "", { 6, 5 }, { 11, 19 }, '0' },
		/* restored: from what was written the source is of now */
		{ "S4", "", { 4, 8 }, { 4, 2 }, 'k' }, { "S4", "p", { 13, 8 }, { 4, 2 }, 'n' },
		{ "4", "p", { 6, 8 }, { 4, 2 }, 'n' }, { "4", "", { 7, 8 }, { 4, 2 }, 'k' },
		{ "S4", "p", { 5, 8 }, { 4, 2 }, 'n' }, { "S4", "p", { 13, 8 }, { 5, 3 }, 'k' },
		/* a mirror: when it got there, and the cut */
		{ "M", "", { 3, 6 }, { 4, 2 }, 'n' }, { "M", "", { 6, 8 }, { 4, 17 }, 'n' },
		{ "M", "", { 9, 3 }, { 4, 2 }, 'n' }, { "M", "", { 4, 10 }, { 7, 2 }, 'n' },
		{ "M", "", { 9, 10 }, { 7, 2 }, 'k' }, { "M", "", { 4, 9 }, { 6, 2 }, 'k' },
		{ "M", "", { 4, 2 }, { 5, 3 }, 'k' }, { "M", "", { 4, 17 }, { 4, 9 }, 'k' },
		{ "M", "", { 2, 4 }, { 4, 2 }, 'n' }, { "M", "", { 6, 5 }, { 11, 19 }, 'k' },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (const char *kind = rows[i].kinds; *kind; kind++) {
			struct dm_sync_state s = pair_of(*kind, rows[i].from[0], rows[i].from[1],
							 15);
			struct dm_sync_facts f = facts_named(rows[i].facts);
			struct dm_sync_step to = { (u8)rows[i].to[0], (u8)rows[i].to[1], 15 };
			char got = "k0np"[dm_sync_sync_time(&s, &f, &to)];

			expect(got == rows[i].want, "%c: %d/%d to %d/%d: %c, expected %c", *kind,
			       s.copy_state, s.progress, to.copy_state, to.progress, got,
			       rows[i].want);
		}
	}
	point("SyncTime");
}

static void test_auto_detach(void)
{
	for (const char *kind = "MS45"; *kind; kind++)
		for (int i = 0; i < 16 * 21; i++) {
			struct dm_sync_state s = pair_of(*kind, i / 21, i % 21, 15);

			expect(dm_sync_auto_detach(&s) == (*kind == '5' && i == 4 * 21 + 2),
			       "%c: %d/%d", *kind, s.copy_state, s.progress);
		}
	point("a complete temporary clone, and nothing else, is to be detached");
}

static void test_flow(void)
{
	for (int copy_state = 2; copy_state <= 15; copy_state++) {
		for (int progress = 0; progress <= 20; progress++) {
			struct dm_sync_state s = mirror(copy_state, progress, 15);
			bool forward = (copy_state == 3 || copy_state == 4) && progress != 8;
			enum dm_sync_flow want = progress == 8 ? DM_SYNC_FLOW_RESTORE :
						 forward ? DM_SYNC_FLOW_FORWARD : DM_SYNC_FLOW_NONE;

			expect(dm_sync_flow(&s) == want, "flow at %d/%d", copy_state, progress);
			expect(dm_sync_holds_writes(&s) == (copy_state == 9), "hold at %d/%d",
			       copy_state, progress);
			expect(dm_sync_tracks_source(&s) ==
			       (want == DM_SYNC_FLOW_NONE &&
				listed("2, 5, 6, 7, 8, 9, 11, 12, 13", copy_state)),
			       "tracking at %d/%d", copy_state, progress);
		}
	}
	point("where writes go");
}

int main(void)
{
	plan(0);
	test_pairs();
	for (const char *kind = "S45"; *kind; kind++)
		test_pairs_of_kind(*kind);
	test_sync_state();
	test_settled();
	test_percent();
	for (const char *kind = "MS45"; *kind; kind++)
		test_percent_bounds(*kind);
	test_image_percent();
	test_methodology();
	test_image_methodology();
	test_replica_type();
	test_types();
	test_mode();
	test_invariants();
	test_door();
	test_image_door();
	test_image_door_running();
	test_protection();
	test_sync_time();
	test_auto_detach();
	test_flow();
	return done();
}

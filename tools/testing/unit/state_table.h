/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading the expected values of the state tests: they are written as text in the layout of the
 * specification's tables, numbers and glyphs included, and never derived from the code.
 */
#ifndef STATE_TABLE_H
#define STATE_TABLE_H

#include <stdlib.h>
#include <string.h>

#include "dm-sync-state.h"
#include "unit.h"

static const struct {
	const char *name;
	int copy_state;
} state_columns[] = {
	{ "In", 2 }, { "Pr", 11 }, { "Un", 3 }, { "Sy", 4 }, { "Br", 5 }, { "Fr", 6 },
	{ "Sp", 7 }, { "Ia", 8 }, { "Su", 9 }, { "Fo", 10 }, { "Ab", 12 }, { "Sk", 13 },
};

#define STATE_COLUMNS	12

__attribute__((unused))
static int copy_state_of(const char *name, size_t len)
{
	for (int i = 0; i < STATE_COLUMNS; i++)
		if (strlen(state_columns[i].name) == len &&
		    !strncmp(state_columns[i].name, name, len))
			return state_columns[i].copy_state;
	return -1;
}

/* Is a number one of a list like "6, 7, 20"? "*" has all. Text in brackets is skipped. */
__attribute__((unused))
static bool listed(const char *list, int number)
{
	if (*list == '*')
		return true;
	while (*list) {
		if (*list == '(') {
			list = strchr(list, ')') + 1;
		} else if (*list >= '0' && *list <= '9') {
			char *end;

			if (strtol(list, &end, 10) == number)
				return true;
			list = end;
		} else {
			list++;
		}
	}
	return false;
}

/* The next "|"-separated cell of a row, trimmed; returns where the following one begins. */
__attribute__((unused))
static const char *next_cell(const char *row, char *cell, size_t size)
{
	const char *end;
	size_t len;

	row += strspn(row, "| ");
	end = row + strcspn(row, "|");
	len = (size_t)(end - row);
	while (len && row[len - 1] == ' ')
		len--;
	if (len >= size)
		abort();
	memcpy(cell, row, len);
	cell[len] = 0;
	return end;
}

/* A synchronous mirror. */
__attribute__((unused))
static struct dm_sync_state mirror(int copy_state, int progress, int requested)
{
	return (struct dm_sync_state){
		.sync_type = 6, .copy_type = 3, .methodology = 3, .priority = 1,
		.copy_state = (u8)copy_state, .progress = (u8)progress,
		.requested = (u8)requested,
	};
}

/* Kinds of pair: M synchronous mirror, S snapshot, 4 and 5 clones by CopyType, copy on write. */
__attribute__((unused))
static struct dm_sync_state pair_of(char kind, int copy_state, int progress, int requested)
{
	struct dm_sync_state s = mirror(copy_state, progress, requested);

	if (kind == 'M')
		return s;
	s.sync_type = kind == 'S' ? 7 : 8;
	s.copy_type = kind == '5' ? 5 : 4;
	s.methodology = 6;
	return s;
}

/*
 * What the three new kinds show: the table of allowed pairs without what it marks as another
 * type's, and without what no operation on this one leads to.
 */
static const struct {
	char kind;
	int copy_state;
	const char *progress;
} shown[] = {
	{ 'S', 2, "4, 2, 5, 13, 0" }, { 'S', 3, "6, 7" }, { 'S', 4, "2, 8, 13, 14, 16" },
	{ 'S', 5, "3, 18, 0, 5, 8, 13, 14, 16" }, { 'S', 8, "3, 5, 13" }, { 'S', 9, "3, 13, 16" },
	{ 'S', 11, "19, 13" }, { 'S', 13, "2, 7, 8, 13, 14, 16" }, { 'S', 15, "2" },

	{ '4', 2, "4, 2, 5, 13, 0" }, { '4', 3, "6, 7, 20, 13, 14, 16" },
	{ '4', 4, "2, 8, 9, 10, 13, 14, 16" }, { '4', 5, "3, 18, 0, 5, 8, 13, 14, 16" },
	{ '4', 6, "2, 5, 8, 13, 14, 16" }, { '4', 7, "2, 5, 8, 13, 14, 16" },
	{ '4', 8, "3, 5, 13" }, { '4', 9, "3, 13, 14, 16" }, { '4', 11, "19, 13" },
	{ '4', 12, "18, 5, 13" }, { '4', 13, "2, 5, 8, 9, 10, 13, 14, 16" }, { '4', 15, "2" },

	{ '5', 2, "4, 2, 5, 13, 0" }, { '5', 3, "6, 7, 20, 13, 14, 16" }, { '5', 4, "2, 13" },
	{ '5', 5, "3, 18, 0, 5, 13, 14, 16" }, { '5', 8, "3, 5, 13" }, { '5', 9, "3, 13, 14, 16" },
	{ '5', 11, "19, 13" }, { '5', 12, "18, 5, 13" }, { '5', 15, "2" },
};

__attribute__((unused))
static bool is_shown(char kind, int copy_state, int progress)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (shown[i].kind == kind && shown[i].copy_state == copy_state)
			return listed(shown[i].progress, progress);
	return false;
}

/* The ProgressStatus of a CopyState in which nothing runs and nothing unusual is owed. */
__attribute__((unused))
static int settled_progress(int copy_state)
{
	static const int progress[] = {
		[2] = 2, [3] = 7, [4] = 2, [5] = 3, [6] = 2, [7] = 2, [8] = 3, [9] = 3,
		[10] = 2, [11] = 19, [12] = 18, [13] = 18,
	};

	return progress[copy_state];
}

__attribute__((unused))
static int settled_of(char kind, int copy_state)
{
	return copy_state == 13 && kind != 'M' ? 2 : settled_progress(copy_state);
}

#define FACTS	10

/* One of the 2^FACTS combinations. */
__attribute__((unused))
static struct dm_sync_facts facts_of(unsigned int bits)
{
	return (struct dm_sync_facts){
		.replica_consistent = bits & 1,
		.ever_synced = bits >> 1 & 1,
		.was_synced = bits >> 2 & 1,
		.source_ok = bits >> 3 & 1,
		.held_writes = bits >> 4 & 1,
		.restore_incomplete = bits >> 5 & 1,
		.maps_lost = bits >> 6 & 1,
		.nothing_marked = bits >> 7 & 1,
		.fracture_owed = bits >> 8 & 1,
		.replica_written = bits >> 9 & 1,
	};
}

/* By letters: c consistent, e ever synced, w was synced, s source ok, h held, r restore, m maps
 * lost, n nothing marked, f fracture owed, p the replica was written to
 */
static const char fact_names[] = "cewshrmnfp";

__attribute__((unused))
static struct dm_sync_facts facts_named(const char *letters)
{
	unsigned int bits = 0;

	for (; *letters; letters++)
		bits |= 1u << (strchr(fact_names, *letters) - fact_names);
	return facts_of(bits);
}

/* Do these facts hold; '!' before a letter says that it must not. */
__attribute__((unused))
static bool facts_match(const char *letters, unsigned int bits)
{
	for (; *letters; letters++) {
		bool want = *letters != '!';

		if (!want)
			letters++;
		if ((bits >> (strchr(fact_names, *letters) - fact_names) & 1) != want)
			return false;
	}
	return true;
}

/* The invariants, independently of dm_sync_invariants(): what the specification's 1.4 says. */
__attribute__((unused))
static bool sound(const struct dm_sync_state *s)
{
	bool runs = listed("9, 10, 11, 13, 16", s->progress);
	char kind = s->sync_type == 7 ? 'S' : s->copy_type == 5 ? '5' : '4';

	if (dm_sync_derive_sync_state(s) == 6 && !dm_sync_derive_maintained(s))
		return false;
	if (dm_sync_derive_maintained(s) && dm_sync_derive_sync_state(s) != 6 && !runs)
		return false;
	if (s->requested != 15 && (s->requested == s->copy_state || s->requested < 2 ||
				   s->requested > 12 || s->requested == 5))
		return false;
	if (s->sync_type != 6 && (dm_sync_derive_maintained(s) ||
				  !is_shown(kind, s->copy_state, s->progress)))
		return false;
	return s->copy_state >= 2 && s->copy_state != 14 && s->progress != 15 &&
	       dm_sync_pair_legal(s->copy_state, s->progress);
}

#endif

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

#define FACTS	9

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
	};
}

/* By letters: c consistent, e ever synced, w was synced, s source ok, h held, r restore, m maps
 * lost, n nothing marked, f fracture owed
 */
__attribute__((unused))
static struct dm_sync_facts facts_named(const char *letters)
{
	static const char names[] = "cewshrmnf";
	unsigned int bits = 0;

	for (; *letters; letters++)
		bits |= 1u << (strchr(names, *letters) - names);
	return facts_of(bits);
}

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast a store fills: steady streams, bursts, rests, and numbers as large as they get.
 */
#include <limits.h>

#include "unit.h"
#include "dm-sync-fill.h"

#define MINUTE	60000u
#define START	123456789u	/* ms; clocks begin anywhere */

static void test_nothing(void)
{
	struct dm_sync_fill f = { 0 };

	eq(dm_sync_fill_rate(&f, START, 16), 0, "nothing was taken");
	eq(dm_sync_fill_seconds(&f, START, 100), -1, "so it is never full");
	eq(dm_sync_fill_seconds(&f, START, 0), -1, "even if it is");
}

static void test_beginning(void)
{
	struct dm_sync_fill f = { 0 };

	dm_sync_fill_add(&f, START, 50);
	eq(dm_sync_fill_rate(&f, START, 16), 50 * 65536, "at once: as if within a second");
	eq(dm_sync_fill_seconds(&f, START, 500), 10, "so many seconds");
	eq(dm_sync_fill_seconds(&f, START + 10000, 500), 100, "later: in the time since");
	eq(dm_sync_fill_seconds(&f, START + 10000, 0), 0, "full");
	eq(dm_sync_fill_seconds(&f, START - 5, 500), 10, "a clock read a little earlier");
}

/* 7 slots of 4 KiB every second. */
static void test_steady(void)
{
	struct dm_sync_fill f = { 0 };
	u64 low = ULLONG_MAX, high = 0, rate;

	for (u32 s = 0; s < 3600; s++) {
		dm_sync_fill_add(&f, START + s * 1000, 7);
		rate = dm_sync_fill_rate(&f, START + s * 1000 + 999, 12);
		if (s < 60)
			continue;
		low = rate < low ? rate : low;
		high = rate > high ? rate : high;
	}
	expect(low >= 7 * 4096 * 99 / 100 && high <= 7 * 4096 * 102 / 100, "%llu to %llu",
	       (unsigned long long)low, (unsigned long long)high);
	point("a steady stream has a steady rate, over all windows");
	eq(dm_sync_fill_seconds(&f, START + 3600000, 70000) / 100, 100, "and an end");
}

static void test_burst(void)
{
	struct dm_sync_fill f = { 0 };
	u64 last = ULLONG_MAX, rate;
	bool falls = true;

	dm_sync_fill_add(&f, START, 1);
	dm_sync_fill_add(&f, START + 4 * MINUTE, 30000);
	for (u32 s = 0; s <= 6 * 60; s++) {
		rate = dm_sync_fill_rate(&f, START + 4 * MINUTE + s * 1000, 16);
		falls &= rate <= last;
		last = rate;
	}
	ok(falls && !last, "a burst is forgotten, without a jump");
	eq(dm_sync_fill_seconds(&f, START + 10 * MINUTE, 1), -1, "and so is what it foretold");
	dm_sync_fill_add(&f, START + 60 * MINUTE, 300);
	eq(dm_sync_fill_rate(&f, START + 60 * MINUTE, 16), 65536, "after a rest: in five minutes");
	eq(dm_sync_fill_rate(&f, START + 64 * MINUTE, 16), 65536, "all of them");
	eq(dm_sync_fill_rate(&f, START + 66 * MINUTE, 16), 65536 * 4 / 5, "then less");
	eq(dm_sync_fill_rate(&f, START + 90 * MINUTE, 16), 0, "then nothing");
}

static void test_large(void)
{
	struct dm_sync_fill f = { 0 };

	dm_sync_fill_add(&f, START, UINT_MAX);
	eq(dm_sync_fill_rate(&f, START, 20), (u64)UINT_MAX << 20, "all slots of 1 MiB at once");
	eq(dm_sync_fill_seconds(&f, START, UINT_MAX), 1, "twice");
	f = (struct dm_sync_fill) { 0 };
	dm_sync_fill_add(&f, START, 1);
	eq(dm_sync_fill_seconds(&f, START + MINUTE, UINT_MAX), INT_MAX, "not in our time");
}

int main(void)
{
	plan(0);
	test_nothing();
	test_beginning();
	test_steady();
	test_burst();
	test_large();
	return done();
}

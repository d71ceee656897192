// SPDX-License-Identifier: GPL-2.0-only
/*
 * The range lock. All its promises are one sentence: a range is held if and only if no range
 * that was asked for earlier, and was not released since, overlaps it. Checked step by step on a
 * random history, and with threads that would catch each other in the act.
 */
#include <sched.h>
#include <stdatomic.h>

#include "range-shim.h"
#include "unit.h"

#define SHIFT	11
#define UNIT	(1ul << SHIFT)

struct item {
	struct dm_sync_range range;
	bool asked;			/* and not released */
	bool held;
	unsigned int order;		/* of asking */
	atomic_bool flag;
};

static struct dm_sync_ranges *table;
static struct item *granted[64];
static unsigned int nr_granted;

static void on_granted(struct dm_sync_range *r)
{
	struct item *it = container_of(r, struct item, range);

	it->held = true;
	granted[nr_granted++ % ARRAY_SIZE(granted)] = it;
}

static bool ask(struct item *it, sector_t start, sector_t sectors)
{
	it->range.start = start;
	it->range.last = start + sectors - 1;
	it->range.granted = on_granted;
	it->asked = true;
	it->held = dm_sync_range_lock(table, &it->range);
	return it->held;
}

static void release(struct item *it)
{
	nr_granted = 0;
	it->asked = false;
	it->held = false;
	dm_sync_range_unlock(table, &it->range);
}

static void test_basic(void)
{
	struct item a = {}, b = {}, c = {}, d = {}, e = {};

	ok(ask(&a, 0, 8) && ask(&b, 8, 8), "ranges that touch do not overlap");
	ok(!ask(&c, 7, 2), "one that overlaps both waits");
	ok(!ask(&d, 8, 1), "one behind it waits");
	ok(ask(&e, 16, 8), "one beside them does not");
	release(&a);
	eq(nr_granted, 0, "half the way is free: nobody is granted");
	release(&b);
	ok(nr_granted == 1 && granted[0] == &c, "the first that waited is granted first");
	release(&c);
	ok(nr_granted == 1 && granted[0] == &d, "then the second");
	release(&d);
	release(&e);
}

static void test_fair(void)
{
	struct item a = {}, b = {}, c = {}, d = {};

	ask(&a, 0, 8);
	ok(!ask(&b, 4, 8), "b waits for a");
	ok(!ask(&c, 10, 2), "c, free of a, does not overtake b");
	ok(!ask(&d, 0, 4), "d waits for a");
	release(&a);
	ok(nr_granted == 2 && granted[0] == &b && granted[1] == &d,
	   "b and d are granted together, in order");
	release(&d);
	eq(nr_granted, 0, "c still waits for b");
	release(&b);
	ok(nr_granted == 1 && granted[0] == &c, "c is granted at last");
	release(&c);
}

static void test_units(void)
{
	static struct item many[4096];
	bool all = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		all &= ask(&many[i], i * UNIT, UNIT);
	ok(all, "units that share a bucket do not disturb each other");
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		release(&many[i]);
}

static void release_too(struct dm_sync_range *r)
{
	nr_granted++;
	dm_sync_range_unlock(table, r);
}

static void test_nested(void)
{
	struct item many[8] = {};

	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++) {
		ask(&many[i], 0, 8);
		many[i].range.granted = release_too;
	}
	nr_granted = 0;
	dm_sync_range_unlock(table, &many[0].range);
	eq(nr_granted, ARRAY_SIZE(many) - 1, "granted() may release its range");
}

static bool overlaps(const struct item *a, const struct item *b)
{
	return a->range.start <= b->range.last && b->range.start <= a->range.last;
}

/* The definition, literally. */
static bool should_hold(const struct item *items, unsigned int nr, const struct item *it)
{
	for (unsigned int i = 0; i < nr; i++)
		if (items[i].asked && items[i].order < it->order && overlaps(&items[i], it))
			return false;
	return true;
}

static void test_random(void)
{
	static struct item items[48];
	unsigned int order = 1;

	srandom(1);
	for (unsigned int step = 0; step < 50000; step++) {
		struct item *it = &items[random() % ARRAY_SIZE(items)];

		if (!it->asked) {
			sector_t at = random() % 200;

			it->order = order++;
			ask(it, random() % 3 * UNIT + at, 1 + random() % 40);
		} else if (it->held) {
			release(it);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(items); i++)
			if (items[i].asked)
				expect(items[i].held ==
				       should_hold(items, ARRAY_SIZE(items), &items[i]),
				       "step %u, range %u", step, i);
	}
	point("held if and only if nothing earlier overlaps, 50,000 random steps");

	for (unsigned int round = 0; round < ARRAY_SIZE(items); round++)
		for (unsigned int i = 0; i < ARRAY_SIZE(items); i++)
			if (items[i].held)
				release(&items[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(items); i++)
		expect(!items[i].asked, "range %u", i);
	point("all that waited were granted in the end");
}

#define SECTORS	256
static atomic_int owner[SECTORS];
static atomic_int clashes;

static void set_flag(struct dm_sync_range *r)
{
	atomic_store(&container_of(r, struct item, range)->flag, true);
}

static void *fight(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (unsigned int n = 0; n < 20000; n++) {
		struct item it = { .range.granted = set_flag };
		sector_t at = rand_r(&seed) % SECTORS, len = 1 + rand_r(&seed) % 16;

		it.range.start = at;
		it.range.last = min_t(sector_t, at + len, SECTORS) - 1;
		if (!dm_sync_range_lock(table, &it.range))
			while (!atomic_load(&it.flag))
				sched_yield();
		for (sector_t s = it.range.start; s <= it.range.last; s++)
			if (atomic_exchange(&owner[s], 1))
				atomic_fetch_add(&clashes, 1);
		for (sector_t s = it.range.start; s <= it.range.last; s++)
			atomic_store(&owner[s], 0);
		dm_sync_range_unlock(table, &it.range);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_create(&thread[i], NULL, fight, (void *)(i + 1));
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	eq(clashes, 0, "four threads, 80,000 ranges: no sector had two owners");
}

int main(void)
{
	plan(0);
	table = dm_sync_ranges_create(SHIFT);
	test_basic();
	test_fair();
	test_units();
	test_nested();
	test_random();
	test_threads();
	dm_sync_ranges_destroy(table);
	return done();
}

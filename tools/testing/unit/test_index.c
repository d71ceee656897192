// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table chunk -> value: against a plain array, without memory, with readers.
 */
#include <pthread.h>
#include <stdlib.h>

#include "dm-sync-index.h"
#include "unit.h"

#define CHUNKS	5000u			/* the last leaf is not full */
#define LEAVES	5u

int shim_fail_in;

static u32 want[CHUNKS];

static void compare(const struct dm_sync_index *index, const char *when)
{
	u64 nr = 0, next = 0;

	for (u32 c = 0; c < CHUNKS; c++) {
		nr += !!want[c];
		expect(dm_sync_index_get(index, c) == want[c], "%s: chunk %u", when, c);
		if (!want[c])
			continue;
		expect(dm_sync_index_next(index, next) == c, "%s: next from %llu", when, next);
		next = c + 1;
	}
	expect(dm_sync_index_next(index, next) == CHUNKS, "%s: and none after that", when);
	expect(index->nr == nr, "%s: %llu entries, not %llu", when, index->nr, nr);
}

static void test_random(void)
{
	struct dm_sync_index index;

	dm_sync_index_init(&index, CHUNKS);
	compare(&index, "empty");
	for (int i = 0; i < 4000; i++) {
		u32 c = rand() % CHUNKS, value = rand() % 3 ? (u32)rand() : 0;

		if (rand() % 8 == 0)
			value |= DM_SYNC_INDEX_BAD;
		expect(!dm_sync_index_set(&index, c, value), "set");
		want[c] = value;
		if (!(i % 400))
			compare(&index, "filling");
	}
	compare(&index, "full");
	dm_sync_index_clear(&index);
	memset(want, 0, sizeof(want));
	compare(&index, "cleared");
	expect(!dm_sync_index_set(&index, CHUNKS - 1, 7), "set after clear");
	want[CHUNKS - 1] = 7;
	compare(&index, "the last chunk");
	want[CHUNKS - 1] = 0;
	dm_sync_index_destroy(&index);
	dm_sync_index_destroy(&index);
	point("get, set, next and clear are those of an array");
}

static void test_memory(void)
{
	struct dm_sync_index index;

	dm_sync_index_init(&index, CHUNKS);
	eq(dm_sync_index_nr_leaves(&index), LEAVES, "leaves");
	eq(dm_sync_index_set(&index, 3, 0), 0, "to remove what is not there");
	ok(!index.top, "takes no memory");
	shim_fail_in = 1;
	eq(dm_sync_index_set(&index, 3, 1), -ENOMEM, "no memory for the pointers");
	shim_fail_in = 2;
	eq(dm_sync_index_set(&index, 3, 1), -ENOMEM, "nor for the leaf");
	eq(dm_sync_index_get(&index, 3), 0, "nothing was set");
	eq(index.nr, 0, "nor counted");
	eq(dm_sync_index_reserve(&index, 1030), 0, "a chunk is reserved");
	ok(dm_sync_index_has_leaf(&index, 1) && !dm_sync_index_has_leaf(&index, 0),
	   "its leaf is there, no other");
	shim_fail_in = 1;
	eq(dm_sync_index_set(&index, 1030, 1), 0, "and can be set without memory");
	eq(shim_fail_in, 1, "none was asked for");
	shim_fail_in = 0;
	dm_sync_index_destroy(&index);
}

static void test_share(void)
{
	struct dm_sync_index old, heir, third;

	dm_sync_index_init(&old, CHUNKS);
	dm_sync_index_init(&heir, CHUNKS);
	dm_sync_index_init(&third, CHUNKS);
	dm_sync_index_set(&old, 1024, 5);
	dm_sync_index_set(&old, 2047, 6);
	dm_sync_index_set(&heir, 7, 8);
	dm_sync_index_prepare(&third);
	dm_sync_index_share(&heir, &old, 1);
	eq(heir.nr, 3, "entries are counted where they are now");
	eq(dm_sync_index_get(&heir, 2047), 6, "and found there");
	eq(dm_sync_index_get(&old, 2047), 6, "and still where they were");
	dm_sync_index_set(&heir, 2047, 9);
	eq(dm_sync_index_get(&old, 2047), 9, "it is one leaf");
	dm_sync_index_share(&third, &heir, 1);
	dm_sync_index_destroy(&old);
	eq(dm_sync_index_get(&heir, 2047), 9, "the first owner does not free it");
	dm_sync_index_destroy(&heir);
	eq(dm_sync_index_get(&third, 1024), 5, "nor the second");
	dm_sync_index_destroy(&third);
}

/*----------------------------------------------------------------
 * Readers
 *--------------------------------------------------------------*/

static struct dm_sync_index shared;
static bool stop;

/* Values only grow, and are those of their chunk. */
static void *reader(void *bad)
{
	static __thread u32 seen[CHUNKS];

	while (!READ_ONCE(stop)) {
		for (u32 c = 0; c < CHUNKS; c += 7) {
			u32 v = dm_sync_index_get(&shared, c);

			if (v < seen[c] || (v && v % CHUNKS != c))
				*(bool *)bad = true;
			seen[c] = v;
		}
	}
	return NULL;
}

static void test_readers(void)
{
	bool bad[2] = { false, false };
	pthread_t thread[2];

	dm_sync_index_init(&shared, CHUNKS);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, reader, &bad[i]);
	for (u32 round = 1; round < 100; round++)
		for (u32 c = 0; c < CHUNKS; c++)
			dm_sync_index_set(&shared, c, round * CHUNKS + c);
	WRITE_ONCE(stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ok(!bad[0] && !bad[1], "readers find an entry as it was or as it is");
	dm_sync_index_destroy(&shared);
}

int main(void)
{
	plan(0);
	srand(3);
	test_random();
	test_memory();
	test_share();
	test_readers();
	return done();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which slots are in use: where runs come from, what is held back, random use against an array.
 */
#include <stdlib.h>

#include "dm-sync-slots.h"
#include "dm-sync-store-codec.h"
#include "unit.h"

#define BLOCK	DM_SYNC_BLOCK_SLOTS_NR
#define GROUP	DM_SYNC_SEGMENT_SLOTS
#define BITS	2048u			/* bytes, of a group that is not full */

int shim_fail_in;

static struct dm_sync_slots s;

static void fill(u32 from, u32 to)
{
	while (from < to)
		dm_sync_slots_take(&s, from++);
}

/* Takes @want and says where; the batch is complete at once. */
static bool gives(u32 want, u32 first, u32 nr)
{
	u32 at = ~0u, got = dm_sync_slots_alloc(&s, want, &at);

	if (got)
		dm_sync_slots_complete(&s, at, got);
	if (got == nr && (!nr || at == first))
		return true;
	printf("# %u slots at %u\n", got, at);
	return false;
}

static void test_stream(void)
{
	dm_sync_slots_init(&s, 3 * BLOCK + 10);
	ok(gives(100, 0, 100) && gives(100, 100, 100), "batches follow one another");
	ok(gives(100, 200, 52), "up to the end of the block");
	ok(gives(100, 252, 100), "and go on in the next");
	dm_sync_slots_free(&s, 3);
	dm_sync_slots_free(&s, 4);
	ok(gives(200, 352, 152), "holes behind are left alone");
	ok(gives(BLOCK, 504, BLOCK), "a whole block");
	ok(gives(20, 756, 10), "the last block is short");
	eq(s.nr_empty, 0, "no block is free as a whole");
	ok(gives(9, 3, 2), "now holes are filled");
	ok(gives(9, 0, 0), "and then there is nothing");
	eq(dm_sync_slots_nr_free(&s), 0, "nothing is free");
	dm_sync_slots_exit(&s);
}

static void test_preference(void)
{
	dm_sync_slots_init(&s, 4 * BLOCK);
	fill(0, 4 * BLOCK);
	for (u32 i = 0; i < BLOCK; i++)
		dm_sync_slots_free(&s, 2 * BLOCK + i);
	dm_sync_slots_free(&s, 5);
	ok(gives(10, 2 * BLOCK, 10), "a free block before a hole that comes first");
	ok(gives(BLOCK, 2 * BLOCK + 10, BLOCK - 10), "and on to its end");
	ok(gives(1, 5, 1), "then the hole");
	for (u32 i = 20; i < 40; i += 2)
		dm_sync_slots_free(&s, i);
	for (u32 i = 100; i < 104; i++)
		dm_sync_slots_free(&s, i);
	ok(gives(3, 100, 3), "of holes the first that is large enough");
	ok(gives(3, 103, 1), "on from there to the end of the block");
	ok(gives(3, 20, 1), "and round again");
	for (u32 i = 0; i < BLOCK; i++)
		dm_sync_slots_free(&s, 3 * BLOCK + i);
	ok(gives(5, 3 * BLOCK, 5), "a block that became free before the next hole");
	dm_sync_slots_exit(&s);
}

static void test_hold(void)
{
	u32 first;

	dm_sync_slots_init(&s, 20);
	ok(gives(10, 0, 10) && gives(10, 10, 10), "two batches fill it");
	dm_sync_slots_free(&s, 12);
	dm_sync_slots_free(&s, 13);
	eq(dm_sync_slots_nr_free(&s), 2, "what the newest one filled is free");
	ok(!dm_sync_slots_in_use(&s, 12) && dm_sync_slots_in_use(&s, 11), "and not in use");
	eq(dm_sync_slots_nr_ready(&s), 0, "but not to be had");
	eq(dm_sync_slots_alloc(&s, 1, &first), 0, "nor given");
	dm_sync_slots_free(&s, 2);
	ok(gives(5, 2, 1), "that of the one before is");
	ok(gives(5, 12, 2), "and after that batch the others");
	dm_sync_slots_free(&s, 12);
	dm_sync_slots_complete(&s, 0, 0);
	eq(dm_sync_slots_nr_ready(&s), 1, "a batch that fills none releases them as well");
	ok(gives(5, 12, 1), "in fact");
	dm_sync_slots_exit(&s);

	dm_sync_slots_init(&s, 20);
	fill(0, 8);
	dm_sync_slots_complete(&s, 6, 4);
	eq(dm_sync_slots_nr_free(&s), 12, "loaded: two slots of the newest batch are free");
	ok(!dm_sync_slots_in_use(&s, 9), "and not in use");
	ok(gives(20, 10, 10), "they are not given now");
	ok(gives(20, 8, 2), "but by and by");
	dm_sync_slots_exit(&s);
}

static void test_skip(void)
{
	dm_sync_slots_init(&s, 2 * BLOCK);
	ok(gives(3, 0, 3), "slots of the first block");
	dm_sync_slots_skip(&s, 2);
	ok(gives(2, BLOCK, 2), "the next ones are of another");
	dm_sync_slots_skip(&s, BLOCK);
	ok(gives(BLOCK, 3, BLOCK - 3), "or of the first again");
	dm_sync_slots_skip(&s, 5);
	ok(gives(BLOCK, BLOCK + 2, BLOCK - 2), "what is free behind the cursor");
	dm_sync_slots_free(&s, 1);
	dm_sync_slots_free(&s, 2);
	dm_sync_slots_skip(&s, 1);
	ok(gives(9, 1, 2), "and if there is no other, the same");
	dm_sync_slots_exit(&s);
}

static void test_load_and_grow(void)
{
	u32 first;

	dm_sync_slots_init(&s, 10);
	ok(dm_sync_slots_take(&s, 9) && !dm_sync_slots_take(&s, 9), "a slot is taken once");
	ok(!dm_sync_slots_take(&s, 10), "and only if it exists");
	ok(gives(20, 0, 9), "the rest");
	eq(dm_sync_slots_grow(&s, 5), 0, "it does not shrink");
	eq(s.nr, 10, "indeed");
	shim_fail_in = 2;
	eq(dm_sync_slots_grow(&s, 600), -ENOMEM, "growing takes memory");
	shim_fail_in = 0;
	ok(s.nr == 10 && dm_sync_slots_in_use(&s, 9), "nothing changed");
	eq(dm_sync_slots_grow(&s, 600), 0, "growing");
	eq(s.nr_empty, 2, "two blocks are free as a whole");
	eq(dm_sync_slots_nr_free(&s), 590, "590 slots are");
	ok(gives(500, 252, 252) && gives(500, 504, 96), "the new blocks come first");
	ok(gives(500, 10, 242), "then what was added to the short one");
	eq(dm_sync_slots_alloc(&s, 1, &first), 0, "that is all");
	dm_sync_slots_exit(&s);
	shim_fail_in = 1;
	eq(dm_sync_slots_init(&s, 10), -ENOMEM, "no memory at all");
	dm_sync_slots_exit(&s);
}

static void test_full(void)
{
	size_t none, before;

	dm_sync_slots_init(&s, 3 * GROUP);
	before = shim_bytes;
	fill(0, GROUP - 1);
	eq(shim_bytes, before, "a group that is not full has its bits");
	fill(GROUP - 1, 3 * GROUP);
	eq(before - shim_bytes, 2 * BITS, "those of full ones are given back, and one kept");
	ok(!s.map[0] && !s.map[1] && !s.map[2] && s.spare, "indeed");
	none = shim_bytes;
	ok(dm_sync_slots_in_use(&s, 0) && dm_sync_slots_in_use(&s, 3 * GROUP - 1), "all in use");
	ok(gives(1, 0, 0) && !dm_sync_slots_take(&s, GROUP), "and none to be had");
	dm_sync_slots_free(&s, GROUP + 5);
	eq(shim_bytes - none, BITS, "to free one takes memory");
	ok(!dm_sync_slots_in_use(&s, GROUP + 5) && dm_sync_slots_in_use(&s, GROUP + 4), "one");
	shim_fail_in = 1;
	dm_sync_slots_free(&s, 7);
	ok(!s.spare && dm_sync_slots_nr_ready(&s) == 2, "without it there is what was kept");
	shim_fail_in = 1;
	dm_sync_slots_free(&s, 2 * GROUP + 9);
	ok(dm_sync_slots_in_use(&s, 2 * GROUP + 9), "and without that it goes on to count as used");
	eq(dm_sync_slots_nr_free(&s), 2, "everywhere");
	ok(gives(5, 7, 1) && gives(5, GROUP + 5, 1) && gives(5, 0, 0), "the others can be had");
	shim_fail_in = 1;
	dm_sync_slots_free(&s, GROUP + 5);
	eq(dm_sync_slots_nr_ready(&s), 0, "the newest batch's is held back");
	dm_sync_slots_complete(&s, 0, 0);
	ok(!shim_fail_in && gives(5, GROUP + 5, 1), "and can be freed: the batch gave its bits back");
	dm_sync_slots_exit(&s);
	eq(shim_bytes, 0, "nothing is left");
}

/* The last group was cut short by the end of the device, and is full when that grows. */
static void test_full_grows(void)
{
	dm_sync_slots_init(&s, GROUP + 300);
	fill(0, GROUP + 300);
	ok(!s.map[1], "a short group that is full has no bits");
	shim_fail_in = 4;
	eq(dm_sync_slots_grow(&s, 3 * GROUP), -ENOMEM, "bits of the new ones take memory");
	ok(!shim_fail_in && s.nr == GROUP + 300 && gives(1, 0, 0), "nothing changed");
	eq(dm_sync_slots_grow(&s, 3 * GROUP), 0, "it grows");
	eq(dm_sync_slots_nr_ready(&s), 2 * GROUP - 300, "what was added can be had");
	ok(dm_sync_slots_in_use(&s, GROUP + 299) && !dm_sync_slots_in_use(&s, GROUP + 300),
	   "and nothing else");
	fill(GROUP + 300, 3 * GROUP);
	ok(gives(1, 0, 0) && !s.map[1] && !s.map[2], "until all is full again");
	dm_sync_slots_exit(&s);
	eq(shim_bytes, 0, "nothing is left");
}

static void test_random(void)
{
	u32 nr = 1000, used = 0, first, got, last = 0, last_nr = 0;
	static bool mine[1300];

	dm_sync_slots_init(&s, nr);
	for (int i = 0; i < 20000; i++) {
		u32 want = 1 + rand() % 40, slot = rand() % nr;

		if (rand() % 3 == 0 || used > nr - 50) {
			for (u32 n = rand() % 60; n; n--, slot = (slot + 1) % nr) {
				if (!mine[slot])
					continue;
				dm_sync_slots_free(&s, slot);
				mine[slot] = false;
				used--;
			}
		}
		got = dm_sync_slots_alloc(&s, want, &first);
		expect(got <= want, "no more than wanted");
		expect(got || !dm_sync_slots_nr_ready(&s), "what there is is given");
		expect(!got || first / BLOCK == (first + got - 1) / BLOCK, "of one block");
		for (u32 k = 0; k < got; k++) {
			expect(!mine[first + k], "slot %u is given twice", first + k);
			expect(first + k - last >= last_nr, "slot %u is too new", first + k);
			mine[first + k] = true;
		}
		used += got;
		dm_sync_slots_complete(&s, first, got);
		last = first;
		last_nr = got;
		expect(s.used == used, "%u are in use, not %u", s.used, used);
		if (i == 10000)
			dm_sync_slots_grow(&s, nr = 1300);
	}
	for (u32 slot = 0; slot < nr; slot++)
		expect(dm_sync_slots_in_use(&s, slot) == mine[slot], "slot %u", slot);
	dm_sync_slots_exit(&s);
	point("random use: runs of one block, never in use, never of the batch before");
}

int main(void)
{
	plan(0);
	srand(5);
	test_stream();
	test_preference();
	test_hold();
	test_skip();
	test_load_and_grow();
	test_full();
	test_full_grows();
	test_random();
	return done();
}

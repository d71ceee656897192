// SPDX-License-Identifier: GPL-2.0-only
/*
 * What images see, case by case: saving and deleting in all orders, saves that were under way
 * while images came and went, loading what cannot be, lack of memory, and readers under whom
 * images are deleted, at each of their loads and by a thread of its own. Random histories with
 * crashes are in test_store_model.c.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "dm-sync-view.h"
#include "unit.h"

#define CHUNKS	5000u

int shim_fail_in;

static struct dm_sync_view v;
static bool freed[64];
static unsigned int nr_freed;

static void on_free(void *context, u32 slot)
{
	(void)context;
	expect(!freed[slot], "slot %u is freed twice", slot);
	freed[slot] = true;
	nr_freed++;
}

static struct dm_sync_view_image *add(u32 generation)
{
	struct dm_sync_view_image *image = dm_sync_view_alloc(&v, generation, 100 + generation);

	if (!dm_sync_view_add(&v, image))
		return image;
	dm_sync_view_free(image);
	return NULL;
}

static void begin(void)
{
	dm_sync_view_init(&v, CHUNKS);
	dm_sync_view_load_begin(&v, 1, 1, 1);
	dm_sync_view_load_end(&v, on_free, NULL);
	memset(freed, 0, sizeof(freed));
	nr_freed = 0;
}

static void save(u64 chunk, u32 slot)
{
	expect(!dm_sync_view_save(&v, dm_sync_view_generation(&v), chunk, slot, false),
	       "save chunk %llu", chunk);
}

static void delete(struct dm_sync_view_image *image)
{
	dm_sync_view_delete_begin(&v, image);
	while (!dm_sync_view_delete_step(&v, 1, on_free, NULL))
		;
	dm_sync_view_free(image);
}

/* Slot, -1 for the source, -2 for bad; own writes are 1000 and more. */
static int at(struct dm_sync_view_image *image, u64 chunk)
{
	u32 slot;

	switch (dm_sync_view_find(image, chunk, &slot)) {
	case DM_SYNC_FOUND_SLOT:
		return slot;
	case DM_SYNC_FOUND_OWN:
		return 1000 + slot;
	case DM_SYNC_FOUND_BAD:
		return -2;
	default:
		return -1;
	}
}

static void test_basic(void)
{
	struct dm_sync_view_image *one, *two;

	begin();
	ok(dm_sync_view_protected(&v, 7) && !dm_sync_view_generation(&v), "without images: no need");
	eq(dm_sync_view_save(&v, 1, 7, 1, false), -EEXIST, "nor for a save");
	one = add(1);
	ok(!dm_sync_view_protected(&v, 7) && at(one, 7) == -1, "an image: chunks are to be saved");
	eq(dm_sync_view_reserve(&v, 7), 0, "reserve");
	save(7, 3);
	ok(dm_sync_view_protected(&v, 7) && at(one, 7) == 3, "saved once");
	eq(dm_sync_view_save(&v, 1, 7, 4, false), -EEXIST, "and not again");
	two = add(2);
	ok(!dm_sync_view_protected(&v, 7) && at(two, 7) == -1, "for a new image it is, again");
	eq(one->alone, 1, "what is saved is the first one's alone");
	save(8, 4);
	ok(at(one, 8) == 4 && at(two, 8) == 4, "both see what is saved now");
	ok(one->alone == 1 && two->alone == 0, "none holds it alone");
	save(7, 5);
	ok(at(one, 7) == 3 && at(two, 7) == 5 && two->alone == 1, "each its own");
	eq(dm_sync_view_save(&v, 2, 9, 6, true), 0, "a chunk that cannot be read");
	ok(at(one, 9) == -2 && at(two, 9) == -2 && dm_sync_view_protected(&v, 9), "is bad in both");
	eq(dm_sync_view_write(one, 9, 7), 0, "until it is written");
	eq(dm_sync_view_write(one, 9, 8), -EEXIST, "which takes one slot");
	ok(at(one, 9) == 1007 && at(two, 9) == -2 && one->alone == 2, "of its own");
	dm_sync_view_reset(one, 300, on_free, NULL);
	ok(at(one, 9) == -2 && freed[7] && nr_freed == 1 && one->alone == 1 && one->own_id == 300,
	   "a reset undoes it");
	delete(two);
	ok(at(one, 7) == 3 && at(one, 8) == 4 && at(one, 9) == -2 && freed[5] && nr_freed == 2,
	   "deleting the newer one leaves what the older one needs");
	eq(one->alone, 3, "all of it is now its own");
	ok(dm_sync_view_protected(&v, 8) && !dm_sync_view_protected(&v, 10), "chunks stay saved");
	delete(one);
	ok(nr_freed == 5 && freed[6] && !v.newest && !v.oldest && !v.nr_images, "then all is free");
	point("as it should");
	dm_sync_view_exit(&v);
}

static void test_order(void)
{
	struct dm_sync_view_image *image[3];
	int total, left;

	/* chunk 1: saved for each; 2: for the newest; 3: for the oldest; 1500: for the middle */
	for (int first = 0; first < 3; first++) {
		for (int second = 0; second < 3; second++) {
			int third = 3 - first - second;

			if (first == second)
				continue;
			begin();
			image[0] = add(10);
			save(1, 1);
			save(3, 2);
			image[1] = add(20);
			save(1, 3);
			save(1500, 4);
			image[2] = add(30);
			save(1, 5);
			save(2, 6);
			total = 6;
			left = nr_freed + image[first]->alone;
			delete(image[first]);
			expect(left == (int)nr_freed, "alone said it: %u", nr_freed);
			expect(at(image[second], 1) == 1 + 2 * second, "its first");
			expect(at(image[third], 1) == 1 + 2 * third, "its first");
			expect(at(image[second], 2) == 6 && at(image[third], 2) == 6, "the newest");
			left = nr_freed + image[second]->alone;
			delete(image[second]);
			expect(left == (int)nr_freed, "alone said it: %u", nr_freed);
			expect(at(image[third], 1) == 1 + 2 * third, "the last one's");
			expect(at(image[third], 3) == (third ? -1 : 2), "of the oldest");
			expect(at(image[third], 1500) == (third == 2 ? -1 : 4), "of the middle");
			delete(image[third]);
			expect((int)nr_freed == total, "%u slots are free", nr_freed);
			dm_sync_view_exit(&v);
		}
	}
	point("three images, deleted in each order");
}

/* A save may end when its image is gone, or is not the newest any more. */
static void test_late(void)
{
	struct dm_sync_view_image *one, *two, *three;

	begin();
	one = add(1);
	two = add(2);
	three = add(3);
	eq(dm_sync_view_save(&v, 2, 5, 1, false), 0, "a save of before the third image");
	ok(at(one, 5) == 1 && at(two, 5) == 1 && at(three, 5) == -1, "is not seen by it");
	ok(!dm_sync_view_protected(&v, 5), "nor protects its chunk");
	delete(three);
	dm_sync_view_delete_begin(&v, two);
	eq(dm_sync_view_generation(&v), 1, "one that dies gets no more entries");
	ok(dm_sync_view_protected(&v, 5), "what it has is still protected");
	eq(dm_sync_view_save(&v, 2, 5, 2, false), -EEXIST, "and not saved again");
	eq(dm_sync_view_save(&v, 2, 6, 3, false), 0, "a save that was for it");
	ok(at(one, 6) == 3 && dm_sync_view_protected(&v, 6), "goes to the one before");
	eq(dm_sync_view_delete_begin(&v, one), -EBUSY, "one dies at a time");
	three = add(4);
	save(6, 4);
	save(5, 5);
	eq(three->alone, 1, "what both have, before the step");
	ok(dm_sync_view_delete_step(&v, 100, on_free, NULL), "it is gone");
	ok(three->alone == 2 && one->alone == 2, "and after it");
	ok(at(one, 5) == 1 && at(three, 5) == 5 && at(one, 6) == 3 && at(three, 6) == 4, "all right");
	dm_sync_view_free(two);
	delete(one);
	eq(dm_sync_view_save(&v, 3, 9, 6, false), -EEXIST, "no image is as old as this save");
	ok(nr_freed == 2 && at(three, 9) == -1, "so it is free");
	ok(!add(4) && !add(3), "no generation comes twice, none late");
	point("and none twice");
	dm_sync_view_exit(&v);
}

/* Steps of a deletion with saves in between, on both sides of where it is. */
static void test_steps(void)
{
	struct dm_sync_view_image *one, *two, *three;
	u64 chunk[] = { 10, 1034, 2058, 3082, 4106 };

	begin();
	one = add(1);
	save(10, 1);
	save(3082, 2);
	two = add(2);
	save(10, 3);
	save(1034, 4);
	save(4106, 5);
	three = add(3);
	save(4106, 6);
	dm_sync_view_delete_begin(&v, two);
	for (u32 leaf = 0; leaf < 5; leaf++) {
		expect(at(one, 10) == 1 && at(one, 1034) == 4 && at(one, 4106) == 5 &&
		       at(one, 3082) == 2 && at(three, 10) == (leaf > 2 ? 10 : -1),
		       "before step %u", leaf);
		if (leaf == 2)
			for (int i = 0; i < 4; i++)
				save(chunk[i], 10 + i);
		expect(dm_sync_view_delete_step(&v, 1, on_free, NULL) == (leaf == 4), "step");
	}
	dm_sync_view_free(two);
	expect(nr_freed == 1 && freed[3], "%u slots are free", nr_freed);
	/* one: 10, 1034, 3082, 4106; three: all five; 2058 is no-one's alone */
	expect(one->alone == 4 && three->alone == 4, "%llu, %llu", one->alone, three->alone);
	expect(at(one, 2058) == 12 && at(three, 3082) == 13, "saves in between are seen");
	delete(three);
	expect(one->alone == 5 && nr_freed == 5, "alone %llu, free %u", one->alone, nr_freed);
	dm_sync_view_exit(&v);
	point("saves between the steps of a deletion");
}

static void test_memory(void)
{
	struct dm_sync_view_image *one, *two;

	begin();
	shim_fail_in = 1;
	ok(!dm_sync_view_alloc(&v, 1, 1), "no memory for an image");
	shim_fail_in = 2;
	ok(!dm_sync_view_alloc(&v, 1, 1), "nor for its index");
	one = add(1);
	two = add(2);
	shim_fail_in = 1;
	eq(dm_sync_view_reserve(&v, 5), -ENOMEM, "nor to reserve");
	shim_fail_in = 1;
	eq(dm_sync_view_save(&v, 2, 5, 1, false), -ENOMEM, "nor to save");
	shim_fail_in = 1;
	eq(dm_sync_view_reserve_own(one, 5), -ENOMEM, "nor to write");
	shim_fail_in = 2;
	eq(dm_sync_view_write(one, 5, 1), -ENOMEM, "nor at the second try");
	eq(dm_sync_view_reserve(&v, 5) || dm_sync_view_reserve_own(one, 5), 0, "there is now");
	save(2000, 9);
	shim_fail_in = 1;
	eq(dm_sync_view_save(&v, 2, 5, 1, false), 0, "what was reserved is saved");
	eq(dm_sync_view_write(one, 5, 2), 0, "and written");
	delete(two);
	ok(at(one, 5) == 1002 && at(one, 2000) == 9, "and deleting needs none");
	eq(shim_fail_in, 1, "indeed");
	shim_fail_in = 0;
	dm_sync_view_exit(&v);
}

/*----------------------------------------------------------------
 * Loading
 *--------------------------------------------------------------*/

static int load(u32 slot, u64 chunk, u16 flags, u32 generation)
{
	struct dm_sync_entry e = { chunk, flags, generation, 0 };

	return dm_sync_view_load(&v, slot, &e);
}

/* Its numbers take more than kvcalloc() gives. */
static void test_load_large(void)
{
	dm_sync_view_init(&v, CHUNKS);
	eq(dm_sync_view_load_begin(&v, 30, 200, 1u << 29), 0, "a store of 2^29 slots");
	dm_sync_view_exit(&v);
}

static void test_load(void)
{
	struct dm_sync_view_image *one, *two, *three;

	dm_sync_view_init(&v, CHUNKS);
	memset(freed, 0, sizeof(freed));
	nr_freed = 0;
	three = add(30);
	one = add(10);
	two = add(20);
	ok(one && two && three && v.oldest == one && v.newest == three && one->newer == two &&
	   two->older == one && !add(20), "images come in any order");
	point("but once");
	eq(dm_sync_view_load_begin(&v, 30, 200, 20), -EUCLEAN, "a generation never given");
	eq(dm_sync_view_load_begin(&v, 31, 130, 20), -EUCLEAN, "an own id never given");
	two->own_id = 110;
	eq(dm_sync_view_load_begin(&v, 31, 200, 20), -EUCLEAN, "an own id given twice");
	two->own_id = 120;
	shim_fail_in = 2;
	eq(dm_sync_view_load_begin(&v, 31, 200, 20), -ENOMEM, "no memory");
	shim_fail_in = 0;
	eq(dm_sync_view_load_begin(&v, 31, 200, 20), 0, "all right");
	eq(load(0, 5, 1, 25), 0, "of the second, as an image with 25 is gone");
	eq(load(1, 5, 1, 22), 0, "a smaller one is the right one");
	eq(load(2, 5, 1, 29), 0, "whatever their order");
	eq(load(3, 5, 1, 9), 0, "too old for all");
	eq(load(4, 5, 1, 22), -EUCLEAN, "two that are equal");
	eq(load(4, 5, 1, 31), -EUCLEAN, "a generation never given");
	eq(load(20, 5, 1, 30), -EUCLEAN, "no such slot");
	eq(load(4, CHUNKS, 1, 30), -EUCLEAN, "no such chunk");
	eq(load(4, 0, 0, 0), 0, "nothing at all");
	eq(load(5, 6, 5, 30), 0, "a bad one");
	eq(load(6, 6, 3, 110), 0, "an own write");
	eq(load(7, 6, 3, 111), 0, "one from before a reset");
	eq(load(8, 6, 3, 110), -EUCLEAN, "a second one");
	eq(load(8, 7, 3, 200), -EUCLEAN, "an own id never given");
	eq(load(9, 5, 1, 30), 0, "of the newest");
	eq(load(10, 5, 1, 15), 0, "of the oldest");
	dm_sync_view_load_end(&v, on_free, NULL);	/* takes, here */
	ok(nr_freed == 5 && freed[1] && freed[5] && freed[6] && freed[9] && freed[10],
	   "the slots in use are those");
	ok(at(one, 5) == 10 && at(two, 5) == 1 && at(three, 5) == 9 && at(one, 6) == 1006 &&
	   at(two, 6) == -2 && at(three, 6) == -2, "and every image sees its own");
	ok(one->alone == 2 && two->alone == 1 && three->alone == 1, "and what they hold alone");
	dm_sync_view_exit(&v);
	dm_sync_view_load_begin(&v, 1, 1, 5);
	dm_sync_view_exit(&v);
	ok(!v.load, "a load that was broken off leaves nothing");
}

/*----------------------------------------------------------------
 * Readers
 *--------------------------------------------------------------*/

static unsigned int load_nr, interrupt_at;
static struct dm_sync_view_image *victim[2];

/* The reader is about to make its n-th load, and the writer comes first. */
static void on_load(void)
{
	if (++load_nr != interrupt_at)
		return;
	shim_load = NULL;
	for (int i = 0; i < 2 && victim[i]; i++) {
		dm_sync_view_delete_begin(&v, victim[i]);
		while (!dm_sync_view_delete_step(&v, 1, on_free, NULL))
			;
	}
}

/* @with_leaf: the oldest one has a leaf of its own, so that entries move one by one. */
static void interrupt(unsigned int first, unsigned int second, unsigned int n, bool with_leaf)
{
	struct dm_sync_view_image *image[4];
	int found;

	begin();
	image[0] = add(1);
	if (with_leaf)
		save(6, 1);
	image[1] = add(2);
	save(5, 2);
	image[2] = add(3);
	save(7, 3);
	image[3] = add(4);
	victim[0] = image[first];
	victim[1] = second == first ? NULL : image[second];
	load_nr = 0;
	interrupt_at = n;
	shim_load = on_load;
	found = at(image[0], 5);
	expect(found == 2, "%u, %u deleted before load %u: %d", first, second, n, found);
	found = at(image[0], 7);
	expect(found == 3, "%u, %u deleted before load %u: %d", first, second, n, found);
	expect(!shim_load || n > 15, "there were %u loads", load_nr);
	for (int i = 0; i < 2 && !shim_load; i++)
		dm_sync_view_free(victim[i]);
	shim_load = NULL;
	dm_sync_view_exit(&v);
}

static void test_interrupted(void)
{
	for (unsigned int first = 1; first < 4; first++)
		for (unsigned int second = 1; second < 4; second++)
			for (unsigned int n = 1; n < 20; n++) {
				interrupt(first, second, n, false);
				interrupt(first, second, n, true);
			}
	point("images deleted before each single load of a reader");
}

/*
 * One image lives on while others come and go. For it a chunk is in the source until it is
 * saved, and in one and the same slot ever after: there is never a moment without.
 */
#define LIVE_CHUNKS	4096u
#define READERS		2

static struct dm_sync_view_image *lasting;
static u32 slot_for[LIVE_CHUNKS];	/* plus one, set when it was saved */
static unsigned long turn[READERS];	/* of a reader: it holds nothing now */
static bool stop;

static void *reader(void *me)
{
	unsigned int n = (unsigned int)(unsigned long)me;
	bool bad = false;
	u32 slot;

	while (!READ_ONCE(stop)) {
		for (u32 c = n; c < LIVE_CHUNKS; c += 3) {
			u32 saved = smp_load_acquire(&slot_for[c]);
			enum dm_sync_found f = dm_sync_view_find(lasting, c, &slot);

			if (saved && (f != DM_SYNC_FOUND_SLOT || slot != saved - 1))
				bad = true;
			if (!dm_sync_view_protected(&v, c) && f == DM_SYNC_FOUND_BAD)
				bad = true;
		}
		smp_store_release(&turn[n], turn[n] + 1);
	}
	return (void *)(unsigned long)bad;
}

static void wait_for_readers(void)
{
	for (int n = 0; n < READERS; n++) {
		unsigned long then = smp_load_acquire(&turn[n]);

		while (smp_load_acquire(&turn[n]) < then + 2)
			sched_yield();
	}
}

static void nothing(void *context, u32 slot)
{
	(void)context, (void)slot;
}

static void churn(u32 rounds)
{
	struct dm_sync_view_image *image[3] = { };
	u32 generation = 2, slot = 0, kind, victim;

	for (u32 round = 0; round < rounds; round++) {
		kind = round % 3;
		if (!image[kind])
			image[kind] = add(generation++);
		for (u32 i = 0; i < 40; i++) {
			u32 c = rand() % LIVE_CHUNKS;

			if (dm_sync_view_protected(&v, c))
				continue;
			dm_sync_view_save(&v, dm_sync_view_generation(&v), c, slot++, false);
			if (!slot_for[c])
				smp_store_release(&slot_for[c], slot);
		}
		victim = rand() % 3;
		if (!image[victim])
			continue;
		dm_sync_view_delete_begin(&v, image[victim]);
		while (!dm_sync_view_delete_step(&v, 1, nothing, NULL))
			;
		wait_for_readers();
		dm_sync_view_free(image[victim]);
		image[victim] = NULL;
	}
}

static void test_readers(void)
{
	pthread_t thread[READERS];
	void *bad[READERS];

	begin();
	lasting = add(1);
	for (unsigned long n = 0; n < READERS; n++)
		pthread_create(&thread[n], NULL, reader, (void *)n);
	churn(60);
	WRITE_ONCE(stop, true);
	for (int n = 0; n < READERS; n++)
		pthread_join(thread[n], &bad[n]);
	ok(!bad[0] && !bad[1], "readers always find what was saved, whatever is deleted meanwhile");
	dm_sync_view_exit(&v);
}

int main(void)
{
	plan(0);
	srand(7);
	test_basic();
	test_order();
	test_late();
	test_steps();
	test_memory();
	test_load_large();
	test_load();
	test_interrupted();
	test_readers();
	return done();
}

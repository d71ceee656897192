// SPDX-License-Identifier: GPL-2.0-only
/*
 * The region map: bits, what is durable when, and what a power cut leaves.
 *
 * dm-sync-map.c and dm-sync-block.c run here over a device in memory (kernel.h).
 * The test keeps its own book of what was promised and, after a cut at any write,
 * torn in any way, holds the map that is read back against it: no mark that was
 * called durable is missing, unless it was taken away before a flush that a
 * commit asked for.
 */
#include "unit.h"
#include "kernel.h"
#include "../../../kernel/dm-sync-block.c"
#include "../../../kernel/dm-sync-map.c"
#include "dm-sync-clone-owe.h"

#define BITS	DM_SYNC_MAP_BITS

static const u8 ours[16] = "the pair's uuid";

static struct dm_sync_map *new_map(struct dm_sync_meta *meta, u64 regions)
{
	memcpy(meta->uuid, ours, 16);
	return dm_sync_map_create(meta, DM_SYNC_BLOCK_SOURCE_MAP, 1, 3, regions);
}

/*----------------------------------------------------------------
 * Bits
 *--------------------------------------------------------------*/

static void test_bits(void)
{
	_Alignas(8) static u8 block[4096], model[4096];
	u32 n;

	for (u32 first = 0; first < 40; first++)
		for (u32 len = 1; len < 60; len++) {
			u32 at = first < 20 ? first : BITS - 100 + first;

			if (at + len > BITS)
				continue;
			memset(block + 64, len & 1 ? 0xff : 0, 4032);
			memcpy(model, block, 4096);
			dm_sync_bits_fill(block, at, at + len - 1, !(len & 1));
			for (u32 i = at; i < at + len; i++)
				if (len & 1)
					__clear_bit_le(i, model + 64);
				else
					__set_bit_le(i, model + 64);
			expect(!memcmp(block, model, 4096), "fill %u+%u", at, len);
			n = len & 1 ? BITS - len : len;
			expect(dm_sync_bits_weight(block) == n, "weight %u+%u", at, len);
		}
	point("fill and weight, bit by bit, the header untouched");
	memset(block, 0, 4096);
	dm_sync_bits_fill(block, 0, BITS - 1, true);
	eq(dm_sync_bits_weight(block), BITS, "a whole block is %u bits", BITS);
	memset(model, 0, 4096);
	ok(!dm_sync_bits_or(block, model), "or of nothing new says so");
	ok(dm_sync_bits_or(model, block) && !memcmp(block, model, 4096), "or takes all");
}

static void test_search(void)
{
	static const u64 set[] = { 0, 5, BITS - 1, BITS, 2 * BITS + 7, 2 * BITS + 99 };
	struct dm_sync_meta meta = { 0 };
	u64 regions = 2 * BITS + 100, at = 0;
	struct dm_sync_map *map = new_map(&meta, regions);

	eq(dm_sync_map_nr_blocks(1), 1, "one region takes a block");
	eq(dm_sync_map_nr_blocks(BITS), 1, "as do %u", BITS);
	eq(dm_sync_map_nr_blocks(BITS + 1), 2, "one more takes two");
	eq(dm_sync_map_nr_blocks(1 << 24), 521, "1 TiB in 64 KiB regions takes 521");
	eq(dm_sync_map_next(map, 0), regions, "nothing is marked at first");
	for (int i = 0; i < 6; i++) {
		expect(dm_sync_map_set(map, set[i]), "newly set");
		expect(!dm_sync_map_set(map, set[i]), "set already");
	}
	for (int i = 0; i < 6; i++, at++) {
		at = dm_sync_map_next(map, at);
		expect(at == set[i], "next is %llu, not %llu", at, set[i]);
		expect(dm_sync_map_test(map, at), "test");
	}
	expect(dm_sync_map_next(map, at) == regions, "none is left");
	expect(dm_sync_map_next(map, regions + 5) == regions, "from beyond the end");
	point("next over blocks and to the end");
	expect(dm_sync_map_next_before(map, 1, 6) == 5, "5 is before 6");
	expect(dm_sync_map_next_before(map, 1, 5) == 5, "and not before 5");
	expect(dm_sync_map_next_before(map, 1, 3) == 3, "the limit is in the same block");
	expect(dm_sync_map_next_before(map, 6, ~0ull) == BITS - 1, "no limit");
	expect(dm_sync_map_next_before(map, BITS + 1, 2 * BITS) == 2 * BITS, "not over a limit");
	expect(dm_sync_map_next_before(map, BITS, BITS) == BITS, "nor at it");
	expect(dm_sync_map_next_before(map, 7, 6) == 6, "nor behind it");
	point("next before a limit");
	eq(dm_sync_map_count(map), 6, "count");
	eq(dm_sync_map_next_clear(map, BITS - 1, regions), BITS + 1, "next clear over blocks");
	eq(dm_sync_map_next_clear(map, BITS - 1, BITS), BITS, "and its limit");
	eq(dm_sync_map_next_clear(map, 2 * BITS + 99, regions + 9), regions, "and the end");
	dm_sync_map_clear(map, 5);
	dm_sync_map_clear(map, 5);
	eq(dm_sync_map_count(map), 5, "cleared once");
	dm_sync_map_set_range(map, BITS - 3, regions + 1000);
	eq(dm_sync_map_count(map), 1 + 3 + BITS + 100, "set_range is clamped and counts");
	dm_sync_map_set_all(map);
	eq(dm_sync_map_count(map), regions, "set_all");
	eq(dm_sync_map_next_clear(map, 0, regions), regions, "leaves none clear");
	dm_sync_map_clear_all(map);
	eq(dm_sync_map_count(map), 0, "clear_all");
	dm_sync_map_destroy(map);
}

static void test_or(void)
{
	struct dm_sync_meta meta = { 0 };
	struct dm_sync_map *a = new_map(&meta, BITS + 50), *b = new_map(&meta, BITS + 50);

	dm_sync_map_set(a, 3);
	dm_sync_map_set(b, 3);
	dm_sync_map_set(b, BITS + 49);
	dm_sync_map_commit(a, true, NULL, NULL);
	dm_sync_map_or(a, b);
	eq(dm_sync_map_count(a), 2, "or counts what is new");
	ok(dm_sync_map_is_durable(a, 3, 3), "a block without news stays durable");
	ok(!dm_sync_map_is_durable(a, BITS + 49, BITS + 49), "the other is not");
	ok(!dm_sync_map_is_durable(a, 0, BITS + 49), "nor a range that reaches into it");
	eq(dm_sync_map_commit(a, false, NULL, NULL), 0, "without a device a commit succeeds");
	ok(dm_sync_map_is_durable(a, 0, BITS + 49), "and all counts as durable");
	ok(!dm_sync_map_needs_commit(a), "nothing is left to do");
	dm_sync_map_destroy(a);
	dm_sync_map_destroy(b);
}

/*----------------------------------------------------------------
 * What the disk has
 *--------------------------------------------------------------*/

static int refuse(void *context)
{
	(void)context;
	return -EIO;
}

static void test_disk(void)
{
	struct dm_sync_meta meta = { 0 };
	struct dm_sync_map *map = new_map(&meta, BITS + 50);

	dm_sync_map_keep_disk(map);
	dm_sync_map_set_all(map);
	dm_sync_map_commit(map, false, NULL, NULL);
	dm_sync_map_clear(map, 7);
	ok(!dm_sync_map_clears_durable(map, 7, 7), "a region cleared in memory is not durable");
	ok(!dm_sync_map_clears_durable(map, 3, 9), "nor is a range with it");
	dm_sync_map_commit(map, true, NULL, NULL);
	dm_sync_map_clear(map, 20);
	ok(dm_sync_map_clears_durable(map, 7, 7), "one of a commit is, whatever came later");
	ok(!dm_sync_map_clears_durable(map, 20, 20), "what came later is not");
	dm_sync_map_clear(map, BITS + 49);
	ok(!dm_sync_map_clears_durable(map, BITS, BITS + 49), "at the end of the last block");
	eq(dm_sync_map_commit(map, true, refuse, NULL), -EIO, "a flush that fails");
	ok(!dm_sync_map_clears_durable(map, 20, 20), "makes nothing durable");
	dm_sync_map_revert_clears(map);
	ok(dm_sync_map_test(map, 20) && dm_sync_map_test(map, BITS + 49),
	   "what it did not save is marked again");
	ok(!dm_sync_map_test(map, 7), "what was durable before is not");
	eq(dm_sync_map_count(map), BITS + 49, "and it is counted");
	dm_sync_map_clear(map, 8);
	ok(!dm_sync_map_clears_durable(map, 7, 7), "while a mark is being set no clear is durable");
	dm_sync_map_commit(map, true, NULL, NULL);
	ok(dm_sync_map_clears_durable(map, 7, 8), "then they are");
	ok(!dm_sync_map_needs_commit(map), "and nothing is left to do");
	dm_sync_map_destroy(map);
}

/* Blocks of which a page is kept. */
static unsigned int kept(const struct dm_sync_map *map)
{
	unsigned int nr = 0;

	for (u32 i = 0; i < map->nr_blocks; i++)
		nr += !!map->block[i].disk;
	return nr;
}

static int clear_one(void *context)
{
	dm_sync_map_clear(context, 9);
	return 0;
}

static void test_disk_memory(void)
{
	struct dm_sync_meta meta = { 0 };
	struct dm_sync_map *map = new_map(&meta, 3 * BITS);

	dm_sync_map_keep_disk(map);
	dm_sync_map_set_all(map);
	dm_sync_map_clear_range(map, 5, 8);
	eq(kept(map), 1, "what the disk has takes memory where a mark was cleared");
	eq(dm_sync_map_look(map, 6), DM_SYNC_MAP_UNSURE, "set and cleared, nobody knows of the disk");
	dm_sync_map_commit(map, false, NULL, NULL);
	eq(kept(map), 0, "and none when the disk has the same");
	dm_sync_map_clear_range(map, 5, 8);
	eq(kept(map), 0, "nor for what was clear before");
	dm_sync_map_clear(map, BITS + 1);
	dm_sync_map_commit(map, true, clear_one, map);
	eq(kept(map), 1, "what is cleared while a commit is under way keeps its block");
	ok(dm_sync_map_look(map, 9) == DM_SYNC_MAP_CLEARING &&
	   dm_sync_map_look(map, BITS + 1) == DM_SYNC_MAP_CLEAR, "and is told apart");
	dm_sync_map_set(map, 9);
	dm_sync_map_commit(map, false, NULL, NULL);
	eq(kept(map), 0, "marked again, there is nothing to be told");
	dm_sync_map_clear(map, 10);
	dm_sync_map_commit(map, true, refuse, NULL);
	eq(kept(map), 1, "a commit that fails forgets nothing");
	eq(dm_sync_map_revert_clears(map), 0, "taken back");
	ok(dm_sync_map_test(map, 10), "memory has all that the disk has");
	ok(!dm_sync_map_clears_durable(map, 10, 10), "and who saw it not marked waits");
	dm_sync_map_commit(map, true, NULL, NULL);
	eq(kept(map), 0, "for a commit");
	dm_sync_map_clear_all(map);
	eq(kept(map), 3, "all of them at most");
	dm_sync_map_destroy(map);
}

/* The commit of U as the committer makes it: T goes in U's barrier. */
struct owing {
	struct dm_sync_map *uncopied, *written;
	bool claims;		/* a host writes while the barrier runs */
	u8 found;
};

static int commit_written(void *context)
{
	struct owing *o = context;

	if (o->claims) {
		/* One region is claimed and copied, another was copied for nobody. */
		o->found = dm_sync_clone_claim_one(o->uncopied, o->written, 3);
		dm_sync_map_clear(o->uncopied, 3);
	}
	return dm_sync_map_commit(o->written, false, NULL, NULL);
}

static void test_owing(void)
{
	struct dm_sync_meta meta = { 0 };
	struct owing o = { new_map(&meta, 100), new_map(&meta, 100), true, 0 };

	dm_sync_map_keep_disk(o.uncopied);
	dm_sync_map_set_all(o.uncopied);
	eq(dm_sync_map_look(o.uncopied, 1), DM_SYNC_MAP_MARKING, "a mark on its way");
	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 9),
	   DM_SYNC_CLONE_UNCOPIED | DM_SYNC_CLONE_UNSETTLED, "protects nothing yet");
	dm_sync_map_clear(o.uncopied, 9);
	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 9), DM_SYNC_CLONE_UNSETTLED,
	   "nor when it is cleared before it arrived");
	dm_sync_map_commit(o.uncopied, false, NULL, NULL);
	eq(dm_sync_map_look(o.uncopied, 1), DM_SYNC_MAP_MARKED, "on disk it does");

	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 1), DM_SYNC_CLONE_UNCOPIED,
	   "a region that is to be copied");
	ok(dm_sync_map_test(o.written, 1), "is marked as written at once");
	dm_sync_map_clear(o.uncopied, 1);
	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 1), DM_SYNC_CLONE_OWED,
	   "copied, it is owed: the next write may go, too");
	dm_sync_map_clear(o.uncopied, 2);
	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 2), DM_SYNC_CLONE_UNSETTLED,
	   "what was copied for nobody waits for a commit");
	ok(!dm_sync_map_test(o.written, 2), "and is not marked before");

	dm_sync_map_commit(o.uncopied, true, commit_written, &o);
	eq(o.found, DM_SYNC_CLONE_UNCOPIED, "a host may write while a commit runs");
	ok(dm_sync_map_is_durable(o.written, 1, 1), "what U lost on disk, T has there");
	eq(dm_sync_map_look(o.uncopied, 1), DM_SYNC_MAP_CLEAR, "and U has lost it");
	eq(dm_sync_map_look(o.uncopied, 3), DM_SYNC_MAP_CLEARING,
	   "but not what was cleared after its image was made");
	eq(dm_sync_clone_claim_one(o.uncopied, o.written, 2), DM_SYNC_CLONE_OWN,
	   "a region that the disk knows of is the replica's own");
	dm_sync_map_clear(o.uncopied, 4);
	dm_sync_map_commit(o.uncopied, true, refuse, NULL);
	dm_sync_map_revert_clears(o.uncopied);
	eq(dm_sync_map_look(o.uncopied, 3), DM_SYNC_MAP_MARKING, "reverted, it is marked again");
	dm_sync_map_clear(o.uncopied, 3);
	eq(dm_sync_map_look(o.uncopied, 3), DM_SYNC_MAP_UNSURE, "and nobody knows of the disk");
	dm_sync_map_destroy(o.uncopied);
	dm_sync_map_destroy(o.written);
}

/*----------------------------------------------------------------
 * Owing, over two groups of images and on a disk
 *--------------------------------------------------------------*/

#define BLOCKS	9u			/* of U: a group of eight, and another */
#define WIDE	(BLOCKS * (u64)BITS)
#define OTHER	((BLOCKS - 1) * (u64)BITS)	/* first region of the second group */
#define T_WRITES BLOCKS			/* before the first write of U */

/* Regions of a block, by who had them copied, or when. */
enum { HOST = 5, NOBODY, IN_BARRIER_1, IN_BARRIER_2 };

struct wide {
	struct dm_sync_meta meta;
	struct dm_sync_map *uncopied, *written;
	u64 issued[2 * BLOCKS];		/* regions that hosts wrote to */
	unsigned int nr_issued;
	int barriers, fails;		/* so many, and this one fails */
	bool forgets;			/* a control: T is not made durable */
};

/* To part of a region, and at once if it may: dm-sync-clone-owe.h. */
static u8 host_writes(struct wide *w, u64 region)
{
	u8 found = dm_sync_clone_claim_one(w->uncopied, w->written, region);

	if (found == DM_SYNC_CLONE_UNCOPIED) {
		dm_sync_map_clear(w->uncopied, region);
		found = dm_sync_clone_claim_one(w->uncopied, w->written, region);
	}
	if (found == DM_SYNC_CLONE_OWED)
		w->issued[w->nr_issued++] = region;
	return found;
}

static int wide_barrier(void *context)
{
	struct wide *w = context;
	int r;

	if (w->meta.bdev->cut)
		return -EIO;
	w->barriers++;
	host_writes(w, OTHER + (w->barriers == 1 ? IN_BARRIER_1 : IN_BARRIER_2));
	r = w->forgets ? 0 : dm_sync_map_commit(w->written, false, NULL, NULL);
	/* The image of U has lost it, and that of T, on disk by now, has not got it. */
	host_writes(w, OTHER + NOBODY);
	return r ?: w->barriers == w->fails ? -EIO : 0;
}

static int wide_commit(struct wide *w)
{
	w->barriers = 0;
	return dm_sync_map_commit(w->uncopied, true, wide_barrier, w);
}

/* In every block a region was copied for a host, and one for nobody. */
static void wide_begin(struct wide *w)
{
	memset(w, 0, sizeof(*w));
	memcpy(w->meta.uuid, ours, 16);
	w->meta.bdev = disk_create(DISK_UNITS);
	w->uncopied = dm_sync_map_create(&w->meta, DM_SYNC_BLOCK_UNCOPIED_MAP, 1, 3, WIDE);
	w->written = dm_sync_map_create(&w->meta, DM_SYNC_BLOCK_REPLICA_MAP, 1 + BLOCKS, 3, WIDE);
	dm_sync_map_keep_disk(w->uncopied);
	dm_sync_map_format(w->uncopied, true);
	dm_sync_map_format(w->written, false);
	for (u64 first = 0; first < WIDE; first += BITS) {
		host_writes(w, first + HOST);
		dm_sync_map_clear(w->uncopied, first + NOBODY);
	}
}

static void wide_end(struct wide *w)
{
	dm_sync_map_destroy(w->uncopied);
	dm_sync_map_destroy(w->written);
	disk_destroy(w->meta.bdev);
}

static struct dm_sync_map *on_disk(struct dm_sync_meta *meta, u16 type, u32 first_nr)
{
	struct dm_sync_map *map = dm_sync_map_create(meta, type, first_nr, 3, WIDE);
	u64 lost;
	int r = dm_sync_map_load(map, false, &lost);

	expect(!r && !lost, "load: %d, %llu lost", r, lost);
	return map;
}

/* How many regions that a host wrote to are neither the image's on disk nor written? */
static unsigned int wide_wrong(struct wide *w)
{
	struct dm_sync_meta meta = w->meta;
	struct dm_sync_map *uncopied, *written;
	unsigned int wrong = 0;

	meta.bdev = disk_after_cut(w->meta.bdev);
	uncopied = on_disk(&meta, DM_SYNC_BLOCK_UNCOPIED_MAP, 1);
	written = on_disk(&meta, DM_SYNC_BLOCK_REPLICA_MAP, 1 + BLOCKS);
	for (unsigned int i = 0; i < w->nr_issued; i++)
		wrong += !dm_sync_map_test(uncopied, w->issued[i]) &&
			 !dm_sync_map_test(written, w->issued[i]);
	dm_sync_map_destroy(uncopied);
	dm_sync_map_destroy(written);
	disk_destroy(meta.bdev);
	disk_in_use = w->meta.bdev;
	return wrong;
}

static bool all_look(struct wide *w, u64 from, u64 to, enum dm_sync_map_look look)
{
	for (u64 first = from; first < to; first += BITS)
		if (dm_sync_map_look(w->uncopied, first + HOST) != look)
			return false;
	return true;
}

static void test_owing_groups(void)
{
	struct wide w;

	wide_begin(&w);
	eq(wide_commit(&w), 0, "marks taken away in nine blocks");
	eq(w.barriers, 2, "by two barriers");
	eq(w.nr_issued, BLOCKS + 2, "hosts wrote in both of them, too");
	ok(all_look(&w, 0, WIDE, DM_SYNC_MAP_CLEAR), "the disk knows of all that was copied before");
	eq(dm_sync_map_look(w.uncopied, OTHER + IN_BARRIER_1), DM_SYNC_MAP_CLEAR,
	   "of what was claimed in the first barrier the second group knows");
	ok(dm_sync_map_is_durable(w.written, OTHER + IN_BARRIER_1, OTHER + IN_BARRIER_1),
	   "and so does T");
	eq(dm_sync_map_look(w.uncopied, OTHER + IN_BARRIER_2), DM_SYNC_MAP_CLEARING,
	   "not of what was claimed in its own, when its image had been made");
	eq(wide_wrong(&w), 0, "T is there wherever U is not");
	wide_end(&w);
}

static void test_owing_failures(void)
{
	struct wide w;

	wide_begin(&w);
	w.meta.bdev->fail_at = w.meta.bdev->writes + BLOCKS;
	eq(wide_commit(&w), -EIO, "a block of T cannot be written");
	ok(all_look(&w, 0, WIDE, DM_SYNC_MAP_CLEARING), "and none of U is");
	eq(host_writes(&w, HOST), DM_SYNC_CLONE_OWED, "the next write may go all the same");
	eq(wide_wrong(&w), 0, "as U is on disk");
	eq(wide_commit(&w), 0, "the next commit makes up for it");
	ok(all_look(&w, 0, WIDE, DM_SYNC_MAP_CLEAR) && !wide_wrong(&w), "T first");
	wide_end(&w);

	wide_begin(&w);
	w.meta.bdev->fail_at = w.meta.bdev->writes + T_WRITES + 1;
	w.meta.bdev->effect = FAIL_ALL;
	eq(wide_commit(&w), -EIO, "a block of U gets to the disk, and reports an error");
	eq(dm_sync_map_look(w.uncopied, HOST), DM_SYNC_MAP_CLEARING, "nobody knows of that");
	eq(wide_wrong(&w), 0, "T was there before");
	dm_sync_map_revert_clears(w.uncopied);
	eq(host_writes(&w, NOBODY), DM_SYNC_CLONE_UNCOPIED | DM_SYNC_CLONE_UNSETTLED,
	   "reverted, the marks of that block protect nothing");
	eq(wide_wrong(&w), 0, "so no write went by them");
	w.issued[w.nr_issued++] = NOBODY;
	eq(wide_wrong(&w), 1, "it would have been one that nobody finds");
	w.nr_issued--;
	eq(wide_commit(&w), 0, "when they are on disk");
	eq(host_writes(&w, HOST), DM_SYNC_CLONE_OWED, "they do");
	eq(wide_wrong(&w), 0, "a host may write there again");
	wide_end(&w);

	wide_begin(&w);
	w.fails = 2;
	eq(wide_commit(&w), -EIO, "the barrier of the second group fails");
	ok(all_look(&w, 0, OTHER, DM_SYNC_MAP_CLEAR), "the first one is durable");
	ok(all_look(&w, OTHER, WIDE, DM_SYNC_MAP_CLEARING), "the second is not");
	eq(dm_sync_map_look(w.uncopied, OTHER + IN_BARRIER_1), DM_SYNC_MAP_CLEARING,
	   "nor what was claimed while the first was on its way");
	eq(wide_wrong(&w), 0, "T is there wherever U is not");
	dm_sync_map_revert_clears(w.uncopied);
	ok(all_look(&w, 0, OTHER, DM_SYNC_MAP_CLEAR), "what is durable stays");
	ok(all_look(&w, OTHER, WIDE, DM_SYNC_MAP_MARKING), "the rest is copied again");
	wide_end(&w);
}

/* No page for what the disk has: it must be asked. */
static void test_owing_no_memory(void)
{
	struct wide w;

	no_memory = true;
	wide_begin(&w);
	ok(!w.nr_issued, "without memory no write goes before the disk knows of its region");
	ok(all_look(&w, 0, WIDE, DM_SYNC_MAP_UNSURE), "as nobody can tell what that has");
	ok(!dm_sync_map_clears_durable(w.uncopied, HOST, HOST), "so no clear is durable");
	w.fails = 2;
	eq(wide_commit(&w), -EIO, "the barrier of the second group fails");
	ok(all_look(&w, 0, OTHER, DM_SYNC_MAP_CLEAR), "of the first the disk knows");
	no_memory = false;
	dm_sync_map_clear(w.uncopied, OTHER + IN_BARRIER_2);
	eq(dm_sync_map_look(w.uncopied, OTHER + IN_BARRIER_2), DM_SYNC_MAP_UNSURE,
	   "a page that comes too late is none");
	/* The disk's unit 0 is not the map's; a block has units 2 nr and 2 nr + 1. */
	memset(w.meta.bdev->bad, 1, sizeof(w.meta.bdev->bad));
	eq(dm_sync_map_revert_clears(w.uncopied), -EIO, "a disk that cannot be asked");
	ok(!dm_sync_map_test(w.uncopied, OTHER + HOST), "changes nothing");
	memset(w.meta.bdev->bad, 0, sizeof(w.meta.bdev->bad));
	eq(dm_sync_map_revert_clears(w.uncopied), 0, "one that can");
	ok(all_look(&w, 0, OTHER, DM_SYNC_MAP_CLEAR), "what is durable stays");
	ok(all_look(&w, OTHER, WIDE, DM_SYNC_MAP_MARKING), "the rest is copied again");
	eq(dm_sync_map_count(w.uncopied), WIDE - 2 * (BLOCKS - 1), "and no more than that");
	eq(wide_wrong(&w), 0, "T is there wherever U is not");
	wide_end(&w);
}

static unsigned int wide_cut(unsigned int cut, unsigned int seed, bool forgets)
{
	unsigned int wrong;
	struct wide w;

	srand(seed);
	wide_begin(&w);
	w.forgets = forgets;
	w.meta.bdev->cut_at = w.meta.bdev->writes + cut;
	w.meta.bdev->cut_mask = rand();
	if (!wide_commit(&w))
		wide_commit(&w);
	wrong = wide_wrong(&w);
	wide_end(&w);
	return wrong;
}

static void test_owing_crashes(void)
{
	unsigned int cut, seed, wrong = 0;

	for (cut = 1; cut <= 2 * BLOCKS + 6; cut++)
		for (seed = 0; seed < 8; seed++)
			expect(!wide_cut(cut, seed, false), "cut %u seed %u", cut, seed);
	point("power cut at each write of T and U: T is there wherever U is not");
	for (cut = 1; cut <= 2 * BLOCKS; cut++)
		wrong += wide_cut(cut, cut, true);
	ok(wrong, "were T not made durable first, it would be found");
}

/*----------------------------------------------------------------
 * Load
 *--------------------------------------------------------------*/

static u64 load(struct dm_sync_meta *meta, u64 regions, bool clean, u64 *count, int *r)
{
	struct dm_sync_map *map = new_map(meta, regions);
	u64 lost;

	*r = dm_sync_map_load(map, clean, &lost);
	*count = dm_sync_map_count(map);
	dm_sync_map_destroy(map);
	return lost;
}

static void test_load(void)
{
	u64 regions = 20 * (u64)BITS + 10, count, lost;
	struct dm_sync_meta meta = { .bdev = disk_create(DISK_UNITS) };
	struct dm_sync_map *map = new_map(&meta, regions);
	int r;

	eq(dm_sync_map_format(map, true), 0, "format, all marked");
	ok(dm_sync_map_is_durable(map, 0, regions - 1) && !dm_sync_map_needs_commit(map),
	   "leaves nothing to commit");
	lost = load(&meta, regions, true, &count, &r);
	ok(!r && !lost && count == regions, "and is read back");
	eq(dm_sync_map_format(map, false), 0, "format, none marked");
	dm_sync_map_set(map, 4);
	dm_sync_map_set(map, regions - 1);
	eq(dm_sync_map_commit(map, false, NULL, NULL), 0, "two marks in two blocks");
	lost = load(&meta, regions, true, &count, &r);
	ok(!r && !lost && count == 2, "are read back");

	/* block 0: homes are units 2 and 3, the newest in unit 2; block 7: 16, 17 */
	meta.bdev->data[2 * 4096 + 100] ^= 1;
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && !lost && count == 1, "after a crash a bad home is a torn write");
	lost = load(&meta, regions, true, &count, &r);
	ok(!r && lost == BITS && count == BITS + 1, "after a clean end it is a loss: all marked");
	meta.bdev->bad[17] = true;
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && lost == BITS && count == BITS + 1, "a home that cannot be read is one, too");
	meta.bdev->bad[16] = true;
	meta.bdev->data[3 * 4096 + 100] ^= 1;
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && lost == 2 * BITS, "two blocks lost");
	memcpy(meta.bdev->data + 4 * 4096, meta.bdev->data + 6 * 4096, 8192);
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && lost == 3 * BITS, "a block in another's place is lost");
	for (int i = 0; i < 42; i++)
		memset(meta.bdev->data + (2 + i) * 4096, 0, 4096);
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && lost == regions && count == regions, "an empty device: all marked");
	memset(meta.bdev->bad, 1, sizeof(meta.bdev->bad));
	lost = load(&meta, regions, false, &count, &r);
	ok(r == -EIO && lost == regions, "nothing can be read: EIO");
	dm_sync_map_destroy(map);
	disk_destroy(meta.bdev);
	meta.bdev = NULL;
	load(&meta, regions, false, &count, &r);
	eq(r, -ENODATA, "no device: nothing to load");
}

/*----------------------------------------------------------------
 * Commit
 *--------------------------------------------------------------*/

static int calls, verdict;
static u64 set_in_flush = U64_MAX;

static int flush(void *context)
{
	calls++;
	if (set_in_flush != U64_MAX)
		dm_sync_map_set(context, set_in_flush);
	return verdict;
}

static void test_commit(void)
{
	struct dm_sync_meta meta = { .bdev = disk_create(DISK_UNITS) };
	u64 regions = 20 * (u64)BITS, count, lost;
	struct dm_sync_map *map = new_map(&meta, regions);
	unsigned long before;
	int r;

	dm_sync_map_format(map, false);
	for (int i = 0; i < 20; i++)
		dm_sync_map_set(map, (u64)i * BITS + i);
	before = meta.bdev->writes;
	eq(dm_sync_map_commit(map, false, flush, map), 0, "marks in every block");
	eq(meta.bdev->writes - before, 20, "cost a write each");
	eq(calls, 0, "and no flush");
	dm_sync_map_clear(map, 3 * BITS + 3);
	ok(dm_sync_map_needs_commit(map), "a mark taken away is worth a commit");
	before = meta.bdev->writes;
	eq(dm_sync_map_commit(map, false, flush, map), 0, "but only if asked for");
	ok(!calls && meta.bdev->writes == before, "nothing was flushed or written");
	for (int i = 0; i < 20; i++)
		dm_sync_map_clear(map, (u64)i * BITS + i);
	verdict = -EIO;
	eq(dm_sync_map_commit(map, true, flush, map), -EIO, "a flush that fails stops it");
	ok(calls == 1 && meta.bdev->writes == before, "before anything was written");
	verdict = 0;
	calls = 0;
	eq(dm_sync_map_commit(map, true, flush, map), 0, "marks taken away everywhere");
	eq(calls, 3, "one flush for each group of eight");
	eq(meta.bdev->writes - before, 20, "one write for each block");

	dm_sync_map_set(map, 9);
	dm_sync_map_commit(map, true, flush, map);
	dm_sync_map_clear(map, 9);
	set_in_flush = 9;
	eq(dm_sync_map_commit(map, true, flush, map), 0, "marked again while flushing");
	set_in_flush = U64_MAX;
	lost = load(&meta, regions, false, &count, &r);
	ok(!r && !lost && count == 1, "that mark is in the image");
	ok(dm_sync_map_is_durable(map, 9, 9), "and known to be");

	meta.bdev->fail_at = meta.bdev->writes + 2;
	for (int i = 0; i < 3; i++)
		dm_sync_map_set(map, (u64)i * BITS + 50);
	eq(dm_sync_map_commit(map, false, flush, map), -EIO, "a write fails");
	for (int i = 0; i < 3; i++)
		expect(dm_sync_map_is_durable(map, i * BITS, i * BITS + 60) == (i != 1),
		       "block %d", i);
	point("its block alone is not durable");
	eq(dm_sync_map_commit(map, false, flush, map), 0, "the next commit makes up for it");
	ok(dm_sync_map_is_durable(map, 0, regions - 1), "all is durable");
	dm_sync_map_destroy(map);
	disk_destroy(meta.bdev);
}

/*----------------------------------------------------------------
 * Power cuts at every write
 *--------------------------------------------------------------*/

#define WATCHED	24u

/* One watched region: what was promised of it. */
struct promise {
	u64 region;
	bool durable;		/* its mark was called durable, and not given up */
	bool cleared;		/* taken away in memory */
};

struct book {
	struct dm_sync_map *map;
	struct promise p[WATCHED];
	bool wild;		/* marks come and go while a commit flushes */
};

static void book_set(struct book *b, unsigned int i)
{
	dm_sync_map_set(b->map, b->p[i].region);
	b->p[i].cleared = false;
}

static void book_clear(struct book *b, unsigned int i)
{
	dm_sync_map_clear(b->map, b->p[i].region);
	b->p[i].cleared = true;
}

/* What was taken away by now may go from the disk as well. */
static int book_flush(void *context)
{
	struct book *b = context;

	if (!(rand() % 8))
		return -EIO;
	for (unsigned int i = 0; i < WATCHED; i++)
		if (b->p[i].cleared)
			b->p[i].durable = false;
	for (int i = 0; b->wild && i < 3; i++) {
		if (rand() % 2)
			book_set(b, rand() % WATCHED);
		else
			book_clear(b, rand() % WATCHED);
	}
	return 0;
}

static void book_note(struct book *b)
{
	for (unsigned int i = 0; i < WATCHED; i++)
		if (!b->p[i].cleared && dm_sync_map_test(b->map, b->p[i].region) &&
		    dm_sync_map_is_durable(b->map, b->p[i].region, b->p[i].region))
			b->p[i].durable = true;
}

static void book_run(struct book *b, struct block_device *disk)
{
	for (int step = 0; step < 40 && !disk->cut; step++) {
		for (int i = rand() % 4; i >= 0; i--) {
			if (rand() % 3)
				book_set(b, rand() % WATCHED);
			else
				book_clear(b, rand() % WATCHED);
		}
		book_note(b);
		dm_sync_map_commit(b->map, rand() % 2, book_flush, b);
		book_note(b);
	}
}

static bool book_audit(struct book *b, struct dm_sync_meta *meta, u64 regions)
{
	struct dm_sync_map *found = new_map(meta, regions);
	bool good = true;
	u64 lost;
	int r = dm_sync_map_load(found, false, &lost);

	good &= expect(!r && !lost, "load: %d, %llu lost", r, lost);
	for (unsigned int i = 0; i < WATCHED; i++)
		good &= expect(!b->p[i].durable || dm_sync_map_test(found, b->p[i].region),
			       "region %llu was promised", b->p[i].region);
	dm_sync_map_destroy(found);
	return good;
}

static bool crash(unsigned int seed, unsigned int cut, bool wild)
{
	u64 regions = 10 * (u64)BITS + 77;
	struct dm_sync_meta meta = { .bdev = disk_create(24) };
	struct block_device *after;
	struct book b = { .map = new_map(&meta, regions), .wild = wild };
	bool good;

	srand(seed);
	for (unsigned int i = 0; i < WATCHED; i++)
		b.p[i].region = i < 8 ? i : (u64)i * regions / WATCHED;
	dm_sync_map_format(b.map, false);
	if (!(seed % 4)) {
		meta.bdev->fail_at = meta.bdev->writes + 1 + rand() % cut;
		meta.bdev->effect = rand() % 3;
	}
	meta.bdev->cut_at = meta.bdev->writes + cut;
	meta.bdev->cut_mask = rand();
	book_run(&b, meta.bdev);
	after = disk_after_cut(meta.bdev);
	disk_destroy(meta.bdev);
	meta.bdev = after;
	good = book_audit(&b, &meta, regions);
	dm_sync_map_destroy(b.map);
	disk_destroy(after);
	return good;
}

static void test_crashes(void)
{
	for (unsigned int wild = 0; wild < 2; wild++) {
		for (unsigned int cut = 1; cut <= 60; cut++)
			for (unsigned int seed = 0; seed < 8; seed++)
				if (!crash(cut * 100 + seed, cut, wild))
					printf("# cut %u seed %u\n", cut, seed);
		point("power cut at each of 60 writes, torn, with failed writes and flushes%s",
		      wild ? ", marks changing meanwhile" : "");
	}
}

int main(void)
{
	plan(0);
	test_bits();
	test_search();
	test_or();
	test_disk();
	test_disk_memory();
	test_owing();
	test_owing_groups();
	test_owing_failures();
	test_owing_no_memory();
	test_owing_crashes();
	test_load();
	test_commit();
	test_crashes();
	eq(warnings, 0, "no warning was raised");
	return done();
}

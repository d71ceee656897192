// SPDX-License-Identifier: GPL-2.0-only
/*
 * The delta of a clone: which entries count, and what a power cut leaves.
 *
 * dm-sync-delta.c and dm-sync-delta-format.c run here over a device in memory
 * (kernel.h); what is in a slot, in the source, on the replica and in the pair's
 * metadata is this test's own book.  After a cut at any write of the table, torn in
 * any way, the image must still be somewhere: in the slot that is found, or else in the
 * source (K13 to K18 of Documentation/proofs/clone.rst).
 */
#include "unit.h"
#include "kernel.h"

/* of the kernel, what only these two use */
#define DMERR(...)		((void)0)
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, 64)
#define round_up(n, to)		(((n) + (to) - 1) / (to) * (to))
#define min3(a, b, c)		min(min((u64)(a), (u64)(b)), (u64)(c))
#define ilog2(n)		(63 - __builtin_clzll(n))
#define __packed		__attribute__((packed))
#define bdev_nr_sectors(b)	(device_sectors)
#define test_bit(n, map)	test_bit_le(n, map)
#define __set_bit(n, map)	__set_bit_le(n, map)
#define __clear_bit(n, map)	__clear_bit_le(n, map)
#define bitmap_zero(map, n)	memset(map, 0, BITS_TO_LONGS(n) * 8)
#define find_first_zero_bit(map, n) find_bit(map, n, 0, 0)
#define find_next_zero_bit(map, n, from) find_bit(map, n, from, 0)
#define for_each_set_bit_from(bit, map, n) \
	for ((bit) = find_bit(map, n, bit, 1); (bit) < (n); (bit) = find_bit(map, n, (bit) + 1, 1))
struct mutex { int held; };
#define mutex_init(m)		((m)->held = 0)
#define mutex_lock(m)		WARN_ON_ONCE((m)->held++)
#define mutex_unlock(m)		WARN_ON_ONCE(--(m)->held)

int shim_fail_in;				/* for the index, which has a shim of its own */
static u64 device_sectors;

static u64 get_random_u64(void)
{
	static u64 n = 4711;

	return n++;
}

static void bitmap_clear(void *map, u32 first, u32 nr)
{
	while (nr--)
		__clear_bit_le(first++, map);
}

#include "../../../kernel/dm-sync-block.c"
#include "../../../kernel/dm-sync-delta.c"
#undef DM_MSG_PREFIX
#include "../../../kernel/dm-sync-delta-format.c"

#define REGIONS		3000u
#define SLOTS		1500u		/* two blocks of the table */
#define SHIFT		3

static const u8 ours[16] = "the pair's uuid", others[16] = "another uuid";

/* What lies where, by the image that it belongs to; 0: rubbish. */
static struct {
	u64 epoch, id;			/* as the superblock has them */
	u64 slot_epoch[SLOTS];
	u32 slot_region[SLOTS];
	bool uncopied[REGIONS], uncopied_disk[REGIONS];
	bool written[REGIONS];		/* the source, since the point in time */
	bool replica[REGIONS];		/* has it, perhaps in its cache */
	bool saving[REGIONS];		/* it is being put in, or was and may not count yet */
} book;

static struct dm_sync_delta *new_delta(struct block_device *disk)
{
	struct dm_sync_delta *d = dm_sync_delta_create(SHIFT, REGIONS);

	device_sectors = 2048 + (SLOTS << SHIFT);
	d->bdev = d->meta.bdev = disk;
	return d;
}

static bool is_wanted(void *context, u64 region)
{
	(void)context;
	return region < REGIONS && book.uncopied_disk[region];
}

static bool is_needed(void *context, u64 region)
{
	(void)context;
	return book.uncopied[region] || book.uncopied_disk[region];
}

static struct dm_sync_delta *made(struct block_device *disk)
{
	struct dm_sync_delta *d = new_delta(disk);
	const char *why;

	expect(dm_sync_delta_open(d, ours, false, &why) == 0, "blank: %s", why);
	expect(!dm_sync_delta_format(d, 1), "formatted");
	return d;
}

/*----------------------------------------------------------------
 * Whose it is
 *--------------------------------------------------------------*/

static int opened(struct block_device *disk, const u8 *uuid, bool format)
{
	struct dm_sync_delta *d = new_delta(disk);
	const char *why = NULL;
	int r = dm_sync_delta_open(d, uuid, format, &why);

	expect(r >= 0 || why, "an error without a sentence");
	dm_sync_delta_destroy(d);
	return r;
}

static void test_open(void)
{
	struct block_device *disk = disk_create(16);
	struct dm_sync_delta *d;
	unsigned long writes;

	ok(!dm_sync_delta_fits(2048, 8) && dm_sync_delta_fits(2056, 8), "one slot at least");
	eq(opened(disk, ours, false), 0, "a blank device is to be formatted");
	disk->data[5000] = 1;
	eq(opened(disk, ours, false), -EEXIST, "foreign data is refused");
	eq(opened(disk, ours, true), 0, "but not with format");
	disk->data[5000] = 0;
	d = made(disk);
	eq(d->nr_slots, SLOTS, "all of the room is used");
	eq(d->nr_blocks, 2, "by a table of two blocks");
	eq(d->first, 2048, "the slots begin at 1 MiB");
	writes = disk->writes;
	eq(opened(disk, ours, false), 1, "it is ours then");
	eq(opened(disk, others, false), -EEXIST, "and nobody else's");
	eq(disk->writes, writes, "and nothing was written by looking");
	device_sectors = 2048 + (SLOTS << SHIFT) - 1;
	d->nr_slots = 0;
	expect(take_header(d, (void *)disk->data), "smaller");
	disk->data[100] ^= 1;
	eq(opened(disk, ours, false), 1, "one damaged home of the header does no harm");
	dm_sync_delta_destroy(d);
	disk_destroy(disk);
}

/*----------------------------------------------------------------
 * Slots
 *--------------------------------------------------------------*/

static void test_slots(void)
{
	struct block_device *disk = disk_create(16);
	struct dm_sync_delta *d = made(disk);
	u32 slot, n = 0;

	memset(&book, 0, sizeof(book));
	eq(dm_sync_delta_alloc(d, 10, &slot), 10, "adjacent slots");
	dm_sync_delta_fill(d, slot, 100, 10);
	eq(dm_sync_delta_slot(d, 100), 0, "filled is not found");
	eq(dm_sync_delta_commit(d), 0, "committed");
	eq(dm_sync_delta_slot(d, 109), slot + 10, "it is");
	ok(!disk->without_fua, "durably");
	while ((n += dm_sync_delta_alloc(d, 100, &slot)) < SLOTS - 10)
		;
	eq(dm_sync_delta_alloc(d, 1, &slot), 0, "full");
	book.uncopied[105] = true;
	eq(dm_sync_delta_sweep(d, is_needed, NULL), 9, "what nobody needs goes, what is being filled stays");
	eq(dm_sync_delta_slot(d, 105), 6, "as does what is needed");
	eq(dm_sync_delta_slot(d, 104), 0, "the others are not found");
	eq(d->nr_used, SLOTS - 9, "counted");
	eq(dm_sync_delta_alloc(d, 100, &slot), 5, "and given out again");
	eq(dm_sync_delta_sweep(d, is_needed, NULL), 0, "and not judged by who was in them");
	disk->fail_at = disk->writes + 1;
	disk->effect = FAIL_ALL;
	dm_sync_delta_fill(d, slot, 200, 5);
	ok(dm_sync_delta_commit(d) && d->failed, "a write of the table fails");
	eq(dm_sync_delta_slot(d, 200), 0, "what was in it does not count");
	eq(dm_sync_delta_slot(d, 105), 6, "what was there does");
	dm_sync_delta_begin(d, 2);
	ok(!d->failed && !d->nr_used && !dm_sync_delta_slot(d, 105), "the next image begins with nothing");
	dm_sync_delta_destroy(d);
	disk_destroy(disk);
}

/*----------------------------------------------------------------
 * Histories
 *--------------------------------------------------------------*/

static void begin(struct dm_sync_delta *d)
{
	if (d->meta.bdev->cut)
		return;
	memset(book.written, 0, sizeof(book.written));
	memset(book.replica, 0, sizeof(book.replica));
	memset(book.uncopied, 1, sizeof(book.uncopied));
	memset(book.uncopied_disk, 1, sizeof(book.uncopied_disk));
	book.epoch++;
	dm_sync_delta_begin(d, book.epoch);
}

/* Does the image still lie somewhere?  Returns where a copy takes it from, or says so. */
static void check(struct dm_sync_delta *d, u32 region, const char *when)
{
	u32 slot = dm_sync_delta_slot(d, region);

	if (slot)
		expect(book.slot_epoch[slot - 1] == book.epoch &&
		       book.slot_region[slot - 1] == region,
		       "%s: region %u, slot %u has %u of image %llu", when, region, slot - 1,
		       book.slot_region[slot - 1], (unsigned long long)book.slot_epoch[slot - 1]);
	else
		expect(!book.written[region], "%s: region %u is nowhere", when, region);
}

static void save(struct dm_sync_delta *d)
{
	u32 region = rand() % REGIONS, want = 1 + rand() % 40, slot, i, nr;

	want = min(want, REGIONS - region);
	for (i = 0; i < want; i++)
		if (dm_sync_delta_slot(d, region + i) || !is_needed(NULL, region + i) ||
		    book.saving[region + i])
			break;
	if (!i)
		return;
	if (!(rand() % 4))
		dm_sync_delta_sweep(d, is_needed, NULL);
	nr = dm_sync_delta_alloc(d, i, &slot);
	if (!nr && dm_sync_delta_sweep(d, is_needed, NULL))
		nr = dm_sync_delta_alloc(d, i, &slot);
	for (i = 0; i < nr; i++)
		book.slot_epoch[slot + i] = 0;		/* it is being written */
	if (!nr)
		return;
	memset(book.saving + region, true, nr);
	if (!(rand() % 4))
		save(d);				/* and others beside it */
	memset(book.saving + region, false, nr);
	if (!(rand() % 20)) {
		dm_sync_delta_free(d, slot, nr);	/* the source could not be read */
		return;
	}
	for (i = 0; i < nr; i++) {
		book.slot_epoch[slot + i] = book.epoch;
		book.slot_region[slot + i] = region + i;
	}
	dm_sync_delta_fill(d, slot, region, nr);
	if (rand() % 3)
		dm_sync_delta_commit(d);
}

/* A host's write to the source: only where the image does not need it. */
static void host_write(struct dm_sync_delta *d)
{
	u32 region = rand() % REGIONS;

	if (dm_sync_delta_slot(d, region) || !is_needed(NULL, region))
		book.written[region] = true;
}

static void copy(struct dm_sync_delta *d)
{
	u32 region = rand() % REGIONS, nr = rand() % 60;

	for (; nr-- && region < REGIONS; region++) {
		if (!book.uncopied[region])
			continue;
		check(d, region, "copied");
		book.replica[region] = true;
		book.uncopied[region] = false;
	}
}

static void commit_copies(struct dm_sync_delta *d)
{
	if (d->meta.bdev->cut)
		return;
	memcpy(book.uncopied_disk, book.uncopied, sizeof(book.uncopied));
	dm_sync_delta_sweep(d, is_needed, NULL);
}

/* A flush of the replica failed: what is not durable is copied again. */
static void revert(void)
{
	for (u32 i = 0; i < REGIONS; i++)
		book.uncopied[i] |= book.uncopied_disk[i];
}

static void step(struct dm_sync_delta *d)
{
	switch (rand() % 100) {
	case 0:
		begin(d);
		break;
	case 1 ... 3:
		commit_copies(d);
		break;
	case 4:
		revert();
		break;
	case 5 ... 40:
		save(d);
		break;
	case 41 ... 60:
		copy(d);
		break;
	default:
		host_write(d);
	}
}

static struct dm_sync_delta *taken_up(struct block_device *disk, bool clean)
{
	struct dm_sync_delta *d = new_delta(disk);
	const char *why;

	memcpy(book.uncopied, book.uncopied_disk, sizeof(book.uncopied));
	expect(dm_sync_delta_open(d, ours, false, &why) == 1, "taken up: %s", why);
	expect(d->id == book.id, "another id");
	expect(!dm_sync_delta_load(d, book.epoch, clean, is_wanted, NULL), "loaded");
	for (u32 i = 0; i < REGIONS; i++)
		if (book.uncopied[i])
			check(d, i, "taken up");
	return d;
}

static void history(unsigned int seed)
{
	struct block_device *disk = disk_create(16), *next;
	struct dm_sync_delta *d;
	bool cut;

	srand(seed);
	memset(&book, 0, sizeof(book));
	d = made(disk);
	book.id = d->id;
	begin(d);
	for (int life = 0; life < 6; life++) {
		disk->cut_at = disk->writes + 1 + rand() % 60;
		disk->cut_mask = rand();
		if (!(rand() % 4))
			disk->cut_at = 0;
		for (int i = 0; i < 1500 && !disk->cut; i++)
			step(d);
		cut = disk->cut;
		next = disk_after_cut(disk);
		dm_sync_delta_destroy(d);
		disk_destroy(disk);
		disk = next;
		d = taken_up(disk, !cut);
	}
	dm_sync_delta_destroy(d);
	disk_destroy(disk);
}

static void test_histories(void)
{
	for (unsigned int seed = 1; seed <= 150; seed++)
		history(seed);
	point("the image is somewhere, whatever is cut");
}

/*----------------------------------------------------------------
 * Damage
 *--------------------------------------------------------------*/

static int loaded(struct block_device *disk, bool clean)
{
	struct dm_sync_delta *d = new_delta(disk);
	const char *why;
	int r;

	expect(dm_sync_delta_open(d, ours, false, &why) == 1, "opened");
	r = dm_sync_delta_load(d, 1, clean, is_wanted, NULL);
	dm_sync_delta_destroy(d);
	return r;
}

/* The table's first block is in units 2 and 3. */
static void test_damage(void)
{
	struct block_device *disk = disk_create(16);
	struct dm_sync_delta *d = made(disk);
	u32 slot;

	memset(&book, 1, sizeof(book));
	dm_sync_delta_alloc(d, 4, &slot);
	dm_sync_delta_fill(d, slot, 7, 4);
	dm_sync_delta_commit(d);
	dm_sync_delta_destroy(d);
	eq(loaded(disk, true), 0, "all is well");
	disk->data[2 * 4096 + 70] ^= 4;
	eq(loaded(disk, true), -EUCLEAN, "after a clean end a home was damaged");
	eq(loaded(disk, false), 0, "a power cut may have torn it");
	eq(loaded(disk, true), 0, "and it was mended then");
	disk->data[2 * 4096 + 70] ^= 4;
	disk->data[3 * 4096 + 70] ^= 4;
	eq(loaded(disk, false), -EUCLEAN, "it does not tear both");
	disk->data[3 * 4096 + 70] ^= 4;
	memset(disk->data + 2 * 4096, 0, 4096);
	eq(loaded(disk, true), -EUCLEAN, "nor does a home become blank");
	disk->bad[2] = true;
	eq(loaded(disk, false), -EUCLEAN, "one that cannot be read may be the newest");
	disk_destroy(disk);
}

int main(void)
{
	plan(0);
	test_open();
	test_slots();
	test_histories();
	test_damage();
	eq(warnings, 0, "no warning was raised");
	return done();
}

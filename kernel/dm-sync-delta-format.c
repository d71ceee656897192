// SPDX-License-Identifier: GPL-2.0-only
/*
 * The delta on its device: recognised, formatted, loaded.
 *
 *	block 0		header: how many slots, where they begin, the id of this format
 *	block 1 ...	the table of slots (dm-sync-delta.c)
 *	@first ...	the slots
 *
 * The blocks are dual-home blocks as on a metadata device, sealed with the uuid of the
 * pair.  The header is written last when a device is formatted, and never changed: so
 * one that is there has its table.  The pair's superblock has the id, too: a delta
 * that was exchanged, or formatted for somebody else meanwhile, is not taken for the
 * one that holds what an image still needs.
 *
 * A table block that was never written in this epoch is empty; a home of it that an
 * older image left is intact.  A power cut tears one home at most, and after a clean
 * end there is none; what a block held that is damaged worse is lost.
 *
 * A pair that keeps its state in memory only writes no header and no table.  One that
 * it finds is another pair's, which would believe it; so with the option "format" it
 * is wiped.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "dm-sync-delta.h"

#define DM_MSG_PREFIX "sync"

#define DELTA_VERSION	1
#define DELTA_ALIGN	2048u		/* sectors */
#define DELTA_SLOTS_MAX	((1u << 31) - 2)

struct delta_disk {
	struct dm_sync_block_disk header;
	__le32 version;
	__le32 region_sectors;
	__le32 nr_slots;
	__le32 nr_blocks;
	__le64 first;
	__le64 id;
} __packed;

static sector_t first_of(u32 nr_blocks)
{
	return round_up(2ull * (1 + nr_blocks) * DM_SYNC_BLOCK_SECTORS, DELTA_ALIGN);
}

/* What a device of @sectors has room for. */
static u32 slots_of(sector_t sectors, unsigned int region_shift, u64 nr_regions, u32 *nr_blocks)
{
	u64 most = min3(nr_regions, (u64)sectors >> region_shift, (u64)DELTA_SLOTS_MAX);
	sector_t first;

	*nr_blocks = DIV_ROUND_UP_ULL(most, DM_SYNC_DELTA_ENTRIES);
	first = first_of(*nr_blocks);
	return sectors > first ? min_t(u64, most, (sectors - first) >> region_shift) : 0;
}

/**
 * dm_sync_delta_fits - is a device large enough for a slot at least
 * @sectors: its size
 * @region_sectors: of the pair
 *
 * Context: any.
 */
bool dm_sync_delta_fits(sector_t sectors, u32 region_sectors)
{
	u32 nr_blocks;

	return slots_of(sectors, ilog2(region_sectors), ~0ULL, &nr_blocks);
}

/*----------------------------------------------------------------
 * In memory
 *--------------------------------------------------------------*/

static int alloc_table(struct dm_sync_delta *d)
{
	u32 i;

	d->used = kvcalloc(BITS_TO_LONGS(d->nr_slots), sizeof(long), GFP_KERNEL | __GFP_NOWARN);
	d->fresh = kvcalloc(BITS_TO_LONGS(d->nr_slots), sizeof(long), GFP_KERNEL | __GFP_NOWARN);
	d->dirty = kvcalloc(BITS_TO_LONGS(d->nr_blocks), sizeof(long), GFP_KERNEL | __GFP_NOWARN);
	d->block = kvcalloc(d->nr_blocks, sizeof(*d->block), GFP_KERNEL | __GFP_NOWARN);
	if (!d->used || !d->fresh || !d->dirty || !d->block)
		return -ENOMEM;
	for (i = 0; i < d->nr_blocks; i++) {
		d->block[i].b = (struct dm_sync_block) {
			.id = { .type = DM_SYNC_BLOCK_DELTA_SLOTS, .index = i },
			.nr = 1 + i,
			.home = 1,
		};
		d->block[i].buf = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_KERNEL | __GFP_NOWARN);
		if (!d->block[i].buf)
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/**
 * dm_sync_delta_create - a delta of which nothing is known yet
 * @region_shift: of a slot, in sectors
 * @nr_regions: of the pair, less than 2^32
 *
 * Its devices are to be set, then comes dm_sync_delta_open().
 *
 * Context: process; may sleep.
 * Return: the delta, or NULL when there is no memory.
 */
struct dm_sync_delta *dm_sync_delta_create(unsigned int region_shift, u64 nr_regions)
{
	struct dm_sync_delta *d = kzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return NULL;
	if (dm_sync_meta_init(&d->meta)) {
		kfree(d);
		return NULL;
	}
	d->region_shift = region_shift;
	d->nr_regions = nr_regions;
	spin_lock_init(&d->lock);
	mutex_init(&d->table_lock);
	dm_sync_index_init(&d->index, nr_regions);
	dm_sync_index_init(&d->saving, nr_regions);
	return d;
}

/**
 * dm_sync_delta_destroy - free a delta
 * @d: the delta, or NULL; nobody uses it any more
 *
 * Context: process.
 */
void dm_sync_delta_destroy(struct dm_sync_delta *d)
{
	u32 i;

	if (!d)
		return;
	for (i = 0; d->block && i < d->nr_blocks; i++)
		kfree(d->block[i].buf);
	kvfree(d->block);
	kvfree(d->used);
	kvfree(d->fresh);
	kvfree(d->dirty);
	dm_sync_index_destroy(&d->index);
	dm_sync_index_destroy(&d->saving);
	dm_sync_meta_exit(&d->meta);
	kfree(d);
}

/*----------------------------------------------------------------
 * Whose is it
 *--------------------------------------------------------------*/

static void identify(struct dm_sync_delta *d)
{
	d->header = (struct dm_sync_block) {
		.id = { .type = DM_SYNC_BLOCK_DELTA },
		.home = 1,
	};
}

/* Any valid header, whoever's it is; into @buf.  Returns -EUCLEAN when there is none. */
static int read_header(struct dm_sync_delta *d, struct dm_sync_stretch *s, void **buf)
{
	const struct dm_sync_block_disk *h;
	int home, r = -EUCLEAN;
	u64 seq;

	dm_sync_stretch_read(&d->meta, s, 0, 1);
	for (home = 0; home < 2; home++) {
		h = s->buf[home];
		if (s->error[home])
			r = s->error[home];
		else if (!dm_sync_block_check(h, h->uuid, &d->header.id, &seq)) {
			*buf = s->buf[home];
			return 0;
		}
	}
	return r;
}

static const char *take_header(struct dm_sync_delta *d, const struct delta_disk *h)
{
	d->nr_slots = le32_to_cpu(h->nr_slots);
	d->nr_blocks = le32_to_cpu(h->nr_blocks);
	d->first = le64_to_cpu(h->first);
	d->id = le64_to_cpu(h->id);
	if (le32_to_cpu(h->version) != DELTA_VERSION)
		return "the delta was written by another version of dm-sync";
	if (le32_to_cpu(h->region_sectors) != 1u << d->region_shift)
		return "the delta was made for another region size (option \"format\" overwrites it)";
	if (!d->nr_slots || d->nr_slots > DELTA_SLOTS_MAX ||
	    d->nr_blocks != DIV_ROUND_UP(d->nr_slots, DM_SYNC_DELTA_ENTRIES) ||
	    d->first < first_of(d->nr_blocks))
		return "the delta's header is nonsense";
	if (dm_sync_delta_sector(d, d->nr_slots) > bdev_nr_sectors(d->bdev))
		return "the delta device has become smaller";
	return NULL;
}

/* Returns 1 when it is ours, 0 when it is to be formatted, or an error. */
static int judge(struct dm_sync_delta *d, struct dm_sync_stretch *s, const u8 *uuid,
		 const char **why)
{
	void *buf = NULL;
	int error = 0, r = read_header(d, s, &buf);

	if (r == -EUCLEAN) {
		if (dm_sync_meta_is_blank(&d->meta, 1, &error))
			return 0;
		*why = error ? "the delta device cannot be read" :
		       "the delta device is not blank and holds no delta of dm-sync (option \"format\" overwrites it)";
		return error ?: -EEXIST;
	}
	if (r) {
		*why = "the delta device cannot be read";
		return r;
	}
	if (memcmp(((struct dm_sync_block_disk *)buf)->uuid, uuid, 16)) {
		*why = "the delta device belongs to another pair: name this pair's own";
		return -EEXIST;
	}
	*why = take_header(d, buf);
	return *why ? -EUCLEAN : 1;
}

/**
 * dm_sync_delta_open - look whose the device is, and set up its table in memory
 * @d: the delta; bdev and meta.bdev are set
 * @uuid: of the pair
 * @format: whatever is there may be overwritten
 * @why: out: a sentence, on error
 *
 * Touches nothing on the device.
 *
 * Context: preresume; may sleep.
 * Return: 1 when it is the pair's, 0 when it is to be formatted; -EEXIST (somebody
 * else's), -EUCLEAN (ours, but of no use), -ENOSPC, -ENOMEM, -EIO.
 */
int dm_sync_delta_open(struct dm_sync_delta *d, const u8 *uuid, bool format, const char **why)
{
	struct dm_sync_stretch *s = dm_sync_stretch_create(1);
	int r = 0;

	*why = "not enough memory for the delta's table";
	if (!s)
		return -ENOMEM;
	memcpy(d->meta.uuid, uuid, 16);
	identify(d);
	if (!format)
		r = judge(d, s, uuid, why);
	dm_sync_stretch_destroy(s);
	if (r < 0)
		return r;
	if (!r) {
		d->nr_slots = slots_of(bdev_nr_sectors(d->bdev), d->region_shift, d->nr_regions,
				       &d->nr_blocks);
		d->first = first_of(d->nr_blocks);
		d->nr_blocks = DIV_ROUND_UP(d->nr_slots, DM_SYNC_DELTA_ENTRIES);
	}
	if (!d->nr_slots) {
		*why = "the delta device is too small";
		return -ENOSPC;
	}
	*why = "not enough memory for the delta's table";
	return alloc_table(d) ?: r;
}

/*----------------------------------------------------------------
 * Format, load
 *--------------------------------------------------------------*/

/**
 * dm_sync_delta_wipe - no pair is to believe what is in it any more
 * @d: the delta, opened; its meta.bdev is set still
 *
 * Context: preresume; sleeps for I/O.
 * Return: 0 or a negative errno.
 */
int dm_sync_delta_wipe(struct dm_sync_delta *d)
{
	struct dm_sync_stretch *s = dm_sync_stretch_create(1);
	int r;

	if (!s)
		return -ENOMEM;
	memset(s->buf[0], 0, DM_SYNC_BLOCK_SIZE);
	memset(s->buf[1], 0, DM_SYNC_BLOCK_SIZE);
	r = dm_sync_stretch_write(&d->meta, s, 0, 1);
	dm_sync_stretch_destroy(s);
	return r;
}

static int write_table(struct dm_sync_delta *d)
{
	struct dm_sync_stretch *s = dm_sync_stretch_create(d->nr_blocks);
	u32 first, i, nr;
	int r = 0;

	if (!s)
		return -ENOMEM;
	for (first = 0; first < d->nr_blocks && !r; first += nr) {
		nr = min(s->nr / 2, d->nr_blocks - first);
		for (i = 0; i < nr; i++) {
			memset(s->buf[2 * i], 0, DM_SYNC_BLOCK_SIZE);
			dm_sync_stretch_seal(&d->meta, s, i, &d->block[first + i].b);
		}
		r = dm_sync_stretch_write(&d->meta, s, d->block[first].b.nr, nr);
		cond_resched();
	}
	dm_sync_stretch_destroy(s);
	return r;
}

static int write_header(struct dm_sync_delta *d)
{
	struct delta_disk *h = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_KERNEL);
	int r;

	if (!h)
		return -ENOMEM;
	h->version = cpu_to_le32(DELTA_VERSION);
	h->region_sectors = cpu_to_le32(1u << d->region_shift);
	h->nr_slots = cpu_to_le32(d->nr_slots);
	h->nr_blocks = cpu_to_le32(d->nr_blocks);
	h->first = cpu_to_le64(d->first);
	h->id = cpu_to_le64(d->id);
	r = dm_sync_block_format(&d->meta, &d->header, h);
	kfree(h);
	return r;
}

/**
 * dm_sync_delta_format - make it a delta of this pair, with nothing in it
 * @d: the delta, opened
 * @epoch: of the first image, at least 1
 *
 * The table is of epoch 0, so older than any image.
 *
 * Context: preresume; sleeps for I/O.
 * Return: 0 or a negative errno.
 */
int dm_sync_delta_format(struct dm_sync_delta *d, u64 epoch)
{
	int r;
	u32 i;

	d->id = get_random_u64();
	for (i = 0; i < d->nr_blocks; i++)
		d->block[i].b.id.epoch = 0;
	r = write_table(d) ?: write_header(d);
	dm_sync_delta_begin(d, epoch);
	return r;
}

static bool is_intact(struct dm_sync_delta *d, const struct dm_sync_block_id *id, int check,
		      const void *buf)
{
	return !check || (check == -ESTALE && dm_sync_block_is_older(buf, d->meta.uuid, id));
}

/*
 * A home that cannot be read may be the newest.  One that is torn is to be written anew,
 * or a clean end would find it damaged.
 */
static bool is_damaged(struct dm_sync_delta *d, const struct dm_sync_block_id *id,
		       const struct dm_sync_homes *h, void **buf, bool clean, bool *torn)
{
	bool a = is_intact(d, id, h->check[0], buf[0]), b = is_intact(d, id, h->check[1], buf[1]);

	*torn = !a || !b;
	if (h->check[0] == -EIO || h->check[1] == -EIO)
		return true;
	if (!h->check[0] && !h->check[1] && h->home == DM_SYNC_HOME_NONE)
		return true;	/* two of one number */
	return clean ? *torn : !a && !b;
}

static int take_entries(struct dm_sync_delta *d, u32 i,
			bool (*wanted)(void *context, u64 region), void *context)
{
	u32 slot = i * DM_SYNC_DELTA_ENTRIES;
	u32 end = min_t(u32, slot + DM_SYNC_DELTA_ENTRIES, d->nr_slots);
	u64 region;

	for (; slot < end; slot++) {
		region = le32_to_cpu(*dm_sync_delta_entry(d, slot));
		if (region > d->nr_regions)
			return -EUCLEAN;
		if (!region || !wanted(context, region - 1))
			continue;
		if (!dm_sync_delta_take(d, slot, region - 1))
			return -ENOMEM;
	}
	return 0;
}

static int load_block(struct dm_sync_delta *d, struct dm_sync_stretch *s, unsigned int at, u32 i,
		      bool clean, bool (*wanted)(void *context, u64 region), void *context)
{
	struct dm_sync_delta_block *block = &d->block[i];
	struct dm_sync_homes h;
	bool torn;

	dm_sync_delta_renew(d, i);
	dm_sync_block_judge(&h, s->buf[2 * at], s->error[2 * at],
			    s->buf[2 * at + 1], s->error[2 * at + 1],
			    d->meta.uuid, &block->b.id, false);
	block->b.seq = h.last_seq;
	block->b.home = h.last_home;
	if (is_damaged(d, &block->b.id, &h, s->buf + 2 * at, clean, &torn))
		return -EUCLEAN;
	if (torn)
		__set_bit(i, d->dirty);
	if (h.home == DM_SYNC_HOME_NONE)
		return 0;
	memcpy(block->buf, s->buf[2 * at + h.home], DM_SYNC_BLOCK_SIZE);
	return take_entries(d, i, wanted, context);
}

/**
 * dm_sync_delta_load - read the table back
 * @d: the delta, opened; it is the pair's
 * @epoch: of the image, as the superblock has it
 * @clean: no write was in flight when it was last used
 * @wanted: is the old data of this region still needed?
 * @context: its first argument
 *
 * Context: preresume; sleeps for I/O.
 * Return: 0; -EUCLEAN: something that was needed may be lost; -ENOMEM.
 */
int dm_sync_delta_load(struct dm_sync_delta *d, u64 epoch, bool clean,
		       bool (*wanted)(void *context, u64 region), void *context)
{
	struct dm_sync_stretch *s = dm_sync_stretch_create(d->nr_blocks);
	int error, r = 0;
	u32 first, i, nr;

	if (!s)
		return -ENOMEM;
	dm_sync_delta_begin(d, epoch);
	for (first = 0; first < d->nr_blocks && r != -ENOMEM; first += nr) {
		nr = min(s->nr / 2, d->nr_blocks - first);
		dm_sync_stretch_read(&d->meta, s, d->block[first].b.nr, nr);
		for (i = 0; i < nr && r != -ENOMEM; i++) {
			error = load_block(d, s, i, first + i, clean, wanted, context);
			r = error ?: r;
		}
		cond_resched();
	}
	dm_sync_stretch_destroy(s);
	if (!r)
		dm_sync_delta_commit(d);	/* what was torn; if it fails, @failed says so */
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store from its device: taken up, or formatted.
 *
 * At preresume, with commit_lock held and before there is any host I/O. Nothing is
 * written to a device before it is known to be ours or blank, or the option "format" was
 * given.
 *
 * Formatting: superblock, both homes, with no segment; the image table; the first
 * segment. Who finds a superblock with no segment and with the first ids finds a
 * formatting that was cut, as ids rise when a store is first used: he does the rest of
 * it again. Before the superblock is there, the device is blank, or what it was.
 *
 * Taking up: superblock, image table, all slot blocks of the segments it counts, in long
 * reads. Of each slot block the copy of the newest batch that was complete is the truth
 * (dm-sync-store-codec.c); for one batch at most, that takes reading its data. Entries go
 * into the view, which names the slots that are in use (dm-sync-view.c). What a crash
 * left torn is then written again, in this order: superblock, image table, slot block;
 * and only then does anything else happen (V1 in Documentation/proofs/store.rst).
 *
 * Damage. Slot blocks that are not right say that no image can be trusted, so all of
 * them are given up, durably, and the store begins anew with no segment: the source is
 * served. In between, a power cut repeats this: the images' records come first, while
 * the superblock says that there is damage, whatever the blocks look like to a load that
 * is not one after a clean end. What cannot be read may be read tomorrow, and
 * what the images are cannot be told without their table: then the store is refused and
 * nothing is changed.
 */
#include <linux/bitmap.h>
#include <linux/crc32c.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "dm-sync-store.h"

#define DM_MSG_PREFIX "sync"

#define TABLE_BLOCKS	(1 + DM_SYNC_IMAGE_BLOCKS)	/* superblock and image table */
#define RESERVE_BLOCKS	8u				/* of s->stretch */

/*----------------------------------------------------------------
 * Memory
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_unload - free what was loaded
 * @s: the store; its images are gone, and nobody uses it any more, for a grace period
 *
 * Context: may sleep.
 */
void dm_sync_store_unload(struct dm_sync_store *s)
{
	unsigned int i;

	s->loaded = false;
	dm_sync_restore_free(s);
	dm_sync_view_exit(&s->view);
	dm_sync_slots_exit(&s->slots);
	kvfree(s->slot_homes);
	kfree(s->items);
	dm_sync_stretch_destroy(s->stretch);
	kfree(s->super_buf);
	kfree(s->slot_buf);
	kfree(s->slot_old);
	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS; i++) {
		kfree(s->image_buf[i]);
		s->image_buf[i] = NULL;
	}
	if (s->ranges)
		dm_sync_ranges_destroy(s->ranges);
	s->slot_homes = NULL;
	s->items = NULL;
	s->stretch = NULL;
	s->super_buf = s->slot_buf = s->slot_old = NULL;
	s->ranges = NULL;
}

static int alloc_buffers(struct dm_sync_store *s)
{
	unsigned int i;

	s->super_buf = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_NOIO);
	s->slot_buf = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_NOIO);
	s->slot_old = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_NOIO);
	s->items = kcalloc(DM_SYNC_BLOCK_SLOTS_NR, sizeof(*s->items), GFP_NOIO);
	s->stretch = dm_sync_stretch_create(RESERVE_BLOCKS);
	s->ranges = dm_sync_ranges_create(ilog2(max(DM_SYNC_COW_SECTORS, 1u << s->chunk_shift)));
	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS; i++) {
		s->image_buf[i] = kzalloc(DM_SYNC_BLOCK_SIZE, GFP_NOIO);
		if (!s->image_buf[i])
			return -ENOMEM;
	}
	if (!s->super_buf || !s->slot_buf || !s->slot_old || !s->items || !s->stretch ||
	    !s->ranges)
		return -ENOMEM;
	return 0;
}

/* As large as the device is now; it may have grown since it was last used. */
static int set_layout(struct dm_sync_store *s, const char **why)
{
	unsigned int i;
	int r;

	r = dm_sync_store_layout(&s->layout, 1u << s->chunk_shift, s->sectors,
				 bdev_nr_sectors(s->bdev));
	if (r) {
		*why = "the store is too small for a single chunk, or the source has too many";
		return r;
	}
	dm_sync_view_init(&s->view, s->layout.nr_chunks);
	s->slot_homes = kvcalloc(s->layout.nr_segments, sizeof(*s->slot_homes), GFP_NOIO);
	s->cached = s->rewrite = DM_SYNC_NO_BLOCK;
	s->image_owed = 0;
	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS; i++)
		s->image_block[i] = (struct dm_sync_block) {
			.id = { s->super.epoch, DM_SYNC_BLOCK_IMAGES, i },
			.nr = 1 + i,
			.home = 1,
		};
	return s->slot_homes ? 0 : -ENOMEM;
}

/*----------------------------------------------------------------
 * The superblock
 *--------------------------------------------------------------*/

static void identify_super(struct dm_sync_store *s)
{
	s->super_block = (struct dm_sync_block) {
		.id = { .type = DM_SYNC_BLOCK_STORE },
		.home = 1,
	};
}

/* Learn the uuid: the one field that cannot be checked against anything. */
static bool learn_uuid(struct dm_sync_store *s)
{
	unsigned int home;
	u64 seq;

	for (home = 0; home < 2; home++) {
		const struct dm_sync_block_disk *h = s->stretch->buf[home];

		if (s->stretch->error[home] ||
		    dm_sync_block_check(h, h->uuid, &s->super_block.id, &seq))
			continue;
		memcpy(s->meta.uuid, h->uuid, sizeof(h->uuid));
		return true;
	}
	return false;
}

/* What the table asks for, and what the device is. */
static int check_super(struct dm_sync_store *s, const struct dm_sync_config *c,
		       const char **why)
{
	if (c->have_uuid && memcmp(c->uuid, s->meta.uuid, sizeof(s->meta.uuid)))
		*why = "the store has another uuid";
	else if (s->super.source_sectors != s->sectors)
		*why = "the store belongs to a source of another size";
	else if (s->super.chunk_sectors != 1u << s->chunk_shift)
		*why = "the store was made for another chunk size";
	else if (s->super.store_sectors > bdev_nr_sectors(s->bdev))
		*why = "the device is smaller than the store on it";
	else
		return 0;
	return -EINVAL;
}

static int take_super(struct dm_sync_store *s, const char **why)
{
	struct dm_sync_homes h;

	dm_sync_block_judge(&h, s->stretch->buf[0], s->stretch->error[0], s->stretch->buf[1],
			    s->stretch->error[1], s->meta.uuid, &s->super_block.id, false);
	/* A home that cannot be read may be the newer one, with ids that were given. */
	*why = "the superblock of the store cannot be read";
	if (h.check[0] == -EIO || h.check[1] == -EIO)
		return -EIO;
	*why = "the superblock of the store is damaged";
	if (h.home == DM_SYNC_HOME_NONE)
		return -EUCLEAN;
	s->super_block.seq = h.last_seq;
	s->super_block.home = h.last_home;
	memcpy(s->super_buf, s->stretch->buf[h.home], DM_SYNC_BLOCK_SIZE);
	*why = dm_sync_store_super_decode(s->super_buf, &s->super);
	return *why ? -EUCLEAN : h.check[0] || h.check[1];
}

/* Returns 0 for a device to be formatted, 1 and @torn for ours, or an error. */
static int probe(struct dm_sync_store *s, const struct dm_sync_config *c, bool *torn,
		 const char **why)
{
	int r, error = 0;

	identify_super(s);
	if (c->format)
		return 0;
	dm_sync_stretch_read(&s->meta, s->stretch, 0, 1);
	if (!learn_uuid(s)) {
		if (!s->stretch->error[0] && !s->stretch->error[1] &&
		    dm_sync_meta_is_blank(&s->meta, TABLE_BLOCKS, &error))
			return 0;
		error = error ?: s->stretch->error[0] ?: s->stretch->error[1];
		*why = error ? "the store cannot be read" :
		       "the store is not blank and holds no images of dm-sync (option \"format\" overwrites it)";
		return error ?: -EEXIST;
	}
	r = take_super(s, why);
	if (r < 0)
		return r;
	*torn = r;
	r = check_super(s, c, why);
	return r ?: 1;
}

/*----------------------------------------------------------------
 * A new store
 *--------------------------------------------------------------*/

/* What follows the superblock; done again when it was cut. */
static int format_rest(struct dm_sync_store *s)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS && !r; i++) {
		memset(s->image_buf[i], 0, DM_SYNC_BLOCK_SIZE);
		r = dm_sync_block_format(&s->meta, &s->image_block[i], s->image_buf[i]);
	}
	return r ?: dm_sync_store_format_segment(s);
}

static int format(struct dm_sync_store *s, const struct dm_sync_config *c, const char **why)
{
	int r;

	if (c->have_uuid)
		memcpy(s->meta.uuid, c->uuid, sizeof(s->meta.uuid));
	else
		generate_random_uuid(s->meta.uuid);
	s->super = (struct dm_sync_store_super) {
		.chunk_sectors = 1u << s->chunk_shift,
		.source_sectors = s->sectors,
		.store_sectors = bdev_nr_sectors(s->bdev),
		.next_generation = 1,
		.next_own = 1,
		.epoch = get_random_u64() >> 1,
		.established = dm_sync_now(),
	};
	r = set_layout(s, why);
	if (r)
		return r;
	*why = "the store cannot be written";
	dm_sync_store_super_encode(s->super_buf, &s->super);
	r = dm_sync_block_format(&s->meta, &s->super_block, s->super_buf);
	if (!r)
		r = dm_sync_slots_init(&s->slots, 0);
	if (!r)
		r = format_rest(s);
	s->view.loaded = true;
	return r;
}

/*----------------------------------------------------------------
 * The image table
 *--------------------------------------------------------------*/

/* @torn: out: blocks that a crash left with one home. */
static int read_table(struct dm_sync_store *s, struct dm_sync_stretch *stretch, u32 *torn)
{
	bool clean = s->super.flags & DM_SYNC_STORE_CLEAN;
	struct dm_sync_homes h;
	unsigned int i;

	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS; i++) {
		struct dm_sync_block *b = &s->image_block[i];

		dm_sync_stretch_read(&s->meta, stretch, b->nr, 1);
		dm_sync_block_judge(&h, stretch->buf[0], stretch->error[0], stretch->buf[1],
				    stretch->error[1], s->meta.uuid, &b->id, clean);
		if (h.check[0] == -EIO || h.check[1] == -EIO)
			return -EIO;
		if (h.home == DM_SYNC_HOME_NONE)
			return -EUCLEAN;
		b->seq = h.last_seq;
		b->home = h.last_home;
		memcpy(s->image_buf[i], stretch->buf[h.home], DM_SYNC_BLOCK_SIZE);
		if (h.check[0] || h.check[1])
			*torn |= 1u << i;
	}
	return 0;
}

/* The one before it would be in its place wherever images are found by their names. */
static bool is_second(struct dm_sync_store *s, unsigned int nr, const char *name)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (s->image[i] && !strcmp(s->image[i]->name, name))
			return true;
	return false;
}

static int load_image(struct dm_sync_store *s, unsigned int nr,
		      const struct dm_sync_image_record *r)
{
	struct dm_sync_view_image *view;
	struct dm_sync_image *image;

	if (r->flags & DM_SYNC_IMAGE_DISSOLVED)
		return 0;
	if (is_second(s, nr, r->name))
		return -EUCLEAN;
	image = dm_sync_image_load(s, nr, r);
	if (!image)
		return -ENOMEM;
	if (!r->generation || r->flags & DM_SYNC_IMAGE_LOST)
		return 0;
	view = dm_sync_view_alloc(&s->view, r->generation, r->own_id);
	if (!view)
		return -ENOMEM;
	if (dm_sync_view_add(&s->view, view)) {
		dm_sync_view_free(view);
		return -EUCLEAN;
	}
	rcu_assign_pointer(image->view, view);
	return 0;
}

static int load_images(struct dm_sync_store *s)
{
	struct dm_sync_image_record record;
	unsigned int nr;
	int r = 0;

	for (nr = 0; nr < DM_SYNC_MAX_IMAGES && !r; nr++) {
		r = dm_sync_image_decode(s->image_buf[nr / DM_SYNC_IMAGES_PER_BLOCK],
					 nr % DM_SYNC_IMAGES_PER_BLOCK, &record);
		if (r == -ENOENT)
			r = 0;
		else if (!r)
			r = load_image(s, nr, &record);
	}
	return r;
}

/*----------------------------------------------------------------
 * Slot blocks
 *--------------------------------------------------------------*/

/**
 * struct scan - reading all slot blocks
 * @stretch: buffers
 * @codec: what they show
 * @kept: homes of the newest block so far; its copies are in slot_buf and slot_old
 * @kept_index: which it is
 */
struct scan {
	struct dm_sync_stretch *stretch;
	struct dm_sync_slot_scan codec;
	struct dm_sync_slot_homes kept;
	u32 kept_index;
};

/* The copy in this home of the block is the truth. */
static int believe(struct dm_sync_store *s, u32 index, int home, const void *buf)
{
	u32 i, nr = dm_sync_store_block_slots(&s->layout, index);
	struct dm_sync_entry e;
	int r = 0;

	dm_sync_store_set_home(s, index, home);
	for (i = 0; i < nr && !r; i++) {
		r = dm_sync_entry_decode(buf, i, s->layout.nr_chunks, &e);
		if (!r)
			r = dm_sync_view_load(&s->view, index * DM_SYNC_BLOCK_SLOTS_NR + i, &e);
	}
	return r;
}

static int scan_block(struct dm_sync_store *s, struct scan *scan, u32 index, unsigned int at)
{
	void **buf = &scan->stretch->buf[2 * at];
	struct dm_sync_block b = dm_sync_store_block(s, index);
	int *error = &scan->stretch->error[2 * at];
	struct dm_sync_slot_homes h;
	bool newest;
	int r;

	r = dm_sync_slot_homes_judge(&h, buf[0], error[0], buf[1], error[1], s->meta.uuid,
				     &b.id, scan->codec.clean);
	r = dm_sync_slot_scan_add(&scan->codec, index, r, &h, &newest);
	if (r)
		return r;
	if (!newest)
		return believe(s, index, h.homes.home, buf[h.homes.home]);
	if (scan->kept_index != DM_SYNC_NO_BLOCK)
		r = believe(s, scan->kept_index, scan->kept.homes.home,
			    scan->kept.homes.home ? s->slot_old : s->slot_buf);
	scan->kept = h;
	scan->kept_index = index;
	memcpy(s->slot_buf, buf[0], DM_SYNC_BLOCK_SIZE);
	memcpy(s->slot_old, buf[1], DM_SYNC_BLOCK_SIZE);
	return r;
}

static int scan_segment(struct dm_sync_store *s, struct scan *scan, u32 segment)
{
	u32 i, at, nr, index = segment * DM_SYNC_SEGMENT_BLOCKS;
	int r = 0;

	for (i = 0; i < DM_SYNC_SEGMENT_BLOCKS && !r; i += nr) {
		nr = min(scan->stretch->nr / 2, DM_SYNC_SEGMENT_BLOCKS - i);
		dm_sync_stretch_read(&s->meta, scan->stretch,
				     dm_sync_store_slot_block(&s->layout, index + i), nr);
		for (at = 0; at < nr && !r; at++)
			r = scan_block(s, scan, index + i + at, at);
		cond_resched();
	}
	return r;
}

/* Does what lies in the slot contradict the checksum? What cannot be read does not. */
static bool contradicts(struct dm_sync_store *s, struct dm_sync_stretch *stretch, u32 slot,
			u32 crc)
{
	u64 unit = dm_sync_store_slot_sector(&s->layout, slot) / DM_SYNC_BLOCK_SECTORS;
	u32 left = s->layout.chunk_sectors / DM_SYNC_BLOCK_SECTORS, nr, i;
	u32 found = ~0u;

	for (; left; left -= nr, unit += nr) {
		nr = min(left, stretch->nr);
		dm_sync_stretch_read_units(&s->meta, stretch, unit, nr);
		for (i = 0; i < nr; i++) {
			if (stretch->error[i])
				return false;
			found = crc32c(found, stretch->buf[i], DM_SYNC_BLOCK_SIZE);
		}
		cond_resched();
	}
	return ~found != crc;
}

/* Of the newest batch: is all its data there? */
static bool arrived(struct dm_sync_store *s, struct scan *scan)
{
	int home = scan->kept.homes.home;
	const struct dm_sync_slot_batch *batch = &scan->kept.batch[home];
	const void *buf = home ? s->slot_old : s->slot_buf;
	struct dm_sync_entry e;
	u32 i;

	for (i = batch->first; i < (u32)batch->first + batch->nr; i++) {
		if (dm_sync_entry_decode(buf, i, s->layout.nr_chunks, &e) ||
		    !dm_sync_entry_has_crc(&e))
			continue;
		if (contradicts(s, scan->stretch,
				scan->kept_index * DM_SYNC_BLOCK_SLOTS_NR + i, e.crc))
			return false;
	}
	return true;
}

/* The newest block, and with it what memory has to know of batches. */
static int scan_end(struct dm_sync_store *s, struct scan *scan)
{
	bool good = !dm_sync_slot_scan_suspects(&scan->codec) || arrived(s, scan);
	int home, r = dm_sync_slot_scan_end(&scan->codec, good, &home, &s->rewrite);

	if (r)
		return r;
	s->batch = scan->codec.newest;
	if (scan->kept_index == DM_SYNC_NO_BLOCK)
		return 0;
	if (home)
		memcpy(s->slot_buf, s->slot_old, DM_SYNC_BLOCK_SIZE);
	s->cached = scan->kept_index;
	/* A batch that is not believed has no number that a superblock may name. */
	if (home == scan->kept.homes.home)
		s->super.batch = s->batch;
	else
		DMINFO("%s: the newest batch of the store was cut, and is not used", s->name);
	scan->kept.homes.home = home;
	r = believe(s, scan->kept_index, home, s->slot_buf);
	/* Above both copies, whichever is believed. */
	s->slot_block = dm_sync_store_block(s, s->cached);
	s->slot_block.seq = scan->kept.homes.last_seq;
	return r;
}

struct take {
	struct dm_sync_store *store;
	bool twice;
};

static void take_slot(void *context, u32 slot)
{
	struct take *take = context;

	if (!dm_sync_slots_take(&take->store->slots, slot))
		take->twice = true;
}

static int scan_all(struct dm_sync_store *s, struct scan *scan)
{
	struct take take = { .store = s };
	struct dm_sync_slot_batch *newest;
	u32 segment;
	int r = 0;

	dm_sync_slot_scan_begin(&scan->codec, &s->super);
	for (segment = 0; segment < s->super.segments && !r; segment++)
		r = scan_segment(s, scan, segment);
	if (!r)
		r = scan_end(s, scan);
	if (r)
		return r;
	dm_sync_view_load_end(&s->view, take_slot, &take);
	if (take.twice)
		return -EUCLEAN;
	if (scan->kept_index == DM_SYNC_NO_BLOCK)
		return 0;
	newest = &scan->kept.batch[scan->kept.homes.home];
	dm_sync_slots_complete(&s->slots, scan->kept_index * DM_SYNC_BLOCK_SLOTS_NR +
			       newest->first, newest->nr);
	return 0;
}

static int load_slots(struct dm_sync_store *s, struct dm_sync_stretch *stretch)
{
	struct scan scan = { .stretch = stretch, .kept_index = DM_SYNC_NO_BLOCK };
	u32 nr = dm_sync_store_formatted_slots(s);
	int r = dm_sync_slots_init(&s->slots, nr);

	if (!r)
		r = dm_sync_view_load_begin(&s->view, s->super.next_generation,
					    s->super.next_own, nr);
	return r ?: scan_all(s, &scan);
}

/*----------------------------------------------------------------
 * Damage
 *--------------------------------------------------------------*/

/* Their views are gone; who had one is given up. */
static int lose_all(struct dm_sync_store *s)
{
	DECLARE_BITMAP(had, DM_SYNC_MAX_IMAGES) = { 0 };
	unsigned int i;
	int r = 0, error;

	for (i = 0; i < DM_SYNC_MAX_IMAGES; i++) {
		if (!s->image[i] || !rcu_access_pointer(s->image[i]->view))
			continue;
		RCU_INIT_POINTER(s->image[i]->view, NULL);
		__set_bit(i, had);
	}
	for_each_set_bit(i, had, DM_SYNC_MAX_IMAGES) {
		error = dm_sync_image_give_up(s, s->image[i], DM_SYNC_REASON_METADATA_LOST);
		r = r ?: error;
	}
	return r;
}

static void forget_segments(struct dm_sync_store *s)
{
	s->super.segments = 0;
	s->super.batch = s->batch = 0;
	s->cached = s->rewrite = DM_SYNC_NO_BLOCK;
}

/*
 * The slots are not known: no image can be trusted, and all slots are free. With the first write
 * the superblock loses what the damage was seen by: that the end was clean, and perhaps the
 * number of the batch. So it names a batch that never was: as long as there are segments, every
 * load misses it.
 */
static int lose_images(struct dm_sync_store *s)
{
	int r;

	DMERR("%s: the slot blocks of the store are damaged: its images are lost", s->name);
	dm_sync_view_exit(&s->view);
	s->view.loaded = true;
	dm_sync_slots_exit(&s->slots);
	/* So that a record that is cut is no damage. */
	s->super.flags &= ~DM_SYNC_STORE_CLEAN;
	s->super.batch = U64_MAX;
	r = dm_sync_store_write_super(s);
	if (!r)
		r = lose_all(s);
	if (r)
		return r;
	forget_segments(s);
	r = dm_sync_store_write_super(s);
	return r ?: dm_sync_slots_init(&s->slots, 0);
}

/*----------------------------------------------------------------
 * A store that was there
 *--------------------------------------------------------------*/

/* What a crash left torn, before anything else. */
static int mend(struct dm_sync_store *s, bool super_torn, u32 table_torn)
{
	int r = super_torn ? dm_sync_store_write_super(s) : 0;

	s->image_owed |= table_torn;
	if (!r)
		r = dm_sync_store_write_owed(s);
	if (!r && s->rewrite != DM_SYNC_NO_BLOCK)
		r = dm_sync_store_rewrite(s);
	if (!r && !s->super.segments)
		r = dm_sync_store_format_segment(s);
	return r;
}

static int take_up(struct dm_sync_store *s, struct dm_sync_stretch *stretch, bool super_torn,
		   const char **why)
{
	u32 table_torn = 0;
	int r;

	if (!s->super.segments && s->super.next_generation == 1) {
		*why = "the store cannot be written";
		r = dm_sync_slots_init(&s->slots, 0);
		s->view.loaded = true;
		return r ?: format_rest(s);
	}
	r = read_table(s, stretch, &table_torn);
	if (!r)
		r = load_images(s);
	if (r) {
		*why = r == -ENOMEM ? "not enough memory for the images" :
		       r == -EIO ? "the table of images cannot be read" :
		       "the table of images is damaged (option \"format\" gives them up)";
		return r;
	}
	*why = "not enough memory for the images";
	r = load_slots(s, stretch);
	if (r == -EIO)
		*why = "a slot block of the store cannot be read (option \"format\" gives the images up)";
	if (r && r != -EUCLEAN)
		return r;
	*why = "the store cannot be written";
	if (r)
		r = lose_images(s);
	if (!r)
		r = mend(s, super_torn, table_torn);
	return r ?: dm_sync_restore_load(s, why);
}

/**
 * dm_sync_store_grow - the device may be larger than it was
 * @s: the store, loaded
 * @why: out: a sentence, on errors
 *
 * What is where does not change, so nothing is written; the superblock learns of it when
 * it is written next.
 *
 * Context: preresume, commit_lock held; may sleep. Images may be read.
 * Return: 0, -EINVAL when it is smaller, or -ENOMEM.
 */
int dm_sync_store_grow(struct dm_sync_store *s, const char **why)
{
	struct dm_sync_store_layout l;
	u64 *homes;

	*why = "the device is smaller than the store on it";
	if (dm_sync_store_layout(&l, s->layout.chunk_sectors, s->layout.source_sectors,
				 bdev_nr_sectors(s->bdev)) ||
	    l.nr_slots < s->layout.nr_slots)
		return -EINVAL;
	if (l.nr_segments > s->layout.nr_segments) {
		*why = "not enough memory";
		homes = kvcalloc(l.nr_segments, sizeof(*homes), GFP_NOIO);
		if (!homes)
			return -ENOMEM;
		memcpy(homes, s->slot_homes, s->layout.nr_segments * sizeof(*homes));
		kvfree(s->slot_homes);
		s->slot_homes = homes;
	}
	s->layout.store_sectors = l.store_sectors;
	s->layout.nr_segments = l.nr_segments;
	WRITE_ONCE(s->layout.nr_slots, l.nr_slots);
	s->super.store_sectors = l.store_sectors;
	/* The last segment may have been cut short; if it cannot grow now, it does later. */
	dm_sync_slots_grow(&s->slots, dm_sync_store_formatted_slots(s));
	return 0;
}

/**
 * dm_sync_store_load - take the store up from its device, or format it
 * @s: the store: device, source's size and chunk size are set; nothing was loaded
 * @c: what the table line says
 * @why: out: a sentence, on errors
 *
 * Context: preresume, commit_lock held; may sleep for I/O.
 * Return: 0; or a negative errno: dm_sync_store_unload() is due, after the images that
 * were made are gone.
 */
int dm_sync_store_load(struct dm_sync_store *s, const struct dm_sync_config *c,
		       const char **why)
{
	struct dm_sync_stretch *stretch;
	bool torn = false;
	int r;

	*why = "not enough memory";
	s->failed = 0;
	r = alloc_buffers(s);
	if (r)
		return r;
	r = probe(s, c, &torn, why);
	if (r < 0)
		return r;
	s->next_generation = r ? s->super.next_generation : 1;
	s->next_own = r ? s->super.next_own : 1;
	if (!r)
		return format(s, c, why);
	r = set_layout(s, why);
	if (r)
		return r;
	stretch = dm_sync_stretch_create(DM_SYNC_STRETCH_UNITS / 2);
	if (!stretch)
		return -ENOMEM;
	r = take_up(s, stretch, torn, why);
	dm_sync_stretch_destroy(stretch);
	return r;
}

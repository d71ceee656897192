// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store's superblock, its image records, and new segments.
 *
 * All of it is written with commit_lock held, one block at a time, and each write is
 * durable when it returns (FUA). None of it is on the path of a host's write, but for
 * the record of an image that is given up and a segment that is formatted, and these
 * need no memory that has no reserve.
 *
 * A write that failed may have taken effect all the same, now or when the device comes
 * back. What that means:
 *
 *  - superblock: nothing. Ids that are further ahead are wasted; a segment is counted
 *    only after it was formatted; "not clean" is always right, and "clean" is written
 *    when nothing else will be.
 *  - a record: a point in time that was refused would come to be believed, with nothing
 *    saved for it. So the old record is put back and written at once, to the same home.
 *    The one exception is the record of an image that is lost, which has to become
 *    durable, and is kept. If that write fails as well the block is owed: it is written
 *    again with each probe of the store (dm-sync-commit-store.c), and no new point in
 *    time is taken before it was.
 *
 * A clean end: what is owed is tried for the last time, and that includes what is only known
 * to be owed when the committer comes by, who may not before this (dm-sync-patience.c). While
 * something is owed all the same (a record, a slot block), or the newest batch did not end
 * well, the superblock is not marked clean: the next load then looks at everything, as after
 * a crash.
 *
 * Ids: the superblock's are DM_SYNC_GENERATIONS_AHEAD above those that were handed out,
 * and after a start the first one that is handed out is the superblock's. So none is
 * ever given twice, and a point in time writes its record and nothing else.
 *
 * Slot blocks: there are many, so memory keeps one bit of each, the home that holds its
 * newest copy, and all else of one, the cached one. The sequence number of any other is in
 * that copy, and is taken from there when the block is read again, as it has to be before
 * it is written. That is the right one, as a block leaves the cache only when the copy is
 * whole and the other home holds an older one or none: after a write that succeeded. One
 * that failed, or a load that believes the older copy, leaves it cached with its number,
 * and s->rewrite keeps it there until it was written again (dm-sync-commit-store.c). So
 * the next write goes, as ever, to the home that does not hold what is believed, with a
 * number above both.
 */
#include "dm-sync-commit-store.h"

#define DM_MSG_PREFIX "sync"

/**
 * dm_sync_store_write_super - make the superblock say what s->super says
 * @s: the store
 *
 * Context: commit_lock held; sleeps for I/O.
 * Return: 0, or a negative errno; the disk then says one or the other.
 */
int dm_sync_store_write_super(struct dm_sync_store *s)
{
	dm_sync_store_super_encode(s->super_buf, &s->super);
	return dm_sync_block_write(&s->meta, &s->super_block, s->super_buf);
}

/*----------------------------------------------------------------
 * Ids
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_prepare_ids - see to it that ids can be taken without a write
 * @s: the store
 *
 * Called before a point in time is taken, while nobody waits yet.
 *
 * Context: commit_lock held; sleeps for I/O once in DM_SYNC_GENERATIONS_AHEAD times.
 * Return: 0, and one generation and one own id can be taken before the lock is dropped
 * or later, if each taker prepares; or a negative errno.
 */
int dm_sync_store_prepare_ids(struct dm_sync_store *s)
{
	u32 generation = s->super.next_generation, own = s->super.next_own;
	int r;

	if (s->next_generation < generation && s->next_own < own)
		return 0;
	if (s->next_generation > U32_MAX - DM_SYNC_GENERATIONS_AHEAD ||
	    s->next_own > U32_MAX - DM_SYNC_GENERATIONS_AHEAD)
		return -EOVERFLOW;
	s->super.next_generation = s->next_generation + DM_SYNC_GENERATIONS_AHEAD;
	s->super.next_own = s->next_own + DM_SYNC_GENERATIONS_AHEAD;
	r = dm_sync_store_write_super(s);
	if (r) {
		s->super.next_generation = generation;
		s->super.next_own = own;
	}
	return r;
}

/**
 * dm_sync_store_take_generation - a generation that no image ever had
 * @s: the store; dm_sync_store_prepare_ids() succeeded
 *
 * Context: commit_lock held.
 */
u32 dm_sync_store_take_generation(struct dm_sync_store *s)
{
	WARN_ON_ONCE(s->next_generation >= s->super.next_generation);
	return s->next_generation++;
}

/**
 * dm_sync_store_take_own - an own id that no image ever had
 * @s: the store; dm_sync_store_prepare_ids() succeeded
 *
 * Context: commit_lock held.
 */
u32 dm_sync_store_take_own(struct dm_sync_store *s)
{
	WARN_ON_ONCE(s->next_own >= s->super.next_own);
	return s->next_own++;
}

/*----------------------------------------------------------------
 * In use, and not any more
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_arm - blocks may be written from now on
 * @s: the store, loaded
 * @why: out: a sentence, on errors
 *
 * The disk learns of it, and which ids may be given.
 *
 * Context: preresume, commit_lock held; sleeps for I/O.
 * Return: 0 or a negative errno.
 */
int dm_sync_store_arm(struct dm_sync_store *s, const char **why)
{
	int r;

	s->super.flags &= ~DM_SYNC_STORE_CLEAN;
	s->super.store_sectors = s->layout.store_sectors;
	/* As if they were used up: prepare_ids() writes the superblock. */
	s->super.next_generation = s->next_generation;
	s->super.next_own = s->next_own;
	r = dm_sync_store_prepare_ids(s);
	if (r)
		*why = "the store cannot be written";
	else
		s->armed = true;
	return r;
}

/*
 * The source has gone on without images whose records could not say so. The device may be
 * well by now, and nobody writes them later than this.
 */
static void pay_debts(struct dm_sync_store *s)
{
	int r;

	dm_sync_space_late(s);
	r = dm_sync_store_revive(s);
	if (r)
		DMERR("%s: the store still cannot be written: %d. Its lost images may look whole when it is used again",
		      s->name, r);
}

static bool owes_nothing(const struct dm_sync_store *s)
{
	return !s->failed && !s->image_owed && s->rewrite == DM_SYNC_NO_BLOCK &&
	       s->super.batch == s->batch;
}

/**
 * dm_sync_store_disarm - from here on no block is written; whatever comes waits
 * @s: the store, loaded
 *
 * Context: postsuspend, commit_lock held; sleeps for I/O.
 */
void dm_sync_store_disarm(struct dm_sync_store *s)
{
	if (s->armed)
		pay_debts(s);
	if (s->armed && owes_nothing(s)) {
		s->super.flags |= DM_SYNC_STORE_CLEAN;
		s->super.next_generation = s->next_generation;
		s->super.next_own = s->next_own;
		if (dm_sync_store_write_super(s))
			DMERR("%s: the superblock of the store cannot be written", s->name);
	}
	s->armed = false;
}

/*----------------------------------------------------------------
 * Image records
 *--------------------------------------------------------------*/

static int write_image_block(struct dm_sync_store *s, unsigned int nr)
{
	int r = dm_sync_block_write(&s->meta, &s->image_block[nr], s->image_buf[nr]);

	if (r)
		s->image_owed |= 1u << nr;
	else
		s->image_owed &= ~(1u << nr);
	return r;
}

static void put_record(void *buf, unsigned int place, const struct dm_sync_image_record *r)
{
	if (r)
		dm_sync_image_encode(buf, place, r);
	else
		dm_sync_image_erase(buf, place);
}

/* @record: NULL erases. */
static int write_record(struct dm_sync_store *s, struct dm_sync_image *image,
			const struct dm_sync_image_record *record)
{
	unsigned int nr = image->nr / DM_SYNC_IMAGES_PER_BLOCK;
	unsigned int place = image->nr % DM_SYNC_IMAGES_PER_BLOCK;
	struct dm_sync_image_record old;
	bool had;
	int r;

	if (s->failed && !image->lost) {
		r = dm_sync_store_revive(s);
		if (r)
			return r;
	}
	had = !dm_sync_image_decode(s->image_buf[nr], place, &old);
	put_record(s->image_buf[nr], place, record);
	r = write_image_block(s, nr);
	if (r && !(record && record->flags & DM_SYNC_IMAGE_LOST)) {
		put_record(s->image_buf[nr], place, had ? &old : NULL);
		if (write_image_block(s, nr))
			DMERR("%s: the record of image %s can be neither written nor restored",
			      s->name, image->name);
	}
	if (r && s->image_owed)
		dm_sync_store_failed(s, r);
	return r;
}

/**
 * dm_sync_store_write_record - make an image's record durable
 * @s: the store
 * @image: one of its images
 * @step: the state to come; NULL: the one that is published
 *
 * When the store had failed, what it owes is written first, unless @image is lost.
 *
 * Context: commit_lock held; armed, or preresume; sleeps for I/O.
 * Return: 0; or a negative errno, and the old record is the valid one, on the disk too
 * as far as can be. That of a lost image stays the new one in memory, and is owed.
 */
int dm_sync_store_write_record(struct dm_sync_store *s, struct dm_sync_image *image,
			       const struct dm_sync_step *step)
{
	struct dm_sync_image_record r;

	memset(&r, 0, sizeof(r));
	dm_sync_image_record(image, step, &r);
	return write_record(s, image, &r);
}

/**
 * dm_sync_store_erase_record - make an image's record free
 * @s: the store
 * @image: one of its images; its number may be given to another one after that
 *
 * Context: as dm_sync_store_write_record().
 * Return: likewise.
 */
int dm_sync_store_erase_record(struct dm_sync_store *s, struct dm_sync_image *image)
{
	return write_record(s, image, NULL);
}

/**
 * dm_sync_store_write_owed - write again what could not be written
 * @s: the store
 *
 * Context: commit_lock held; sleeps for I/O.
 * Return: 0 when no record is owed any more, or a negative errno.
 */
int dm_sync_store_write_owed(struct dm_sync_store *s)
{
	unsigned int i;
	int r = 0, error;

	for (i = 0; i < DM_SYNC_IMAGE_BLOCKS; i++) {
		if (!(s->image_owed & 1u << i))
			continue;
		error = write_image_block(s, i);
		r = r ?: error;
	}
	return r;
}

/*----------------------------------------------------------------
 * Segments
 *--------------------------------------------------------------*/

/**
 * dm_sync_store_block - what memory knows of a slot block
 * @s: the store
 * @index: of the block
 *
 * Context: commit_lock held.
 * Return: the block, without its sequence number.
 */
struct dm_sync_block dm_sync_store_block(const struct dm_sync_store *s, u32 index)
{
	u64 homes = s->slot_homes[index / DM_SYNC_SEGMENT_BLOCKS];

	return (struct dm_sync_block) {
		.id = { s->super.epoch, DM_SYNC_BLOCK_SLOTS, index },
		.nr = dm_sync_store_slot_block(&s->layout, index),
		.home = homes >> index % DM_SYNC_SEGMENT_BLOCKS & 1,
	};
}

/**
 * dm_sync_store_set_home - where the newest copy of a slot block is
 * @s: the store
 * @index: of the block
 * @home: 0 or 1
 *
 * Context: commit_lock held.
 */
void dm_sync_store_set_home(struct dm_sync_store *s, u32 index, u8 home)
{
	u64 *homes = &s->slot_homes[index / DM_SYNC_SEGMENT_BLOCKS];
	u64 bit = 1ull << index % DM_SYNC_SEGMENT_BLOCKS;

	*homes = home ? *homes | bit : *homes & ~bit;
}

/**
 * dm_sync_store_formatted_slots - slots of the segments that were formatted
 * @s: the store
 *
 * Context: commit_lock held.
 */
u32 dm_sync_store_formatted_slots(const struct dm_sync_store *s)
{
	return min_t(u64, (u64)s->super.segments * DM_SYNC_SEGMENT_SLOTS, s->layout.nr_slots);
}

_Static_assert(DM_SYNC_SEGMENT_BLOCKS == 64, "one word of homes each");

static int write_segment(struct dm_sync_store *s, u32 segment)
{
	u32 i, at, nr, index = segment * DM_SYNC_SEGMENT_BLOCKS;
	struct dm_sync_block b;
	int r = 0;

	for (i = 0; i < DM_SYNC_SEGMENT_BLOCKS && !r; i += nr) {
		nr = min(s->stretch->nr / 2, DM_SYNC_SEGMENT_BLOCKS - i);
		for (at = 0; at < nr; at++) {
			b = dm_sync_store_block(s, index + i + at);
			memset(s->stretch->buf[2 * at], 0, DM_SYNC_BLOCK_SIZE);
			dm_sync_stretch_seal(&s->meta, s->stretch, at, &b);
			dm_sync_store_set_home(s, index + i + at, b.home);
		}
		r = dm_sync_stretch_write(&s->meta, s->stretch,
					  dm_sync_store_slot_block(&s->layout, index + i), nr);
	}
	return r;
}

/**
 * dm_sync_store_format_segment - make more of the device usable
 * @s: the store
 *
 * Slot blocks first, both homes; when they are durable the superblock counts them; and
 * only then are their slots handed out. A crash in between leaves blocks that nobody
 * looks at, and that are formatted again.
 *
 * Context: commit_lock held; sleeps for I/O. Has reserves for all but the bits of the
 * slots.
 * Return: 0 and there are more slots; -ENOSPC when all of the device is in use; -ENOMEM,
 * -EIO.
 */
int dm_sync_store_format_segment(struct dm_sync_store *s)
{
	int r;

	if (s->slots.nr < dm_sync_store_formatted_slots(s))
		return dm_sync_slots_grow(&s->slots, dm_sync_store_formatted_slots(s));
	if (s->super.segments >= s->layout.nr_segments)
		return -ENOSPC;
	r = write_segment(s, s->super.segments);
	if (r)
		return r;
	s->super.segments++;
	r = dm_sync_store_write_super(s);
	if (r) {
		s->super.segments--;
		return r;
	}
	return dm_sync_slots_grow(&s->slots, dm_sync_store_formatted_slots(s));
}

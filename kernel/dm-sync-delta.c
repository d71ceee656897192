// SPDX-License-Identifier: GPL-2.0-only
/*
 * The delta's slots and entries: which slot holds the old data of which region.
 *
 *	alloc	a slot is reserved; its entry in memory says "none"
 *	fill	the data is in it, durably; its entry is in memory, and "fresh"
 *	commit	one write of each block that has fresh entries; then they are in the
 *		index, and hosts may write to their regions
 *	sweep	slots whose region the replica owns, durably, are free again
 *
 * An entry on disk counts when its block carries the epoch that the pair's superblock
 * names, and the region is still "uncopied" there.  So nothing needs to be taken out
 * of the table: when a copy is durable the entry means nothing any more, and when a
 * new image begins, with the next epoch, none of them does.  A slot is given to
 * another region only after that; so whatever a power cut leaves, an entry that
 * counts has its data: data before entry, entry before the host's write, and neither
 * is touched until the metadata says that the replica has it.
 *
 * No region has two entries that count.  It gets a second slot only after the first
 * was found to be of no use, by a copy that is durable, and such a region is not
 * "uncopied" again in this epoch.
 *
 * A delta that cannot be written keeps what it has, and gets nothing more.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "dm-sync-delta.h"

#define DM_MSG_PREFIX "sync"

/**
 * dm_sync_delta_begin - a new image: nothing is in it
 * @d: the delta
 * @epoch: the image's, greater than any before
 *
 * Context: nobody looks a region up or fills a slot meanwhile; may sleep.
 */
void dm_sync_delta_begin(struct dm_sync_delta *d, u64 epoch)
{
	mutex_lock(&d->table_lock);
	bitmap_zero(d->used, d->nr_slots);
	bitmap_zero(d->fresh, d->nr_slots);
	bitmap_zero(d->dirty, d->nr_blocks);
	dm_sync_index_clear(&d->index);
	dm_sync_index_clear(&d->saving);
	WRITE_ONCE(d->nr_used, 0);
	d->cursor = 0;
	d->epoch = epoch;
	d->failed = d->told = false;
	mutex_unlock(&d->table_lock);
}

/**
 * dm_sync_delta_renew - a block of the table is used: what it had of older images goes
 * @d: the delta
 * @block: its number in the table
 *
 * Context: any; lock held, or nobody else is there.
 */
void dm_sync_delta_renew(struct dm_sync_delta *d, u32 block)
{
	struct dm_sync_delta_block *b = &d->block[block];

	if (b->b.id.epoch == d->epoch)
		return;
	memset(b->buf, 0, DM_SYNC_BLOCK_SIZE);
	b->b.id.epoch = d->epoch;
}

/**
 * dm_sync_delta_take - a slot was found to be in use
 * @d: the delta, being loaded
 * @slot: the slot
 * @region: that is in it
 *
 * Context: process.
 * Return: false when there is no memory to know that.
 */
bool dm_sync_delta_take(struct dm_sync_delta *d, u32 slot, u64 region)
{
	if (dm_sync_index_set(&d->index, region, slot + 1))
		return false;
	__set_bit(slot, d->used);
	d->nr_used++;
	return true;
}

/* A run of free slots from @slot on, of at most @want. */
static u32 take_run(struct dm_sync_delta *d, u32 slot, u32 want)
{
	u32 nr = 0;

	while (nr < want && slot + nr < d->nr_slots && !test_bit(slot + nr, d->used)) {
		__set_bit(slot + nr, d->used);
		dm_sync_delta_renew(d, (slot + nr) / DM_SYNC_DELTA_ENTRIES);
		/* A sweep is not to judge by who was in it. */
		*dm_sync_delta_entry(d, slot + nr) = 0;
		nr++;
	}
	WRITE_ONCE(d->nr_used, d->nr_used + nr);
	d->cursor = slot + nr;
	return nr;
}

/**
 * dm_sync_delta_alloc - reserve adjacent slots
 * @d: the delta
 * @want: how many would be useful, at least 1
 * @first: out: the first
 *
 * Context: the demand work.
 * Return: how many there are, 0 to @want.
 */
u32 dm_sync_delta_alloc(struct dm_sync_delta *d, u32 want, u32 *first)
{
	u32 slot, nr = 0;

	spin_lock_irq(&d->lock);
	if (d->nr_used < d->nr_slots) {
		slot = find_next_zero_bit(d->used, d->nr_slots, d->cursor);
		if (slot >= d->nr_slots)
			slot = find_first_zero_bit(d->used, d->nr_slots);
		*first = slot;
		nr = take_run(d, slot, want);
	}
	spin_unlock_irq(&d->lock);
	return nr;
}

/**
 * dm_sync_delta_free - give slots back that were not filled
 * @d: the delta
 * @slot: the first
 * @nr: how many
 *
 * Context: process.
 */
void dm_sync_delta_free(struct dm_sync_delta *d, u32 slot, u32 nr)
{
	spin_lock_irq(&d->lock);
	bitmap_clear(d->used, slot, nr);
	WRITE_ONCE(d->nr_used, d->nr_used - nr);
	spin_unlock_irq(&d->lock);
}

/**
 * dm_sync_delta_fill - adjacent regions are in their slots, durably
 * @d: the delta
 * @slot: of the first, from dm_sync_delta_alloc()
 * @region: the first
 * @nr: how many
 *
 * Context: process; no commit is under way.
 */
void dm_sync_delta_fill(struct dm_sync_delta *d, u32 slot, u64 region, u32 nr)
{
	spin_lock_irq(&d->lock);
	for (; nr--; slot++, region++) {
		*dm_sync_delta_entry(d, slot) = cpu_to_le32(region + 1);
		__set_bit(slot, d->fresh);
		__set_bit(slot / DM_SYNC_DELTA_ENTRIES, d->dirty);
	}
	spin_unlock_irq(&d->lock);
}

/* What became durable is found from now on. */
static int publish(struct dm_sync_delta *d, u32 i)
{
	u32 slot = i * DM_SYNC_DELTA_ENTRIES;
	u32 end = min_t(u32, slot + DM_SYNC_DELTA_ENTRIES, d->nr_slots);
	int r = 0;

	for_each_set_bit_from(slot, d->fresh, end) {
		u64 region = le32_to_cpu(*dm_sync_delta_entry(d, slot)) - 1;

		/* Not found, it is copied to the replica before it is written. */
		r = dm_sync_index_set(&d->index, region, slot + 1) ?: r;
		__clear_bit(slot, d->fresh);
	}
	return r;
}

/**
 * dm_sync_delta_commit - make the entries of what was filled durable
 * @d: the delta; nothing is being filled
 *
 * A block whose write failed is written again the next time.
 *
 * Context: the only one who does it, sweeps or allocates; sleeps for I/O.
 * Return: 0, or a negative errno: some are not, and no more slots are to be filled.
 */
int dm_sync_delta_commit(struct dm_sync_delta *d)
{
	struct dm_sync_batch batch;
	int r, error;
	u32 i = 0;

	dm_sync_batch_init(&batch, &d->meta);
	for_each_set_bit_from(i, d->dirty, d->nr_blocks)
		dm_sync_batch_write(&batch, &d->block[i].b, d->block[i].buf);
	r = dm_sync_batch_wait(&batch);
	i = 0;
	for_each_set_bit_from(i, d->dirty, d->nr_blocks) {
		if (d->block[i].b.status)
			continue;
		__clear_bit(i, d->dirty);
		error = publish(d, i);
		r = r ?: error;
	}
	if (r && r != -ENOMEM)
		WRITE_ONCE(d->failed, true);
	return r;
}

/**
 * dm_sync_delta_sweep - find slots that are of no use any more
 * @d: the delta
 * @needed: is this region's old data still to be kept?  Takes no sleeping lock.
 * @context: its first argument
 *
 * Context: the demand work; may sleep.
 * Return: how many there were.
 */
u32 dm_sync_delta_sweep(struct dm_sync_delta *d,
			bool (*needed)(void *context, u64 region), void *context)
{
	u32 slot = 0, region, found = 0;

	mutex_lock(&d->table_lock);
	for_each_set_bit_from(slot, d->used, d->nr_slots) {
		if (!(slot % 1024))
			cond_resched();
		region = le32_to_cpu(*dm_sync_delta_entry(d, slot));
		if (!region || test_bit(slot, d->fresh) || needed(context, region - 1))
			continue;
		if (dm_sync_delta_slot(d, region - 1) == slot + 1)
			dm_sync_index_set(&d->index, region - 1, 0);
		dm_sync_delta_free(d, slot, 1);
		found++;
	}
	mutex_unlock(&d->table_lock);
	return found;
}

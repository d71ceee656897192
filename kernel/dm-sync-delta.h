/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The delta of a clone (snap_and_clone): where the old data of regions is put that hosts
 * write before they were copied to the replica.
 */
#ifndef DM_SYNC_DELTA_H
#define DM_SYNC_DELTA_H

#include <linux/mutex.h>

#include "dm-sync.h"
#include "dm-sync-index.h"

struct dm_sync_delta_block;

/**
 * struct dm_sync_delta - a device of slots, each of one region, and who is in them
 * @bdev: it; that of the live table
 * @sectors: its size
 * @meta: the table of slots on it; no device when the pair keeps its state in memory only
 * @header: block 0
 * @id: of this format, random; the pair's superblock names it
 * @epoch: of the image whose regions are in it
 * @region_shift: of a slot, in sectors
 * @nr_regions: of the pair
 * @nr_slots: there are
 * @nr_blocks: of the table
 * @first: sector of slot 0
 * @block: the table
 * @lock: protects @used, @nr_used, the entries, @fresh and @dirty; interrupts off
 * @used: bit i: slot i is in use, or being filled
 * @fresh: bit i: its entry is not durable yet
 * @dirty: bit i: block i is to be written
 * @nr_used: bits in @used
 * @cursor: slot at which the search goes on
 * @index: region -> slot + 1, of entries that are durable; read without a lock
 * @saving: region -> 1, of those that are being put in; its user's
 * @swept: its user's: at which commit slots were last looked for
 * @table_lock: a sweep and the beginning of the next image exclude each other
 * @ours: what is on the device is this pair's
 * @failed: it could not be written: nothing more is put in until the next image
 * @told: of this image, that it was logged that something was not put in
 *
 * Slots are given, committed and taken back by one task at a time, the demand work; those
 * that did not get filled come back from anywhere.
 */
struct dm_sync_delta {
	struct block_device *bdev;
	sector_t sectors;
	struct dm_sync_meta meta;
	struct dm_sync_block header;
	u64 id, epoch;
	unsigned int region_shift;
	u64 nr_regions;
	u32 nr_slots, nr_blocks;
	sector_t first;
	struct dm_sync_delta_block *block;
	spinlock_t lock;
	unsigned long *used, *fresh, *dirty;
	u32 nr_used, cursor;
	struct dm_sync_index index, saving;
	u32 swept;
	struct mutex table_lock;
	bool ours, failed, told;
};

/* dm-sync-delta-format.c: on disk */
bool dm_sync_delta_fits(sector_t sectors, u32 region_sectors);
struct dm_sync_delta *dm_sync_delta_create(unsigned int region_shift, u64 nr_regions);
void dm_sync_delta_destroy(struct dm_sync_delta *d);
int dm_sync_delta_open(struct dm_sync_delta *d, const u8 *uuid, bool format, const char **why);
int dm_sync_delta_wipe(struct dm_sync_delta *d);
int dm_sync_delta_format(struct dm_sync_delta *d, u64 epoch);
int dm_sync_delta_load(struct dm_sync_delta *d, u64 epoch, bool clean,
		       bool (*wanted)(void *context, u64 region), void *context);

/* dm-sync-delta.c: slots and entries */
void dm_sync_delta_begin(struct dm_sync_delta *d, u64 epoch);
void dm_sync_delta_renew(struct dm_sync_delta *d, u32 block);
bool dm_sync_delta_take(struct dm_sync_delta *d, u32 slot, u64 region);
u32 dm_sync_delta_alloc(struct dm_sync_delta *d, u32 want, u32 *first);
void dm_sync_delta_free(struct dm_sync_delta *d, u32 slot, u32 nr);
void dm_sync_delta_fill(struct dm_sync_delta *d, u32 slot, u64 region, u32 nr);
int dm_sync_delta_commit(struct dm_sync_delta *d);
u32 dm_sync_delta_sweep(struct dm_sync_delta *d,
			bool (*needed)(void *context, u64 region), void *context);

#define DM_SYNC_DELTA_ENTRIES	(DM_SYNC_BLOCK_PAYLOAD / sizeof(__le32))	/* 1008 */

/**
 * struct dm_sync_delta_block - one block of the table
 * @b: where it lives
 * @buf: 4 KiB: entries as they are written, region + 1 of each slot, 0: none; of the
 *	epoch that is in @b
 */
struct dm_sync_delta_block {
	struct dm_sync_block b;
	void *buf;
};

static inline __le32 *dm_sync_delta_entry(struct dm_sync_delta *d, u32 slot)
{
	struct dm_sync_delta_block *block = d->block + slot / DM_SYNC_DELTA_ENTRIES;
	__le32 *entries = block->buf + DM_SYNC_BLOCK_HEADER;

	return entries + slot % DM_SYNC_DELTA_ENTRIES;
}

/**
 * dm_sync_delta_slot - where a region is
 * @d: the delta
 * @region: below nr_regions
 *
 * Context: any; takes no lock.
 * Return: slot + 1, when its data and its entry are durable; else 0.
 */
static inline u32 dm_sync_delta_slot(const struct dm_sync_delta *d, u64 region)
{
	return dm_sync_index_get(&d->index, region);
}

static inline sector_t dm_sync_delta_sector(const struct dm_sync_delta *d, u32 slot)
{
	return d->first + ((sector_t)slot << d->region_shift);
}

#endif /* DM_SYNC_DELTA_H */

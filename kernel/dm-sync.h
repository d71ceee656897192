/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dm-sync: what the files of the module share.
 *
 * The arrows run one way:
 *
 *	target, options            netlink, sysfs
 *	      |                          |
 *	mirror-target, replica           |
 *	      |                          |
 *	mirror and its engine --------> pair -----> state
 *	      |        |
 *	      |        +-----> copy, pace, range, gate
 *	      |
 *	activity, map -------> block
 *
 * What is below never calls what stands above it; where it has to ask something
 * of its user, the user hands it a callback.  So does an engine for the pairs it
 * has (dm-sync-pair-priv.h), and a personality for its doors (dm-sync-target.h):
 * there may be several of each.
 */
#ifndef DM_SYNC_H
#define DM_SYNC_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "compat.h"
#include "dm-sync-block-codec.h"

struct dm_sync_pair;

/*----------------------------------------------------------------
 * dm-sync-block.c: the metadata block
 *--------------------------------------------------------------*/

/**
 * struct dm_sync_meta - a metadata device seen as an array of dual-home blocks
 * @bdev: the device; NULL when the pair keeps its state in memory only
 * @uuid: of the pair; part of every block's identity
 * @bs: bios of metadata reads and writes
 * @writes: 4 KiB block writes issued since the context was made
 *
 * Only the pair's committer writes, so at most one write of any block is in
 * flight and no lock is needed here.
 */
struct dm_sync_meta {
	struct block_device *bdev;
	u8 uuid[16];
	struct bio_set bs;
	atomic64_t writes;
};

/**
 * struct dm_sync_block - what memory knows of one dual-home block
 * @id: identity sealed into every copy (type, index, epoch)
 * @nr: number of the block on the device; its homes are 4 KiB units 2*nr and 2*nr+1
 * @seq: sequence number of the newest valid copy, 0 when there is none
 * @home: the home (0 or 1) that holds it
 * @status: outcome of its latest write
 * @batch, @next: the batch it is being written in; private
 */
struct dm_sync_block {
	struct dm_sync_block_id id;
	u32 nr;
	u64 seq;
	u8 home;
	blk_status_t status;
	struct dm_sync_batch *batch;
	struct dm_sync_block *next;
};

/**
 * struct dm_sync_batch - block writes in flight together
 * @plain: may be set after dm_sync_batch_init(): the writes carry no FUA, and are
 *	durable when the caller has flushed the device after them
 *
 * init, any number of writes, then wait, all from one context that may sleep.
 * Where the blocks are only right together with something else, or need a flush:
 * dm_sync_batch_drain() and, once all that is known, dm_sync_batch_end() in place
 * of dm_sync_batch_wait().
 */
struct dm_sync_batch {
	struct dm_sync_meta *meta;
	struct dm_sync_block *blocks;
	bool plain;
	atomic_t pending;
	struct completion done;
};

#define DM_SYNC_STRETCH_UNITS	64u	/* 256 KiB in one bio */

/**
 * struct dm_sync_stretch - adjacent blocks read or formatted by one bio
 * @buf: 4 KiB buffers, two for each block (home 0, home 1)
 * @error: of each unit, after a read
 * @nr: buffers there are, even, at least 2
 */
struct dm_sync_stretch {
	void *buf[DM_SYNC_STRETCH_UNITS];
	int error[DM_SYNC_STRETCH_UNITS];
	unsigned int nr;
};

int dm_sync_meta_init(struct dm_sync_meta *meta);
void dm_sync_meta_exit(struct dm_sync_meta *meta);
bool dm_sync_meta_is_blank(struct dm_sync_meta *meta, u32 nr_blocks, int *error);

int dm_sync_block_read(struct dm_sync_meta *meta, struct dm_sync_block *b,
		       void *buf, bool clean);
void dm_sync_batch_init(struct dm_sync_batch *batch, struct dm_sync_meta *meta);
void dm_sync_batch_write(struct dm_sync_batch *batch, struct dm_sync_block *b,
			 void *buf);
int dm_sync_batch_drain(struct dm_sync_batch *batch);
int dm_sync_batch_end(struct dm_sync_batch *batch, int error);
int dm_sync_batch_wait(struct dm_sync_batch *batch);
int dm_sync_block_reread(struct dm_sync_meta *meta, struct dm_sync_block *b,
			 void *buf, void *other);
int dm_sync_block_write(struct dm_sync_meta *meta, struct dm_sync_block *b,
			void *buf);
int dm_sync_block_format(struct dm_sync_meta *meta, struct dm_sync_block *b,
			 void *buf);

struct dm_sync_stretch *dm_sync_stretch_create(u32 nr_blocks);
void dm_sync_stretch_destroy(struct dm_sync_stretch *s);
void dm_sync_stretch_read(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  u32 first_nr, u32 nr_blocks);
void dm_sync_stretch_read_units(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
				u64 first, u32 nr);
int dm_sync_stretch_write(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  u32 first_nr, u32 nr_blocks);
void dm_sync_stretch_seal(struct dm_sync_meta *meta, struct dm_sync_stretch *s,
			  unsigned int at, struct dm_sync_block *b);

/*----------------------------------------------------------------
 * dm-sync-map.c: a persistent bitmap, one bit a region
 *--------------------------------------------------------------*/

struct dm_sync_map;

/* What memory and disk say of one region, see dm_sync_map_look(). */
enum dm_sync_map_look {
	DM_SYNC_MAP_MARKED,	/* marked, durably */
	DM_SYNC_MAP_MARKING,	/* marked, perhaps not yet on disk */
	DM_SYNC_MAP_CLEARING,	/* not marked; on disk it is */
	DM_SYNC_MAP_UNSURE,	/* not marked; nobody knows about the disk */
	DM_SYNC_MAP_CLEAR,	/* not marked, durably */
};

/* create() returns NULL when there is no memory; next() nr_regions when none is left */
u32 dm_sync_map_nr_blocks(u64 nr_regions);
struct dm_sync_map *dm_sync_map_create(struct dm_sync_meta *meta, u16 type,
				       u32 first_nr, u64 epoch, u64 nr_regions);
void dm_sync_map_keep_disk(struct dm_sync_map *map);
void dm_sync_map_destroy(struct dm_sync_map *map);
int dm_sync_map_format(struct dm_sync_map *map, bool full);
int dm_sync_map_load(struct dm_sync_map *map, bool clean, u64 *lost);

bool dm_sync_map_test(struct dm_sync_map *map, u64 region);
bool dm_sync_map_set(struct dm_sync_map *map, u64 region);
void dm_sync_map_set_range(struct dm_sync_map *map, u64 first, u64 last);
void dm_sync_map_set_all(struct dm_sync_map *map);
void dm_sync_map_clear(struct dm_sync_map *map, u64 region);
void dm_sync_map_clear_range(struct dm_sync_map *map, u64 first, u64 last);
void dm_sync_map_clear_all(struct dm_sync_map *map);
void dm_sync_map_or(struct dm_sync_map *into, struct dm_sync_map *from);
u64 dm_sync_map_next(struct dm_sync_map *map, u64 from);
u64 dm_sync_map_next_before(struct dm_sync_map *map, u64 from, u64 limit);
u64 dm_sync_map_next_clear(struct dm_sync_map *map, u64 from, u64 limit);
u64 dm_sync_map_count(struct dm_sync_map *map);
bool dm_sync_map_is_durable(struct dm_sync_map *map, u64 first, u64 last);
bool dm_sync_map_clears_durable(struct dm_sync_map *map, u64 first, u64 last);
enum dm_sync_map_look dm_sync_map_look(struct dm_sync_map *map, u64 region);
int dm_sync_map_revert_clears(struct dm_sync_map *map);
bool dm_sync_map_needs_commit(struct dm_sync_map *map);
int dm_sync_map_commit(struct dm_sync_map *map, bool clears,
		       int (*flush)(void *context), void *context);

/*----------------------------------------------------------------
 * dm-sync-activity.c: which extents may be written now
 *--------------------------------------------------------------*/

struct dm_sync_activity;

/**
 * struct dm_sync_waiter - a write that waits for its extent to be marked
 * @list: the activity table's, while it waits
 * @extent: the extent it will write
 * @fn: called from the committer (may sleep, no lock held) with 0 when the
 *	mark is durable and the write is counted, or with a negative errno
 */
struct dm_sync_waiter {
	struct list_head list;
	u32 extent;
	void (*fn)(struct dm_sync_waiter *w, int error);
};

/**
 * struct dm_sync_activity_ops - what the activity table asks of its user
 * @evictable: everything that the regions of this extent owe to the maps is
 *	durable there; any context, must not sleep
 * @barrier: flush both sides and commit the maps, so that more extents become
 *	evictable; may sleep; an error is not fatal (some may have become so)
 * @kick: wake the committer; any context, must not sleep. Optional: without it
 *	a commit never waits for others to join it and cold writes cost more
 *	metadata writes (see dm_sync_gather_ready())
 */
struct dm_sync_activity_ops {
	bool (*evictable)(void *context, u32 extent);
	int (*barrier)(void *context);
	void (*kick)(void *context);
};

/* create() returns NULL when there is no memory */

u32 dm_sync_activity_nr_blocks(u32 nr_extents);
struct dm_sync_activity *
dm_sync_activity_create(struct dm_sync_meta *meta, u32 first_nr, u32 nr_extents,
			const struct dm_sync_activity_ops *ops, void *context);
void dm_sync_activity_destroy(struct dm_sync_activity *a);
int dm_sync_activity_load(struct dm_sync_activity *a, u64 epoch,
			  void (*hot)(void *context, u32 extent), void *context);
int dm_sync_activity_format(struct dm_sync_activity *a, u64 epoch);
void dm_sync_activity_reset(struct dm_sync_activity *a, u64 epoch);

bool dm_sync_activity_get(struct dm_sync_activity *a, u32 extent);
bool dm_sync_activity_queue(struct dm_sync_activity *a, struct dm_sync_waiter *w);
bool dm_sync_activity_put(struct dm_sync_activity *a, u32 extent, bool replicated);
void dm_sync_activity_touch(struct dm_sync_activity *a, u32 extent);
bool dm_sync_activity_wants_commit(struct dm_sync_activity *a);
int dm_sync_activity_commit(struct dm_sync_activity *a);
void dm_sync_activity_fail(struct dm_sync_activity *a, int error);
unsigned long dm_sync_activity_flush_begin(struct dm_sync_activity *a);
void dm_sync_activity_flush_end(struct dm_sync_activity *a, unsigned long flush);
void dm_sync_activity_for_each_unflushed(struct dm_sync_activity *a,
					 void (*fn)(void *context, u32 extent),
					 void *context);
void dm_sync_activity_stats(struct dm_sync_activity *a, u64 *hits, u64 *misses);

/*----------------------------------------------------------------
 * dm-sync-range.c: one writer at a time over any sector
 *--------------------------------------------------------------*/

/**
 * struct dm_sync_range - a range of sectors, held or waited for
 * @start: first sector
 * @last: last sector (inclusive); must lie in the same bucket as @start
 * @granted: called when a range that had to wait is held at last; any context,
 *	interrupts included; no lock of the range table is held
 */
struct dm_sync_range {
	struct rb_node node;
	struct list_head wait;
	sector_t start, last, subtree_last;
	void (*granted)(struct dm_sync_range *r);
};

struct dm_sync_ranges;

struct dm_sync_ranges *dm_sync_ranges_create(unsigned int bucket_shift);
void dm_sync_ranges_destroy(struct dm_sync_ranges *t);
bool dm_sync_range_lock(struct dm_sync_ranges *t, struct dm_sync_range *r);
void dm_sync_range_unlock(struct dm_sync_ranges *t, struct dm_sync_range *r);

/*----------------------------------------------------------------
 * dm-sync-copy.c: move a range from one device to another
 *--------------------------------------------------------------*/

#define DM_SYNC_COPY_SECTORS	2048u	/* the largest range of one job: 1 MiB */

/**
 * struct dm_sync_copy - one range copy
 * @from, @to: devices
 * @from_sector, @to_sector: where the range starts on each
 * @sectors: its length, 1 to DM_SYNC_COPY_SECTORS
 * @compare: read @to as well and write only the 4 KiB blocks that differ
 * @fua: writes carry FUA
 * @was_read: may be NULL: called from a worker that may sleep, when @from was read without
 *	an error and will not be read again, and nothing was written yet
 * @done: called once, from a worker that may sleep, when all is over
 * @read_error, @write_error: outcome; a failed read of @to (compare) makes the
 *	job write the whole range instead and is not an error
 * @read_bytes, @written_bytes, @skipped_bytes: what was really moved
 * @read_ns, @write_ns: time spent on each side
 */
struct dm_sync_copy {
	struct block_device *from, *to;
	sector_t from_sector, to_sector;
	unsigned int sectors;
	bool compare, fua;
	void (*was_read)(struct dm_sync_copy *job);
	void (*done)(struct dm_sync_copy *job);

	blk_status_t read_error, write_error;
	unsigned int read_bytes, written_bytes, skipped_bytes;
	u64 read_ns, write_ns;

	/* private */
	struct workqueue_struct *wq;
	struct work_struct work;
	atomic_t pending;
	u64 began;
	u8 stage;
	bool blind;
	struct page **pages;
	unsigned int nr_pages;
};

int dm_sync_copy_module_init(void);
void dm_sync_copy_module_exit(void);
void dm_sync_copy_start(struct dm_sync_copy *job, struct workqueue_struct *wq);
struct block_device *dm_sync_copy_waits_for(const struct dm_sync_copy *job);

/*----------------------------------------------------------------
 * dm-sync-netlink.c, dm-sync-sysfs.c: interfaces
 *--------------------------------------------------------------*/

struct dm_sync_info;
struct dm_sync_event_record;

int dm_sync_netlink_init(void);
void dm_sync_netlink_exit(void);
void dm_sync_netlink_event(u8 cmd, const struct dm_sync_info *info,
			   const struct dm_sync_event_record *event);
void dm_sync_netlink_progress(const struct dm_sync_info *info);

int dm_sync_sysfs_add(struct dm_sync_pair *pair, struct kobject *parent,
		      const char *name, struct kobject **kobj);
void dm_sync_sysfs_remove(struct kobject *kobj);
void dm_sync_sysfs_notify(struct kobject *kobj);

#endif /* DM_SYNC_H */

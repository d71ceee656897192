/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Restoring a store's source from one of its images.
 *
 *	dm-sync-restore.c	what hosts meet, and the work
 *	dm-sync-restore-life.c	beginning, end, taking it up again
 */
#ifndef DM_SYNC_RESTORE_H
#define DM_SYNC_RESTORE_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "dm-sync-pace.h"

#define DM_SYNC_RESTORE_PAGES	((1u << 20) / PAGE_SIZE)	/* of one piece: 1 MiB */
#define DM_SYNC_RESTORE_RUNS	32u	/* the most that one commit of the map clears */

struct dm_sync_image;
struct dm_sync_image_change;
struct dm_sync_info;
struct dm_sync_map;
struct dm_sync_step;
struct dm_sync_store;

/**
 * struct dm_sync_demand - a host write that waits for its chunks to be restored
 * @list: the restore's, until @done
 * @first, @last: chunks, in one unit of the range table
 * @error: the worker's
 * @done: called by the worker, no lock held. 0: none of them is to come any more, durably,
 *	or the restore is over; -EAGAIN: the write goes back to device-mapper; another
 *	errno: it fails
 */
struct dm_sync_demand {
	struct list_head list;
	u64 first, last;
	int error;
	void (*done)(struct dm_sync_demand *demand, int error);
};

/**
 * struct dm_sync_restore - the source is being restored
 * @store: whose source
 * @image: from which; not to be looked at when @on is false
 * @map: the chunks that are still to come
 * @lock: what follows, up to @runs, and @pace, and clearing bits of @map; interrupts off
 * @on: it has begun and has not ended; made false with @apply held
 * @paused: the device is suspended, or about to be: no background work
 * @settling: @runs are being cleared: not to be written by hosts until that is durable
 * @demands: host writes that wait
 * @nr_runs, @runs: chunks that the source has by now, but that are still marked; only
 *	changed by the worker
 * @total: chunks that were to come when it began, or was taken up again
 * @started: when that was, ns since 1970; both constant
 * @apply: the worker holds it while it reads slots, writes the source or the map. Whoever
 *	ends the restore takes it, with commit_lock held, so the worker does not wait for the
 *	committer while it has it
 * @told: the conductor knows that the worker has done all it can; commit_lock
 * @cursor: how far the background has come; the worker's, as all that follows
 * @unsettled: errno: @runs could not be cleared; copying rests
 * @unflushed: errno: and that was because the source cannot be flushed
 * @last_io: jiffies of the last host I/O; written by hosts
 * @pace: of the background; @lock
 * @work: the worker
 * @bio, @vecs, @page: its I/O, one at a time
 */
struct dm_sync_restore {
	struct dm_sync_store *store;
	struct dm_sync_image *image;
	struct dm_sync_map *map;
	spinlock_t lock;
	bool on, paused, settling;
	struct list_head demands;
	unsigned int nr_runs;
	struct {
		u64 first;
		u32 nr;
	} runs[DM_SYNC_RESTORE_RUNS];
	u64 total, started;
	struct mutex apply;
	bool told;
	u64 cursor;
	int unsettled, unflushed;
	unsigned long last_io;
	struct dm_sync_pace pace;
	struct delayed_work work;
	struct bio bio;
	struct bio_vec vecs[DM_SYNC_RESTORE_PAGES];
	struct page *page[DM_SYNC_RESTORE_PAGES];
};

/* dm-sync-restore.c */
int dm_sync_restore_read(struct dm_sync_store *s, struct bio *bio,
			 struct dm_sync_image **counted);
void dm_sync_restore_read_end(struct dm_sync_image *counted);
bool dm_sync_restore_needs(struct dm_sync_store *s, u64 first, u64 last);
bool dm_sync_restore_demand(struct dm_sync_store *s, struct dm_sync_demand *demand);
void dm_sync_restore_work_init(struct dm_sync_restore *r);

/* dm-sync-restore-life.c */
int dm_sync_restore_may(struct dm_sync_image *image, const char **why);
int dm_sync_restore_rest(struct dm_sync_store *s, const char **why);
int dm_sync_restore_begin(struct dm_sync_image *image, struct dm_sync_image_change *c);
void dm_sync_restore_saved(struct dm_sync_store *s, u64 chunk);
bool dm_sync_restore_is_from(struct dm_sync_store *s, const struct dm_sync_image *image);
u64 dm_sync_restore_left(struct dm_sync_image *image);
void dm_sync_restore_info(struct dm_sync_image *image, struct dm_sync_info *info);
void dm_sync_restore_off(struct dm_sync_store *s);
int dm_sync_restore_abort(struct dm_sync_image *image, const struct dm_sync_step *after);
void dm_sync_restore_finish(struct dm_sync_image *image);
int dm_sync_restore_load(struct dm_sync_store *s, const char **why);
void dm_sync_restore_pause(struct dm_sync_store *s, bool pause);
void dm_sync_restore_flush(struct dm_sync_store *s);
void dm_sync_restore_free(struct dm_sync_store *s);

#endif /* DM_SYNC_RESTORE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mirror's engine: shared by mirror, life, super, ops, commit, mirror-io,
 * resync and the two targets.  Interfaces include dm-sync-pair.h instead.
 */
#ifndef DM_SYNC_MIRROR_H
#define DM_SYNC_MIRROR_H

#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "dm-sync.h"
#include "dm-sync-claim.h"
#include "dm-sync-clone.h"
#include "dm-sync-delta.h"
#include "dm-sync-gate.h"
#include "dm-sync-options.h"
#include "dm-sync-pace.h"
#include "dm-sync-pair-priv.h"

#define DM_SYNC_DRAIN_SECONDS	30u	/* a Split or Suspend that takes longer fails */
#define DM_SYNC_SLOTS		4u	/* range copies in flight at once */

/**
 * struct dm_sync_super - the superblock as memory has it
 *
 * Written by the conductor, and by preresume and postsuspend, which run while
 * the conductor is idle; so it needs no lock of its own.
 */
struct dm_sync_super {
	struct dm_sync_block block;
	void *buf;			/* one page */
	bool clean, detached, dissolved;
	bool restoring;			/* the replica is the truth for marked regions */
	u64 delta_id, delta_epoch;	/* of a clone's delta; 0: it has none */
	u64 sectors;
	u32 region_sectors, extent_sectors;
	u64 map_epoch, activity_epoch;
	u64 established;		/* ns since 1970 */
};

/**
 * struct dm_sync_counts - per-cpu counters of host I/O
 */
struct dm_sync_counts {
	u64 reads, writes, started, ended;
};

/**
 * struct dm_sync_devices - what a table line names
 * @source: device
 * @replica: device
 * @meta: device, or NULL
 * @delta: device, or NULL; of a clone
 */
struct dm_sync_devices {
	struct block_device *source, *replica, *meta, *delta;
};

struct dm_sync_mirror;

/**
 * struct dm_sync_slot - one place of the background copy
 * @pass: the pass it belongs to; a piece may outlive its pass
 * @is_part: of a region that is larger than a piece
 * @copying: it has its range, and I/O of it may be under way
 * @orphan: its range was taken away, or given back
 */
struct dm_sync_slot {
	struct dm_sync_mirror *mirror;
	struct dm_sync_copy job;
	struct dm_sync_range range;
	struct work_struct start;
	u64 first, last;		/* regions of this piece */
	u32 delta_slot;			/* it is in the delta: slot + 1; or 0 */
	u32 pass;
	bool is_part, busy, copying, orphan;
};

/**
 * struct dm_sync_resync - the background copy
 * @work: picks the next piece; on the I/O queue
 * @lock: protects what follows; taken with interrupts off
 * @running: pieces may be started
 * @busy: slots in use
 * @idle: woken when @running is false and no slot is busy
 * @cursor: sector the next search starts at
 * @failed: a piece failed since the cursor was last at the start
 * @unreadable: enum dm_sync_reason, of the last that could not be read
 * @narrow: this pass takes region by region, to find what cannot be copied
 * @stalled: nothing moved for a second though there is work
 * @partial: region that is larger than a piece and being copied, or ~0
 * @issued: sector up to which pieces of @partial were started; writes below
 *	it go to both sides
 * @completed: bytes of @partial that have arrived
 * @partial_failed: one of its pieces failed: start no more of them
 * @total, @done: bytes of this pass
 * @started: when it began, ns since 1970
 * @read_bytes, @written_bytes, @skipped_bytes: since the context was made
 * @uncommitted: bytes copied since marks were last made durable as cleared
 * @pass: number of this pass
 * @probe, @back: copies that the conductor and the demand work wait for
 * @last_progress: jiffies of the last progress message
 * @demand: host writes that wait for their region to be restored first
 */
struct dm_sync_resync {
	struct delayed_work work;
	spinlock_t lock;
	bool running, failed, narrow, stalled;
	u32 unreadable;
	unsigned int busy;
	wait_queue_head_t idle;
	sector_t cursor;
	u64 partial;
	sector_t issued;
	u64 completed;
	bool partial_failed;
	u64 total, done, started;
	u64 read_bytes, written_bytes, skipped_bytes;
	struct dm_sync_pace pace;
	struct dm_sync_slot slot[DM_SYNC_SLOTS];
	struct bio_list demand;
	struct work_struct demand_work, checkpoint;
	u64 uncommitted;
	u32 pass;
	struct dm_sync_waited_copy *probe, *back;
	bool probe_busy;		/* it was not answered in time */
	unsigned long last_progress;
};

/**
 * struct dm_sync_mirror - a pair whose sides hold the same, or did at one moment
 *
 * Shared by every table instance that names the same metadata device (rule L).
 *
 * All changes of state happen on @conductor, an ordered queue; so they need no
 * lock among themselves.  What they publish, and the settings, are protected by
 * @pair.lock.
 *
 * Metadata is written under @commit_lock, by the committer (activity table,
 * maps) and the conductor (superblock, maps); so at most one write of a block
 * is in flight.  The map of what is uncopied has a lock of its own.
 */
struct dm_sync_mirror {
	struct dm_sync_pair pair;
	struct list_head list;		/* of all contexts; registry lock */
	unsigned int tables;		/* instances; registry lock */
	struct dm_sync_claim claim;	/* of its devices */

	/* constant while active */
	sector_t sectors;
	unsigned int region_shift, extent_shift;	/* in sectors */
	u64 nr_regions;
	u32 nr_extents;

	/* valid between preresume and postsuspend: those of the live table */
	struct dm_target *ti;
	struct block_device *source, *replica, *delta_bdev;
	struct dm_sync_config *config;
	bool loaded;			/* the structures below exist and are true */

	struct dm_sync_meta meta;
	struct dm_sync_map *source_map, *replica_map;
	struct dm_sync_map *uncopied_map;	/* of a clone only */
	struct dm_sync_map *copy_map;	/* what the background copy goes by: one of them */
	struct dm_sync_activity *activity;
	struct dm_sync_ranges *ranges;
	struct mutex commit_lock;
	struct dm_sync_super super;
	bool meta_failed;		/* no metadata can be written any more */
	bool armed;			/* the superblock says "not clean" */
	bool settled;			/* flow is cut and the replica is owed nothing */

	struct workqueue_struct *io_wq, *conductor;

	/* settings, and what goes with the published state; @pair.lock */
	u64 synced_until;		/* when the replica last was equal, ns */
	u8 hold, recovery;
	u32 hold_max;
	bool hold_released;		/* Suspended, but writes are tracked, not held */

	/* read by every host I/O; written by the conductor or by a failure */
	enum dm_sync_flow flow;
	bool redirect;			/* reads of marked regions are served by the replica */
	bool passthrough;		/* detached: nothing is tracked */
	bool requeue;			/* noflush suspend: held writes go back */
	struct dm_sync_gate gate;
	struct bio_set bs;		/* replica's half of host writes */

	spinlock_t io_lock;		/* protects the lists; interrupts off */
	struct bio_list ready;		/* to be taken on in process context */
	struct bio_list unacked;	/* wait for "stale" to be durable */
	struct bio_list retry;		/* reads to be served by the replica */
	struct bio_list zeroes;		/* write-zeroes that a disk refused */
	struct work_struct ready_work, zero_work, commit_work;
	atomic_t flushing;		/* our own flushes in flight */

	/* replica door */
	atomic_t door_users;		/* I/O in flight through it */
	wait_queue_head_t door_idle;
	struct bio_list door_marks;	/* writes whose mark is not yet durable; io_lock */
	struct bio_list door_committing;	/* those of the commit under way */

	/* the conductor's work */
	struct list_head requests;	/* of operations; @pair.lock */
	struct work_struct request_work, break_work, copied_work;
	struct delayed_work hold_work, probe_work;
	unsigned long broken;		/* bits: reasons of failures not yet handled */
	bool source_lost;		/* it was the source's: what it was given back is gone */
	bool flush_failed;		/* one of them was a flush: ask no second time */
	struct work_struct stall_work;
	unsigned int probe_delay;	/* seconds */

	struct dm_sync_resync resync;
	bool is_clone;			/* constant */
	struct dm_sync_clone clone;
	struct dm_sync_delta *delta;	/* of a clone that has one; while loaded */
	dev_t delta_dev;		/* constant */

	struct dm_sync_counts __percpu *counts;
	unsigned long last_io;		/* jiffies */
	atomic64_t reads_from_replica, source_errors, replica_errors;
};

static inline struct dm_sync_mirror *to_mirror(struct dm_sync_pair *pair)
{
	return container_of(pair, struct dm_sync_mirror, pair);
}

static inline sector_t dm_sync_region_start(struct dm_sync_mirror *m, u64 region)
{
	return region << m->region_shift;
}

static inline u64 dm_sync_region_of(struct dm_sync_mirror *m, sector_t sector)
{
	return sector >> m->region_shift;
}

/* Where a region of the image is in the delta: slot + 1, or 0. */
static inline u32 dm_sync_clone_slot(struct dm_sync_mirror *m, u64 region)
{
	/* In a restore the map of what is uncopied speaks of the source. */
	return m->delta && !READ_ONCE(m->redirect) ? dm_sync_delta_slot(m->delta, region) : 0;
}

static inline u32 dm_sync_extent_of(struct dm_sync_mirror *m, sector_t sector)
{
	return sector >> m->extent_shift;
}

/* dm-sync-super.c */
int dm_sync_super_probe(struct dm_sync_mirror *m, const struct dm_sync_config *c,
			const char **why);
int dm_sync_super_write(struct dm_sync_mirror *m, const struct dm_sync_step *step);
u32 dm_sync_super_nr_blocks(struct dm_sync_mirror *m);
u64 dm_sync_super_blocks(bool is_clone, u64 nr_regions, u32 nr_extents);

/* dm-sync-mirror.c */
int dm_sync_mirror_module_init(void);
void dm_sync_mirror_module_exit(void);
struct dm_sync_mirror *dm_sync_mirror_attach(struct dm_target *ti,
					     const struct dm_sync_devices *dev,
					     const struct dm_sync_config *c);
void dm_sync_mirror_detach(struct dm_sync_mirror *m);
void dm_sync_mirror_register(struct dm_sync_mirror *m);
void dm_sync_mirror_identify(struct dm_sync_mirror *m, const u8 *uuid);
void dm_sync_facts_now(struct dm_sync_mirror *m, struct dm_sync_facts *f);

/* dm-sync-life.c */
int dm_sync_mirror_activate(struct dm_sync_mirror *m, struct dm_target *ti,
			    const struct dm_sync_devices *dev, struct dm_sync_config *c);
void dm_sync_mirror_resume(struct dm_sync_mirror *m);
void dm_sync_mirror_presuspend(struct dm_sync_mirror *m);
void dm_sync_mirror_presuspend_undo(struct dm_sync_mirror *m);
void dm_sync_mirror_postsuspend(struct dm_sync_mirror *m);
void dm_sync_mirror_unload(struct dm_sync_mirror *m);
void dm_sync_mirror_forget_config(struct dm_sync_mirror *m, struct dm_sync_config *c);
unsigned int dm_sync_extent_shift(u64 sectors, u32 region_sectors);

/* dm-sync-commit.c */
void dm_sync_commit_init(struct dm_sync_mirror *m);
void dm_sync_commit_kick(struct dm_sync_mirror *m);
int dm_sync_commit_maps(struct dm_sync_mirror *m, bool clears);
int dm_sync_settle_sides(struct dm_sync_mirror *m);
int dm_sync_flush_sides(struct dm_sync_mirror *m, bool replica);
int dm_sync_flush_replica(struct dm_sync_mirror *m);
void dm_sync_mark_unflushed(struct dm_sync_mirror *m);
extern const struct dm_sync_activity_ops dm_sync_commit_ops;

/* dm-sync-ops.c */
void dm_sync_ops_init(struct dm_sync_mirror *m);
void dm_sync_ops_stop(struct dm_sync_mirror *m);
void dm_sync_ops_restart(struct dm_sync_mirror *m);
void dm_sync_enter_state(struct dm_sync_mirror *m);
void dm_sync_gate_release(struct dm_sync_mirror *m);

/* dm-sync-request.c */
int dm_sync_mirror_operate(struct dm_sync_pair *pair, u32 operation, u32 flags,
			   const char **why);

/* dm-sync-events.c */
void dm_sync_break(struct dm_sync_mirror *m, u32 reason);
void dm_sync_break_flush(struct dm_sync_mirror *m, u32 reason);

/* dm-sync-mirror-io.c */
size_t dm_sync_io_size(void);
int dm_sync_mirror_map(struct dm_sync_mirror *m, struct dm_target *ti, struct bio *bio);
int dm_sync_mirror_end_io(struct dm_sync_mirror *m, struct bio *bio, blk_status_t *error);
void dm_sync_io_init(struct dm_sync_mirror *m);
void dm_sync_io_restart(struct dm_sync_mirror *m, struct bio_list *bios);
void dm_sync_io_requeue(struct bio_list *bios);
void dm_sync_io_ack(struct dm_sync_mirror *m);
void dm_sync_io_demand_done(struct dm_sync_mirror *m, struct bio *bio, blk_status_t error);
sector_t dm_sync_io_sector(struct bio *bio);
sector_t dm_sync_io_last(struct bio *bio);
unsigned int dm_sync_io_inflight(struct dm_sync_mirror *m, u64 *reads, u64 *writes);
bool dm_sync_range_marked(struct dm_sync_mirror *m, sector_t sector,
			  unsigned int sectors, bool *all);

/* dm-sync-resync.c */
extern struct workqueue_struct *dm_sync_demand_wq;
void dm_sync_resync_init(struct dm_sync_mirror *m);
void dm_sync_resync_start(struct dm_sync_mirror *m);
int dm_sync_resync_stop(struct dm_sync_mirror *m);
bool dm_sync_resync_waits_for(struct dm_sync_mirror *m, struct block_device *bdev);
void dm_sync_resync_abandon(struct dm_sync_mirror *m);
void dm_sync_resync_kick(struct dm_sync_mirror *m);
void dm_sync_resync_checkpoint(struct dm_sync_mirror *m);
void dm_sync_resync_copied(struct dm_sync_mirror *m);
void dm_sync_resync_demand(struct dm_sync_mirror *m, struct bio *bio);
int dm_sync_resync_probe(struct dm_sync_mirror *m);
bool dm_sync_resync_probing(struct dm_sync_mirror *m);
void dm_sync_resync_account(struct dm_sync_mirror *m, const struct dm_sync_copy *copy);
int dm_sync_resync_alloc(struct dm_sync_mirror *m);
void dm_sync_resync_free(struct dm_sync_mirror *m);
void dm_sync_resync_wait(struct dm_sync_mirror *m);

/* dm-sync-replica.c */
int dm_sync_replica_register(void);
void dm_sync_replica_unregister(void);
void dm_sync_door_marked(struct dm_sync_mirror *m, int error);

#endif /* DM_SYNC_MIRROR_H */

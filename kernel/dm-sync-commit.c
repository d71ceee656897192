// SPDX-License-Identifier: GPL-2.0-only
/*
 * The committer: makes marks durable, flushes sides.
 *
 * Writes wait for their extent, replica writes for their region; both are
 * taken in groups: a commit starts whenever none is running and something
 * waits, and takes everything that waits.  No timer, no commit in the
 * submitter's context.
 *
 * What a commit may claim about the two sides is decided here, once:
 *
 *	A cleared mark ("the replica has this region") and an extent that leaves
 *	the activity table ("no write here may be half done") become durable only
 *	after a flush of both sides that began later than the last write there
 *	ended (rule M).  The activity table's flush epochs tell.
 *
 *	While the flow is cut there is no replica to flush.  So whoever cuts it
 *	settles the account first: he flushes both sides, or, if the replica
 *	does not take the flush, marks every region written since the last one
 *	that it took (dm_sync_mark_unflushed()).  From then on nothing is owed
 *	and p->settled says so, until the flow starts again.
 */
#include "dm-sync-mirror.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * Flushing both sides
 *--------------------------------------------------------------*/

struct flush_wait {
	atomic_t pending;
	struct completion done;
};


static void flush_endio(struct bio *bio)
{
	struct flush_wait *wait = bio->bi_private;

	if (atomic_dec_and_test(&wait->pending))
		complete(&wait->done);
}

static void flush_submit(struct bio *bio, struct block_device *bdev,
			 struct flush_wait *wait)
{
	bio_init(bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	bio->bi_private = wait;
	bio->bi_end_io = flush_endio;
	atomic_inc(&wait->pending);
	submit_bio(bio);
}

/**
 * dm_sync_flush_sides - flush the source and the replica, in parallel
 * @p: the pair
 * @replica: the replica as well; only then writes before it may be forgotten
 *
 * Context: may sleep; not in map.
 * Return: 0; -EIO when the source failed; -ENXIO when the replica did. The
 * caller decides what a failure means.
 */
int dm_sync_flush_sides(struct dm_sync_pair *p, bool replica)
{
	unsigned long epoch = dm_sync_activity_flush_begin(p->activity);
	struct flush_wait wait = { .pending = ATOMIC_INIT(1) };
	blk_status_t source_status, replica_status = BLK_STS_OK;
	struct bio source_bio, replica_bio;

	init_completion(&wait.done);
	flush_submit(&source_bio, p->source, &wait);
	if (replica)
		flush_submit(&replica_bio, p->replica, &wait);
	if (!atomic_dec_and_test(&wait.pending))
		wait_for_completion_io(&wait.done);
	source_status = source_bio.bi_status;
	bio_uninit(&source_bio);
	if (replica) {
		replica_status = replica_bio.bi_status;
		bio_uninit(&replica_bio);
	}
	if (source_status)
		return -EIO;
	if (replica_status)
		return -ENXIO;
	if (replica)
		dm_sync_activity_flush_end(p->activity, epoch);
	return 0;
}

static void mark_extent(void *context, u32 extent)
{
	struct dm_sync_pair *p = context;
	struct dm_sync_map *map = p->redirect ? p->replica_map : p->source_map;
	unsigned int shift = p->extent_shift - p->region_shift;
	u64 first = (u64)extent << shift;
	u64 last = min(first + (1ULL << shift), p->nr_regions) - 1;

	dm_sync_map_set_range(map, first, last);
}

/**
 * dm_sync_mark_unflushed - the replica may have lost what it did not flush
 * @p: the pair, its flow cut
 *
 * Marks every region of every extent that was written on the replica since the
 * last flush that it took, and then owes it nothing.
 *
 * Context: the conductor.
 */
void dm_sync_mark_unflushed(struct dm_sync_pair *p)
{
	unsigned long epoch = dm_sync_activity_flush_begin(p->activity);

	dm_sync_activity_for_each_unflushed(p->activity, mark_extent, p);
	dm_sync_activity_flush_end(p->activity, epoch);
}

/*----------------------------------------------------------------
 * What the activity table and the maps ask
 *--------------------------------------------------------------*/

/* Before cleared marks become durable: the data must be. */
static int commit_barrier(void *context)
{
	struct dm_sync_pair *p = context;
	int r;

	/* Acquire: pairs with settle(); the marks it set are in what we write. */
	if (smp_load_acquire(&p->settled))
		return 0;
	r = dm_sync_flush_sides(p, true);
	if (r == -ENXIO) {
		atomic64_inc(&p->replica_errors);
		dm_sync_break(p, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
	}
	return r;
}

static int commit_one_map(struct dm_sync_pair *p, struct dm_sync_map *map, bool clears)
{
	int r;

	if (!dm_sync_map_needs_commit(map))
		return 0;
	r = dm_sync_map_commit(map, clears, commit_barrier, p);
	trace_dm_sync_commit(p->id, DM_SYNC_TRACE_MAP, 0, r);
	return r;
}

static int __commit_maps(struct dm_sync_pair *p, bool clears)
{
	int r = commit_one_map(p, p->source_map, clears);

	return r ?: commit_one_map(p, p->replica_map, clears);
}

static bool extent_evictable(void *context, u32 extent)
{
	struct dm_sync_pair *p = context;
	unsigned int shift = p->extent_shift - p->region_shift;
	u64 first = (u64)extent << shift;
	u64 last = min(first + (1ULL << shift), p->nr_regions) - 1;

	return dm_sync_map_is_durable(p->source_map, first, last) &&
	       dm_sync_map_is_durable(p->replica_map, first, last);
}

/* Called from dm_sync_activity_commit(), so with commit_lock held. */
static int make_evictable(void *context)
{
	struct dm_sync_pair *p = context;
	int r = commit_barrier(p);

	return r ?: __commit_maps(p, false);
}

static void kick(void *context)
{
	dm_sync_commit_kick(context);
}

const struct dm_sync_activity_ops dm_sync_commit_ops = {
	.evictable = extent_evictable,
	.barrier = make_evictable,
	.kick = kick,
};

/**
 * dm_sync_commit_maps - make both maps durable
 * @p: the pair
 * @clears: forgotten marks too; without it only new ones
 *
 * Context: may sleep; takes commit_lock.
 * Return: 0, or a negative errno: what was durable before still is.
 */
int dm_sync_commit_maps(struct dm_sync_pair *p, bool clears)
{
	int r;

	mutex_lock(&p->commit_lock);
	r = __commit_maps(p, clears);
	mutex_unlock(&p->commit_lock);
	return r;
}

/*----------------------------------------------------------------
 * The work
 *--------------------------------------------------------------*/

static void commit_door_marks(struct dm_sync_pair *p)
{
	bool waiting;
	int r;

	spin_lock_irq(&p->io_lock);
	waiting = !bio_list_empty(&p->door_marks);
	p->door_committing = p->door_marks;
	bio_list_init(&p->door_marks);
	spin_unlock_irq(&p->io_lock);
	if (!waiting)
		return;
	mutex_lock(&p->commit_lock);
	r = commit_one_map(p, p->replica_map, false);
	mutex_unlock(&p->commit_lock);
	dm_sync_door_marked(p, r);
	if (r)
		dm_sync_break(p, DM_SYNC_REASON_METADATA_FAILED);
}

static void do_commit(struct work_struct *work)
{
	struct dm_sync_pair *p = container_of(work, struct dm_sync_pair, commit_work);
	int r = 0;

	if (dm_sync_activity_wants_commit(p->activity)) {
		mutex_lock(&p->commit_lock);
		r = dm_sync_activity_commit(p->activity);
		mutex_unlock(&p->commit_lock);
		trace_dm_sync_commit(p->id, DM_SYNC_TRACE_ACTIVITY, 1, r);
	}
	/* The writes of this round went on unmarked; the break makes that known. */
	if (r) {
		dm_sync_activity_fail(p->activity, r);
		dm_sync_break(p, DM_SYNC_REASON_METADATA_FAILED);
	}
	commit_door_marks(p);
	if (dm_sync_activity_wants_commit(p->activity))
		dm_sync_commit_kick(p);
}

/**
 * dm_sync_commit_kick - something waits for the committer
 * @p: the pair
 *
 * Context: any.
 */
void dm_sync_commit_kick(struct dm_sync_pair *p)
{
	queue_work(p->io_wq, &p->commit_work);
}

/**
 * dm_sync_commit_init - set up the committer
 * @p: the pair
 */
void dm_sync_commit_init(struct dm_sync_pair *p)
{
	mutex_init(&p->commit_lock);
	INIT_WORK(&p->commit_work, do_commit);
}

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
 *	Of a flush that failed it is not known what it lost: what ended since the
 *	last one before it, and another that was under way beside it may have had
 *	nothing left to save.  So from a failure on (m->flush_failed) no flush
 *	counts, until what is in doubt is marked.
 *
 *	While the flow is cut there is no replica to flush.  So whoever cuts it
 *	settles the account first: he flushes both sides, or, if the replica
 *	does not take the flush, marks every region written since the last one
 *	that it took (dm_sync_mark_unflushed()).  From then on nothing is owed
 *	and m->settled says so, until the flow starts again.
 */
#include "dm-sync-mirror.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

/*----------------------------------------------------------------
 * Flushing both sides
 *--------------------------------------------------------------*/

/*
 * Counted by the one who waits and by each bio in flight: a device that does
 * not answer in time keeps its half, and the waiter goes on (rule Q).
 */
struct flush_pair {
	struct dm_sync_mirror *mirror;
	struct kref ref;
	atomic_t pending;
	struct completion done;
	struct bio source, replica;
	bool source_over, replica_over;
};

static void flush_free(struct kref *ref)
{
	struct flush_pair *f = container_of(ref, struct flush_pair, ref);

	bio_uninit(&f->source);
	bio_uninit(&f->replica);
	kfree(f);
}

static void flush_over(struct flush_pair *f)
{
	struct dm_sync_mirror *m = f->mirror;

	if (atomic_dec_and_test(&f->pending))
		complete(&f->done);
	kref_put(&f->ref, flush_free);
	/* The pair goes by RCU, when this count is 0. */
	rcu_read_lock();
	if (atomic_dec_and_test(&m->flushing))
		wake_up_all(&m->resync.idle);
	rcu_read_unlock();
}

static void source_flushed(struct bio *bio)
{
	struct flush_pair *f = bio->bi_private;

	WRITE_ONCE(f->source_over, true);
	flush_over(f);
}

/* Hosts that are told of a flush from now on are told of the loss: see -clone-owe.c. */
static void replica_flushed(struct bio *bio)
{
	struct flush_pair *f = bio->bi_private;

	if (bio->bi_status && f->mirror->is_clone)
		dm_sync_clone_lose(f->mirror);
	WRITE_ONCE(f->replica_over, true);
	flush_over(f);
}

static void flush_init(struct bio *bio, struct block_device *bdev,
		       struct flush_pair *f, bio_end_io_t *end_io)
{
	bio_init(bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	bio->bi_private = f;
	bio->bi_end_io = end_io;
}

static void flush_submit(struct flush_pair *f, struct bio *bio)
{
	kref_get(&f->ref);
	atomic_inc(&f->mirror->flushing);
	atomic_inc(&f->pending);
	submit_bio(bio);
}

static int flush_result(struct flush_pair *f, bool source, bool replica)
{
	if (source && (!READ_ONCE(f->source_over) || f->source.bi_status))
		return -EIO;
	if (replica && (!READ_ONCE(f->replica_over) || f->replica.bi_status))
		return -ENXIO;
	return 0;
}

static struct flush_pair *flush_alloc(struct dm_sync_mirror *m)
{
	struct flush_pair *f = kzalloc(sizeof(*f), GFP_NOIO);

	if (!f)
		return NULL;
	f->mirror = m;
	kref_init(&f->ref);
	init_completion(&f->done);
	atomic_set(&f->pending, 1);
	flush_init(&f->source, m->source, f, source_flushed);
	flush_init(&f->replica, m->replica, f, replica_flushed);
	return f;
}

static int flush(struct dm_sync_mirror *m, bool source, bool replica)
{
	struct flush_pair *f = flush_alloc(m);
	int r;

	if (!f)
		return -ENOMEM;
	if (source)
		flush_submit(f, &f->source);
	if (replica)
		flush_submit(f, &f->replica);
	if (!atomic_dec_and_test(&f->pending))
		wait_for_completion_io_timeout(&f->done, DM_SYNC_DRAIN_SECONDS * HZ);
	r = flush_result(f, source, replica);
	if (replica && m->is_clone && !READ_ONCE(f->replica_over))
		dm_sync_clone_lose(m);
	kref_put(&f->ref, flush_free);
	return r;
}

/**
 * dm_sync_flush_sides - flush the source and the replica, in parallel
 * @m: the mirror
 * @replica: the replica as well; only then, or when nothing is owed to it, may
 *	writes before it be forgotten
 *
 * Context: may sleep; not in map.
 * Return: 0; -EIO when the source failed; -ENXIO when the replica did; a side
 * that does not answer within DM_SYNC_DRAIN_SECONDS failed. -ENOMEM. The caller
 * decides what a failure means, but for this: what a restore brought back to the
 * source of a clone is in doubt when that fails.
 */
int dm_sync_flush_sides(struct dm_sync_mirror *m, bool replica)
{
	unsigned long epoch = dm_sync_activity_flush_begin(m->activity);
	int r = flush(m, true, replica);

	if (!r && (replica || READ_ONCE(m->settled)) && !READ_ONCE(m->flush_failed))
		dm_sync_activity_flush_end(m->activity, epoch);
	if (r == -EIO && m->is_clone && READ_ONCE(m->redirect)) {
		dm_sync_clone_unflushed(m, true);
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	}
	return r;
}

/**
 * dm_sync_flush_replica - flush the replica alone
 * @m: the clone
 *
 * Context: may sleep; not in map.
 * Return: 0, -ENXIO or -ENOMEM, as dm_sync_flush_sides() has them.
 */
int dm_sync_flush_replica(struct dm_sync_mirror *m)
{
	return flush(m, false, true);
}

static void mark_extent(void *context, u32 extent)
{
	struct dm_sync_mirror *m = context;
	unsigned int shift = m->extent_shift - m->region_shift;
	u64 first = (u64)extent << shift;
	u64 last = min(first + (1ULL << shift), m->nr_regions) - 1;

	if (!m->redirect || !m->source_lost) {
		dm_sync_map_set_range(m->redirect ? m->replica_map : m->source_map,
				      first, last);
		return;
	}
	/* During a restore the replica got what the source lost, but for these. */
	for (; first <= last; first++)
		if (!dm_sync_map_test(m->replica_map, first))
			dm_sync_map_set(m->source_map, first);
}

/**
 * dm_sync_mark_unflushed - the replica may have lost what it did not flush
 * @m: the mirror, its flow cut
 *
 * Marks every region of every extent that was written on the replica since the
 * last flush that it took, and then owes it nothing.
 *
 * Context: the conductor.
 */
void dm_sync_mark_unflushed(struct dm_sync_mirror *m)
{
	unsigned long epoch = dm_sync_activity_flush_begin(m->activity);

	dm_sync_activity_for_each_unflushed(m->activity, mark_extent, m);
	dm_sync_activity_flush_end(m->activity, epoch);
}

/*----------------------------------------------------------------
 * What the activity table and the maps ask
 *--------------------------------------------------------------*/

/* Before cleared marks become durable: the data must be. */
static int commit_barrier(void *context)
{
	struct dm_sync_mirror *m = context;
	int r;

	/*
	 * Acquire: pairs with dm_sync_settle(); the marks it set are in what we write.
	 * A restore that broke off may still bring back regions one by one.
	 */
	if (smp_load_acquire(&m->settled))
		return READ_ONCE(m->redirect) ? dm_sync_flush_sides(m, false) : 0;
	if (READ_ONCE(m->flush_failed))
		return -EIO;		/* the pair is about to break */
	r = dm_sync_flush_sides(m, true);
	if (!r && READ_ONCE(m->flush_failed))
		return -EIO;
	if (r == -ENXIO) {
		atomic64_inc(&m->replica_errors);
		dm_sync_break_flush(m, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
	} else if (r == -EIO) {
		atomic64_inc(&m->source_errors);
		dm_sync_break_flush(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	}
	return r;
}

/*
 * In a restore a forgotten mark owes its data to the source alone.  S and T of a clone
 * are forgotten when a new image holds, or a restored one is durable: they owe nothing.
 */
static int map_barrier(void *context)
{
	struct dm_sync_mirror *m = context;
	int r;

	if (m->is_clone)
		return 0;
	r = commit_barrier(m);
	return r == -ENXIO && READ_ONCE(m->redirect) ? 0 : r;
}

/* With the lock of the map's commits held. */
static int commit_map(struct dm_sync_mirror *m, struct dm_sync_map *map, bool clears,
		      int (*barrier)(void *context))
{
	int r;

	if (!dm_sync_map_needs_commit(map))
		return 0;
	r = dm_sync_map_commit(map, clears, barrier, m);
	trace_dm_sync_commit(m->pair.id, DM_SYNC_TRACE_MAP, 0, r);
	return r;
}

static int commit_one_map(struct dm_sync_mirror *m, struct dm_sync_map *map, bool clears)
{
	return commit_map(m, map, clears, map_barrier);
}

/*
 * The image of U has been made: what was marked in T before regions were cleared there
 * is made durable now (dm-sync-clone-owe.h).
 */
static int uncopied_barrier(void *context)
{
	struct dm_sync_mirror *m = context;
	int r;

	mutex_lock(&m->commit_lock);
	r = commit_one_map(m, m->replica_map, false);
	mutex_unlock(&m->commit_lock);
	return r ?: dm_sync_clone_barrier(m);
}

static int __commit_maps(struct dm_sync_mirror *m, bool clears)
{
	int r = commit_one_map(m, m->source_map, clears);

	return r ?: commit_one_map(m, m->replica_map, clears);
}

/*
 * By itself: it flushes the replica, and what hosts wait for of the other metadata is
 * not to wait for that.
 */
static int commit_uncopied(struct dm_sync_mirror *m, bool clears)
{
	struct dm_sync_clone *cl = &m->clone;
	int r, covers;

	mutex_lock(&cl->uncopied_lock);
	/* Pairs with the release in dm_sync_clone_owe(). */
	covers = atomic_read_acquire(&cl->covers);
	r = commit_map(m, m->uncopied_map, clears, uncopied_barrier);
	if (!r && clears) {
		WRITE_ONCE(cl->covers_durable, covers);
		WRITE_ONCE(cl->commits, cl->commits + 1);
		if (m->delta)
			queue_work(dm_sync_demand_wq, &cl->work);	/* to tidy up */
	}
	mutex_unlock(&cl->uncopied_lock);
	return r;
}

static bool extent_evictable(void *context, u32 extent)
{
	struct dm_sync_mirror *m = context;
	unsigned int shift = m->extent_shift - m->region_shift;
	u64 first = (u64)extent << shift;
	u64 last = min(first + (1ULL << shift), m->nr_regions) - 1;

	return dm_sync_map_is_durable(m->source_map, first, last) &&
	       dm_sync_map_is_durable(m->replica_map, first, last);
}

/* Called from dm_sync_activity_commit(), so with commit_lock held. */
static int make_evictable(void *context)
{
	struct dm_sync_mirror *m = context;
	int r = commit_barrier(m);

	return r ?: __commit_maps(m, false);
}

/**
 * dm_sync_settle_sides - flush what has to be on both sides
 * @m: the mirror
 *
 * Context: postsuspend; may sleep.
 * Return: 0 or a negative errno; the pair then breaks.
 */
int dm_sync_settle_sides(struct dm_sync_mirror *m)
{
	return commit_barrier(m);
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
 * dm_sync_commit_maps - make the maps durable
 * @m: the mirror
 * @clears: forgotten marks too; without it only new ones
 *
 * Context: may sleep; takes commit_lock, and a clone's uncopied_lock around it.
 * Return: 0, or a negative errno: what was durable before still is.
 */
int dm_sync_commit_maps(struct dm_sync_mirror *m, bool clears)
{
	int r;

	mutex_lock(&m->commit_lock);
	r = __commit_maps(m, clears);
	mutex_unlock(&m->commit_lock);
	/* The last: see dm-sync-clone.c. */
	return r || !m->is_clone ? r : commit_uncopied(m, clears);
}

/*----------------------------------------------------------------
 * The work
 *--------------------------------------------------------------*/

/*
 * While the source door is suspended the disk says "clean" and stays so
 * (rule L): replica writes then wait for it to be resumed.  If it is removed
 * instead, they fail.
 */
static void commit_door_marks(struct dm_sync_mirror *m)
{
	bool waiting;
	int r;

	mutex_lock(&m->commit_lock);
	if (!m->armed && !READ_ONCE(m->pair.gone)) {
		mutex_unlock(&m->commit_lock);
		return;
	}
	spin_lock_irq(&m->io_lock);
	waiting = !bio_list_empty(&m->door_marks);
	m->door_committing = m->door_marks;
	bio_list_init(&m->door_marks);
	spin_unlock_irq(&m->io_lock);
	r = m->armed ? 0 : -ENODEV;
	if (!r && waiting)
		r = commit_one_map(m, m->replica_map, false);
	mutex_unlock(&m->commit_lock);
	if (!waiting)
		return;
	dm_sync_door_marked(m, r);
	if (m->is_clone)
		dm_sync_clone_written(m);
	if (r && r != -ENODEV)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
}

static void do_commit(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, commit_work);
	int r = 0;

	if (dm_sync_activity_wants_commit(m->activity)) {
		mutex_lock(&m->commit_lock);
		r = dm_sync_activity_commit(m->activity);
		mutex_unlock(&m->commit_lock);
		trace_dm_sync_commit(m->pair.id, DM_SYNC_TRACE_ACTIVITY, 1, r);
	}
	if (r)
		dm_sync_activity_fail(m->activity, r);
	commit_door_marks(m);
	if (dm_sync_activity_wants_commit(m->activity))
		dm_sync_commit_kick(m);
}

/**
 * dm_sync_commit_kick - something waits for the committer
 * @m: the mirror
 *
 * Context: any.
 */
void dm_sync_commit_kick(struct dm_sync_mirror *m)
{
	queue_work(m->io_wq, &m->commit_work);
}

/**
 * dm_sync_commit_init - set up the committer
 * @m: the mirror
 */
void dm_sync_commit_init(struct dm_sync_mirror *m)
{
	mutex_init(&m->commit_lock);
	INIT_WORK(&m->commit_work, do_commit);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies that somebody waits for: what the image of a clone still needs is
 * saved before the source changes it (rule SC), and a region is brought whole to
 * the replica before a host writes to a part of it.
 *
 * U(r), the uncopied map, says that the replica does not own region r yet.  While
 * a restore runs it says the same of the source: the roles are exchanged, and
 * all below holds with "replica" and "source" exchanged.
 *
 *	A host write of the source to r waits here while U(r) is set, or is clear
 *	in memory only.  It goes on when the region was copied, the replica flushed
 *	and the clear durable.  Were the clear not durable, a crash would find U(r)
 *	set and copy the region again, with what the host wrote since.
 *
 *	A host write to the replica waits likewise, and for its mark in T, which
 *	the same commit makes durable before U: U is the last map of a commit.  So
 *	wherever the disk says "the replica owns r" and a host was let write there,
 *	it says "and it was written", too.
 *
 *	All copying of r, here and in the background, holds the range of r and looks
 *	at U(r) when it has it.  So r is copied once; a copy that waited for another
 *	one finds nothing to do, and never overwrites what hosts wrote since.
 *
 * Whoever waits is taken on in rounds: everything that waits at its start, all
 * copies of it at once, then one commit for all, so one flush of the replica however
 * many writes there are.  No wait is in map (rule Q); a replica that does not
 * answer holds up what waits for it as any device of a stack does.
 *
 * A copy that fails makes the image's loss certain for the write that waits:
 * the conductor is told, makes "the image is lost" durable, stops preserving, and
 * only then is the write let go (rule S-invalid).  The source never fails for
 * the clone.  In a restore it is the write that fails: the source does not hold
 * the data that it would change a part of.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

static struct dm_sync_clone_job *job_of(struct dm_sync_copy *copy)
{
	return container_of(copy, struct dm_sync_clone_job, copy);
}

/**
 * dm_sync_clone_uncopied - is there a region that still has to be copied?
 * @m: the clone
 * @first: first region
 * @last: last region
 *
 * Context: any; holding the range, if the answer is to stay true.
 */
bool dm_sync_clone_uncopied(struct dm_sync_mirror *m, u64 first, u64 last)
{
	for (; first <= last; first++)
		if (dm_sync_map_test(m->uncopied_map, first))
			return true;
	return false;
}

/**
 * dm_sync_clone_must_wait - must a host write of the source wait for a copy?
 * @m: the clone
 * @first: first region
 * @last: last region
 *
 * Context: any; holding the range.
 */
bool dm_sync_clone_must_wait(struct dm_sync_mirror *m, u64 first, u64 last)
{
	if (!READ_ONCE(m->clone.preserving))
		return false;
	if (dm_sync_clone_uncopied(m, first, last))
		return true;
	return !dm_sync_map_clears_durable(m->uncopied_map, first, last);
}

/*----------------------------------------------------------------
 * One copy
 *--------------------------------------------------------------*/

static void job_over(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;

	dm_sync_range_unlock(m->ranges, &job->range);
	WRITE_ONCE(job->busy, false);
	/* The pair goes by RCU. */
	rcu_read_lock();
	atomic_dec(&m->clone.busy);
	wake_up_all(&m->clone.idle);
	rcu_read_unlock();
}

static void job_failed(struct dm_sync_mirror *m, const struct dm_sync_copy *copy)
{
	bool back = READ_ONCE(m->redirect), of_replica = back == !copy->write_error;
	u32 reason;

	if (copy->write_error)
		reason = back ? DM_SYNC_REASON_SOURCE_WRITE_ERROR :
				DM_SYNC_REASON_REPLICA_WRITE_ERROR;
	else
		reason = back ? DM_SYNC_REASON_REPLICA_READ_ERROR :
				DM_SYNC_REASON_SOURCE_READ_ERROR;
	atomic64_inc(of_replica ? &m->replica_errors : &m->source_errors);
	WRITE_ONCE(m->clone.error, reason);
}

static void job_done(struct dm_sync_copy *copy)
{
	struct dm_sync_clone_job *job = job_of(copy);
	struct dm_sync_mirror *m = job->mirror;
	u64 region;

	if (copy->read_error || copy->write_error)
		job_failed(m, copy);
	else
		for (region = job->first; region <= job->last; region++)
			dm_sync_map_clear(m->uncopied_map, region);
	job_over(job);
}

/* The range is ours: does it still need us? */
static void job_start(struct work_struct *work)
{
	struct dm_sync_clone_job *job = container_of(work, struct dm_sync_clone_job, start);
	struct dm_sync_mirror *m = job->mirror;

	if (dm_sync_map_next_clear(m->uncopied_map, job->first, job->last + 1) > job->last)
		dm_sync_copy_start(&job->copy, m->io_wq);
	else
		job_over(job);
}

static void job_granted(struct dm_sync_range *r)
{
	struct dm_sync_clone_job *job = container_of(r, struct dm_sync_clone_job, range);

	queue_work(job->mirror->io_wq, &job->start);
}

static struct dm_sync_clone_job *job_get(struct dm_sync_mirror *m)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_CLONE_JOBS; i++)
		if (!READ_ONCE(m->clone.job[i].busy))
			return &m->clone.job[i];
	return NULL;
}

/* Starts the copy of marked regions from @first on; returns the one after them. */
static u64 job_begin(struct dm_sync_mirror *m, u64 first, u64 last)
{
	sector_t start = dm_sync_region_start(m, first);
	sector_t end = min(start + DM_SYNC_COPY_SECTORS,
			   ((start >> m->extent_shift) + 1) << m->extent_shift);
	struct dm_sync_clone_job *job = NULL;
	bool back = READ_ONCE(m->redirect);

	wait_event(m->clone.idle, (job = job_get(m)));
	job->busy = true;
	atomic_inc(&m->clone.busy);
	last = min(last, dm_sync_region_of(m, end - 1));
	last = dm_sync_map_next_clear(m->uncopied_map, first, last + 1) - 1;
	/* It was copied since we looked: let the job find out. */
	last = max(first, last);
	end = min_t(sector_t, dm_sync_region_start(m, last + 1), m->sectors);
	job->first = first;
	job->last = last;
	job->copy.from = back ? m->replica : m->source;
	job->copy.to = back ? m->source : m->replica;
	job->copy.sector = start;
	job->copy.sectors = end - start;
	job->range.start = start;
	job->range.last = end - 1;
	if (dm_sync_range_lock(m->ranges, &job->range))
		job_granted(&job->range);
	return last + 1;
}

/*----------------------------------------------------------------
 * A round
 *--------------------------------------------------------------*/

static void copy_range(struct dm_sync_mirror *m, sector_t sector, sector_t last_sector)
{
	u64 region = dm_sync_region_of(m, sector);
	u64 last = dm_sync_region_of(m, last_sector);

	while (region <= last)
		if (dm_sync_map_test(m->uncopied_map, region))
			region = job_begin(m, region, last);
		else
			region++;
}

static bool left(struct dm_sync_mirror *m, sector_t sector, sector_t last)
{
	return dm_sync_clone_uncopied(m, dm_sync_region_of(m, sector),
				      dm_sync_region_of(m, last));
}

static bool door_left(struct dm_sync_mirror *m, struct bio *bio, bool *write)
{
	sector_t sector, last;

	dm_sync_clone_door_range(bio, &sector, &last, write);
	return left(m, sector, last);
}

/* Returns true when regions are left though nothing failed: others had the range. */
static bool copy_all(struct dm_sync_mirror *m, struct bio_list *sources, struct bio_list *doors)
{
	sector_t sector, last;
	struct bio *bio;
	bool more = false, write;

	bio_list_for_each(bio, sources)
		copy_range(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		copy_range(m, sector, last);
	}
	wait_event(m->clone.idle, !atomic_read(&m->clone.busy));
	if (READ_ONCE(m->clone.error))
		return false;
	bio_list_for_each(bio, sources)
		more |= left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, doors)
		more |= door_left(m, bio, &write);
	return more;
}

static void mark_doors(struct dm_sync_mirror *m, struct bio_list *doors)
{
	sector_t sector, last;
	struct bio *bio;
	bool write;

	bio_list_for_each(bio, doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		if (write && !left(m, sector, last))
			dm_sync_map_set_range(m->replica_map, dm_sync_region_of(m, sector),
					      dm_sync_region_of(m, last));
	}
}

/* What cannot be copied: the image is given up first, or the write fails. */
static void end_failed(struct dm_sync_mirror *m, struct bio *bio)
{
	struct dm_sync_clone *cl = &m->clone;

	if (READ_ONCE(m->redirect)) {
		dm_sync_io_demand_done(m, bio, BLK_STS_IOERR);
		return;
	}
	spin_lock_irq(&m->io_lock);
	bio_list_add(&cl->lost, bio);
	spin_unlock_irq(&m->io_lock);
	WRITE_ONCE(cl->image_lost, true);
	dm_sync_break(m, cl->error ?: DM_SYNC_REASON_METADATA_FAILED);
}

static void end_round(struct dm_sync_mirror *m, struct bio_list *sources,
		      struct bio_list *doors, int error)
{
	struct bio *bio;
	bool write;

	while ((bio = bio_list_pop(sources))) {
		bool failed = error || left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));

		if (failed && READ_ONCE(m->clone.preserving))
			end_failed(m, bio);
		else
			dm_sync_io_demand_done(m, bio, BLK_STS_OK);
	}
	while ((bio = bio_list_pop(doors))) {
		bool failed = door_left(m, bio, &write) || (write && error);

		dm_sync_clone_door_go(m, bio, failed ? -EIO : 0);
	}
}

static bool take_round(struct dm_sync_mirror *m, struct bio_list *sources,
		       struct bio_list *doors)
{
	struct dm_sync_clone *cl = &m->clone;

	spin_lock_irq(&m->io_lock);
	if (READ_ONCE(cl->holding)) {
		WRITE_ONCE(cl->nr_held, cl->nr_held + bio_list_size(&cl->demand));
		bio_list_merge(&cl->held, &cl->demand);
		bio_list_init(&cl->demand);
	}
	*sources = cl->demand;
	*doors = cl->doors;
	bio_list_init(&cl->demand);
	bio_list_init(&cl->doors);
	spin_unlock_irq(&m->io_lock);
	return !bio_list_empty(sources) || !bio_list_empty(doors);
}

static void do_demand(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.work);
	struct bio_list sources, doors;
	int r;

	while (!READ_ONCE(m->clone.stopped) && take_round(m, &sources, &doors)) {
		WRITE_ONCE(m->clone.error, 0);
		while (copy_all(m, &sources, &doors))
			;
		mark_doors(m, &doors);
		r = dm_sync_commit_maps(m, true);
		if (r && !READ_ONCE(m->broken))
			dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
		end_round(m, &sources, &doors, r);
		dm_sync_clone_written(m);
	}
}

/*----------------------------------------------------------------
 * Who waits
 *--------------------------------------------------------------*/

static void kick(struct dm_sync_mirror *m)
{
	queue_work(dm_sync_demand_wq, &m->clone.work);
}

/**
 * dm_sync_clone_demand - copy what a host write of the source is about to change
 * @m: the clone
 * @bio: the write, past the mark and without its range; comes back through
 *	dm_sync_io_demand_done()
 *
 * Context: any.
 */
void dm_sync_clone_demand(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->clone.demand, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	kick(m);
}

/**
 * dm_sync_clone_demand_door - copy what I/O of the replica door touches
 * @m: the clone
 * @bio: the I/O; comes back through dm_sync_clone_door_go()
 *
 * Context: any.
 */
void dm_sync_clone_demand_door(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->clone.doors, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	kick(m);
}

/**
 * dm_sync_clone_read_ready - a read of the replica door has its range
 * @m: the clone
 * @bio: the read
 *
 * Context: any.
 */
void dm_sync_clone_read_ready(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->clone.reads, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	queue_work(m->io_wq, &m->clone.read_work);
}

static void do_reads(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.read_work);
	struct bio_list reads;
	struct bio *bio;

	spin_lock_irq(&m->io_lock);
	reads = m->clone.reads;
	bio_list_init(&m->clone.reads);
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&reads)))
		dm_sync_clone_door_read(m, bio);
}

/**
 * dm_sync_clone_park - let I/O of the replica door wait for a new point in time
 * @m: the clone
 * @bio: the I/O, not counted
 *
 * Context: any.
 * Return: false when none is being taken any more.
 */
bool dm_sync_clone_park(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;
	bool holding;

	spin_lock_irqsave(&m->io_lock, flags);
	holding = m->clone.door_holding;
	if (holding)
		bio_list_add(&m->clone.parked, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	return holding;
}

/**
 * dm_sync_clone_unpark - the replica door may go on
 * @m: the clone
 *
 * Context: the conductor, or when the pair has gone; may sleep.
 */
void dm_sync_clone_unpark(struct dm_sync_mirror *m)
{
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&m->io_lock);
	WRITE_ONCE(m->clone.door_holding, false);
	bios = m->clone.parked;
	bio_list_init(&m->clone.parked);
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&bios)))
		dm_sync_clone_door_again(m, bio);
}

/**
 * dm_sync_clone_release - let writes go on that waited for a change of state
 * @m: the clone
 * @held: those that Suspended held: they are copied for, or not, as it is now
 * @lost: those that the image is given up for
 *
 * Context: the conductor, or presuspend; may sleep.
 */
void dm_sync_clone_release(struct dm_sync_mirror *m, bool held, bool lost)
{
	struct dm_sync_clone *cl = &m->clone;
	struct bio_list bios;
	struct bio *bio;

	bio_list_init(&bios);
	spin_lock_irq(&m->io_lock);
	if (held) {
		bio_list_merge(&bios, &cl->held);
		bio_list_init(&cl->held);
		WRITE_ONCE(cl->nr_held, 0);
	}
	if (lost) {
		bio_list_merge(&bios, &cl->lost);
		bio_list_init(&cl->lost);
	}
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&bios)))
		dm_sync_io_demand_done(m, bio, BLK_STS_OK);
}

/**
 * dm_sync_clone_barrier - what was copied is durable where it was copied to
 * @m: the clone
 *
 * Context: the committer, before cleared marks are written; may sleep.
 * Return: 0 or a negative errno; then the pair breaks.
 */
int dm_sync_clone_barrier(struct dm_sync_mirror *m)
{
	int r = dm_sync_flush_sides(m, true);

	if (r == -ENXIO) {
		atomic64_inc(&m->replica_errors);
		dm_sync_break(m, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
	} else if (r == -EIO) {
		atomic64_inc(&m->source_errors);
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	}
	return r;
}

/**
 * dm_sync_clone_probe - does the replica take writes again?
 * @m: the clone, Broken
 *
 * By a flush, the last step of dm_sync_resync_probe(), which has written where the
 * replica owns something; what is written elsewhere must be the image's.
 *
 * Context: the conductor; may sleep.
 * Return: 0 when it does.
 */
int dm_sync_clone_probe(struct dm_sync_mirror *m)
{
	return dm_sync_flush_sides(m, true);
}

/*----------------------------------------------------------------
 * Life
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_stop - nothing is copied on demand from here on
 * @m: the mirror or clone; no host I/O of the source any more
 *
 * I/O of the replica door that needs it waits until the source door is resumed.
 *
 * Context: postsuspend; may sleep.
 */
void dm_sync_clone_stop(struct dm_sync_mirror *m)
{
	WRITE_ONCE(m->clone.stopped, true);
	cancel_work_sync(&m->clone.work);
}

/**
 * dm_sync_clone_resume - the opposite
 * @m: the mirror or clone
 *
 * Context: resume.
 */
void dm_sync_clone_resume(struct dm_sync_mirror *m)
{
	WRITE_ONCE(m->clone.stopped, false);
	if (!m->is_clone)
		return;
	kick(m);
	/* A temporary clone may have been complete when it was taken up. */
	if (dm_sync_auto_detach(&m->pair.state))
		queue_work(m->conductor, &m->copied_work);
}

/**
 * dm_sync_clone_gone - the pair has gone: what waits at its replica door fails
 * @m: the mirror or clone, unregistered
 *
 * Context: destructor; may sleep.
 */
void dm_sync_clone_gone(struct dm_sync_mirror *m)
{
	struct bio_list doors;
	struct bio *bio;

	cancel_work_sync(&m->clone.work);
	dm_sync_clone_unpark(m);
	spin_lock_irq(&m->io_lock);
	doors = m->clone.doors;
	bio_list_init(&m->clone.doors);
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&doors)))
		dm_sync_clone_door_go(m, bio, -EIO);
}

/**
 * dm_sync_clone_init - set up what only clones use
 * @m: the mirror or clone
 */
void dm_sync_clone_init(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;
	unsigned int i;

	INIT_WORK(&cl->work, do_demand);
	INIT_WORK(&cl->read_work, do_reads);
	bio_list_init(&cl->reads);
	bio_list_init(&cl->demand);
	bio_list_init(&cl->doors);
	bio_list_init(&cl->held);
	bio_list_init(&cl->lost);
	bio_list_init(&cl->parked);
	init_waitqueue_head(&cl->idle);
	for (i = 0; i < DM_SYNC_CLONE_JOBS; i++) {
		cl->job[i].mirror = m;
		cl->job[i].copy.done = job_done;
		cl->job[i].range.granted = job_granted;
		INIT_WORK(&cl->job[i].start, job_start);
	}
	dm_sync_clone_ops_init(m);
}

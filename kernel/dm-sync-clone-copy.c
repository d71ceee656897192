// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copies of a clone that somebody waits for, or that an access asked for: up to
 * sixteen at once, each of at most 1 MiB, each holding the range that it copies.
 *
 * One task at a time begins them and waits for them, the demand work.  What ends its
 * wait (rule Q): each copy that ends gives it another DM_SYNC_DRAIN_SECONDS.  When
 * none ends for as long, and a copy stands at the replica, the replica has failed: who
 * waits is told so.  When all stand at the source, or wait for a host's write to it,
 * the wait goes on, for no host write of the source could go on either; but a suspend
 * of the source door ends it.
 *
 * A copy that does not come back still holds its range, and the host's write waits
 * for that.  When the image has been given up, on disk first, the ranges are taken
 * from all copies, the background's too, and from what hosts write to the replica in
 * the place of one (abandon).  Such a copy may still write to the
 * replica, whenever that answers: so nothing new is begun, in either direction, before
 * all of them have ended (quiet).  A restore keeps its ranges: what comes back late
 * there would be written to the source.
 *
 * A copy may be one to the delta instead, a save: it clears nothing, and its range
 * keeps the background copy from reading what hosts may write when it is over.
 *
 * Locking: the mirror's io_lock protects @copying, @over and @range_is of a job, and
 * makes "this pass still holds" and the clearing of U one step.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

static struct dm_sync_clone_job *job_of(struct dm_sync_copy *copy)
{
	return container_of(copy, struct dm_sync_clone_job, copy);
}

/*----------------------------------------------------------------
 * One copy
 *--------------------------------------------------------------*/

/**
 * dm_sync_clone_leave - one of @clone.busy is over
 * @m: the clone
 *
 * Context: process.
 */
void dm_sync_clone_leave(struct dm_sync_mirror *m)
{
	/* The pair goes by RCU. */
	rcu_read_lock();
	/* It was the last that completion waited for. */
	if (atomic_dec_and_test(&m->clone.busy) && READ_ONCE(m->clone.completing))
		queue_work(m->conductor, &m->copied_work);
	wake_up_all(&m->clone.idle);
	rcu_read_unlock();
}

static void job_free(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;

	WRITE_ONCE(job->busy, false);
	atomic_inc(&m->clone.ended);
	dm_sync_clone_leave(m);
}

static void job_over(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;
	u8 range;

	spin_lock_irq(&m->io_lock);
	range = job->range_is;
	job->copying = false;
	job->over = range == DM_SYNC_CLONE_RANGE_GOING;
	if (!job->over)
		job->range_is = DM_SYNC_CLONE_RANGE_HELD;
	spin_unlock_irq(&m->io_lock);
	if (range == DM_SYNC_CLONE_RANGE_GOING)
		return;			/* who takes it away goes on here */
	if (range == DM_SYNC_CLONE_RANGE_HELD)
		dm_sync_range_unlock(m->ranges, &job->range);
	job_free(job);
}

static void job_failed(struct dm_sync_mirror *m, const struct dm_sync_clone_job *job)
{
	const struct dm_sync_copy *copy = &job->copy;
	bool back = READ_ONCE(m->redirect), of_replica = back == !copy->write_error;
	u32 reason;

	if (copy->write_error)
		reason = back ? DM_SYNC_REASON_SOURCE_WRITE_ERROR :
				DM_SYNC_REASON_REPLICA_WRITE_ERROR;
	else
		reason = back ? DM_SYNC_REASON_REPLICA_READ_ERROR :
				DM_SYNC_REASON_SOURCE_READ_ERROR;
	atomic64_inc(of_replica ? &m->replica_errors : &m->source_errors);
	/* Another copy may have made it the replica's; the source has it, as we hold the range. */
	if (m->delta && copy->write_error)
		dm_sync_map_set_range(m->uncopied_map, job->first, job->last);
	WRITE_ONCE(m->clone.error, reason);
}

/* Its regions are copied, if what it was begun for still holds. */
static void job_arrived(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;

	spin_lock_irq(&m->io_lock);
	if (job->pass == m->clone.pass)
		dm_sync_clone_arrived(m, job->first, job->last);
	spin_unlock_irq(&m->io_lock);
	dm_sync_resync_copied(m);
}

/* What the source cannot give is tried once more by the copy to the replica. */
static void save_done(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;
	u32 nr = job->last - job->first + 1;

	if (job->copy.write_error)
		WRITE_ONCE(m->delta->failed, true);
	if (job->copy.read_error || job->copy.write_error || job->pass != READ_ONCE(m->clone.pass))
		dm_sync_delta_free(m->delta, job->slot, nr);
	else
		dm_sync_delta_fill(m->delta, job->slot, job->first, nr);
	job_over(job);
}

static void job_done(struct dm_sync_copy *copy)
{
	struct dm_sync_clone_job *job = job_of(copy);

	if (job->is_save) {
		save_done(job);
		return;
	}
	dm_sync_resync_account(job->mirror, copy);
	if (job->pass != READ_ONCE(job->mirror->clone.pass))
		;	/* nobody waits for it any more */
	else if (copy->read_error || copy->write_error)
		job_failed(job->mirror, job);
	else
		job_arrived(job);
	job_over(job);
}

/* The range is ours: does it still need us? */
static void job_start(struct work_struct *work)
{
	struct dm_sync_clone_job *job = container_of(work, struct dm_sync_clone_job, start);
	struct dm_sync_mirror *m = job->mirror;
	bool copy;

	spin_lock_irq(&m->io_lock);
	copy = job->pass == m->clone.pass &&
	       (job->is_save || dm_sync_map_next_clear(m->uncopied_map, job->first,
						       job->last + 1) > job->last);
	job->copying = copy;
	spin_unlock_irq(&m->io_lock);
	if (copy) {
		dm_sync_copy_start(&job->copy, m->io_wq);
		return;
	}
	if (job->is_save)
		dm_sync_delta_free(m->delta, job->slot, job->last - job->first + 1);
	job_over(job);
}

static void job_granted(struct dm_sync_range *r)
{
	struct dm_sync_clone_job *job = container_of(r, struct dm_sync_clone_job, range);

	queue_work(job->mirror->io_wq, &job->start);
}

/*----------------------------------------------------------------
 * Waiting
 *--------------------------------------------------------------*/

/*
 * Does a copy, or a piece of the background's, stand at the replica, or do writes of
 * whole regions, of which none has ended since @covered were over?
 */
static bool replica_is_silent(struct dm_sync_mirror *m, int covered)
{
	struct dm_sync_clone *cl = &m->clone;
	unsigned int i;

	if (!list_empty_careful(&cl->covering) && atomic_read(&cl->covered) == covered)
		return true;
	for (i = 0; i < DM_SYNC_CLONE_JOBS; i++) {
		struct dm_sync_clone_job *job = &cl->job[i];
		struct block_device *at = dm_sync_copy_waits_for(&job->copy);

		/* A delta that does not answer is no better. */
		if (READ_ONCE(job->busy) && at &&
		    (at == m->replica || (job->is_save && at == m->delta->bdev)))
			return true;
	}
	return dm_sync_resync_waits_for(m, m->replica);
}

/* Whose fault it is that nothing ends. */
static u32 silence(struct dm_sync_mirror *m, bool replica)
{
	if (!replica) {
		atomic64_inc(&m->source_errors);
		return DM_SYNC_REASON_SOURCE_READ_ERROR;
	}
	atomic64_inc(&m->replica_errors);
	return READ_ONCE(m->redirect) ? DM_SYNC_REASON_REPLICA_READ_ERROR :
					DM_SYNC_REASON_REPLICA_WRITE_ERROR;
}

/*
 * Until fewer than @below copies are under way, or they are of no use any more; false:
 * see the head.
 */
static bool wait_for(struct dm_sync_mirror *m, int below)
{
	struct dm_sync_clone *cl = &m->clone;
	int ended, covered;
	bool silent;

	do {
		ended = atomic_read(&cl->ended);
		covered = atomic_read(&cl->covered);
		if (wait_event_timeout(cl->idle, atomic_read(&cl->busy) < below ||
				       !READ_ONCE(cl->preserving), DM_SYNC_DRAIN_SECONDS * HZ))
			return true;
		silent = replica_is_silent(m, covered);
	} while (atomic_read(&cl->ended) != ended || (!silent && !READ_ONCE(cl->stopped)));
	WRITE_ONCE(cl->error, silence(m, silent));
	WRITE_ONCE(cl->silent, true);
	return false;
}

static struct dm_sync_clone_job *job_get(struct dm_sync_mirror *m)
{
	unsigned int i;

	if (!wait_for(m, DM_SYNC_CLONE_JOBS))
		return NULL;
	for (i = 0; i < DM_SYNC_CLONE_JOBS; i++)
		if (!READ_ONCE(m->clone.job[i].busy))
			return &m->clone.job[i];
	return NULL;
}

static void job_issue(struct dm_sync_mirror *m, struct dm_sync_clone_job *job, u64 first, u64 last)
{
	sector_t start = dm_sync_region_start(m, first);
	sector_t end = min_t(sector_t, dm_sync_region_start(m, last + 1), m->sectors);

	job->busy = true;
	atomic_inc(&m->clone.busy);
	job->first = first;
	job->last = last;
	job->pass = m->clone.round_pass;
	job->copy.from_sector = start;
	job->copy.sectors = end - start;
	job->range.start = start;
	job->range.last = end - 1;
	if (dm_sync_range_lock(m->ranges, &job->range))
		job_granted(&job->range);
}

/* Starts the copy of marked regions from @first on; returns the one after them. */
static u64 job_begin(struct dm_sync_mirror *m, u64 first, u64 last)
{
	sector_t start = dm_sync_region_start(m, first);
	sector_t end = min(start + DM_SYNC_COPY_SECTORS,
			   ((start >> m->extent_shift) + 1) << m->extent_shift);
	struct dm_sync_clone_job *job = job_get(m);
	bool back = READ_ONCE(m->redirect);

	if (!job)
		return last + 1;
	last = min(last, dm_sync_region_of(m, end - 1));
	/* If the first was copied since we looked, the job finds out. */
	last = max(dm_sync_map_next_clear(m->uncopied_map, first, last + 1), first + 1) - 1;
	last = dm_sync_clone_span(m, first, last);
	job->is_save = job->copy.fua = false;
	job->copy.from = back ? m->replica : m->source;
	job->copy.to = back ? m->source : m->replica;
	job->copy.to_sector = start;
	job_issue(m, job, first, last);
	return last + 1;
}

/**
 * dm_sync_clone_save_begin - begin to put regions into the delta
 * @m: the clone
 * @first: first region
 * @nr: how many would be useful, at least 1
 *
 * Context: the demand work.
 * Return: how many were begun with; 0: there is no slot, or nothing is to be begun.
 */
u32 dm_sync_clone_save_begin(struct dm_sync_mirror *m, u64 first, u32 nr)
{
	struct dm_sync_clone_job *job = job_get(m);

	if (!job)
		return 0;
	nr = min(nr, DM_SYNC_COPY_SECTORS >> m->region_shift);
	nr = dm_sync_delta_alloc(m->delta, nr, &job->slot);
	if (!nr)
		return 0;
	job->is_save = job->copy.fua = true;
	job->copy.from = m->source;
	job->copy.to = m->delta->bdev;
	job->copy.to_sector = dm_sync_delta_sector(m->delta, job->slot);
	job_issue(m, job, first, first + nr - 1);
	return nr;
}

/**
 * dm_sync_clone_copy_due - is there an image to be copied for?
 * @m: the clone
 *
 * What is begun until this is asked again is for the image that there is now.
 *
 * Context: the demand work.
 */
bool dm_sync_clone_copy_due(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;

	cl->round_pass = READ_ONCE(cl->pass);
	smp_rmb();	/* abandon comes after "not preserving", and then the pass */
	return READ_ONCE(cl->preserving) &&
	       (READ_ONCE(m->redirect) || !READ_ONCE(cl->image_lost));
}

/**
 * dm_sync_clone_copy_begin - begin to copy what of a range is not copied yet
 * @m: the clone
 * @sector: first sector
 * @last_sector: last sector
 *
 * Whole regions are copied.  When there is no place for another copy, waits for one.
 *
 * Context: the demand work.
 */
void dm_sync_clone_copy_begin(struct dm_sync_mirror *m, sector_t sector, sector_t last_sector)
{
	u64 region = dm_sync_region_of(m, sector);
	u64 last = dm_sync_region_of(m, last_sector);

	while (region <= last && !READ_ONCE(m->clone.silent) && READ_ONCE(m->clone.preserving))
		if (dm_sync_clone_uncopied(m, region, region))
			region = job_begin(m, region, last);
		else
			region++;
}

/**
 * dm_sync_clone_copy_wait - wait for what was begun
 * @m: the clone
 *
 * Context: the demand work.
 * Return: true when all that did not fail is copied.  @clone.error tells why not, and
 * @clone.silent that the replica did not answer, so that nothing more is to be tried.
 */
bool dm_sync_clone_copy_wait(struct dm_sync_mirror *m)
{
	if (!READ_ONCE(m->clone.silent))
		wait_for(m, 1);
	return !READ_ONCE(m->clone.error);
}

/*----------------------------------------------------------------
 * Ending
 *--------------------------------------------------------------*/

/* One at a time, as giving a range free may start others. */
static struct dm_sync_clone_job *next_orphan(struct dm_sync_mirror *m)
{
	struct dm_sync_clone_job *job, *end = m->clone.job + DM_SYNC_CLONE_JOBS;

	spin_lock_irq(&m->io_lock);
	for (job = m->clone.job; job < end; job++)
		if (job->copying && job->range_is == DM_SYNC_CLONE_RANGE_HELD)
			break;
	if (job < end)
		job->range_is = DM_SYNC_CLONE_RANGE_GOING;
	spin_unlock_irq(&m->io_lock);
	return job < end ? job : NULL;
}

/* The job may end meanwhile, but is not used again before its range is given free. */
static void take_range(struct dm_sync_clone_job *job)
{
	struct dm_sync_mirror *m = job->mirror;
	bool over;

	dm_sync_range_unlock(m->ranges, &job->range);
	spin_lock_irq(&m->io_lock);
	over = job->over;
	job->over = false;
	job->range_is = over ? DM_SYNC_CLONE_RANGE_HELD : DM_SYNC_CLONE_RANGE_GONE;
	spin_unlock_irq(&m->io_lock);
	if (over)
		job_free(job);
}

/**
 * dm_sync_clone_new_pass - no copy that is under way clears a mark any more
 * @m: the clone
 *
 * Context: the conductor.
 */
void dm_sync_clone_new_pass(struct dm_sync_mirror *m)
{
	spin_lock_irq(&m->io_lock);
	WRITE_ONCE(m->clone.pass, m->clone.pass + 1);
	spin_unlock_irq(&m->io_lock);
}

/**
 * dm_sync_clone_abandon - the image was given up: no copy of it keeps a host's write
 * @m: the clone; it preserves nothing any more
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_clone_abandon(struct dm_sync_mirror *m)
{
	struct dm_sync_clone_job *job;

	dm_sync_clone_new_pass(m);
	wake_up_all(&m->clone.idle);
	while ((job = next_orphan(m)))
		take_range(job);
	dm_sync_clone_door_abandon(m);
	dm_sync_resync_abandon(m);
}

/**
 * dm_sync_clone_quiet - wait until no copy is under way
 * @m: the clone; nobody asks for one
 *
 * Context: the conductor; may sleep.
 * Return: 0 or -ETIMEDOUT: a device does not answer.
 */
int dm_sync_clone_quiet(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;

	if (!wait_event_timeout(cl->idle, !atomic_read(&cl->busy), DM_SYNC_DRAIN_SECONDS * HZ))
		return -ETIMEDOUT;
	return dm_sync_resync_stop(m);
}

/**
 * dm_sync_clone_copy_init - set up the copies
 * @m: the mirror or clone
 */
void dm_sync_clone_copy_init(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;
	unsigned int i;

	init_waitqueue_head(&cl->idle);
	INIT_LIST_HEAD(&cl->covering);
	for (i = 0; i < DM_SYNC_CLONE_JOBS; i++) {
		cl->job[i].mirror = m;
		cl->job[i].copy.done = job_done;
		cl->job[i].range.granted = job_granted;
		INIT_WORK(&cl->job[i].start, job_start);
	}
}

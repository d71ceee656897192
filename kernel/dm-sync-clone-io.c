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
 * copies of it at once (dm-sync-clone-copy.c), then one commit for all, so one flush of
 * the replica however many writes there are.  No wait is in map (rule Q), and a
 * replica that does not answer has failed after DM_SYNC_DRAIN_SECONDS.
 *
 * A copy that fails makes the image's loss certain for the write that waits:
 * the conductor is told, makes "the image is lost" durable, stops preserving, and
 * only then is the write let go (rule S-invalid).  The source never fails for
 * the clone.  A read of the replica door is then served by the source, which still
 * has what the image needs, and a write through it fails.  In a restore it is the write that fails: the source does not hold
 * the data that it would change a part of.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

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
 * A round
 *--------------------------------------------------------------*/

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
		dm_sync_clone_copy_begin(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		dm_sync_clone_copy_begin(m, sector, last);
	}
	if (!dm_sync_clone_copy_wait(m))
		return false;
	bio_list_for_each(bio, sources)
		more |= left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, doors)
		more |= door_left(m, bio, &write);
	return more;
}

/* By itself, so that it fails by its own regions alone. */
static void copy_one(struct dm_sync_mirror *m, sector_t sector, sector_t last)
{
	while (!READ_ONCE(m->clone.silent) && left(m, sector, last)) {
		WRITE_ONCE(m->clone.error, 0);
		dm_sync_clone_copy_begin(m, sector, last);
		if (!dm_sync_clone_copy_wait(m))
			return;
	}
}

/* Something failed: whose was it?  Returns the reason. */
static u32 copy_each(struct dm_sync_mirror *m, struct bio_list *sources, struct bio_list *doors)
{
	u32 reason = READ_ONCE(m->clone.error);
	sector_t sector, last;
	struct bio *bio;
	bool write;

	bio_list_for_each(bio, sources)
		copy_one(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		copy_one(m, sector, last);
	}
	return READ_ONCE(m->clone.error) ?: reason;
}

/* The side that is copied to failed; what cannot be read may not be needed. */
static bool cannot_be_written(u32 reason)
{
	return reason == DM_SYNC_REASON_REPLICA_WRITE_ERROR ||
	       reason == DM_SYNC_REASON_SOURCE_WRITE_ERROR;
}

/* Copies what the round is about; returns why not all of it, or 0. */
static u32 copy_round(struct dm_sync_mirror *m, struct bio_list *sources,
		      struct bio_list *doors)
{
	struct dm_sync_clone *cl = &m->clone;
	u32 reason;

	WRITE_ONCE(cl->error, 0);
	WRITE_ONCE(cl->silent, false);
	/* What is being given up needs no copy; and its replica may not answer. */
	if (READ_ONCE(cl->image_lost) && !READ_ONCE(m->redirect))
		return DM_SYNC_REASON_REPLICA_WRITE_ERROR;
	while (copy_all(m, sources, doors))
		;
	reason = READ_ONCE(cl->error);
	if (reason && !READ_ONCE(cl->silent))
		reason = copy_each(m, sources, doors);
	if (reason && (READ_ONCE(cl->silent) || cannot_be_written(reason)))
		dm_sync_break(m, reason);
	return reason;
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
static void end_failed(struct dm_sync_mirror *m, struct bio *bio, u32 reason)
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
	dm_sync_break(m, reason);
}

static void end_door(struct dm_sync_mirror *m, struct bio *bio, int error)
{
	bool write, failed = door_left(m, bio, &write);

	if (failed && !write && !READ_ONCE(m->redirect))
		dm_sync_clone_door_source(m, bio);
	else
		dm_sync_clone_door_go(m, bio, failed || (write && error) ? -EIO : 0);
}

static void end_round(struct dm_sync_mirror *m, struct bio_list *sources,
		      struct bio_list *doors, int error, u32 reason)
{
	struct bio *bio;

	if (!reason)
		reason = error == -ESTALE ? DM_SYNC_REASON_REPLICA_FLUSH_ERROR :
					    DM_SYNC_REASON_METADATA_FAILED;
	while ((bio = bio_list_pop(sources))) {
		bool failed = error || left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));

		if (failed && READ_ONCE(m->clone.preserving))
			end_failed(m, bio, reason);
		else
			dm_sync_io_demand_done(m, bio, BLK_STS_OK);
	}
	while ((bio = bio_list_pop(doors)))
		end_door(m, bio, error);
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

static void one_round(struct dm_sync_mirror *m, struct bio_list *sources, struct bio_list *doors)
{
	u32 reason = copy_round(m, sources, doors);
	int error;

	mark_doors(m, doors);
	/* A replica that does not answer need not be asked for a flush. */
	error = READ_ONCE(m->clone.silent) ? -ESTALE : dm_sync_clone_commit(m, true);
	end_round(m, sources, doors, error, reason);
	dm_sync_clone_written(m);
}

/* The pair has gone: nobody copies for its replica door any more. */
static void fail_doors(struct dm_sync_mirror *m)
{
	struct bio_list doors;
	struct bio *bio;

	spin_lock_irq(&m->io_lock);
	doors = m->clone.doors;
	bio_list_init(&m->clone.doors);
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&doors)))
		dm_sync_clone_door_go(m, bio, -EIO);
}

static void do_demand(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.work);
	struct bio_list sources, doors;

	while (!READ_ONCE(m->clone.stopped) && take_round(m, &sources, &doors))
		one_round(m, &sources, &doors);
	if (READ_ONCE(m->pair.gone))
		fail_doors(m);
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
 * dm_sync_clone_unflushed - a flush failed: what it should have saved is in doubt
 * @m: the clone
 * @source: it was the source's
 *
 * The caller breaks the pair; until that is done no copy is called durable.
 *
 * Context: any.
 */
void dm_sync_clone_unflushed(struct dm_sync_mirror *m, bool source)
{
	if (source == READ_ONCE(m->redirect))
		WRITE_ONCE(m->clone.unflushed, true);
}

/**
 * dm_sync_clone_barrier - what was copied is durable where it was copied to
 * @m: the clone
 *
 * A flush that fails is not asked again: a later one may succeed and still have
 * lost what this one should have saved.
 *
 * Context: the committer, before cleared marks are written; commit_lock held; may
 * sleep.
 * Return: 0, or -ESTALE, which no device says: then the pair breaks.
 */
int dm_sync_clone_barrier(struct dm_sync_mirror *m)
{
	bool back = READ_ONCE(m->redirect);
	int r;

	if (READ_ONCE(m->clone.unflushed))
		return -ESTALE;
	r = back ? dm_sync_flush_sides(m, false) : dm_sync_flush_replica(m);
	if (!r)
		return 0;
	if (r != -ENOMEM) {		/* else none was asked */
		atomic64_inc(back ? &m->source_errors : &m->replica_errors);
		dm_sync_clone_unflushed(m, back);
	}
	dm_sync_break(m, back ? DM_SYNC_REASON_SOURCE_WRITE_ERROR :
				DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
	return -ESTALE;
}

/**
 * dm_sync_clone_commit - make the maps durable, or break
 * @m: the clone
 * @clears: forgotten marks too
 *
 * Context: may sleep; takes commit_lock.
 * Return: 0 or a negative errno.
 */
int dm_sync_clone_commit(struct dm_sync_mirror *m, bool clears)
{
	int r = dm_sync_commit_maps(m, clears);

	if (r && r != -ESTALE)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
	return r;
}

/**
 * dm_sync_clone_revert - after a flush that failed, what was copied since the last
 *	one that did not is copied again
 * @m: the clone, its background copy stopped
 *
 * Nobody was let write where the disk does not know of the copy; so the side that is
 * copied from still has what the image needs.  Where the replica is complete U says
 * nothing, and what is on disk of it is older than that.
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_clone_revert(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;

	mutex_lock(&m->commit_lock);
	if (READ_ONCE(cl->unflushed) &&
	    (m->redirect || !m->pair.facts.replica_consistent)) {
		dm_sync_clone_new_pass(m);
		dm_sync_map_revert_clears(m->uncopied_map);
	}
	WRITE_ONCE(cl->unflushed, false);
	mutex_unlock(&m->commit_lock);
}

/**
 * dm_sync_clone_probe - does the replica take writes again?
 * @m: the clone, Broken
 *
 * By a flush: what is written there must be the image's, and the copy that starts
 * when this succeeds tries just that.
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
 * Copies use our devices: waits for them as device-mapper does for the host's I/O.
 *
 * Context: destructor; may sleep.
 */
void dm_sync_clone_gone(struct dm_sync_mirror *m)
{
	cancel_work_sync(&m->clone.work);
	dm_sync_clone_unpark(m);
	/* Door I/O that was let in a moment ago may still come: it asks for the work. */
	kick(m);
	wait_event(m->clone.idle, !atomic_read(&m->clone.busy));
}

/**
 * dm_sync_clone_init - set up what only clones use
 * @m: the mirror or clone
 */
void dm_sync_clone_init(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;

	INIT_WORK(&cl->work, do_demand);
	INIT_WORK(&cl->read_work, do_reads);
	bio_list_init(&cl->reads);
	bio_list_init(&cl->demand);
	bio_list_init(&cl->doors);
	bio_list_init(&cl->held);
	bio_list_init(&cl->lost);
	bio_list_init(&cl->parked);
	dm_sync_clone_copy_init(m);
	dm_sync_clone_ops_init(m);
}

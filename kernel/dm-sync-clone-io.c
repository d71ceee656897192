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
 *	A host write to a part of r of the replica waits for the copy, but where U(r) is
 *	set on disk not for a commit: T(r) is marked in memory before the copy begins,
 *	and no commit clears U(r) on disk without T(r) (dm-sync-clone-owe.h).  So
 *	wherever the disk says "the replica owns r" and a host was let write there,
 *	it says "and it was written", too.  A write with FUA waits for the commit, and so
 *	does the first write to what was copied for somebody else; a flush waits for it.
 *
 *	A host write to the replica that covers r whole needs no copy.  It is marked in
 *	T, durably, holds the range of r, and clears U(r) when it is over; nothing is
 *	owed for it but by a flush through the door, which makes that durable first.  A
 *	power cut before finds U(r) set: the region is the image's again, without a
 *	write that nobody flushed.  With FUA it is copied for like any other.  A host
 *	write of the source owes the old data always, whole or not.
 *
 *	All copying of r, here and in the background, holds the range of r and looks
 *	at U(r) when it has it.  So r is copied once; a copy that waited for another
 *	one finds nothing to do, and never overwrites what hosts wrote since.
 *
 * Whoever waits is taken on in rounds: everything that waits at its start, all
 * copies of it at once (dm-sync-clone-copy.c), then one commit for all that need one,
 * so at most one flush of the replica however many writes there are.  No wait is in map
 * (rule Q), and a replica that does not answer has failed after DM_SYNC_DRAIN_SECONDS.
 *
 * A copy that fails makes the image's loss certain for the write that waits:
 * the conductor is told, makes "the image is lost" durable, stops preserving, and
 * only then is the write let go (rule S-invalid).  The source never fails for
 * the clone.  A read of the replica door is then served by the source, which still
 * has what the image needs, and a write through it fails.  In a restore it is the
 * host's write of the source that fails: the source does not hold the data that it
 * would change a part of.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync"

/**
 * dm_sync_clone_uncopied - is there a region that still has to be copied?
 * @m: the clone
 * @first: first region
 * @last: last region
 *
 * From where hosts may write: what is in the delta is copied from there.
 *
 * Context: any; holding the range, if the answer is to stay true.
 */
bool dm_sync_clone_uncopied(struct dm_sync_mirror *m, u64 first, u64 last)
{
	for (; first <= last; first++)
		if (dm_sync_map_test(m->uncopied_map, first) && !dm_sync_clone_slot(m, first))
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
	if (m->delta) {
		while (first <= last && !dm_sync_clone_needs_save(m, first))
			first++;
		return first <= last;
	}
	if (dm_sync_clone_uncopied(m, first, last))
		return true;
	return !dm_sync_map_clears_durable(m->uncopied_map, first, last);
}

/*----------------------------------------------------------------
 * A round
 *--------------------------------------------------------------*/

/* What is taken on at once: writes of the source, I/O of the replica door. */
struct round {
	struct bio_list sources, doors;
};

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
static bool copy_all(struct dm_sync_mirror *m, struct round *r)
{
	sector_t sector, last;
	struct bio *bio;
	bool more = false, write;

	bio_list_for_each(bio, &r->sources)
		dm_sync_clone_copy_begin(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, &r->doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		dm_sync_clone_copy_begin(m, sector, last);
	}
	if (!dm_sync_clone_copy_wait(m))
		return false;
	bio_list_for_each(bio, &r->sources)
		more |= left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, &r->doors)
		more |= door_left(m, bio, &write);
	return more;
}

/* By itself, so that it fails by its own regions alone. */
static void copy_one(struct dm_sync_mirror *m, sector_t sector, sector_t last)
{
	while (!READ_ONCE(m->clone.silent) && dm_sync_clone_copy_due(m) &&
	       left(m, sector, last)) {
		WRITE_ONCE(m->clone.error, 0);
		dm_sync_clone_copy_begin(m, sector, last);
		if (!dm_sync_clone_copy_wait(m))
			return;
	}
}

/* Something failed: whose was it?  Returns the reason. */
static u32 copy_each(struct dm_sync_mirror *m, struct round *r)
{
	u32 reason = READ_ONCE(m->clone.error);
	sector_t sector, last;
	struct bio *bio;
	bool write;

	bio_list_for_each(bio, &r->sources)
		copy_one(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));
	bio_list_for_each(bio, &r->doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		copy_one(m, sector, last);
	}
	return READ_ONCE(m->clone.error) ?: reason;
}

/*
 * The side that is copied to failed, or the replica is silent.  What cannot be read may
 * not be needed: it breaks the pair when the background copy has nothing else left.
 */
static bool is_broken(struct dm_sync_mirror *m, u32 reason)
{
	return reason == DM_SYNC_REASON_REPLICA_WRITE_ERROR ||
	       reason == DM_SYNC_REASON_SOURCE_WRITE_ERROR ||
	       (reason == DM_SYNC_REASON_REPLICA_READ_ERROR && READ_ONCE(m->clone.silent));
}

/* Copies what the round is about; returns why not all of it, or 0. */
static u32 copy_round(struct dm_sync_mirror *m, struct round *r)
{
	struct dm_sync_clone *cl = &m->clone;
	u32 reason;

	WRITE_ONCE(cl->error, 0);
	WRITE_ONCE(cl->silent, false);
	while (dm_sync_clone_copy_due(m) && copy_all(m, r))
		;
	/* What is being given up needs no copy; and its replica may not answer. */
	if (READ_ONCE(cl->image_lost) && !READ_ONCE(m->redirect)) {
		WRITE_ONCE(cl->silent, true);
		return READ_ONCE(cl->error) ?: DM_SYNC_REASON_REPLICA_WRITE_ERROR;
	}
	reason = READ_ONCE(cl->error);
	if (reason && !READ_ONCE(cl->silent))
		reason = copy_each(m, r);
	if (is_broken(m, reason))
		dm_sync_break(m, reason);
	return reason;
}

/* Marks in T what may be marked before it is copied; returns true if a commit is due. */
static bool claim_doors(struct dm_sync_mirror *m, struct round *r)
{
	bool due = !bio_list_empty(&r->sources), write;
	sector_t sector, last;
	struct bio *bio;

	bio_list_for_each(bio, &r->doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		if (write)
			due |= dm_sync_clone_door_claim(m, bio) != DM_SYNC_CLONE_WAIT_COPY;
	}
	return due;
}

static void mark_doors(struct dm_sync_mirror *m, struct round *r)
{
	sector_t sector, last;
	struct bio *bio;
	bool write;

	bio_list_for_each(bio, &r->doors) {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		if (write && dm_sync_clone_door_waits(bio) == DM_SYNC_CLONE_WAIT_MARK &&
		    !left(m, sector, last))
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
	sector_t sector, last;

	if (failed && !write && !READ_ONCE(m->redirect)) {
		dm_sync_clone_door_source(m, bio);
	} else if (!write || failed || error) {
		dm_sync_clone_door_go(m, bio, failed || (write && error) ? -EIO : 0);
	} else if (dm_sync_clone_door_waits(bio) == DM_SYNC_CLONE_WAIT_COMMIT) {
		dm_sync_clone_door_write(m, bio);
	} else {
		dm_sync_clone_door_range(bio, &sector, &last, &write);
		failed = dm_sync_clone_door_waits(bio) == DM_SYNC_CLONE_WAIT_COPY &&
			 !dm_sync_clone_owe_write(m, dm_sync_region_of(m, sector),
						  dm_sync_region_of(m, last));
		dm_sync_clone_door_go(m, bio, failed ? -EIO : 0);
	}
}

static void end_sources(struct dm_sync_mirror *m, struct round *r, int error, u32 reason)
{
	struct bio *bio;

	if (!reason)
		reason = error == -ESTALE ? DM_SYNC_REASON_REPLICA_FLUSH_ERROR :
					    DM_SYNC_REASON_METADATA_FAILED;
	while ((bio = bio_list_pop(&r->sources))) {
		bool failed = error || left(m, dm_sync_io_sector(bio), dm_sync_io_last(bio));

		if (failed && READ_ONCE(m->clone.preserving))
			end_failed(m, bio, reason);
		else
			dm_sync_io_demand_done(m, bio, BLK_STS_OK);
	}
}

static bool take_round(struct dm_sync_mirror *m, struct round *r)
{
	struct dm_sync_clone *cl = &m->clone;

	spin_lock_irq(&m->io_lock);
	if (READ_ONCE(cl->holding)) {
		WRITE_ONCE(cl->nr_held, cl->nr_held + bio_list_size(&cl->demand));
		bio_list_merge(&cl->held, &cl->demand);
		bio_list_init(&cl->demand);
	}
	r->sources = cl->demand;
	r->doors = cl->doors;
	bio_list_init(&cl->demand);
	bio_list_init(&cl->doors);
	spin_unlock_irq(&m->io_lock);
	return !bio_list_empty(&r->sources) || !bio_list_empty(&r->doors);
}

static void one_round(struct dm_sync_mirror *m, struct round *r)
{
	u32 reason = dm_sync_clone_save(m, &r->sources);
	struct dm_sync_clone *cl = &m->clone;
	bool due = claim_doors(m, r);
	struct bio *bio;
	int error = 0;

	reason = reason ?: copy_round(m, r);
	/* Given up meanwhile: the replica's flush may take its time. */
	if (!READ_ONCE(cl->preserving))
		end_sources(m, r, 0, 0);
	mark_doors(m, r);
	/* A replica that does not answer need not be asked for a flush. */
	if (due)
		error = READ_ONCE(cl->silent) ? -ESTALE : dm_sync_clone_commit(m, true);
	end_sources(m, r, error, reason);
	while ((bio = bio_list_pop(&r->doors)))
		end_door(m, bio, error);
	dm_sync_clone_written(m);
}

/*
 * For what was only read nobody waits: a few at a time, between the rounds, and what
 * cannot be read is left to the background copy.
 */
static bool copy_touched(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;
	struct dm_sync_clone_touch touched[4];
	unsigned int i, nr;
	u32 reason;

	spin_lock_irq(&m->io_lock);
	nr = min_t(u32, cl->nr_touched, ARRAY_SIZE(touched));
	cl->nr_touched -= nr;
	memcpy(touched, cl->touched, nr * sizeof(*touched));
	memmove(cl->touched, cl->touched + nr, cl->nr_touched * sizeof(*touched));
	spin_unlock_irq(&m->io_lock);
	if (!nr)
		return false;
	WRITE_ONCE(cl->error, 0);
	WRITE_ONCE(cl->silent, false);
	if (!dm_sync_clone_copy_due(m) || !READ_ONCE(cl->on_access))
		return true;
	for (i = 0; i < nr; i++)
		dm_sync_clone_copy_begin(m, touched[i].first, touched[i].last);
	dm_sync_clone_copy_wait(m);
	reason = READ_ONCE(cl->error);
	if (is_broken(m, reason))
		dm_sync_break(m, reason);
	return true;
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

static bool do_something(struct dm_sync_mirror *m)
{
	struct round r;

	if (READ_ONCE(m->clone.stopped))
		return false;
	if (!take_round(m, &r))
		return copy_touched(m);
	one_round(m, &r);
	return true;
}

static void do_demand(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.work);

	while (do_something(m))
		;
	dm_sync_clone_delta_tidy(m);
	if (READ_ONCE(m->pair.gone))
		fail_doors(m);
}

/* @flushed: by the commit, since they were asked for; else the replica is asked now. */
static void end_flushes(struct dm_sync_mirror *m, struct bio_list *flushes, int error,
			bool flushed)
{
	struct bio *bio;

	while ((bio = bio_list_pop(flushes))) {
		if (error || !flushed) {
			dm_sync_clone_door_go(m, bio, error ? -EIO : 0);
			continue;
		}
		bio->bi_status = BLK_STS_OK;
		bio_endio(bio);
	}
}

/* By themselves: they do not wait for anybody's copies, and so not for the source. */
static void do_flushes(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, clone.flush_work);
	struct dm_sync_clone *cl = &m->clone;
	bool gone = READ_ONCE(m->pair.gone);
	struct bio_list flushes;
	u32 before;
	int error;

	if (READ_ONCE(cl->stopped) && !gone)
		return;
	spin_lock_irq(&m->io_lock);
	flushes = cl->flushes;
	bio_list_init(&cl->flushes);
	spin_unlock_irq(&m->io_lock);
	if (bio_list_empty(&flushes))
		return;
	before = READ_ONCE(cl->barriers);
	error = gone ? -ENODEV : dm_sync_clone_commit(m, true);
	end_flushes(m, &flushes, error, (s32)(READ_ONCE(cl->flushed) - before) > 0);
	dm_sync_clone_written(m);
}

/*----------------------------------------------------------------
 * Who waits
 *--------------------------------------------------------------*/

static void kick(struct dm_sync_mirror *m)
{
	queue_work(dm_sync_demand_wq, &m->clone.work);
	queue_work(dm_sync_demand_wq, &m->clone.flush_work);
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
 * dm_sync_clone_touched - the host reads a range of the source: it is to be copied
 * @m: the clone, whose methodology is copy_on_access and whose copy runs
 * @first: first sector
 * @last: last sector
 *
 * The read does not wait for it.  When more is read than is remembered, the rest is
 * left to the background copy.
 *
 * Context: any.
 */
void dm_sync_clone_touched(struct dm_sync_mirror *m, sector_t first, sector_t last)
{
	struct dm_sync_clone *cl = &m->clone;
	struct dm_sync_clone_touch *newest;
	unsigned long flags;
	bool room;

	if (!left(m, first, last))
		return;
	spin_lock_irqsave(&m->io_lock, flags);
	newest = cl->touched + cl->nr_touched - 1;
	room = cl->nr_touched < DM_SYNC_CLONE_TOUCHED;
	/* Small reads, one after the other, are in one region for a while. */
	if (cl->nr_touched &&
	    dm_sync_region_of(m, newest->first) == dm_sync_region_of(m, first) &&
	    dm_sync_region_of(m, newest->last) >= dm_sync_region_of(m, last))
		room = false;
	if (room)
		cl->touched[cl->nr_touched++] = (struct dm_sync_clone_touch) { first, last };
	spin_unlock_irqrestore(&m->io_lock, flags);
	if (room)
		kick(m);
}

/**
 * dm_sync_clone_demand_flush - a flush of the replica door makes copies durable, too
 * @m: the clone, hosts having written what the disk does not know of
 * @bio: the flush
 *
 * Context: any.
 */
void dm_sync_clone_demand_flush(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->clone.flushes, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	queue_work(dm_sync_demand_wq, &m->clone.flush_work);
}

/**
 * dm_sync_clone_covered - a host wrote whole regions of the replica: they are its own
 * @m: the clone
 * @first: first sector of the first
 * @last: last sector of the last
 *
 * Context: any; holding the range, and io_lock.
 */
void dm_sync_clone_covered(struct dm_sync_mirror *m, sector_t first, sector_t last)
{
	dm_sync_clone_owe(m);	/* for who reverts the clear, and ... */
	dm_sync_map_clear_range(m->uncopied_map, dm_sync_region_of(m, first),
				dm_sync_region_of(m, last));
	dm_sync_clone_owe(m);	/* ... for who commits it */
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
 * Context: the committer, before cleared marks are written; uncopied_lock held; may
 * sleep.
 * Return: 0, or -ESTALE, which no device says: then the pair breaks.
 */
int dm_sync_clone_barrier(struct dm_sync_mirror *m)
{
	bool back = READ_ONCE(m->redirect);
	struct dm_sync_clone *cl = &m->clone;
	u32 nr = cl->barriers + 1;
	int r;

	if (READ_ONCE(cl->unflushed))
		return -ESTALE;
	WRITE_ONCE(cl->barriers, nr);
	r = back ? dm_sync_flush_sides(m, false) : dm_sync_flush_replica(m);
	/* One that failed beside it may have lost what this one found nothing of. */
	if (!r && READ_ONCE(cl->unflushed))
		return -ESTALE;
	if (!r && !back)
		WRITE_ONCE(cl->flushed, nr);
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
 * Context: may sleep; takes commit_lock and uncopied_lock.
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
 * When the disk does not tell what it has, nothing is called durable until all is
 * copied anew: so it is when the metadata has failed.
 *
 * Context: the conductor; may sleep.
 */
void dm_sync_clone_revert(struct dm_sync_mirror *m)
{
	struct dm_sync_clone *cl = &m->clone;
	int r = 0;

	mutex_lock(&cl->uncopied_lock);
	if (READ_ONCE(cl->unflushed) &&
	    (m->redirect || !m->pair.facts.replica_consistent)) {
		dm_sync_clone_new_pass(m);
		r = dm_sync_map_revert_clears(m->uncopied_map);
		dm_sync_clone_forfeit(m);
	}
	if (!r)
		WRITE_ONCE(cl->unflushed, false);
	mutex_unlock(&cl->uncopied_lock);
	if (r && !m->meta_failed)
		dm_sync_break(m, DM_SYNC_REASON_METADATA_FAILED);
}

/**
 * dm_sync_clone_probe - does the replica take writes again?
 * @m: the clone, Broken
 *
 * By a flush, the last step of dm_sync_resync_probe(), which has written where the
 * replica owns something; what is written elsewhere must be the image's.
 *
 * A flush that fails here may lose what any other may: it is not asked a second time
 * for the same.
 *
 * Context: the conductor; may sleep.
 * Return: 0 when it does.
 */
int dm_sync_clone_probe(struct dm_sync_mirror *m)
{
	int r = dm_sync_flush_sides(m, true);

	if (r && r != -ENOMEM) {
		dm_sync_clone_unflushed(m, READ_ONCE(m->redirect));
		dm_sync_clone_revert(m);
	}
	return r;
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
	cancel_work_sync(&m->clone.flush_work);
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
	cancel_work_sync(&m->clone.flush_work);
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

	mutex_init(&cl->uncopied_lock);
	spin_lock_init(&cl->claim_lock);
	INIT_WORK(&cl->work, do_demand);
	INIT_WORK(&cl->flush_work, do_flushes);
	INIT_WORK(&cl->read_work, do_reads);
	bio_list_init(&cl->reads);
	bio_list_init(&cl->demand);
	bio_list_init(&cl->doors);
	bio_list_init(&cl->flushes);
	bio_list_init(&cl->held);
	bio_list_init(&cl->lost);
	bio_list_init(&cl->parked);
	dm_sync_clone_copy_init(m);
	dm_sync_clone_delta_init(m);
	dm_sync_clone_ops_init(m);
}

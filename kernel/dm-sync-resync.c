// SPDX-License-Identifier: GPL-2.0-only
/*
 * The background copy: every marked region, from the side that is right to the
 * other.
 *
 * A pass runs over the source map with a cursor.  What it finds is cut into
 * pieces: adjacent marked regions together, up to 1 MiB and never across an
 * extent; a region larger than that in several, one such region at a time.
 * A piece locks its range, is copied, clears its marks, gives the range free.
 * So a host write of those sectors is wholly before the piece's read or wholly
 * after its marks are gone, and Documentation/proofs/copy.rst shows that a
 * cleared mark never covers stale data.
 *
 * Of a clone with a delta a piece is in the delta, or none of it is; and it gives its
 * range free when it need not be read from the source any more.  What it read is the
 * image's, whatever hosts write from then on, and so no host waits for the replica
 * (dm-sync-clone-delta.c).
 *
 * The marks are cleared in memory here.  They become durable later, in groups,
 * after a flush of both sides (-commit.c); a crash before that copies again.
 *
 * How fast: pace.c is asked before each piece.  The work re-arms itself at
 * least once a second while it is stalled, so that a change of load or
 * settings is noticed, and that the stall can be reported.
 *
 * Errors: a side that cannot be written breaks the pair at once.  A source that
 * cannot be read at one place does not stop the others: the pass goes on, then
 * once more region by region, and only what is left breaks the pair.
 */
#include "dm-sync-mirror.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

#define NO_REGION		(~0ULL)
#define CHECKPOINT_BYTES	(128ULL << 20)	/* between durable clears of marks */

static bool restoring(struct dm_sync_mirror *m)
{
	return READ_ONCE(m->redirect);
}

/*----------------------------------------------------------------
 * Which piece next.  All of this under rs->lock.
 *--------------------------------------------------------------*/

static sector_t region_end(struct dm_sync_mirror *m, u64 region)
{
	return min_t(sector_t, dm_sync_region_start(m, region + 1), m->sectors);
}

static void slot_set(struct dm_sync_mirror *m, struct dm_sync_slot *slot,
		     sector_t start, sector_t end, u64 first, u64 last)
{
	slot->first = first;
	slot->last = last;
	slot->pass = m->resync.pass;
	slot->is_part = m->resync.partial != NO_REGION;
	slot->delta_slot = 0;
	slot->job.sectors = end - start;
	slot->range.start = start;
	slot->range.last = end - 1;
}

/* The next piece of the region that is larger than a piece. */
static bool next_of_partial(struct dm_sync_mirror *m, struct dm_sync_slot *slot,
			    sector_t sectors)
{
	struct dm_sync_resync *rs = &m->resync;
	sector_t end = region_end(m, rs->partial);
	sector_t start = rs->issued;

	if (rs->partial_failed || start >= end) {
		if (rs->busy)
			return false;
		rs->cursor = end;
		WRITE_ONCE(rs->partial, NO_REGION);
		return false;
	}
	end = min(end, start + sectors);
	/* Before the range is locked: see dm_sync_range_marked(). */
	WRITE_ONCE(rs->issued, end);
	slot_set(m, slot, start, end, rs->partial, rs->partial);
	return true;
}

static void begin_partial(struct dm_sync_mirror *m, u64 region)
{
	struct dm_sync_resync *rs = &m->resync;

	rs->completed = 0;
	rs->partial_failed = false;
	WRITE_ONCE(rs->issued, dm_sync_region_start(m, region));
	smp_wmb();	/* a reader of partial must not see an older issued */
	WRITE_ONCE(rs->partial, region);
}

/* Adjacent marked regions from @region on, within a piece and an extent. */
static void next_run(struct dm_sync_mirror *m, struct dm_sync_slot *slot,
		     u64 region, sector_t sectors)
{
	struct dm_sync_resync *rs = &m->resync;
	sector_t start = dm_sync_region_start(m, region);
	sector_t limit = min(start + sectors, ((start >> m->extent_shift) + 1) << m->extent_shift);
	u64 last = min(dm_sync_region_of(m, limit), m->nr_regions);

	if (rs->narrow)
		last = region + 1;
	/* Of a clone the first may have been copied for somebody since it was found. */
	last = max(dm_sync_map_next_clear(m->copy_map, region, last), region + 1) - 1;
	last = dm_sync_clone_span(m, region, last);
	slot_set(m, slot, start, region_end(m, last), region, last);
	slot->delta_slot = dm_sync_clone_slot(m, region);
	rs->cursor = slot->range.last + 1;
}

/* The pass is at its end and nothing is in flight. */
static void pass_ended(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	if (!dm_sync_map_count(m->copy_map)) {
		rs->running = false;
		dm_sync_pace_idle(&rs->pace);
		queue_work(m->conductor, &m->copied_work);
		return;
	}
	if (rs->failed && rs->narrow) {
		rs->running = false;
		dm_sync_break(m, rs->unreadable);
		return;
	}
	rs->narrow = rs->failed;
	rs->failed = false;
	rs->cursor = 0;
}

/* Returns false when no piece can be started now. */
static bool next_piece(struct dm_sync_mirror *m, struct dm_sync_slot *slot,
		       sector_t sectors)
{
	struct dm_sync_resync *rs = &m->resync;
	unsigned int tries;
	u64 region;

	for (tries = 0; rs->running && tries < 3; tries++) {
		if (rs->partial != NO_REGION) {
			if (next_of_partial(m, slot, sectors))
				return true;
			if (rs->partial != NO_REGION)
				return false;
		}
		region = dm_sync_map_next(m->copy_map, dm_sync_region_of(m, rs->cursor));
		if (region >= m->nr_regions) {
			if (rs->busy)
				return false;
			pass_ended(m);
		} else if ((1ULL << m->region_shift) > sectors) {
			begin_partial(m, region);
		} else {
			next_run(m, slot, region, sectors);
			return true;
		}
	}
	if (rs->running)
		queue_delayed_work(m->io_wq, &rs->work, 0);
	return false;
}

/*----------------------------------------------------------------
 * One piece
 *--------------------------------------------------------------*/

/* Under rs->lock. */
static void slot_free(struct dm_sync_slot *slot)
{
	struct dm_sync_mirror *m = slot->mirror;
	struct dm_sync_resync *rs = &m->resync;

	slot->busy = false;
	rs->busy--;
	if (rs->running)
		mod_delayed_work(m->io_wq, &rs->work, 0);
	else if (!rs->busy)
		wake_up_all(&rs->idle);
}

/* What the piece was for was copied while it waited for its range. */
static void piece_skip(struct dm_sync_slot *slot)
{
	struct dm_sync_mirror *m = slot->mirror;
	struct dm_sync_resync *rs = &m->resync;

	dm_sync_range_unlock(m->ranges, &slot->range);
	spin_lock_irq(&rs->lock);
	dm_sync_pace_done(&rs->pace, ktime_get_ns(), 0, 0, 0);
	slot_free(slot);
	spin_unlock_irq(&rs->lock);
}

/*
 * Nobody may copy over a region of a clone that its replica owns by now, or begin to
 * copy for an image that was given up while it waited; or take from the source what
 * was put into the delta meanwhile, as the source may have been written since.
 */
static bool piece_is_due(struct dm_sync_slot *slot)
{
	struct dm_sync_mirror *m = slot->mirror;
	struct dm_sync_resync *rs = &m->resync;
	bool due;

	spin_lock_irq(&rs->lock);
	due = !m->is_clone ||
	      (slot->pass == rs->pass &&
	       dm_sync_map_next_clear(m->copy_map, slot->first, slot->last + 1) > slot->last &&
	       dm_sync_clone_slot(m, slot->first) == slot->delta_slot &&
	       dm_sync_clone_span(m, slot->first, slot->last) == slot->last);
	slot->copying = due;
	spin_unlock_irq(&rs->lock);
	return due;
}

/* In memory it is the image's, whatever hosts write from now on. */
static void piece_was_read(struct dm_sync_copy *job)
{
	struct dm_sync_slot *slot = container_of(job, struct dm_sync_slot, job);
	struct dm_sync_resync *rs = &slot->mirror->resync;
	bool held;

	spin_lock_irq(&rs->lock);
	held = !slot->orphan;
	slot->orphan = true;
	spin_unlock_irq(&rs->lock);
	if (held)
		dm_sync_range_unlock(slot->mirror->ranges, &slot->range);
}

static void piece_start(struct work_struct *work)
{
	struct dm_sync_slot *slot = container_of(work, struct dm_sync_slot, start);
	struct dm_sync_mirror *m = slot->mirror;

	if (!piece_is_due(slot)) {
		piece_skip(slot);
		return;
	}
	/* Nobody changes what is in the delta: it keeps no host waiting. */
	if (slot->delta_slot)
		piece_was_read(&slot->job);
	trace_dm_sync_copy_start(m->pair.id, &slot->job, restoring(m));
	dm_sync_copy_start(&slot->job, m->io_wq);
}

static void piece_granted(struct dm_sync_range *r)
{
	struct dm_sync_slot *slot = container_of(r, struct dm_sync_slot, range);

	queue_work(slot->mirror->io_wq, &slot->start);
}

static void piece_fill(struct dm_sync_mirror *m, struct dm_sync_slot *slot)
{
	struct dm_sync_copy *job = &slot->job;
	bool back = restoring(m);

	job->from = back ? m->replica : m->source;
	job->to = back ? m->source : m->replica;
	job->from_sector = job->to_sector = slot->range.start;
	job->compare = m->pair.state.methodology == DM_SYNC_COPY_METHODOLOGY_INCREMENTAL;
	job->fua = false;
	job->was_read = m->delta && !back ? piece_was_read : NULL;
	if (!slot->delta_slot)
		return;
	job->from = m->delta->bdev;
	job->from_sector = dm_sync_delta_sector(m->delta, slot->delta_slot - 1);
}

static void read_failed(struct dm_sync_mirror *m, const struct dm_sync_slot *slot)
{
	struct dm_sync_resync *rs = &m->resync;

	if (slot->delta_slot) {
		rs->unreadable = DM_SYNC_REASON_STORE_FAILED;
	} else if (restoring(m)) {
		rs->unreadable = DM_SYNC_REASON_REPLICA_READ_ERROR;
		atomic64_inc(&m->replica_errors);
	} else {
		rs->unreadable = DM_SYNC_REASON_SOURCE_READ_ERROR;
		atomic64_inc(&m->source_errors);
	}
}

static void piece_failed(struct dm_sync_mirror *m, struct dm_sync_slot *slot)
{
	struct dm_sync_resync *rs = &m->resync;
	bool back = restoring(m);

	rs->failed = true;
	if (slot->job.read_error)
		read_failed(m, slot);
	if (!slot->job.write_error)
		return;
	atomic64_inc(back ? &m->source_errors : &m->replica_errors);
	/*
	 * Another copy has made it the replica's, and the source may be another by now.
	 * So it is however late this one comes; an image that has ended does not mind.
	 */
	if (m->delta &&
	    dm_sync_map_next_clear(m->copy_map, slot->first, slot->last + 1) <= slot->last)
		WRITE_ONCE(m->clone.image_lost, true);
	rs->running = false;
	dm_sync_break(m, back ? DM_SYNC_REASON_SOURCE_WRITE_ERROR :
				DM_SYNC_REASON_REPLICA_WRITE_ERROR);
}

/* Part of the region that is being copied in pieces, in this pass. */
static bool is_part_now(struct dm_sync_resync *rs, const struct dm_sync_slot *slot)
{
	return slot->is_part && slot->pass == rs->pass && slot->first == rs->partial;
}

static void clear_marks(struct dm_sync_mirror *m, u64 first, u64 last)
{
	if (m->is_clone) {
		dm_sync_clone_arrived(m, first, last);
		return;
	}
	for (; first <= last; first++)
		dm_sync_map_clear(m->copy_map, first);
}

/* Clear what the piece completed; its range is still held, or nobody else clears it. */
static void piece_arrived(struct dm_sync_mirror *m, struct dm_sync_slot *slot)
{
	struct dm_sync_resync *rs = &m->resync;
	u64 bytes = (u64)slot->job.sectors << SECTOR_SHIFT;

	/* Of a clone no extent is owed a flush: its map alone says what was copied. */
	if (!m->is_clone)
		dm_sync_activity_touch(m->activity, dm_sync_extent_of(m, slot->range.start));
	if (slot->pass != rs->pass)
		return;		/* it came too late: its regions stay marked */
	rs->done += bytes;
	if (slot->is_part) {
		rs->completed += slot->job.sectors;
		if (!rs->partial_failed && rs->completed == region_end(m, rs->partial) -
				     dm_sync_region_start(m, rs->partial))
			clear_marks(m, rs->partial, rs->partial);
		return;
	}
	clear_marks(m, slot->first, slot->last);
}

static void account_piece(struct dm_sync_resync *rs, const struct dm_sync_copy *job)
{
	rs->read_bytes += job->read_bytes;
	rs->written_bytes += job->written_bytes;
	rs->skipped_bytes += job->skipped_bytes;
	rs->uncommitted += (u64)job->sectors << SECTOR_SHIFT;
	dm_sync_pace_done(&rs->pace, ktime_get_ns(),
			  job->read_error || job->write_error ? 0 :
			  job->sectors << SECTOR_SHIFT, job->read_ns, job->write_ns);
}

/**
 * dm_sync_resync_account - count a copy that is not the background's
 * @m: the mirror
 * @copy: one that somebody waited for; it has ended
 *
 * It is progress as well, but nothing that the pace is to be measured by.
 *
 * Context: process.
 */
void dm_sync_resync_account(struct dm_sync_mirror *m, const struct dm_sync_copy *copy)
{
	struct dm_sync_resync *rs = &m->resync;

	spin_lock_irq(&rs->lock);
	rs->read_bytes += copy->read_bytes;
	rs->written_bytes += copy->written_bytes;
	rs->skipped_bytes += copy->skipped_bytes;
	if (!copy->read_error && !copy->write_error) {
		rs->done += (u64)copy->sectors << SECTOR_SHIFT;
		rs->uncommitted += (u64)copy->sectors << SECTOR_SHIFT;
	}
	if (rs->running && rs->uncommitted >= CHECKPOINT_BYTES) {
		rs->uncommitted = 0;
		queue_work(m->io_wq, &rs->checkpoint);
	}
	spin_unlock_irq(&rs->lock);
}

static void report_progress(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	if (time_before(jiffies, rs->last_progress + HZ / 4))
		return;
	rs->last_progress = jiffies;
	dm_sync_publish_progress(&m->pair);
}

static void piece_done(struct dm_sync_copy *job)
{
	struct dm_sync_slot *slot = container_of(job, struct dm_sync_slot, job);
	struct dm_sync_mirror *m = slot->mirror;
	struct dm_sync_resync *rs = &m->resync;
	bool checkpoint, orphan;

	trace_dm_sync_copy_end(m->pair.id, job, restoring(m));
	spin_lock_irq(&rs->lock);
	account_piece(rs, job);
	if (job->read_error || job->write_error) {
		if (is_part_now(rs, slot))
			rs->partial_failed = true;
		piece_failed(m, slot);
	} else {
		piece_arrived(m, slot);
	}
	checkpoint = rs->uncommitted >= CHECKPOINT_BYTES;
	if (checkpoint)
		rs->uncommitted = 0;
	orphan = slot->orphan;
	slot->copying = slot->orphan = false;
	spin_unlock_irq(&rs->lock);

	if (!orphan)
		dm_sync_range_unlock(m->ranges, &slot->range);
	if (checkpoint)
		queue_work(m->io_wq, &rs->checkpoint);
	report_progress(m);

	spin_lock_irq(&rs->lock);
	slot_free(slot);
	spin_unlock_irq(&rs->lock);
}

static void do_checkpoint(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, resync.checkpoint);

	dm_sync_commit_maps(m, true);
}

/**
 * dm_sync_resync_checkpoint - make what was copied durable, if there is something
 * @m: the clone, its copy running
 *
 * Context: any; interrupts on.
 */
void dm_sync_resync_checkpoint(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	spin_lock_irq(&rs->lock);
	if (rs->running && rs->uncommitted) {
		rs->uncommitted = 0;
		queue_work(m->io_wq, &rs->checkpoint);
	}
	spin_unlock_irq(&rs->lock);
}

/*----------------------------------------------------------------
 * The work
 *--------------------------------------------------------------*/

static struct dm_sync_slot *free_slot(struct dm_sync_resync *rs)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_SLOTS; i++)
		if (!rs->slot[i].busy)
			return &rs->slot[i];
	return NULL;
}

/* Is the host at it?  Asked before every piece. */
static bool host_is_busy(struct dm_sync_mirror *m, u64 now)
{
	unsigned int inflight = dm_sync_io_inflight(m, NULL, NULL);
	u64 since = jiffies_to_nsecs(jiffies - READ_ONCE(m->last_io));

	return dm_sync_pace_host(&m->resync.pace, now, inflight,
				 since < now ? now - since : 0);
}

/*
 * Is a piece of an older pass under way?  One that reads the delta holds no range: where
 * it reads may be somebody else's when others have copied the same and that is durable.
 */
static bool has_late(const struct dm_sync_resync *rs)
{
	unsigned int i;

	for (i = 0; i < DM_SYNC_SLOTS; i++)
		if (rs->slot[i].busy && rs->slot[i].pass != rs->pass)
			return true;
	return false;
}

/* Pick and take a slot, or say how long to wait.  Under rs->lock. */
static struct dm_sync_slot *take_slot(struct dm_sync_mirror *m, u64 *delay)
{
	struct dm_sync_resync *rs = &m->resync;
	u64 now = ktime_get_ns();
	bool busy = host_is_busy(m, now);
	unsigned int bytes = dm_sync_pace_job_bytes(&rs->pace, busy);
	struct dm_sync_slot *slot = free_slot(rs);

	*delay = 0;
	if (!rs->running || !slot || rs->busy >= dm_sync_pace_depth(&rs->pace, busy))
		return NULL;
	if (m->delta && has_late(rs))
		return NULL;		/* slot_free() asks again */
	/* That nothing is left, however it was copied, is worth no wait. */
	if (dm_sync_map_count(m->copy_map))
		*delay = dm_sync_pace_delay(&rs->pace, now, busy, bytes);
	if (*delay) {
		trace_dm_sync_pace(m->pair.id, *delay, rs->pace.limited_by);
		return NULL;
	}
	/* A region of a clone is copied in one piece. */
	if (m->is_clone)
		bytes = max_t(u64, bytes, 1ULL << (m->region_shift + SECTOR_SHIFT));
	if (!next_piece(m, slot, bytes >> SECTOR_SHIFT))
		return NULL;
	slot->busy = true;
	rs->busy++;
	dm_sync_pace_started(&rs->pace, now, slot->job.sectors << SECTOR_SHIFT);
	return slot;
}

static void report_stall(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;
	bool stalled = rs->running && dm_sync_pace_stalled(&rs->pace, ktime_get_ns());

	if (stalled == rs->stalled)
		return;
	rs->stalled = stalled;
	queue_work(m->conductor, &m->stall_work);
}

/* In jiffies: after the wait that pace asks for, but once a second at least. */
static unsigned long next_look(u64 delay)
{
	if (!delay)
		return HZ;
	return max(1UL, nsecs_to_jiffies(min_t(u64, delay, NSEC_PER_SEC)));
}

static void do_resync(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(to_delayed_work(work),
						struct dm_sync_mirror, resync.work);
	struct dm_sync_resync *rs = &m->resync;
	struct dm_sync_slot *slot;
	u64 delay;

	for (;;) {
		spin_lock_irq(&rs->lock);
		slot = take_slot(m, &delay);
		if (!slot)
			break;
		spin_unlock_irq(&rs->lock);
		piece_fill(m, slot);
		if (dm_sync_range_lock(m->ranges, &slot->range))
			piece_start(&slot->start);
	}
	report_stall(m);
	if (rs->running && (delay || rs->busy))
		queue_delayed_work(m->io_wq, &rs->work, next_look(delay));
	spin_unlock_irq(&rs->lock);
}

/*----------------------------------------------------------------
 * Start, stop
 *--------------------------------------------------------------*/

/**
 * dm_sync_resync_start - begin a pass over the marked regions
 * @m: the mirror; flow (and redirect) say the direction
 *
 * Context: the conductor.
 */
void dm_sync_resync_start(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	spin_lock_irq(&rs->lock);
	rs->total = dm_sync_map_count(m->copy_map) << (m->region_shift + SECTOR_SHIFT);
	rs->total = min_t(u64, rs->total, (u64)m->sectors << SECTOR_SHIFT);
	rs->done = 0;
	rs->started = dm_sync_now();
	rs->cursor = 0;
	rs->failed = rs->narrow = rs->stalled = false;
	rs->partial_failed = false;
	WRITE_ONCE(rs->partial, NO_REGION);
	rs->pace.from_replica = restoring(m);
	rs->pass++;
	rs->running = true;
	spin_unlock_irq(&rs->lock);
	queue_delayed_work(m->io_wq, &rs->work, 0);
}

/**
 * dm_sync_resync_stop - start no more pieces and wait for those under way
 * @m: the mirror
 *
 * A piece that comes after the deadline holds its range and clears no mark; who
 * would be harmed by its write must not go on.
 *
 * Context: may sleep; not the I/O queue.
 * Return: 0, or -ETIMEDOUT when a device did not answer in time.
 */
int dm_sync_resync_stop(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;
	long left;

	spin_lock_irq(&rs->lock);
	rs->running = false;
	spin_unlock_irq(&rs->lock);
	left = wait_event_timeout(rs->idle, !READ_ONCE(rs->busy),
				  DM_SYNC_DRAIN_SECONDS * HZ);
	cancel_delayed_work_sync(&rs->work);
	cancel_work_sync(&rs->checkpoint);
	spin_lock_irq(&rs->lock);
	WRITE_ONCE(rs->partial, NO_REGION);
	rs->pass++;
	dm_sync_pace_idle(&rs->pace);
	spin_unlock_irq(&rs->lock);
	return left ? 0 : -ETIMEDOUT;
}

/**
 * dm_sync_resync_waits_for - does a piece that holds its range stand at this device
 * @m: the mirror
 * @bdev: the device
 *
 * Context: any.
 */
bool dm_sync_resync_waits_for(struct dm_sync_mirror *m, struct block_device *bdev)
{
	struct dm_sync_slot *slot = m->resync.slot;
	unsigned int i;

	for (i = 0; i < DM_SYNC_SLOTS; i++)
		if (READ_ONCE(slot[i].copying) && !READ_ONCE(slot[i].orphan) &&
		    dm_sync_copy_waits_for(&slot[i].job) == bdev)
			return true;
	return false;
}

static struct dm_sync_slot *next_orphan(struct dm_sync_resync *rs)
{
	struct dm_sync_slot *slot, *end = rs->slot + DM_SYNC_SLOTS;

	spin_lock_irq(&rs->lock);
	for (slot = rs->slot; slot < end; slot++)
		if (slot->copying && !slot->orphan)
			break;
	if (slot < end)
		slot->orphan = true;
	spin_unlock_irq(&rs->lock);
	return slot < end ? slot : NULL;
}

/**
 * dm_sync_resync_abandon - what is copied is of no use any more: hold up nobody
 * @m: the clone
 *
 * Ends the pass and takes the ranges from pieces that are under way.  They may still
 * write; so no copy is to begin before dm_sync_resync_stop() has seen them end.
 *
 * Context: the conductor, who alone starts passes; so no slot is used again meanwhile.
 */
void dm_sync_resync_abandon(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;
	struct dm_sync_slot *slot;

	spin_lock_irq(&rs->lock);
	rs->running = false;
	rs->pass++;
	spin_unlock_irq(&rs->lock);
	while ((slot = next_orphan(rs)))
		dm_sync_range_unlock(m->ranges, &slot->range);
}

/**
 * dm_sync_resync_kick - a setting changed: ask the pace again
 * @m: the mirror
 *
 * Context: any.
 */
void dm_sync_resync_kick(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;
	unsigned long flags;

	spin_lock_irqsave(&rs->lock, flags);
	if (rs->running)
		mod_delayed_work(m->io_wq, &rs->work, 0);
	spin_unlock_irqrestore(&rs->lock, flags);
}

/**
 * dm_sync_resync_copied - something was copied, but not in the background
 * @m: the mirror, that region being marked no more
 *
 * If it was the last the pass has ended, however long the pace would have it wait.
 *
 * Context: any; no lock of the mirror held.
 */
void dm_sync_resync_copied(struct dm_sync_mirror *m)
{
	if (!dm_sync_map_count(m->copy_map))
		dm_sync_resync_kick(m);
}

/*----------------------------------------------------------------
 * Copies that somebody waits for
 *--------------------------------------------------------------*/

struct dm_sync_waited_copy {
	struct dm_sync_copy job;
	struct dm_sync_range range;
	struct completion done;
};

static void waited_granted(struct dm_sync_range *r)
{
	complete(&container_of(r, struct dm_sync_waited_copy, range)->done);
}

static void waited_done(struct dm_sync_copy *job)
{
	complete(&container_of(job, struct dm_sync_waited_copy, job)->done);
}

static void waited_start(struct dm_sync_mirror *m, struct dm_sync_waited_copy *c,
			 struct block_device *from, struct block_device *to,
			 sector_t start, unsigned int sectors)
{
	memset(&c->job, 0, sizeof(c->job));
	c->job.from = from;
	c->job.to = to;
	c->job.from_sector = c->job.to_sector = start;
	c->job.sectors = sectors;
	c->job.done = waited_done;
	reinit_completion(&c->done);
	dm_sync_copy_start(&c->job, m->io_wq);
}

/* Bring one marked region back; nobody else writes it meanwhile but we. */
static blk_status_t restore_region(struct dm_sync_mirror *m, u64 region)
{
	sector_t start = dm_sync_region_start(m, region), end = region_end(m, region);
	struct dm_sync_waited_copy *c = m->resync.back;
	blk_status_t error = BLK_STS_OK;

	while (start < end && !error) {
		unsigned int sectors = min_t(sector_t, end - start, DM_SYNC_COPY_SECTORS);

		c->range.start = start;
		c->range.last = start + sectors - 1;
		c->range.granted = waited_granted;
		reinit_completion(&c->done);
		if (!dm_sync_range_lock(m->ranges, &c->range))
			wait_for_completion(&c->done);
		waited_start(m, c, m->replica, m->source, start, sectors);
		wait_for_completion(&c->done);
		error = c->job.read_error ?: c->job.write_error;
		dm_sync_range_unlock(m->ranges, &c->range);
		start += sectors;
	}
	if (error)
		return error;
	dm_sync_activity_touch(m->activity, dm_sync_extent_of(m, end - 1));
	dm_sync_map_clear(m->copy_map, region);
	dm_sync_resync_copied(m);
	return BLK_STS_OK;
}

/* A flush that failed may have lost it, and the next one may succeed: it is to come again. */
static blk_status_t bring_back(struct dm_sync_mirror *m, u64 region)
{
	blk_status_t error = restore_region(m, region);

	if (!error && dm_sync_commit_maps(m, true)) {
		dm_sync_map_set(m->copy_map, region);
		error = BLK_STS_IOERR;
	}
	return error;
}

/*
 * A restore broke off; the host writes to a region that is still to come.  One
 * write at a time, so that nothing else changes the region between its pieces.
 */
static void do_demand(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, resync.demand_work);
	struct dm_sync_resync *rs = &m->resync;
	blk_status_t error;
	struct bio *bio;
	u64 region, last;

	if (bio_list_empty(&rs->demand))
		return;
	/* A piece still under way would put the replica's old data over the new. */
	dm_sync_resync_stop(m);
	for (;;) {
		spin_lock_irq(&rs->lock);
		bio = bio_list_pop(&rs->demand);
		spin_unlock_irq(&rs->lock);
		if (!bio)
			return;
		error = BLK_STS_OK;
		region = dm_sync_region_of(m, dm_sync_io_sector(bio));
		last = dm_sync_region_of(m, dm_sync_io_last(bio));
		/* The write may go when the disk knows that the source is right. */
		while (!error && (region = dm_sync_map_next(m->copy_map, region)) <= last)
			error = bring_back(m, region);
		if (!error && dm_sync_commit_maps(m, true))
			error = BLK_STS_IOERR;
		if (error)
			atomic64_inc(&m->replica_errors);
		dm_sync_io_demand_done(m, bio, error);
	}
}

/**
 * dm_sync_resync_demand - bring a write's regions back before it is issued
 * @m: the mirror, in the middle of a restore that broke off
 * @bio: the write; comes back through dm_sync_io_demand_done()
 *
 * Context: any.
 */
void dm_sync_resync_demand(struct dm_sync_mirror *m, struct bio *bio)
{
	struct dm_sync_resync *rs = &m->resync;
	unsigned long flags;

	spin_lock_irqsave(&rs->lock, flags);
	bio_list_add(&rs->demand, bio);
	spin_unlock_irqrestore(&rs->lock, flags);
	queue_work(dm_sync_demand_wq, &rs->demand_work);
}

/*
 * Where to try.  Of a clone it is a region that the replica owns: none is copied there,
 * and its door is shut, so what was read and is written back is not older than what is there.
 */
static u64 probe_region(struct dm_sync_mirror *m)
{
	if (!m->is_clone)
		return dm_sync_map_next(m->copy_map, 0);
	return m->redirect ? 0 : dm_sync_map_next_clear(m->uncopied_map, 0, m->nr_regions);
}

/**
 * dm_sync_resync_probe - does the replica take writes again?
 * @m: the mirror, Broken
 *
 * Reads a block of a marked region from the replica, writes it back unchanged
 * and flushes: the last consistent image there is not touched.  Of a clone it is a
 * region that the replica owns; where there is none yet, a flush is all that is tried.
 *
 * A replica that does not answer is waited for DM_SYNC_DRAIN_SECONDS, and asked
 * again only when it has answered.
 *
 * Context: the conductor; may sleep.
 * Return: 0 when it does.
 */
int dm_sync_resync_probe(struct dm_sync_mirror *m)
{
	u64 region = probe_region(m);
	struct dm_sync_resync *rs = &m->resync;
	struct dm_sync_waited_copy *c = rs->probe;
	sector_t start;

	if (m->is_clone && atomic_read(&m->door_users))
		return -EBUSY;		/* a host's write is still under way */
	if (dm_sync_resync_probing(m))
		return -ETIMEDOUT;
	if (region < m->nr_regions) {
		start = dm_sync_region_start(m, region);
		waited_start(m, c, m->replica, m->replica, start,
			     min_t(sector_t, region_end(m, region) - start, 8));
		rs->probe_busy = !wait_for_completion_timeout(&c->done,
							      DM_SYNC_DRAIN_SECONDS * HZ);
		if (rs->probe_busy)
			return -ETIMEDOUT;
		if (c->job.read_error || c->job.write_error)
			return -EIO;
	}
	return m->is_clone ? dm_sync_clone_probe(m) : dm_sync_flush_sides(m, true);
}

/**
 * dm_sync_resync_probing - may a probe write to the replica yet?
 * @m: the mirror
 *
 * One that was not answered in time writes back what it read, when the replica comes
 * back: over what is written there meanwhile.
 *
 * Context: the conductor.
 */
bool dm_sync_resync_probing(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	if (rs->probe_busy && try_wait_for_completion(&rs->probe->done))
		rs->probe_busy = false;
	return rs->probe_busy;
}

/**
 * dm_sync_resync_wait - the end of all I/O of our own
 * @m: the mirror, whose devices are about to be given back
 *
 * As device-mapper waits for the host's, without a deadline.
 *
 * Context: destructor; may sleep.
 */
void dm_sync_resync_wait(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;

	wait_event(rs->idle, !READ_ONCE(rs->busy) && !atomic_read(&m->flushing));
	if (rs->probe_busy)
		wait_for_completion(&rs->probe->done);
	rs->probe_busy = false;
}

static struct dm_sync_waited_copy *waited_alloc(void)
{
	struct dm_sync_waited_copy *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (c)
		init_completion(&c->done);
	return c;
}

/**
 * dm_sync_resync_alloc - what must not be allocated when it is needed
 * @m: the mirror
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; then too, dm_sync_resync_free() frees.
 */
int dm_sync_resync_alloc(struct dm_sync_mirror *m)
{
	m->resync.probe = waited_alloc();
	m->resync.back = waited_alloc();
	return m->resync.probe && m->resync.back ? 0 : -ENOMEM;
}

/**
 * dm_sync_resync_free - undo dm_sync_resync_alloc()
 * @m: the mirror
 */
void dm_sync_resync_free(struct dm_sync_mirror *m)
{
	kfree(m->resync.probe);
	kfree(m->resync.back);
}

/**
 * dm_sync_resync_init - set up the background copy
 * @m: the mirror
 */
void dm_sync_resync_init(struct dm_sync_mirror *m)
{
	struct dm_sync_resync *rs = &m->resync;
	unsigned int i;

	spin_lock_init(&rs->lock);
	init_waitqueue_head(&rs->idle);
	INIT_DELAYED_WORK(&rs->work, do_resync);
	INIT_WORK(&rs->checkpoint, do_checkpoint);
	INIT_WORK(&rs->demand_work, do_demand);
	bio_list_init(&rs->demand);
	rs->partial = NO_REGION;
	for (i = 0; i < DM_SYNC_SLOTS; i++) {
		struct dm_sync_slot *slot = &rs->slot[i];

		slot->mirror = m;
		slot->job.done = piece_done;
		slot->range.granted = piece_granted;
		INIT_WORK(&slot->start, piece_start);
	}
}

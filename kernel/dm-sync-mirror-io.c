// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host I/O of a mirror.
 *
 * A write passes four stations and may have to wait at each; where it waits it
 * is taken on later by a work item, never by sleeping in map:
 *
 *	gate	  is the pair holding or draining writes?  Parked until it opens.
 *	mark	  its extent must be durably marked active (rule M).  Queued for the
 *		  committer when it is not; a marked extent costs one atomic add.
 *	range	  no other write and no copy may be under way over its sectors.
 *		  So overlapping writes reach both sides in one order, and a copy
 *		  and a write of the same sectors never overtake each other.
 *	issue	  by the pair's flow: to both sides, or to the source and the map.
 *
 * Holding its range, a write looks at the map:
 *
 *	forward	 any sector in a region the replica has -> both sides.  Only if
 *		 all regions are marked -> source alone: the copy that will clear
 *		 the mark locks the same range and so reads what was written.
 *	none	 source alone, after marking its regions in memory.  The mark of
 *		 the extent, already durable, covers them until the map is.
 *	restore	 both sides, always.  The replica is the truth of a marked
 *		 region and gets the write, so the region may be restored later.
 *
 * The original bio goes to the source, one clone to the replica; the write is
 * over when both are.  A replica that failed never fails the host's write
 * (M-degraded): the regions are marked, the pair is told to break, and the host
 * hears of its write when "stale" is durable.  During a restore the replica is
 * the truth, so a write that it missed is sent once more, after the break, by
 * which time its regions are brought back before it is issued (or cannot be,
 * and then the host must know).
 *
 * Discards become write-zeroes, sent to both sides (rule D): what a discard
 * leaves is undefined and could differ between them, zeroes cannot.
 */
#include "dm-sync-mirror.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

enum { IO_READ, IO_WRITE, IO_FLUSH };

struct dm_sync_io {
	struct dm_sync_mirror *mirror;
	struct dm_sync_waiter waiter;
	struct dm_sync_range range;
	struct bvec_iter iter;		/* as the host sent it */
	blk_opf_t opf;
	sector_t sector;
	unsigned int sectors;
	unsigned long flush;
	atomic_t pending;
	blk_status_t source_status, replica_status;
	u8 kind, gen;
	bool gated, counted, ranged, replicated, zeroed, again, finished, fast;
};

size_t dm_sync_io_size(void)
{
	return sizeof(struct dm_sync_io);
}

static struct dm_sync_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct dm_sync_io));
}

static struct bio *bio_of(struct dm_sync_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

/**
 * dm_sync_io_sector - where a host bio starts, in sectors of the pair
 * @bio: a bio that went through dm_sync_mirror_map()
 */
sector_t dm_sync_io_sector(struct bio *bio)
{
	return io_of(bio)->sector;
}

/**
 * dm_sync_io_last - the last sector of a host bio
 * @bio: a write that went through dm_sync_mirror_map()
 */
sector_t dm_sync_io_last(struct bio *bio)
{
	return io_of(bio)->sector + io_of(bio)->sectors - 1;
}

/*----------------------------------------------------------------
 * Accounting: what pacing and the counters need
 *--------------------------------------------------------------*/

static void account_start(struct dm_sync_mirror *m, bool write)
{
	this_cpu_inc(m->counts->started);
	if (write)
		this_cpu_inc(m->counts->writes);
	else
		this_cpu_inc(m->counts->reads);
}

static void account_end(struct dm_sync_mirror *m)
{
	this_cpu_inc(m->counts->ended);
	if (READ_ONCE(m->last_io) != jiffies)
		WRITE_ONCE(m->last_io, jiffies);
}

/**
 * dm_sync_io_inflight - host I/O now in flight
 * @m: the mirror
 * @reads: out, may be NULL: reads so far
 * @writes: out, may be NULL: writes, discards and flushes so far
 *
 * The sum over the CPUs is not one instant; it serves pacing and statistics.
 *
 * Context: any.
 */
unsigned int dm_sync_io_inflight(struct dm_sync_mirror *m, u64 *reads, u64 *writes)
{
	u64 r = 0, w = 0, started = 0, ended = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		ended += READ_ONCE(per_cpu_ptr(m->counts, cpu)->ended);
	for_each_possible_cpu(cpu) {
		struct dm_sync_counts *c = per_cpu_ptr(m->counts, cpu);

		started += READ_ONCE(c->started);
		r += READ_ONCE(c->reads);
		w += READ_ONCE(c->writes);
	}
	if (reads)
		*reads = r;
	if (writes)
		*writes = w;
	return started - ended;
}

/*----------------------------------------------------------------
 * The maps, over a range of sectors
 *--------------------------------------------------------------*/

/**
 * dm_sync_range_marked - is any region of the range marked in the source map?
 * @m: the mirror
 * @sector: first sector
 * @sectors: length, at least 1
 * @all: out: every region is, and no copy has passed any of the sectors
 *
 * Of the region that is being copied in pieces, sectors below the issued mark
 * count as not marked.  The mark only grows before the piece's range is
 * locked; so who holds a range sees it, or the piece will see his write.
 *
 * Context: any; holding the range, if the answer is to stay true.
 */
bool dm_sync_range_marked(struct dm_sync_mirror *m, sector_t sector,
			  unsigned int sectors, bool *all)
{
	u64 first = dm_sync_region_of(m, sector);
	u64 last = dm_sync_region_of(m, sector + sectors - 1);
	u64 partial = READ_ONCE(m->resync.partial);
	bool any = dm_sync_map_next(m->source_map, first) <= last;

	*all = any && dm_sync_map_next_clear(m->source_map, first, last + 1) > last;
	if (*all && partial >= first && partial <= last &&
	    sector < READ_ONCE(m->resync.issued))
		*all = false;
	return any;
}

/*
 * Remember that the sides differ here.  A region that is being copied in pieces
 * is marked already and must stay so when its last piece arrives (rule C3 of
 * Documentation/proofs/copy.rst): under the lock that the arrival takes.
 */
static void mark_range(struct dm_sync_mirror *m, struct dm_sync_map *map,
		       struct dm_sync_io *io)
{
	struct dm_sync_resync *rs = &m->resync;
	u64 first = dm_sync_region_of(m, io->sector);
	u64 last = dm_sync_region_of(m, io->sector + io->sectors - 1);
	u64 partial = READ_ONCE(rs->partial);
	unsigned long flags;

	if (likely(partial < first || partial > last)) {
		dm_sync_map_set_range(map, first, last);
		return;
	}
	spin_lock_irqsave(&rs->lock, flags);
	rs->partial_failed = true;
	dm_sync_map_set_range(map, first, last);
	spin_unlock_irqrestore(&rs->lock, flags);
}

/* Where a write that one side misses is remembered: see the head of -ops.c. */
static struct dm_sync_map *missed_map(struct dm_sync_mirror *m)
{
	return READ_ONCE(m->redirect) ? m->replica_map : m->source_map;
}

/*----------------------------------------------------------------
 * Completion
 *--------------------------------------------------------------*/

static void io_finish(struct dm_sync_io *io, blk_status_t status)
{
	struct bio *bio = bio_of(io);

	io->finished = true;
	bio->bi_status = status;
	bio_endio(bio);
}

static void io_defer(struct dm_sync_mirror *m, struct bio_list *list, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(list, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
}

/*
 * To be acknowledged when the failure is durable.  Once the lock is given free
 * the conductor may end the bio, and with it what kept the pair alive.
 */
static void io_unacked(struct dm_sync_mirror *m, struct dm_sync_io *io, u32 reason)
{
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->unacked, bio_of(io));
	if (reason == DM_SYNC_REASON_REPLICA_FLUSH_ERROR)
		dm_sync_break_flush(m, reason);
	else
		dm_sync_break(m, reason);
	spin_unlock_irqrestore(&m->io_lock, flags);
}

/* Give back what the stations gave, in reverse. */
static void io_release(struct dm_sync_io *io, bool flushed_later)
{
	struct dm_sync_mirror *m = io->mirror;

	if (io->ranged) {
		io->ranged = false;
		dm_sync_range_unlock(m->ranges, &io->range);
	}
	if (io->counted) {
		io->counted = false;
		if (dm_sync_activity_put(m->activity, io->waiter.extent, flushed_later))
			dm_sync_commit_kick(m);
	}
	if (io->gated) {
		io->gated = false;
		dm_sync_gate_leave(&m->gate, io->gen);
	}
}

/* Both sides took the flush: the regions written before it may be forgotten. */
static bool flush_done(struct dm_sync_io *io, blk_status_t *status)
{
	struct dm_sync_mirror *m = io->mirror;

	if (io->replicated && io->replica_status) {
		atomic64_inc(&m->replica_errors);
		io->source_status = *status;
		io_release(io, false);
		io_unacked(m, io, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
		return false;
	}
	if (*status) {
		atomic64_inc(&m->source_errors);
		if (m->is_clone)
			dm_sync_clone_unflushed(m, true);
		dm_sync_break_flush(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	} else if (io->replicated && !READ_ONCE(m->flush_failed)) {
		/* After a failure none counts: see the head of -commit.c. */
		dm_sync_activity_flush_end(m->activity, io->flush);
	}
	/* It may have made room for writes that wait to be marked. */
	if (!READ_ONCE(m->passthrough) && dm_sync_activity_wants_commit(m->activity))
		dm_sync_commit_kick(m);
	io_release(io, false);
	return true;
}

static bool write_failed_on_replica(struct dm_sync_io *io, blk_status_t status)
{
	struct dm_sync_mirror *m = io->mirror;

	atomic64_inc(&m->replica_errors);
	io->source_status = status;
	if (READ_ONCE(m->redirect))
		io->again = true;
	else
		mark_range(m, m->source_map, io);
	io_release(io, false);
	io_unacked(m, io, DM_SYNC_REASON_REPLICA_WRITE_ERROR);
	return false;
}

/*
 * A write that could not be marked may be acknowledged only when the disk says
 * Broken, or cannot be made to (M-degraded).
 */
static bool unmarked_is_known(struct dm_sync_mirror *m)
{
	return READ_ONCE(m->passthrough) || READ_ONCE(m->meta_failed);
}

/*
 * Both halves of a write are over.  Returns true when the host may be told.
 * A source that failed a write leaves the sides different: that region is
 * marked before the range is given free.
 */
static bool write_done(struct dm_sync_io *io, blk_status_t *status)
{
	struct dm_sync_mirror *m = io->mirror;

	if (io->replicated && io->replica_status)
		return write_failed_on_replica(io, *status);
	if (unlikely(*status)) {
		atomic64_inc(&m->source_errors);
		if (io->replicated)
			mark_range(m, missed_map(m), io);
		dm_sync_break(m, DM_SYNC_REASON_SOURCE_WRITE_ERROR);
	}
	if (unlikely(!io->counted) && !io->fast && !unmarked_is_known(m)) {
		io->source_status = *status;
		io_release(io, false);
		io_unacked(m, io, DM_SYNC_REASON_METADATA_FAILED);
		return false;
	}
	io_release(io, io->replicated);
	return true;
}

static bool unsupported(blk_status_t status)
{
	return status == BLK_STS_NOTSUPP || status == BLK_STS_TARGET;
}

/*
 * A disk may find out only when asked that it cannot write zeroes.  That is no
 * failure: the zeroes are then written, while the range is still held.
 */
static bool zeroes_refused(struct dm_sync_io *io, blk_status_t status)
{
	struct dm_sync_mirror *m = io->mirror;

	if (io->kind != IO_WRITE || (io->opf & REQ_OP_MASK) != REQ_OP_WRITE_ZEROES ||
	    io->zeroed || READ_ONCE(m->passthrough))
		return false;
	if (!unsupported(status) && !(io->replicated && unsupported(io->replica_status)))
		return false;
	io->zeroed = true;
	io->source_status = status;
	io_defer(m, &m->zeroes, bio_of(io));
	queue_work(m->io_wq, &m->zero_work);
	return true;
}

static blk_status_t write_zeroes(struct dm_sync_io *io, struct block_device *bdev,
				 blk_status_t status)
{
	if (!unsupported(status))
		return status;
	return errno_to_blk_status(blkdev_issue_zeroout(bdev, io->sector, io->sectors,
							GFP_NOIO, 0));
}

static bool io_done(struct dm_sync_io *io, blk_status_t *status)
{
	bool done;

	if (unlikely(zeroes_refused(io, *status)))
		return false;
	done = io->kind == IO_FLUSH ? flush_done(io, status) :
					   write_done(io, status);

	if (done)
		account_end(io->mirror);
	return done;
}

static void zero_by_hand(struct dm_sync_mirror *m, struct bio *bio)
{
	struct dm_sync_io *io = io_of(bio);
	blk_status_t status = write_zeroes(io, m->source, io->source_status);

	if (io->replicated)
		io->replica_status = write_zeroes(io, m->replica, io->replica_status);
	if (io_done(io, &status))
		io_finish(io, status);
}

static void replica_endio(struct bio *clone)
{
	struct dm_sync_io *io = clone->bi_private;
	blk_status_t status;

	io->replica_status = clone->bi_status;
	bio_put(clone);
	if (!atomic_dec_and_test(&io->pending))
		return;
	status = io->source_status;
	if (io_done(io, &status))
		io_finish(io, status);
}

/*
 * A read the source failed is served by the replica if that has the data now.
 * The check is made without the range: a write that is under way over the same
 * sectors may show through or not, as with any read beside a write.
 */
static bool read_from_replica(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	bool all;

	if (io->again || READ_ONCE(m->flow) != DM_SYNC_FLOW_FORWARD ||
	    dm_sync_range_marked(m, io->sector, io->sectors, &all))
		return false;
	io->again = true;
	io_defer(m, &m->retry, bio_of(io));
	queue_work(m->io_wq, &m->ready_work);
	return true;
}

static int read_end_io(struct dm_sync_io *io, blk_status_t *error)
{
	struct dm_sync_mirror *m = io->mirror;

	if (unlikely(*error)) {
		if (io->again || io->replicated)
			atomic64_inc(&m->replica_errors);
		else
			atomic64_inc(&m->source_errors);
		if (!io->replicated && read_from_replica(io))
			return DM_ENDIO_INCOMPLETE;
	} else if (io->again) {
		atomic64_inc(&m->reads_from_replica);
	}
	account_end(m);
	return DM_ENDIO_DONE;
}

/**
 * dm_sync_mirror_end_io - the half of a host bio that went to the source is over
 * @m: the mirror
 * @bio: the bio
 * @error: in, out: its status
 *
 * Called once more for a bio that is finished by bio_endio() from here.
 *
 * Context: interrupt.
 * Return: DM_ENDIO_DONE or DM_ENDIO_INCOMPLETE.
 */
int dm_sync_mirror_end_io(struct dm_sync_mirror *m, struct bio *bio, blk_status_t *error)
{
	struct dm_sync_io *io = io_of(bio);

	if (io->finished)
		return DM_ENDIO_DONE;
	if (io->kind == IO_READ)
		return read_end_io(io, error);
	io->source_status = *error;
	if (!atomic_dec_and_test(&io->pending))
		return DM_ENDIO_INCOMPLETE;
	return io_done(io, error) ? DM_ENDIO_DONE : DM_ENDIO_INCOMPLETE;
}

/**
 * dm_sync_io_ack - the failure is durable: tell the hosts whose writes met it
 * @m: the mirror
 *
 * Writes that the replica missed during a restore are sent again instead.
 *
 * Context: the conductor.
 */
void dm_sync_io_ack(struct dm_sync_mirror *m)
{
	struct bio_list bios, again;
	struct bio *bio;

	bio_list_init(&again);
	spin_lock_irq(&m->io_lock);
	bios = m->unacked;
	bio_list_init(&m->unacked);
	spin_unlock_irq(&m->io_lock);

	while ((bio = bio_list_pop(&bios))) {
		struct dm_sync_io *io = io_of(bio);

		if (io->again) {
			io->again = false;
			bio_list_add(&again, bio);
			continue;
		}
		account_end(m);
		io_finish(io, io->source_status);
	}
	dm_sync_io_restart(m, &again);
}

/*----------------------------------------------------------------
 * The stations of a write
 *--------------------------------------------------------------*/

static void submit_clone(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	struct bio *bio = bio_of(io), *clone;

	if (io->kind == IO_FLUSH) {
		clone = bio_alloc_bioset(m->replica, 0, REQ_OP_WRITE | REQ_PREFLUSH,
					 GFP_NOIO, &m->bs);
	} else {
		clone = bio_alloc_clone(m->replica, bio, GFP_NOIO, &m->bs);
		clone->bi_opf &= ~(REQ_NOWAIT | REQ_POLLED);
	}
	clone->bi_private = io;
	clone->bi_end_io = replica_endio;
	atomic_set(&io->pending, 2);
	submit_bio_noacct(clone);
}

/*
 * A restore broke off.  Here the disk must know that the source is right before
 * the source gets what the replica will not: a mark that is still on disk would
 * give the host the replica's data after a crash.
 */
static bool brought_back(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	return dm_sync_map_clears_durable(m->source_map,
					  dm_sync_region_of(m, io->sector),
					  dm_sync_region_of(m, io->sector + io->sectors - 1));
}

/* Of a clone: what its image still needs is saved first, then S is marked (rule SC). */
static bool clone_issue(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	u64 first = dm_sync_region_of(m, io->sector);
	u64 last = dm_sync_region_of(m, io->sector + io->sectors - 1);

	if (dm_sync_clone_must_wait(m, first, last)) {
		io->ranged = false;
		dm_sync_range_unlock(m->ranges, &io->range);
		dm_sync_clone_demand(m, bio_of(io));
		return false;
	}
	dm_sync_map_set_range(m->source_map, first, last);
	trace_dm_sync_map(m->pair.id, bio_of(io), DM_SYNC_TRACE_SOURCE);
	return true;
}

/* A region whose mark is on disk was saved before it was marked: see dm-sync-clone.c. */
static bool clone_is_free(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	u64 first = dm_sync_region_of(m, io->sector);
	u64 last = dm_sync_region_of(m, io->sector + io->sectors - 1);

	return !READ_ONCE(m->passthrough) && !READ_ONCE(m->redirect) &&
	       dm_sync_map_next_clear(m->source_map, first, last + 1) > last &&
	       dm_sync_map_is_durable(m->source_map, first, last);
}

/*
 * The last station.  Returns false when the write has to wait once more: its
 * regions must come back from the replica first.
 */
static bool write_issue(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	enum dm_sync_flow flow = READ_ONCE(m->flow);
	bool all, marked;

	io->replicated = false;
	io->replica_status = BLK_STS_OK;
	atomic_set(&io->pending, 1);
	if (READ_ONCE(m->passthrough))
		return true;
	if (m->is_clone)
		return clone_issue(io);

	marked = dm_sync_range_marked(m, io->sector, io->sectors, &all);
	switch (flow) {
	case DM_SYNC_FLOW_FORWARD:
		io->replicated = !all;
		break;
	case DM_SYNC_FLOW_RESTORE:
		io->replicated = true;
		break;
	case DM_SYNC_FLOW_NONE:
		if (READ_ONCE(m->redirect) && (marked || !brought_back(io))) {
			trace_dm_sync_map(m->pair.id, bio_of(io), DM_SYNC_TRACE_RESTORE);
			io->ranged = false;
			dm_sync_range_unlock(m->ranges, &io->range);
			dm_sync_resync_demand(m, bio_of(io));
			return false;
		}
		mark_range(m, missed_map(m), io);
		break;
	}
	trace_dm_sync_map(m->pair.id, bio_of(io), io->replicated ?
			  DM_SYNC_TRACE_BOTH : DM_SYNC_TRACE_SOURCE);
	if (io->replicated)
		submit_clone(io);
	return true;
}

/* The range that we waited for is ours: go on in process context. */
static void range_granted(struct dm_sync_range *r)
{
	struct dm_sync_io *io = container_of(r, struct dm_sync_io, range);
	struct dm_sync_mirror *m = io->mirror;

	io_defer(m, &m->ready, bio_of(io));
	queue_work(m->io_wq, &m->ready_work);
}

/*
 * A clone's write that has to wait for a copy does not wait for the range first: who
 * holds it may stand at a replica that does not answer, and only who waits for copies
 * finds that out (rule Q).
 */
static bool clone_waits(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	if (!m->is_clone || READ_ONCE(m->passthrough) ||
	    !dm_sync_clone_must_wait(m, dm_sync_region_of(m, io->sector),
				     dm_sync_region_of(m, io->sector + io->sectors - 1)))
		return false;
	dm_sync_clone_demand(m, bio_of(io));
	return true;
}

/* Returns true when the range is held; else the write is taken on elsewhere. */
static bool write_range(struct dm_sync_io *io)
{
	if (clone_waits(io))
		return false;
	io->range.start = io->sector;
	io->range.last = io->sector + io->sectors - 1;
	io->range.granted = range_granted;
	io->ranged = true;
	return dm_sync_range_lock(io->mirror->ranges, &io->range);
}

/*
 * The committer has marked our extent, or cannot any more: then the pair is
 * about to break and the write goes on without a mark.
 */
static void write_marked(struct dm_sync_waiter *w, int error)
{
	struct dm_sync_io *io = container_of(w, struct dm_sync_io, waiter);

	io->counted = !error;
	/* First, so that no write without a mark goes to both sides. */
	if (error && !READ_ONCE(io->mirror->meta_failed))
		dm_sync_break(io->mirror, DM_SYNC_REASON_METADATA_FAILED);
	if (write_range(io))
		range_granted(&io->range);
}

static bool write_mark(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	/* The gate was closed when this changed; there may be no structures. */
	if (READ_ONCE(m->passthrough))
		return true;
	io->waiter.extent = dm_sync_extent_of(m, io->sector);
	io->waiter.fn = write_marked;
	if (likely(dm_sync_activity_get(m->activity, io->waiter.extent))) {
		io->counted = true;
		return write_range(io);
	}
	trace_dm_sync_mark(m->pair.id, io->waiter.extent);
	if (dm_sync_activity_queue(m->activity, &io->waiter))
		dm_sync_commit_kick(m);
	return false;
}

static bool flush_issue(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	atomic_set(&io->pending, 1);
	io->replica_status = BLK_STS_OK;
	io->replicated = READ_ONCE(m->flow) != DM_SYNC_FLOW_NONE;
	if (io->replicated) {
		io->flush = dm_sync_activity_flush_begin(m->activity);
		submit_clone(io);
	}
	return true;
}

/* The first station.  Returns true when the bio is to be sent to the source now. */
static bool io_start(struct dm_sync_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	io->fast = false;
	if (!dm_sync_gate_enter(&m->gate, bio_of(io), &io->gen))
		return false;
	io->gated = true;
	if (m->is_clone && io->kind == IO_WRITE && clone_is_free(io)) {
		io->fast = true;
		io->replica_status = BLK_STS_OK;
		atomic_set(&io->pending, 1);
		return true;
	}
	return io->kind == IO_FLUSH ? flush_issue(io) :
				      write_mark(io) && write_issue(io);
}

/*----------------------------------------------------------------
 * What was left waiting is taken on here
 *--------------------------------------------------------------*/

/* A bio that was sent once is made as new: below us it may have been split. */
static void io_rewind(struct dm_sync_io *io, struct block_device *bdev)
{
	struct bio *bio = bio_of(io);

	bio->bi_iter = io->iter;
	bio->bi_opf = io->opf;
	bio->bi_status = BLK_STS_OK;
	io->zeroed = false;
	atomic_set(&bio->__bi_remaining, 1);
	bio_set_dev(bio, bdev);
}

static void retry_read(struct dm_sync_mirror *m, struct bio *bio)
{
	struct dm_sync_io *io = io_of(bio);

	io_rewind(io, m->replica);
	submit_bio_noacct(bio);
}

static void do_ready(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, ready_work);
	struct bio_list ready, retry;
	struct blk_plug plug;
	struct bio *bio;

	spin_lock_irq(&m->io_lock);
	ready = m->ready;
	retry = m->retry;
	bio_list_init(&m->ready);
	bio_list_init(&m->retry);
	spin_unlock_irq(&m->io_lock);

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&ready)))
		if (write_issue(io_of(bio)))
			dm_submit_bio_remap(bio, NULL);
	while ((bio = bio_list_pop(&retry)))
		retry_read(m, bio);
	blk_finish_plug(&plug);
}

/* Waits for the devices: a work of its own, so that no other write does. */
static void do_zeroes(struct work_struct *work)
{
	struct dm_sync_mirror *m = container_of(work, struct dm_sync_mirror, zero_work);
	struct bio_list zeroes;
	struct bio *bio;

	spin_lock_irq(&m->io_lock);
	zeroes = m->zeroes;
	bio_list_init(&m->zeroes);
	spin_unlock_irq(&m->io_lock);
	while ((bio = bio_list_pop(&zeroes)))
		zero_by_hand(m, bio);
}

/**
 * dm_sync_io_restart - start held or failed writes from the first station
 * @m: the mirror
 * @bios: host writes and flushes, in order; emptied
 *
 * Context: process; may sleep.
 */
void dm_sync_io_restart(struct dm_sync_mirror *m, struct bio_list *bios)
{
	struct blk_plug plug;
	struct bio *bio;

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(bios))) {
		struct dm_sync_io *io = io_of(bio);

		io_rewind(io, m->source);
		if (io_start(io))
			dm_submit_bio_remap(bio, NULL);
	}
	blk_finish_plug(&plug);
}

/**
 * dm_sync_io_requeue - give held writes back to device-mapper (noflush suspend)
 * @bios: host writes and flushes; emptied
 *
 * Context: process.
 */
void dm_sync_io_requeue(struct bio_list *bios)
{
	struct bio *bio;

	while ((bio = bio_list_pop(bios))) {
		account_end(io_of(bio)->mirror);
		io_finish(io_of(bio), BLK_STS_DM_REQUEUE);
	}
}

/**
 * dm_sync_io_demand_done - the regions of a write came back from the replica
 * @m: the mirror
 * @bio: the write, past the mark and without its range
 * @error: they did not
 *
 * Context: process.
 */
void dm_sync_io_demand_done(struct dm_sync_mirror *m, struct bio *bio, blk_status_t error)
{
	struct dm_sync_io *io = io_of(bio);

	if (error) {
		io_release(io, false);
		account_end(m);
		io_finish(io, error);
		return;
	}
	/* Detached meanwhile: nothing is tracked any more. */
	if (READ_ONCE(m->passthrough)) {
		range_granted(&io->range);
		return;
	}
	if (write_range(io))
		range_granted(&io->range);
}

/*----------------------------------------------------------------
 * Map
 *--------------------------------------------------------------*/

/* During a restore: cut the read where the truth changes sides. */
static void map_redirected_read(struct dm_sync_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;
	u64 first = dm_sync_region_of(m, io->sector);
	u64 limit = dm_sync_region_of(m, io->sector + io->sectors - 1) + 1;
	bool marked = dm_sync_map_test(m->copy_map, first);
	u64 end = marked ? dm_sync_map_next_clear(m->copy_map, first, limit) :
			   dm_sync_map_next(m->copy_map, first);

	if (end < limit) {
		io->sectors = dm_sync_region_start(m, end) - io->sector;
		dm_accept_partial_bio(bio, io->sectors);
		io->iter = bio->bi_iter;
	}
	if (marked) {
		io->replicated = true;
		bio_set_dev(bio, m->replica);
	}
}

static int map_read(struct dm_sync_io *io, struct bio *bio)
{
	account_start(io->mirror, false);
	if (unlikely(READ_ONCE(io->mirror->redirect)))
		map_redirected_read(io, bio);
	if (unlikely(READ_ONCE(io->mirror->clone.on_access)))
		dm_sync_clone_touched(io->mirror, io->sector, io->sector + io->sectors - 1);
	return DM_MAPIO_REMAPPED;
}

/* A write belongs to one extent; only long discards and zeroes need the cut. */
static void clamp_to_extent(struct dm_sync_io *io, struct bio *bio)
{
	sector_t extent = 1UL << io->mirror->extent_shift;
	sector_t room = extent - (io->sector & (extent - 1));

	if (io->sectors > room) {
		io->sectors = room;
		dm_accept_partial_bio(bio, room);
		io->iter = bio->bi_iter;
	}
}

static int map_write(struct dm_sync_io *io, struct dm_target *ti, struct bio *bio)
{
	/* A noflush suspend of a pair that holds writes: they come again later. */
	if (unlikely(READ_ONCE(io->mirror->requeue)) && dm_noflush_suspending(ti))
		return DM_MAPIO_REQUEUE;
	account_start(io->mirror, true);
	if (io->kind == IO_WRITE) {
		clamp_to_extent(io, bio);
		if (bio_op(bio) == REQ_OP_DISCARD)
			bio->bi_opf = (bio->bi_opf & ~REQ_OP_MASK) | REQ_OP_WRITE_ZEROES;
		io->opf = bio->bi_opf;
	}
	return io_start(io) ? DM_MAPIO_REMAPPED : DM_MAPIO_SUBMITTED;
}

/**
 * dm_sync_mirror_map - a host bio enters
 * @m: the mirror
 * @ti: the table entry it came through
 * @bio: the bio
 *
 * Context: the submitter's; does not sleep for I/O (rule Q).
 * Return: DM_MAPIO_REMAPPED or DM_MAPIO_SUBMITTED.
 */
int dm_sync_mirror_map(struct dm_sync_mirror *m, struct dm_target *ti, struct bio *bio)
{
	struct dm_sync_io *io = io_of(bio);

	bio_set_dev(bio, m->source);
	if (!(bio->bi_opf & REQ_PREFLUSH))
		bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);

	io->mirror = m;
	io->iter = bio->bi_iter;
	io->opf = bio->bi_opf;
	io->sector = bio->bi_iter.bi_sector;
	io->sectors = bio_sectors(bio);
	io->gated = io->counted = io->ranged = false;
	io->replicated = io->again = io->zeroed = io->finished = io->fast = false;
	io->replica_status = BLK_STS_OK;

	if (bio->bi_opf & REQ_PREFLUSH) {
		io->kind = IO_FLUSH;
	} else if (op_is_write(bio_op(bio))) {
		io->kind = IO_WRITE;
	} else {
		io->kind = IO_READ;
		return map_read(io, bio);
	}
	return map_write(io, ti, bio);
}

/**
 * dm_sync_io_init - set up what host I/O needs
 * @m: the mirror
 */
void dm_sync_io_init(struct dm_sync_mirror *m)
{
	spin_lock_init(&m->io_lock);
	bio_list_init(&m->ready);
	bio_list_init(&m->unacked);
	bio_list_init(&m->retry);
	bio_list_init(&m->zeroes);
	INIT_WORK(&m->ready_work, do_ready);
	INIT_WORK(&m->zero_work, do_zeroes);
}

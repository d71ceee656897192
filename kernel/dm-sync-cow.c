// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host I/O of a snapshot's source door: save, then write.
 *
 * A read goes to the source as it is, and so does a flush: what was saved is durable
 * before the write that needed it was issued. A write, and a discard or write-zeroes is
 * one (rule D), passes these stations:
 *
 *	gate	  a point in time is being taken: parked until that is over.
 *	look	  no image, or all its chunks are protected: on to the source. One I/O,
 *		  no lock, and nothing atomic but the gate's per-cpu reference.
 *	hold	  a Suspended image holds writes that would need saving: it leaves the
 *		  gate, and begins anew when the hold ends. It has not done anything
 *		  yet, so who drains the gate need not wait for it; and it holds no
 *		  range, so images can still be read.
 *	restore	  the source is being restored, and one of its chunks is still to come:
 *		  it waits until it has (dm-sync-restore.c).
 *	range	  its chunks are locked, from the first that is not protected, as far as
 *		  the range table's unit goes; longer writes do this unit by unit.
 *	save	  the first run of chunks that are not protected: memory, one read of the
 *		  source, dm_sync_store_save(). Then the next run. With none left, the
 *		  range is given back.
 *	issue	  on to the source.
 *
 * Rule S. A chunk is protected when the newest image has an entry for it, of its own or
 * one that it will inherit from an image that is being deleted, and entries are set when
 * they and their data are durable. Between the look, with the range or without, and the
 * end of the write nothing takes that away: entries are not taken back, deleting images
 * only makes fewer of them need the chunk, and the one thing that makes chunks need to be
 * saved again, a new image, is added with the gate closed, when no write is in it. A write
 * that was parked looks afterwards, and sees the new image, as opening the gate orders it
 * behind that. So a write that has looked, at whatever point it is, is either over before
 * an image begins, or comes to look again.
 *
 * Rule S-read. Whoever reads the source for an image holds the chunk's range, and has
 * found in it that no entry is there. An entry is set only while a write holds the range.
 * So when one is set no such read is under way, and later ones find the entry. That is why
 * the range need not be held while the write itself is in flight, and why writes of
 * protected chunks do not ask for it. Other than by an entry a chunk gets protected only
 * when the images that need it are given up or deleted; a read for an image that was
 * given up fails when it ends, and an image is deleted when its door is drained.
 *
 * What is saved. While the range is held and the chunk is not protected no write to it is
 * in flight: it would have had to find it protected. So what is read is the content as of
 * the newest point in time, and of all images that have no entry. The source was flushed
 * then, and the chunk not written since; so it is the same after a power cut.
 *
 * A power cut
 *	- before the entry is durable: nothing was written to the source;
 *	- between that and the write: the store has what the source has;
 *	- after it: as ever, a write that was not acknowledged may be there or not, and the
 *	  images do not look.
 *
 * A chunk that the source cannot give is saved as BAD: the host's write must go on, and
 * the images had lost it before. If a long read fails it is repeated chunk by chunk, to
 * find which.
 *
 * Who waits for whom: gate, then range, then memory, then I/O and the committer, which
 * waits for none of these. Nothing waits in map; see dm-sync-jobs.c for how. A write that
 * waits for space (on_full:hold) has nothing but its place in the gate until there may be
 * some, or the hold is over; then it begins anew with the range, and looks again. So points in
 * time wait with it, and image reads of its chunks do not: what has no entry is in the source,
 * and nobody sets one without the range.
 */
#include "dm-sync-store.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync"

/* Chunks that one save can have. */
#define COW_CHUNKS	(DM_SYNC_COW_SECTORS / DM_SYNC_MIN_CHUNK)

/**
 * struct cow_io - a host bio of the source door
 * @store: its store; this and all below for writes only
 * @first: first chunk that it touches
 * @last: last chunk that it touches
 * @at: chunks of it below this are protected
 * @job: what it waits for
 * @range: of chunks from @at on
 * @locked: last chunk of @range
 * @chunk: first of the run that is being saved
 * @nr: how many they are
 * @reading: chunk of the run that is being read now
 * @read_nr: how many are: all, or one
 * @status: of the read
 * @error: of the save
 * @gen: of the gate
 * @gated: it is in the gate
 * @waited: for space, and it was not seen yet whether it still needs some
 * @demand: chunks that have to be restored first
 * @counted: of a read: the image that it reads, in place of a source being restored
 */
struct cow_io {
	struct dm_sync_store *store;
	u64 first, last, at, locked;
	struct dm_sync_job job;
	struct dm_sync_range range;
	u64 chunk;
	u32 nr, reading, read_nr;
	int error;
	blk_status_t status;
	u8 gen;
	bool gated, waited;
	struct dm_sync_demand demand;
	struct dm_sync_image *counted;
};

/**
 * struct cow_save - a save of a host write: with the pages, as it may outlive the write
 * @save: the save
 * @bad: which of its chunks the source could not give
 * @io: the write, until @done
 * @job: to give the memory back when the write is gone
 * @store: whose that is
 */
struct cow_save {
	struct dm_sync_save save;
	DECLARE_BITMAP(bad, COW_CHUNKS);
	struct cow_io *io;
	struct dm_sync_job job;
	struct dm_sync_store *store;
};

static_assert(sizeof(struct cow_save) <= DM_SYNC_JOB_NOTES * sizeof(u64));

/**
 * dm_sync_cow_io_size - what each host bio of the source door carries
 *
 * Return: bytes, for ti->per_io_data_size.
 */
size_t dm_sync_cow_io_size(void)
{
	return sizeof(struct cow_io);
}

static struct cow_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct cow_io));
}

static struct bio *bio_of(struct cow_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

static struct cow_io *job_io(struct dm_sync_job *job)
{
	return container_of(job, struct cow_io, job);
}

static unsigned int chunk_bytes(const struct dm_sync_store *s)
{
	return 1u << (s->chunk_shift + SECTOR_SHIFT);
}

/*----------------------------------------------------------------
 * Looking
 *--------------------------------------------------------------*/

/* The first chunk that has to be saved; @last + 1 when there is none. */
static u64 next_unprotected(struct dm_sync_store *s, u64 chunk, u64 last)
{
	rcu_read_lock();
	if (READ_ONCE(s->view.newest) && likely(!READ_ONCE(s->hung)))
		while (chunk <= last && dm_sync_view_protected(&s->view, chunk))
			chunk++;
	else
		chunk = last + 1;
	rcu_read_unlock();
	return chunk;
}

/* How many in a row have to be saved; the first does. */
static u32 unprotected_run(struct dm_sync_store *s, u64 chunk, u64 last)
{
	u32 nr = 1;

	rcu_read_lock();
	while (chunk + nr <= last && !dm_sync_view_protected(&s->view, chunk + nr))
		nr++;
	rcu_read_unlock();
	return nr;
}

/*----------------------------------------------------------------
 * Saving.  All of these are steps of the job, but for callbacks.
 *--------------------------------------------------------------*/

static void cow_lock(struct dm_sync_job *job);
static void cow_locked(struct dm_sync_job *job);
static void cow_read(struct cow_io *io);

static void cow_unlock(struct cow_io *io)
{
	dm_sync_range_unlock(io->store->ranges, &io->range);
}

/* A noflush suspend begins: device-mapper has this write queued. */
static void cow_requeue(struct cow_io *io)
{
	struct bio *bio = bio_of(io);

	cow_unlock(io);
	bio->bi_status = BLK_STS_DM_REQUEUE;
	bio_endio(bio);
}

/* There is no space.  The kick is for what changed before we are among those who wait. */
static void cow_wait(struct cow_io *io)
{
	struct dm_sync_store *s = io->store;
	unsigned long flags;
	bool hung;

	cow_unlock(io);
	io->waited = true;
	atomic_inc(&s->nr_waiting);
	spin_lock_irqsave(&s->save_lock, flags);
	hung = s->hung;
	if (!hung)
		list_add_tail(&io->job.list, &s->waiters);
	spin_unlock_irqrestore(&s->save_lock, flags);
	if (hung)
		dm_sync_job_queue(&s->jobs, &io->job, cow_lock);
	else
		dm_sync_store_kick(s);
}

/**
 * dm_sync_cow_wake - writes that wait for space are to try again
 * @s: the store
 *
 * Context: the committer; does not sleep.
 */
void dm_sync_cow_wake(struct dm_sync_store *s)
{
	struct dm_sync_job *job, *next;
	unsigned long flags;
	LIST_HEAD(waiters);

	spin_lock_irqsave(&s->save_lock, flags);
	list_splice_init(&s->waiters, &waiters);
	spin_unlock_irqrestore(&s->save_lock, flags);
	list_for_each_entry_safe(job, next, &waiters, list)
		dm_sync_job_queue(&s->jobs, job, cow_lock);
}

static void cow_end_save(struct dm_sync_job *job)
{
	struct cow_io *io = job_io(job);

	if (io->error == -ECANCELED)
		dm_sync_job_leave_pages(&io->store->jobs, job);
	dm_sync_job_free_pages(&io->store->jobs, job);
	if (io->error == -EAGAIN) {
		cow_requeue(io);
		return;
	}
	if (io->error == -EBUSY) {
		cow_wait(io);
		return;
	}
	io->at = io->chunk + io->nr;
	cow_locked(job);
}

/* With commit_lock held.  Unless it is -EAGAIN or -EBUSY no image needs these chunks any more. */
static void cow_saved(struct dm_sync_save *save, int error)
{
	struct cow_io *io = container_of(save, struct cow_save, save)->io;

	io->error = error;
	dm_sync_job_queue(&io->store->jobs, &io->job, cow_end_save);
}

static void cow_take_back(struct dm_sync_job *job)
{
	struct cow_save *c = container_of(job, struct cow_save, job);

	dm_sync_jobs_take_back(&c->store->jobs,
			       container_of((void *)c, struct dm_sync_pages, notes));
}

/**
 * dm_sync_cow_return - a save whose write has gone on without it is not in use any more
 * @s: the store
 * @save: was done with -ECANCELED
 *
 * Context: any.
 */
void dm_sync_cow_return(struct dm_sync_store *s, struct dm_sync_save *save)
{
	struct cow_save *c = container_of(save, struct cow_save, save);

	dm_sync_job_queue(&s->jobs, &c->job, cow_take_back);
}

static struct cow_save *cow_save_of(struct cow_io *io)
{
	return (struct cow_save *)io->job.pages->notes;
}

/* Who has waited for space comes to the committer again, or does not have to. */
static void cow_decided(struct dm_sync_store *s)
{
	atomic_dec(&s->nr_waiting);
	dm_sync_store_kick(s);
}

static void cow_save(struct cow_io *io)
{
	struct dm_sync_store *s = io->store;
	bool waited = io->waited;
	struct cow_save *c = cow_save_of(io);

	c->io = io;
	c->store = io->store;
	c->save.chunk = io->chunk;
	c->save.nr = io->nr;
	c->save.own = NULL;
	c->save.yields = true;
	c->save.bad = c->bad;
	c->save.pages = io->job.pages->page;
	c->save.done = cow_saved;
	io->waited = false;
	dm_sync_store_save(s, &c->save);
	if (unlikely(waited))
		cow_decided(s);
}

static void cow_end_read(struct dm_sync_job *job)
{
	struct cow_io *io = job_io(job);

	if (!io->status) {
		io->reading += io->read_nr;
	} else if (io->read_nr > 1) {
		io->read_nr = 1;
	} else {
		/* Nobody will look at it, and nobody else's data is to get there. */
		dm_sync_job_write(job, io->reading * chunk_bytes(io->store), NULL,
				  chunk_bytes(io->store));
		__set_bit(io->reading, cow_save_of(io)->bad);
		io->reading++;
	}
	if (io->reading < io->nr)
		cow_read(io);
	else
		cow_save(io);
}

static void cow_read_done(struct dm_sync_job *job, blk_status_t status)
{
	struct cow_io *io = job_io(job);

	io->status = status;
	dm_sync_job_queue(&io->store->jobs, job, cow_end_read);
}

/* The last chunk may be short; the rest of its slot is zero. */
static void cow_read(struct cow_io *io)
{
	struct dm_sync_store *s = io->store;
	unsigned int offset = io->reading * chunk_bytes(s);
	unsigned int bytes = io->read_nr * chunk_bytes(s);
	sector_t sector = (io->chunk + io->reading) << s->chunk_shift;
	u64 there = (s->sectors - sector) << SECTOR_SHIFT;

	if (there < bytes) {
		dm_sync_job_write(&io->job, offset + there, NULL, bytes - there);
		bytes = there;
	}
	atomic64_add(bytes, &s->read_bytes);
	dm_sync_job_read(&io->job, s->source, sector, offset, bytes, cow_read_done);
}

static void cow_have_pages(struct dm_sync_job *job)
{
	struct cow_io *io = job_io(job);

	bitmap_zero(cow_save_of(io)->bad, COW_CHUNKS);
	io->reading = 0;
	io->read_nr = io->nr;
	cow_read(io);
}

/* Holding the range: the next run of it, or the next range. */
static void cow_locked(struct dm_sync_job *job)
{
	struct cow_io *io = job_io(job);
	struct dm_sync_store *s = io->store;

	io->at = next_unprotected(s, io->at, io->locked);
	if (io->at > io->locked) {
		cow_unlock(io);
		dm_sync_job_queue(&s->jobs, job, cow_lock);
		return;
	}
	io->chunk = io->at;
	io->nr = unprotected_run(s, io->at, io->locked);
	dm_sync_job_want_pages(&s->jobs, job, io->nr * chunk_bytes(s), cow_have_pages);
}

static void cow_granted(struct dm_sync_range *r)
{
	struct cow_io *io = container_of(r, struct cow_io, range);

	dm_sync_job_queue(&io->store->jobs, &io->job, cow_locked);
}

static void cow_lock(struct dm_sync_job *job)
{
	struct cow_io *io = job_io(job);
	struct dm_sync_store *s = io->store;
	unsigned int shift = s->chunk_shift;

	io->at = next_unprotected(s, io->at, io->last);
	if (io->at > io->last) {
		if (unlikely(io->waited))
			cow_decided(s);
		dm_submit_bio_remap(bio_of(io), NULL);
		return;
	}
	io->range.start = io->at << shift;
	io->range.last = min_t(sector_t, ((io->last + 1) << shift) - 1,
			       io->range.start | (DM_SYNC_COW_SECTORS - 1));
	io->range.granted = cow_granted;
	io->locked = io->range.last >> shift;
	if (dm_sync_range_lock(s->ranges, &io->range))
		cow_locked(job);
}

/*----------------------------------------------------------------
 * Gate, look, hold
 *--------------------------------------------------------------*/

/* Its chunks are the source's, or the restore is over; no lock held. */
static void cow_restored(struct dm_sync_demand *demand, int error)
{
	struct cow_io *io = container_of(demand, struct cow_io, demand);
	struct bio *bio = bio_of(io);

	if (!error) {
		dm_sync_job_queue(&io->store->jobs, &io->job, cow_lock);
		return;
	}
	bio->bi_status = error == -EAGAIN ? BLK_STS_DM_REQUEUE : errno_to_blk_status(error);
	bio_endio(bio);
}

/* Part of the source is still to come from an image. Returns false when it is not any more. */
static bool cow_demand(struct cow_io *io)
{
	io->demand.first = io->first;
	io->demand.last = io->last;
	io->demand.done = cow_restored;
	return dm_sync_restore_demand(io->store, &io->demand);
}

/*
 * Returns true when the write may be issued now.  Else it is on its way elsewhere, and may
 * be over already.
 */
static bool cow_start(struct cow_io *io)
{
	struct dm_sync_store *s = io->store;
	struct bio *bio = bio_of(io);
	bool needs;

	if (!dm_sync_gate_enter(&s->gate, bio, &io->gen))
		return false;
	io->at = next_unprotected(s, io->first, io->last);
	io->gated = io->at > io->last;
	needs = unlikely(rcu_access_pointer(s->restore)) &&
		dm_sync_restore_needs(s, io->first, io->last);
	if (likely(io->gated && !needs)) {
		trace_dm_sync_cow(s->door, bio, DM_SYNC_TRACE_PASS);
		return true;
	}
	if (unlikely(!io->gated && READ_ONCE(s->holding))) {
		u8 gen = io->gen;

		trace_dm_sync_cow(s->door, bio, DM_SYNC_TRACE_WAIT);
		if (dm_sync_images_hold(s, bio)) {
			dm_sync_gate_leave(&s->gate, gen);
			return false;
		}
	}
	io->gated = true;
	trace_dm_sync_cow(s->door, bio, needs ? DM_SYNC_TRACE_DEMAND : DM_SYNC_TRACE_SAVE);
	if (!needs || !cow_demand(io))
		dm_sync_job_queue(&s->jobs, &io->job, cow_lock);
	return false;
}

/**
 * dm_sync_cow_restart - begin anew with writes that were parked or held
 * @s: the store
 * @bios: host writes, in order; emptied
 *
 * Context: process; does not wait for I/O.
 */
void dm_sync_cow_restart(struct dm_sync_store *s, struct bio_list *bios)
{
	struct blk_plug plug;
	struct bio *bio;

	blk_start_plug(&plug);
	while ((bio = bio_list_pop(bios)))
		if (cow_start(io_of(bio)))
			dm_submit_bio_remap(bio, NULL);
	blk_finish_plug(&plug);
}

/*----------------------------------------------------------------
 * Map
 *--------------------------------------------------------------*/

/*
 * Long discards and zeroes are cut to what is saved at once, so that their parts are
 * saved side by side.  One that comes before there is an image, and is parked until there
 * is, is saved part by part.
 */
static void set_chunks(struct cow_io *io, struct bio *bio)
{
	struct dm_sync_store *s = io->store;
	sector_t sector = bio->bi_iter.bi_sector;
	unsigned int room = DM_SYNC_COW_SECTORS - (sector & (DM_SYNC_COW_SECTORS - 1));

	if (unlikely(bio_sectors(bio) > room) && READ_ONCE(s->view.newest))
		dm_accept_partial_bio(bio, room);
	io->first = sector >> s->chunk_shift;
	io->last = (sector + bio_sectors(bio) - 1) >> s->chunk_shift;
}

/**
 * dm_sync_cow_map - a host bio enters through the source door
 * @s: the store
 * @ti: the table entry it came through; accounts_remapped_io is set
 * @bio: the bio
 *
 * Context: the submitter's; waits for no I/O (rule Q).
 * Return: DM_MAPIO_REMAPPED or DM_MAPIO_SUBMITTED; DM_MAPIO_KILL for a read of what a restore
 * cannot bring.
 */
int dm_sync_cow_map(struct dm_sync_store *s, struct dm_target *ti, struct bio *bio)
{
	struct cow_io *io = io_of(bio);

	bio_set_dev(bio, s->source);
	io->gated = false;
	io->counted = NULL;
	if (bio->bi_opf & REQ_PREFLUSH)
		return DM_MAPIO_REMAPPED;
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (!op_is_write(bio_op(bio)))
		return unlikely(rcu_access_pointer(s->restore)) ?
		       dm_sync_restore_read(s, bio, &io->counted) : DM_MAPIO_REMAPPED;
	io->store = s;
	io->job.pages = NULL;
	io->waited = false;
	set_chunks(io, bio);
	return cow_start(io) ? DM_MAPIO_REMAPPED : DM_MAPIO_SUBMITTED;
}

/**
 * dm_sync_cow_end_io - a host bio is over
 * @s: the store
 * @bio: the bio
 * @error: its status; not changed
 *
 * Context: any.
 * Return: DM_ENDIO_DONE.
 */
int dm_sync_cow_end_io(struct dm_sync_store *s, struct bio *bio, blk_status_t *error)
{
	struct cow_io *io = io_of(bio);

	if (io->gated) {
		io->gated = false;
		dm_sync_gate_leave(&s->gate, io->gen);
	}
	if (unlikely(io->counted)) {
		if (*error)
			dm_sync_store_suspect(s, false);
		dm_sync_restore_read_end(io->counted);
		io->counted = NULL;
	}
	return DM_ENDIO_DONE;
}

/**
 * dm_sync_cow_init - set up what host I/O needs, also that of images
 * @s: the store; its io_wq is there
 *
 * Context: process; may sleep.
 * Return: 0 or -ENOMEM; dm_sync_cow_exit() is due in any case.
 */
int dm_sync_cow_init(struct dm_sync_store *s)
{
	int r;

	spin_lock_init(&s->io_lock);
	bio_list_init(&s->held);
	r = dm_sync_jobs_init(&s->jobs, s->io_wq);
	return r ?: bioset_init(&s->parts, BIO_POOL_SIZE, 0, 0);
}

/**
 * dm_sync_cow_exit - undo dm_sync_cow_init()
 * @s: the store; no host I/O is left, and io_wq is gone
 *
 * Context: process.
 */
void dm_sync_cow_exit(struct dm_sync_store *s)
{
	dm_sync_jobs_exit(&s->jobs);
	bioset_exit(&s->parts);
}

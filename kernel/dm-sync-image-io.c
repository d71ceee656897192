// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host I/O of an image, through its replica door.
 *
 * Where a chunk of an image is, the view tells: in a slot that the image's host wrote, in
 * a slot that was saved, or still in the source.
 *
 * Reads
 *	slot	 on to the store. As many chunks at once as lie one behind the other.
 *	source	 its chunks are locked in the range table of the store, looked up again,
 *		 and read with the range held to the end (rule S-read: see dm-sync-cow.c).
 *		 Who had to wait for the range has mostly waited for somebody who saved
 *		 some of them; such a read is cut into parts, each read where it is now.
 *	bad	 cannot be read.
 *
 * Writes
 *	own	 the chunk has an own slot: on to the store. No lock. Unless the record does
 *		 not say "written" any more, since the source was restored from this image,
 *		 own writes and all: then it has to say so again first.
 *	first	 the chunk is locked in the image's own range table and looked up again:
 *		 another first write may have made the slot. Unless it covers the whole
 *		 chunk, what the image has there is read, and the host's data laid over
 *		 it. dm_sync_store_save() makes it durable, entry and all; so the host's bio
 *		 is over when that is, and FUA is served. Before that, the image's
 *		 record says "written" (E11).
 *	Discards and write-zeroes write zeroes. A flush is one of the store: what the host
 *	was told of is there, in own slots or committed.
 *
 * Who waits for whom: the image's range, then the store's range, then memory, then I/O and
 * the committer. Reads hold nothing but the store's range; writes to the source door never
 * ask for an image's. So there is no cycle. A first write that needs the source takes the
 * store's range before memory, and gives it back when it has read.
 *
 * The door. I/O is counted in door_users before it looks whether it may come in; whoever
 * takes the access away changes it first and then waits until the count is 0. The
 * conductor holds I/O of the door likewise while the view is exchanged: what comes then is
 * parked, not counted, and begins anew when the hold ends. Map cuts what it parks to one
 * chunk, because a place that was found before need not be there afterwards.
 *
 * A slot that is read is not another one's before the read has ended, or the read fails:
 *
 *  - a slot that is in use for this image stays so while the image lives. When a
 *    neighbour is merged, its entries go to the next older image unless that one has
 *    an entry of its own; and only the neighbour itself could find those that do not
 *    (dm-sync-view.c), whoever is older having met the other entry before. A reader who
 *    looked into the older image before it got the entry has the way to the neighbour
 *    already, and finds the same slot there: its index stays as it was for a grace period.
 *  - when the image itself is deleted, deactivated, reset or gets a new point in time, its
 *    door is drained first.
 *  - when it is given up nobody waits, because the committer does it and may be what
 *    this I/O waits for. But "lost" is set before a slot is free; so if the slot is filled
 *    anew while it is read, that is seen when the read is over, and the read fails. The
 *    same goes for chunks read from the source, which hosts may write again then.
 *
 * A write into an own slot may not come late in this way: it would spoil what the slot holds
 * by then. So those are counted in own_writes, within the RCU section in which the slot was
 * found, and giving up waits for them, after a grace period. They wait for nothing but the
 * store itself; never for the committer. An own save that is on its way when the image
 * is given up, fails.
 *
 * An image that is gone: its door holds its pair, which holds the store. The door lets
 * nothing in any more, and no view is found; and I/O that was under way then fails at its end, as
 * that of an image that is lost: whoever takes the store up anew, or writes to the source
 * without it, knows nothing of its ranges. That begins no sooner than the store is gone (its
 * last table gives the devices back), or the pair (a reload has put another one in its
 * place). The devices are the door's own; so if the
 * source door was given another source by a reload, what is still in the source cannot be
 * read through a door that was made before.
 *
 * A power cut while a first write is on its way: the entry and its data become durable as one
 * (dm-sync-commit-store.c), so the chunk is as before or as written. "Written" without an
 * own entry is true enough.
 */
#include "dm-sync-store.h"
#include "dm-sync-trace.h"

#define DM_MSG_PREFIX "sync-replica"

/**
 * struct image_io - a host bio of an image's door
 * @door: where it came in
 * @job: what it waits for
 * @source_range: of the store's table: the source is read, or to be read
 * @own_range: of the image's table: a first write
 * @save: the chunk that a first write makes
 * @bad: for @save
 * @chunk: of a write
 * @status: of what it waited for
 * @counted: in door_users
 * @own: in own_writes
 * @at: where it, or what it waited for, went to
 * @has_source_range: it is held, or waited for
 * @has_own_range: likewise
 */
struct image_io {
	struct dm_sync_image_door *door;
	struct dm_sync_job job;
	struct dm_sync_range source_range, own_range;
	struct dm_sync_save save;
	unsigned long bad;
	u64 chunk;
	blk_status_t status;
	enum { AT_NOTHING, AT_SOURCE, AT_STORE } at;
	bool counted, own, has_source_range, has_own_range;
};

/**
 * struct place - where an image has some sectors
 * @found: what kind of place
 * @sector: where, on that device
 * @sectors: how many of them lie there in one piece
 */
struct place {
	enum dm_sync_found found;
	sector_t sector;
	unsigned int sectors;
};

/**
 * dm_sync_image_io_size - what each host bio of an image's door carries
 *
 * Return: bytes, for ti->per_io_data_size.
 */
size_t dm_sync_image_io_size(void)
{
	return sizeof(struct image_io);
}

static struct image_io *io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct image_io));
}

static struct bio *bio_of(struct image_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

static struct image_io *job_io(struct dm_sync_job *job)
{
	return container_of(job, struct image_io, job);
}

static struct dm_sync_image *image_of(struct image_io *io)
{
	return io->door->image;
}

static struct dm_sync_store *store_of(struct image_io *io)
{
	return io->door->image->store;
}

/*----------------------------------------------------------------
 * The door, and the end
 *--------------------------------------------------------------*/

enum door { DOOR_SHUT, DOOR_HELD, DOOR_OPEN };

static void uncount(struct dm_sync_image *image, atomic_t *count)
{
	if (atomic_dec_and_test(count))
		wake_up(&image->door_idle);
}

static enum door door_enter(struct image_io *io, u8 need)
{
	struct dm_sync_image *image = image_of(io);
	enum door door = DOOR_OPEN;

	atomic_inc(&image->door_users);
	smp_mb__after_atomic();		/* pairs with that of who closes or holds it */
	if (READ_ONCE(image->door_hold))
		door = DOOR_HELD;
	else if (READ_ONCE(image->pair.door_access) < need || READ_ONCE(image->pair.gone))
		door = DOOR_SHUT;
	io->counted = door == DOOR_OPEN;
	if (!io->counted)
		uncount(image, &image->door_users);
	return door;
}

/* Returns false when the hold has just ended. */
static bool door_park(struct image_io *io)
{
	struct dm_sync_image *image = image_of(io);
	struct dm_sync_store *s = image->store;
	unsigned long flags;
	bool hold;

	spin_lock_irqsave(&s->io_lock, flags);
	hold = READ_ONCE(image->door_hold);
	if (hold)
		bio_list_add(&image->parked, bio_of(io));
	spin_unlock_irqrestore(&s->io_lock, flags);
	return hold;
}

static void give_source_range(struct image_io *io)
{
	if (!io->has_source_range)
		return;
	io->has_source_range = false;
	dm_sync_range_unlock(store_of(io)->ranges, &io->source_range);
}

/* A device failed it: is it gone? (E3) */
static void blame(struct image_io *io)
{
	struct dm_sync_image *image = image_of(io);

	if (io->at == AT_SOURCE)
		atomic64_inc(&image->source_errors);
	if (io->at != AT_STORE)
		return;
	atomic64_inc(&image->store_errors);
	dm_sync_store_suspect(image->store, op_is_write(bio_op(bio_of(io))));
}

/* Has whoever knew of this I/O let go of it? */
static bool is_over(struct dm_sync_image *image)
{
	return READ_ONCE(image->lost) || READ_ONCE(image->pair.gone) ||
	       READ_ONCE(image->store->gone);
}

/**
 * dm_sync_image_end_io - a host bio of an image's door is over
 * @bio: the bio
 * @error: in, out: its status
 *
 * Context: any.
 * Return: DM_ENDIO_DONE.
 */
int dm_sync_image_end_io(struct bio *bio, blk_status_t *error)
{
	struct image_io *io = io_of(bio);
	struct dm_sync_image *image = image_of(io);

	if (unlikely(*error))
		blame(io);
	/* What it read may be anything; what it wrote is lost, too. */
	if (unlikely(is_over(image)) && !*error)
		*error = BLK_STS_IOERR;
	give_source_range(io);
	if (io->has_own_range) {
		io->has_own_range = false;
		dm_sync_range_unlock(image->ranges, &io->own_range);
	}
	if (io->own) {
		io->own = false;
		uncount(image, &image->own_writes);
	}
	if (io->counted) {
		io->counted = false;
		uncount(image, &image->door_users);
	}
	return DM_ENDIO_DONE;
}

static void finish(struct image_io *io, blk_status_t status)
{
	struct bio *bio = bio_of(io);

	bio->bi_status = status;
	bio_endio(bio);
}

/*----------------------------------------------------------------
 * Looking up
 *--------------------------------------------------------------*/

static bool in_slot(enum dm_sync_found found)
{
	return found == DM_SYNC_FOUND_SLOT || found == DM_SYNC_FOUND_OWN;
}

/* Where a chunk is, or begins to be: a sector of the source or the store. */
static enum dm_sync_found find_chunk(struct dm_sync_store *s,
				     const struct dm_sync_view_image *view, u64 chunk,
				     sector_t *sector)
{
	enum dm_sync_found found;
	u32 slot;

	found = dm_sync_view_find(view, chunk, &slot);
	*sector = in_slot(found) ? dm_sync_store_slot_sector(&s->layout, slot) :
				   chunk << s->chunk_shift;
	return found;
}

/* Not farther than what a range of the store can have. */
static void find_run(struct dm_sync_store *s, const struct dm_sync_view_image *view,
		     sector_t sector, unsigned int sectors, struct place *p)
{
	unsigned int shift = s->chunk_shift;
	u64 chunk = sector >> shift, next = chunk + 1;
	u64 end = min_t(u64, sector + sectors, (sector | (DM_SYNC_COW_SECTORS - 1)) + 1);
	sector_t first, at;

	p->found = find_chunk(s, view, chunk, &first);
	for (; next << shift < end; next++)
		if (find_chunk(s, view, next, &at) != p->found ||
		    at != first + ((next - chunk) << shift))
			break;
	p->sector = first + sector - (chunk << shift);
	p->sectors = min_t(u64, end, next << shift) - sector;
}

/* The source that hosts write, after saving, is the one that the door has open. */
static bool same_source(struct image_io *io)
{
	return io->door->source->bd_dev == READ_ONCE(store_of(io)->source_dev);
}

/*
 * Look up where the bio begins.  A write that finds an own slot is counted in the same
 * breath.  Returns false when it is nowhere.
 */
static bool find(struct image_io *io, struct place *p)
{
	struct dm_sync_image *image = image_of(io);
	const struct dm_sync_view_image *view;
	struct bio *bio = bio_of(io);

	rcu_read_lock();
	view = rcu_dereference(image->view);
	if (!view || READ_ONCE(image->lost)) {
		rcu_read_unlock();
		return false;
	}
	find_run(image->store, view, bio->bi_iter.bi_sector, bio_sectors(bio), p);
	if (p->found == DM_SYNC_FOUND_OWN && op_is_write(bio_op(bio))) {
		atomic_inc(&image->own_writes);
		io->own = true;
	}
	rcu_read_unlock();
	return p->found != DM_SYNC_FOUND_SOURCE || same_source(io);
}

static void aim(struct image_io *io, struct bio *bio, const struct place *p)
{
	bool slot = in_slot(p->found);

	trace_dm_sync_image(image_of(io)->pair.id, bio, p->found);
	/* Of several parts, one is enough to have the store asked. */
	io->at = slot || io->at == AT_STORE ? AT_STORE : AT_SOURCE;
	bio_set_dev(bio, slot ? io->door->store : io->door->source);
	bio->bi_iter.bi_sector = p->sector;
}

/*----------------------------------------------------------------
 * Reads
 *--------------------------------------------------------------*/

/* Holding the range: is any of it in the source? If not, that is so for ever. */
static bool any_in_source(struct image_io *io)
{
	struct dm_sync_image *image = image_of(io);
	struct bio *bio = bio_of(io);
	sector_t sector = bio->bi_iter.bi_sector, end = sector + bio_sectors(bio);
	const struct dm_sync_view_image *view;
	struct place p = { .found = DM_SYNC_FOUND_BAD };

	rcu_read_lock();
	view = rcu_dereference(image->view);
	for (; view && sector < end && p.found != DM_SYNC_FOUND_SOURCE; sector += p.sectors)
		find_run(image->store, view, sector, end - sector, &p);
	rcu_read_unlock();
	return p.found == DM_SYNC_FOUND_SOURCE;
}

/*
 * Holding the range of all of it: each part is read where it is now.  If no part is in the
 * source nobody needs the range, and hosts' writes are not to wait for the store.
 */
static void read_parts(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);
	struct bio *bio = bio_of(io), *part;
	struct place p;

	bio->bi_opf &= ~REQ_POLLED;	/* whoever polls does not know of the parts */
	if (!any_in_source(io))
		give_source_range(io);
	for (;;) {
		if (!find(io, &p) || p.found == DM_SYNC_FOUND_BAD) {
			finish(io, BLK_STS_IOERR);
			return;
		}
		if (p.sectors == bio_sectors(bio))
			break;
		part = bio_split(bio, p.sectors, GFP_NOIO, &store_of(io)->parts);
		if (IS_ERR_OR_NULL(part)) {
			finish(io, BLK_STS_RESOURCE);
			return;
		}
		bio_chain(part, bio);
		aim(io, part, &p);
		submit_bio_noacct(part);
	}
	aim(io, bio, &p);
	dm_submit_bio_remap(bio, NULL);
}

static void read_granted(struct dm_sync_range *r)
{
	struct image_io *io = container_of(r, struct image_io, source_range);

	dm_sync_job_queue(&store_of(io)->jobs, &io->job, read_parts);
}

static bool lock_source(struct image_io *io, sector_t sector, unsigned int sectors,
			void (*granted)(struct dm_sync_range *r))
{
	struct dm_sync_store *s = store_of(io);
	sector_t mask = (1u << s->chunk_shift) - 1;

	io->source_range.start = sector & ~mask;
	io->source_range.last = (sector + sectors - 1) | mask;
	io->source_range.granted = granted;
	io->has_source_range = true;
	return dm_sync_range_lock(s->ranges, &io->source_range);
}

static int read_start(struct image_io *io, bool mapping)
{
	struct bio *bio = bio_of(io);
	struct place p;

	if (!find(io, &p) || p.found == DM_SYNC_FOUND_BAD)
		return DM_MAPIO_KILL;
	if (mapping && p.sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, p.sectors);
	if (p.found == DM_SYNC_FOUND_SOURCE) {
		if (!lock_source(io, p.sector, p.sectors, read_granted))
			return DM_MAPIO_SUBMITTED;
		if (!find(io, &p) || p.found != DM_SYNC_FOUND_SOURCE ||
		    p.sectors != bio_sectors(bio)) {
			read_granted(&io->source_range);
			return DM_MAPIO_SUBMITTED;
		}
	}
	aim(io, bio, &p);
	return DM_MAPIO_REMAPPED;
}

/*----------------------------------------------------------------
 * First writes.  All of these are steps of the job, but for callbacks.
 *--------------------------------------------------------------*/

static void write_end(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);

	dm_sync_job_free_pages(&store_of(io)->jobs, job);
	finish(io, io->status);
}

/* With commit_lock held: no end of a host bio here. */
static void write_saved(struct dm_sync_save *save, int error)
{
	struct image_io *io = container_of(save, struct image_io, save);

	io->status = errno_to_blk_status(error);
	dm_sync_job_queue(&store_of(io)->jobs, &io->job, write_end);
}

/* Lay the host's data over what the chunk holds. */
static void overlay(struct image_io *io)
{
	struct dm_sync_store *s = store_of(io);
	struct bio *bio = bio_of(io);
	unsigned int offset = (bio->bi_iter.bi_sector - (io->chunk << s->chunk_shift)) <<
			      SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;
	void *from;

	if (bio_op(bio) != REQ_OP_WRITE) {
		dm_sync_job_write(&io->job, offset, NULL, bio->bi_iter.bi_size);
		return;
	}
	bio_for_each_segment(bv, bio, iter) {
		from = bvec_kmap_local(&bv);
		dm_sync_job_write(&io->job, offset, from, bv.bv_len);
		kunmap_local(from);
		offset += bv.bv_len;
	}
}

static void write_save(struct image_io *io)
{
	overlay(io);
	io->at = AT_NOTHING;		/* the committer blames whom it has to */
	io->bad = 0;
	io->save.chunk = io->chunk;
	io->save.nr = 1;
	io->save.bad = &io->bad;
	io->save.own = image_of(io);
	io->save.yields = false;
	io->save.pages = io->job.pages->page;
	io->save.done = write_saved;
	dm_sync_store_save(store_of(io), &io->save);
}

static void write_end_read(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);

	give_source_range(io);
	if (!io->status && is_over(image_of(io)))
		io->status = BLK_STS_IOERR;
	if (io->status)
		write_end(job);
	else
		write_save(io);
}

static void write_read_done(struct dm_sync_job *job, blk_status_t status)
{
	struct image_io *io = job_io(job);

	io->status = status;
	dm_sync_job_queue(&store_of(io)->jobs, job, write_end_read);
}

static bool whole_chunk(struct image_io *io)
{
	struct dm_sync_store *s = store_of(io);

	return bio_sectors(bio_of(io)) == dm_sync_store_chunk_sectors(&s->layout, io->chunk);
}

/*
 * With memory, and unless the whole chunk is written with the store's range: where the
 * chunk is does not change any more but by being given up.
 */
static void write_have_pages(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);
	struct dm_sync_store *s = store_of(io);
	struct place p;
	unsigned int there = dm_sync_store_chunk_sectors(&s->layout, io->chunk);
	unsigned int slot = 1u << s->chunk_shift;

	if (there < slot)
		dm_sync_job_write(job, there << SECTOR_SHIFT, NULL,
				  (slot - there) << SECTOR_SHIFT);
	if (whole_chunk(io)) {
		write_save(io);
		return;
	}
	if (!find(io, &p) || p.found == DM_SYNC_FOUND_BAD) {
		io->status = BLK_STS_IOERR;
		write_end(job);
		return;
	}
	/* The place is that of the bio's first sector; the chunk begins before it. */
	p.sector -= bio_of(io)->bi_iter.bi_sector - (io->chunk << s->chunk_shift);
	io->at = in_slot(p.found) ? AT_STORE : AT_SOURCE;
	if (io->at == AT_STORE)
		give_source_range(io);	/* hosts' writes are not to wait for the store */
	dm_sync_job_read(job, io->at == AT_STORE ? io->door->store : io->door->source, p.sector,
			 0, there << SECTOR_SHIFT, write_read_done);
}

static void write_want_pages(struct dm_sync_job *job)
{
	struct dm_sync_store *s = store_of(job_io(job));

	/* Source writes may wait for space for long; an image's does not wait behind them. */
	if (READ_ONCE(s->full))
		finish(job_io(job), BLK_STS_NOSPC);
	else
		dm_sync_job_want_pages(&s->jobs, job, 1u << (s->chunk_shift + SECTOR_SHIFT),
				       write_have_pages);
}

static void write_source_granted(struct dm_sync_range *r)
{
	struct image_io *io = container_of(r, struct image_io, source_range);

	dm_sync_job_queue(&store_of(io)->jobs, &io->job, write_want_pages);
}

/* Holding the chunk in the image: is this still its first write? */
static void write_locked(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);
	struct bio *bio = bio_of(io);
	struct place p;

	if (!find(io, &p)) {
		finish(io, BLK_STS_IOERR);
	} else if (p.found == DM_SYNC_FOUND_OWN) {
		aim(io, bio, &p);
		dm_submit_bio_remap(bio, NULL);
	} else if (whole_chunk(io) ||
		   lock_source(io, bio->bi_iter.bi_sector, bio_sectors(bio),
			       write_source_granted)) {
		write_want_pages(job);
	}
}

static void write_granted(struct dm_sync_range *r)
{
	struct image_io *io = container_of(r, struct image_io, own_range);

	dm_sync_job_queue(&store_of(io)->jobs, &io->job, write_locked);
}

static void write_begin(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);
	unsigned int shift = store_of(io)->chunk_shift;

	trace_dm_sync_image(image_of(io)->pair.id, bio_of(io), DM_SYNC_TRACE_FIRST);
	io->own_range.start = io->chunk << shift;
	io->own_range.last = ((io->chunk + 1) << shift) - 1;
	io->own_range.granted = write_granted;
	io->has_own_range = true;
	if (dm_sync_range_lock(image_of(io)->ranges, &io->own_range))
		write_locked(job);
}

/* The record says "written", or cannot. */
static void write_told(struct dm_sync_job *job)
{
	struct image_io *io = job_io(job);
	struct place p;

	if (io->status || !find(io, &p)) {
		finish(io, io->status ?: BLK_STS_IOERR);
		return;
	}
	aim(io, bio_of(io), &p);
	dm_submit_bio_remap(bio_of(io), NULL);
}

/*
 * With commit_lock held. It waits for the device, and hosts of the source do not wait for that
 * (dm-sync-patience.c): without an error it is from end_settled(), who begins anew after it.
 */
static void write_tell_done(struct dm_sync_save *save, int error)
{
	struct image_io *io = container_of(save, struct image_io, save);
	struct dm_sync_store *s = store_of(io);
	bool away;

	if (!error) {
		away = dm_sync_patience_away(s, true);
		error = dm_sync_image_written(image_of(io));
		dm_sync_patience_away(s, away);
	}
	io->status = errno_to_blk_status(error);
	dm_sync_job_queue(&s->jobs, &io->job, write_told);
}

/* A save of nothing: the committer comes by with the lock held that the record wants. */
static int write_tell(struct image_io *io)
{
	io->own = false;
	uncount(image_of(io), &image_of(io)->own_writes);
	io->save.chunk = io->save.nr = 0;
	io->save.own = image_of(io);
	io->save.yields = false;
	io->save.done = write_tell_done;
	dm_sync_store_save(store_of(io), &io->save);
	return DM_MAPIO_SUBMITTED;
}

static void cut_to_chunk(struct image_io *io, struct bio *bio)
{
	unsigned int chunk = 1u << store_of(io)->chunk_shift;
	unsigned int room = chunk - (bio->bi_iter.bi_sector & (chunk - 1));

	if (bio_sectors(bio) > room)
		dm_accept_partial_bio(bio, room);
}

static int write_start(struct image_io *io, bool mapping)
{
	struct bio *bio = bio_of(io);
	struct place p;

	if (!find(io, &p))
		return DM_MAPIO_KILL;
	if (p.found == DM_SYNC_FOUND_OWN) {
		if (mapping && p.sectors < bio_sectors(bio))
			dm_accept_partial_bio(bio, p.sectors);
		if (unlikely(!READ_ONCE(image_of(io)->written)))
			return write_tell(io);
		aim(io, bio, &p);
		return DM_MAPIO_REMAPPED;
	}
	if (mapping)
		cut_to_chunk(io, bio);
	io->chunk = bio->bi_iter.bi_sector >> store_of(io)->chunk_shift;
	dm_sync_job_queue(&store_of(io)->jobs, &io->job, write_begin);
	return DM_MAPIO_SUBMITTED;
}

/*----------------------------------------------------------------
 * Map
 *--------------------------------------------------------------*/

static int image_start(struct image_io *io, bool mapping)
{
	struct bio *bio = bio_of(io);
	bool write = op_is_write(bio_op(bio)) && bio_sectors(bio);
	u8 need = write ? DM_SYNC_DOOR_ACCESS_READ_WRITE : DM_SYNC_DOOR_ACCESS_READ_ONLY;
	enum door door;

	while ((door = door_enter(io, need)) == DOOR_HELD) {
		if (mapping)
			cut_to_chunk(io, bio);
		if (door_park(io))
			return DM_MAPIO_SUBMITTED;
	}
	if (door == DOOR_SHUT)
		return DM_MAPIO_KILL;
	if (write)
		return write_start(io, mapping);
	if (bio_sectors(bio))
		return read_start(io, mapping);
	io->at = AT_STORE;
	bio_set_dev(bio, io->door->store);
	return DM_MAPIO_REMAPPED;
}

/**
 * dm_sync_image_map - a host bio enters through an image's replica door
 * @d: the door
 * @ti: its table entry; accounts_remapped_io is set
 * @bio: the bio
 *
 * Context: the submitter's; waits for no I/O (rule Q).
 * Return: DM_MAPIO_REMAPPED, DM_MAPIO_SUBMITTED or DM_MAPIO_KILL.
 */
int dm_sync_image_map(struct dm_sync_image_door *d, struct dm_target *ti, struct bio *bio)
{
	struct image_io *io = io_of(bio);
	int r;

	io->door = d;
	io->job.pages = NULL;
	io->at = AT_NOTHING;
	io->own = io->has_source_range = io->has_own_range = false;
	if (!(bio->bi_opf & REQ_PREFLUSH))
		bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (bio_op(bio) == REQ_OP_DISCARD)
		bio->bi_opf = (bio->bi_opf & ~REQ_OP_MASK) | REQ_OP_WRITE_ZEROES;
	r = image_start(io, true);
	if (r == DM_MAPIO_KILL && io->counted)
		uncount(d->image, &d->image->door_users);
	return r;
}

/**
 * dm_sync_image_door_kick - begin anew with I/O that was parked
 * @image: the image; its door_hold has just been cleared
 *
 * Context: the conductor; does not wait for I/O.
 */
void dm_sync_image_door_kick(struct dm_sync_image *image)
{
	struct bio_list parked;
	struct bio *bio;

	spin_lock_irq(&image->store->io_lock);
	parked = image->parked;
	bio_list_init(&image->parked);
	spin_unlock_irq(&image->store->io_lock);
	while ((bio = bio_list_pop(&parked))) {
		switch (image_start(io_of(bio), false)) {
		case DM_MAPIO_REMAPPED:
			dm_submit_bio_remap(bio, NULL);
			break;
		case DM_MAPIO_KILL:
			finish(io_of(bio), BLK_STS_IOERR);
			break;
		}
	}
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The replica door: target "sync-replica".
 *
 *	0 <sectors> sync-replica <source door>		of a mirror or clone
 *	0 <sectors> sync-replica <source door> <image>	of an image of a store
 *
 * Through it, and only through it, may hosts use the replica; so the pair
 * knows what they wrote.  Whether they may is a function of the pair's state
 * (dm_sync_door()) and looked up for every bio.  What becomes of the bios of an
 * image is in dm-sync-image-io.c, where there is more to it; those of a mirror:
 *
 *	enter	 count the bio, then look at the access.  Whoever takes the access
 *		 away first changes it, then waits until the count is 0; so no bio
 *		 that was let in is still under way when the copy starts.
 *	write	 its regions are marked in the replica map, durably, before it is
 *		 issued: the same rule M, from the other side.
 *
 * Of a clone the door is open while its regions are still being copied.  A read of
 * one that the replica does not have is the source's: it holds the range, so that
 * no host write of the source overtakes it (rule S-read), and looks again when it has
 * it.  A write to one waits for its copy, and a read too with copy_on_access: see
 * dm-sync-clone-io.c.  A clone that was detached leaves a door that is a plain way
 * to the replica, if that is complete; I/O that meets the change takes either way.
 *
 * The source door is named, not opened: it may be mounted, and device-mapper
 * opens devices exclusively.  A pair that goes leaves a door that refuses all
 * I/O; nothing of the pair is freed while the door refers to it.  The devices are
 * opened by the door for itself, and stay open as long as it is there.  An image
 * may have several doors, a mirror one.
 */
#include "dm-sync-clone-cut.h"
#include "dm-sync-clone-owe.h"
#include "dm-sync-mirror.h"
#include "dm-sync-store.h"

#define DM_MSG_PREFIX "sync-replica"

/**
 * struct replica_door - one table instance of a replica door
 * @pair: the pair, counted
 * @mirror: the mirror that is, or NULL
 * @image: the image that is; without one image.image is NULL
 * @replica: device; that of the store, for an image
 * @source: device; of an image or a clone
 */
struct replica_door {
	struct dm_sync_pair *pair;
	struct dm_sync_mirror *mirror;
	struct dm_sync_image_door image;
	struct dm_dev *replica, *source;
};

/*----------------------------------------------------------------
 * I/O of a mirror's
 *--------------------------------------------------------------*/

struct door_io {
	struct replica_door *door;
	struct dm_sync_mirror *mirror;
	struct dm_sync_range range;	/* of a read of the source */
	sector_t sector, last;		/* of a clone's: of one region, or whole ones */
	bool counted, ranged, write, cover, refused, flush, fua;
	bool late;			/* a cover that is of no use any more */
	int losses;			/* there were when it came */
	u32 pass;			/* of the clone, when a cover began */
	struct list_head covering;	/* while a cover is under way; io_lock */
	u8 waits;			/* in a round: enum dm_sync_clone_wait */
	u8 range_is;			/* then: DM_SYNC_CLONE_RANGE_; io_lock */
	bool over;			/* it ended while its range was being taken away */
};

static struct door_io *door_io_of(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct door_io));
}

static void door_leave(struct dm_sync_mirror *m)
{
	if (atomic_dec_and_test(&m->door_users))
		wake_up(&m->door_idle);
}

static bool door_enter(struct dm_sync_mirror *m, bool write)
{
	u8 need = write ? DM_SYNC_DOOR_ACCESS_READ_WRITE : DM_SYNC_DOOR_ACCESS_READ_ONLY;

	atomic_inc(&m->door_users);
	smp_mb__after_atomic();		/* pairs with the lock in dm_sync_publish() */
	if (READ_ONCE(m->pair.door_access) >= need && !READ_ONCE(m->pair.gone))
		return true;
	door_leave(m);
	return false;
}

static void mark_bio(struct dm_sync_mirror *m, struct bio *bio, u64 *first, u64 *last)
{
	sector_t start = bio->bi_iter.bi_sector;

	*first = dm_sync_region_of(m, start);
	*last = dm_sync_region_of(m, start + bio_sectors(bio) - 1);
}

/* Returns true when the write may be issued now. */
static bool door_mark(struct dm_sync_mirror *m, struct bio *bio)
{
	unsigned long flags;
	u64 first, last;

	mark_bio(m, bio, &first, &last);
	if (dm_sync_map_next_clear(m->replica_map, first, last + 1) > last &&
	    dm_sync_map_is_durable(m->replica_map, first, last))
		return true;
	dm_sync_map_set_range(m->replica_map, first, last);
	spin_lock_irqsave(&m->io_lock, flags);
	bio_list_add(&m->door_marks, bio);
	spin_unlock_irqrestore(&m->io_lock, flags);
	dm_sync_commit_kick(m);
	return false;
}

static struct bio *bio_of_door(struct door_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

static void range_granted(struct dm_sync_range *r)
{
	struct door_io *io = container_of(r, struct door_io, range);

	dm_sync_clone_read_ready(io->mirror, bio_of_door(io));
}

/*
 * A write of whole regions has its range.  Who gives the image up closes the door first
 * and then takes the ranges away: either he sees us, or we see that.
 */
static int cover_begin(struct door_io *io)
{
	struct dm_sync_mirror *m = io->mirror;
	unsigned long flags;

	spin_lock_irqsave(&m->io_lock, flags);
	io->range_is = DM_SYNC_CLONE_RANGE_HELD;
	io->over = false;
	io->pass = m->clone.pass;
	list_add_tail(&io->covering, &m->clone.covering);
	spin_unlock_irqrestore(&m->io_lock, flags);
	smp_mb();	/* pairs with the locks of dm_sync_publish() and the abandoning */
	return READ_ONCE(m->pair.door_access) == DM_SYNC_DOOR_ACCESS_NONE ? DM_MAPIO_KILL :
									    DM_MAPIO_REMAPPED;
}

/* With its marks durable: see the head of dm-sync-clone-io.c. */
static int cover(struct door_io *io)
{
	struct dm_sync_mirror *m = io->mirror;

	io->range.start = io->sector;
	io->range.last = io->last;
	io->range.granted = range_granted;
	io->ranged = true;
	return dm_sync_range_lock(m->ranges, &io->range) ? cover_begin(io) : DM_MAPIO_SUBMITTED;
}

/*
 * Returns false when the one who takes its range away ends it.  A flush that failed
 * since it began may have lost a part of it: then it clears nothing, like any copy.
 */
static bool cover_end(struct door_io *io, bool written)
{
	struct dm_sync_mirror *m = io->mirror;
	unsigned long flags;
	u8 range;

	spin_lock_irqsave(&m->io_lock, flags);
	range = io->range_is;
	io->late = written && io->pass != m->clone.pass;
	if (range == DM_SYNC_CLONE_RANGE_GOING)
		io->over = true;
	else
		list_del(&io->covering);
	if (range == DM_SYNC_CLONE_RANGE_HELD && written && !io->late)
		dm_sync_clone_covered(m, io->sector, io->last);
	spin_unlock_irqrestore(&m->io_lock, flags);
	atomic_inc(&m->clone.covered);
	if (range == DM_SYNC_CLONE_RANGE_GOING)
		return false;
	if (range == DM_SYNC_CLONE_RANGE_GONE)
		io->ranged = false;
	else
		dm_sync_resync_copied(m);
	io->cover = false;
	return true;
}

/* The next that still has its range, which is ours to take away then. */
static struct door_io *next_covering(struct dm_sync_mirror *m)
{
	struct door_io *io, *found = NULL;

	spin_lock_irq(&m->io_lock);
	list_for_each_entry(io, &m->clone.covering, covering) {
		if (io->range_is != DM_SYNC_CLONE_RANGE_HELD)
			continue;
		found = io;
		found->range_is = DM_SYNC_CLONE_RANGE_GOING;
		break;
	}
	spin_unlock_irq(&m->io_lock);
	return found;
}

/**
 * dm_sync_clone_door_abandon - the image was given up: take the ranges from what hosts
 *	write to the replica in whole regions
 * @m: the clone; the door admits nothing any more
 *
 * Context: the conductor.
 */
void dm_sync_clone_door_abandon(struct dm_sync_mirror *m)
{
	struct door_io *io;
	bool over;

	while ((io = next_covering(m))) {
		dm_sync_range_unlock(m->ranges, &io->range);
		spin_lock_irq(&m->io_lock);
		io->range_is = DM_SYNC_CLONE_RANGE_GONE;
		over = io->over;
		spin_unlock_irq(&m->io_lock);
		if (over)
			bio_endio(bio_of_door(io));
	}
}

/* What map would have given back to device-mapper. */
static void door_mapped(struct dm_sync_mirror *m, struct bio *bio, int mapped)
{
	if (mapped != DM_MAPIO_SUBMITTED)
		dm_sync_clone_door_go(m, bio, mapped == DM_MAPIO_KILL ? -EIO : 0);
}

/**
 * dm_sync_door_marked - the marks of a group of replica writes are durable
 * @m: the mirror
 * @error: they are not: the writes fail, none was issued
 *
 * Context: the committer; may sleep.
 */
void dm_sync_door_marked(struct dm_sync_mirror *m, int error)
{
	struct bio_list bios = m->door_committing;
	struct bio *bio;

	bio_list_init(&m->door_committing);
	while ((bio = bio_list_pop(&bios))) {
		if (error)
			dm_sync_clone_door_go(m, bio, error);
		else if (door_io_of(bio)->cover)
			door_mapped(m, bio, cover(door_io_of(bio)));
		else
			dm_submit_bio_remap(bio, NULL);
	}
}

/*----------------------------------------------------------------
 * I/O of a clone's
 *--------------------------------------------------------------*/

/* What I/O of a door holds, given back. */
static void door_io_end(struct door_io *io)
{
	if (io->ranged) {
		io->ranged = false;
		dm_sync_range_unlock(io->mirror->ranges, &io->range);
	}
	if (io->counted) {
		io->counted = false;
		door_leave(io->mirror);
	}
}

/*
 * The range that a read of the source waited for is ours.  An image that was given
 * up meanwhile is not read any more: the write that it stood in the way of may be over.
 */
static int read_source(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;

	if (READ_ONCE(m->pair.door_access) == DM_SYNC_DOOR_ACCESS_NONE)
		return DM_MAPIO_KILL;
	if (dm_sync_map_test(m->uncopied_map, dm_sync_region_of(m, io->sector))) {
		bio_set_dev(bio, io->door->source->bdev);
	} else {
		io->ranged = false;
		dm_sync_range_unlock(m->ranges, &io->range);
	}
	return DM_MAPIO_REMAPPED;
}

/**
 * dm_sync_clone_door_read - I/O of the replica door has its range at last
 * @m: the clone
 * @bio: a read, or a write of whole regions
 *
 * Context: may sleep.
 */
void dm_sync_clone_door_read(struct dm_sync_mirror *m, struct bio *bio)
{
	struct door_io *io = door_io_of(bio);

	door_mapped(m, bio, io->cover ? cover_begin(io) : read_source(io, bio));
}

static int clone_read_source(struct door_io *io, struct bio *bio)
{
	io->range.start = io->sector;
	io->range.last = io->last;
	io->range.granted = range_granted;
	io->ranged = true;
	return dm_sync_range_lock(io->mirror->ranges, &io->range) ? read_source(io, bio) :
								    DM_MAPIO_SUBMITTED;
}

static int clone_read(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;

	/* In a restore the map speaks of the source. */
	if (READ_ONCE(m->redirect) ||
	    !dm_sync_map_test(m->uncopied_map, dm_sync_region_of(m, io->sector)))
		return DM_MAPIO_REMAPPED;
	if (READ_ONCE(m->clone.on_access)) {
		dm_sync_clone_demand_door(m, bio);
		return DM_MAPIO_SUBMITTED;
	}
	return clone_read_source(io, bio);
}

/* U means nothing, or speaks of the source. */
static u8 look_only(struct dm_sync_mirror *m, u64 first, u64 last)
{
	if (dm_sync_clone_uncopied(m, first, last))
		return DM_SYNC_CLONE_UNCOPIED;
	return dm_sync_clone_must_wait(m, first, last) ? DM_SYNC_CLONE_UNSETTLED :
							 DM_SYNC_CLONE_OWN;
}

static bool may_claim(struct dm_sync_mirror *m)
{
	return READ_ONCE(m->clone.preserving) && !READ_ONCE(m->redirect);
}

static int clone_write(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;
	u64 first = dm_sync_region_of(m, io->sector), last = dm_sync_region_of(m, io->last);
	bool lazy = !(bio->bi_opf & REQ_FUA);
	u8 found = may_claim(m) ? dm_sync_clone_claim(m, first, last) :
				  look_only(m, first, last);

	if (found == DM_SYNC_CLONE_OWN)
		return door_mark(m, bio) ? DM_MAPIO_REMAPPED : DM_MAPIO_SUBMITTED;
	if (lazy && (found & DM_SYNC_CLONE_UNCOPIED) && !(found & DM_SYNC_CLONE_UNSETTLED) &&
	    !READ_ONCE(m->clone.stopped) &&
	    dm_sync_clone_whole(io->sector, io->last, m->region_shift, m->sectors)) {
		io->cover = true;
		return door_mark(m, bio) ? cover(io) : DM_MAPIO_SUBMITTED;
	}
	/* Read after U was: see the head of dm-sync-clone-owe.c. */
	if (lazy && found == DM_SYNC_CLONE_OWED && !READ_ONCE(m->clone.stopped) &&
	    dm_sync_clone_owe_write(m, first, last))
		return DM_MAPIO_REMAPPED;
	dm_sync_clone_demand_door(m, bio);
	return DM_MAPIO_SUBMITTED;
}

/**
 * dm_sync_clone_door_claim - what does a write of the replica door wait for?
 * @m: the clone
 * @bio: the write
 *
 * Context: the demand work, before it copies for it.
 */
enum dm_sync_clone_wait dm_sync_clone_door_claim(struct dm_sync_mirror *m, struct bio *bio)
{
	struct door_io *io = door_io_of(bio);
	u8 found;

	io->waits = DM_SYNC_CLONE_WAIT_MARK;
	if (!may_claim(m))
		return io->waits;
	found = dm_sync_clone_claim(m, dm_sync_region_of(m, io->sector),
				    dm_sync_region_of(m, io->last));
	if (found & DM_SYNC_CLONE_UNSETTLED)
		io->waits = DM_SYNC_CLONE_WAIT_COMMIT;
	else if (!(found & DM_SYNC_CLONE_OWN) && !(bio->bi_opf & REQ_FUA))
		io->waits = DM_SYNC_CLONE_WAIT_COPY;
	return io->waits;
}

/**
 * dm_sync_clone_door_waits - what dm_sync_clone_door_claim() found
 * @bio: the write
 */
enum dm_sync_clone_wait dm_sync_clone_door_waits(struct bio *bio)
{
	return door_io_of(bio)->waits;
}

/**
 * dm_sync_clone_door_write - what a write waited for is durable: it begins anew
 * @m: the clone
 * @bio: the write
 *
 * Context: may sleep.
 */
void dm_sync_clone_door_write(struct dm_sync_mirror *m, struct bio *bio)
{
	door_mapped(m, bio, clone_write(door_io_of(bio), bio));
}

/* What the disk does not know of needs more than the replica's flush to be found again. */
static int clone_flush(struct door_io *io, struct bio *bio)
{
	if (!(bio->bi_opf & REQ_PREFLUSH))
		return DM_MAPIO_REMAPPED;
	if (!dm_sync_clone_owes(io->mirror))
		return DM_MAPIO_REMAPPED;
	dm_sync_clone_demand_flush(io->mirror, bio);
	return DM_MAPIO_SUBMITTED;
}

/*
 * Only reads and writes are cut at regions by device-mapper.  Of long zeroes and
 * discards it is whole regions of one extent at a time, or the part of one.
 */
static void cut_at_regions(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;
	u64 sectors = dm_sync_clone_cut(io->sector, bio_sectors(bio), m->region_shift,
					m->extent_shift);

	if (sectors == bio_sectors(bio))
		return;
	dm_accept_partial_bio(bio, sectors);
	io->last = io->sector + sectors - 1;
}

/*
 * Not let in.  Past a detach the replica is a device of its own, if it is whole; who
 * found the door closed by that came too late to ask the pair.
 */
static int not_let_in(struct dm_sync_mirror *m)
{
	smp_rmb();	/* the access was taken away after passthrough was set */
	if (!READ_ONCE(m->passthrough) || dm_sync_map_count(m->uncopied_map))
		return DM_MAPIO_KILL;
	return DM_MAPIO_REMAPPED;
}

static int clone_go(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;

	io->counted = door_enter(m, io->write);
	if (!io->counted)
		return not_let_in(m);
	if (READ_ONCE(m->clone.door_holding)) {
		io->counted = false;
		door_leave(m);
		return dm_sync_clone_park(m, bio) ? DM_MAPIO_SUBMITTED : clone_go(io, bio);
	}
	io->losses = atomic_read(&m->clone.losses);
	if (!bio_sectors(bio))
		return clone_flush(io, bio);
	return io->write ? clone_write(io, bio) : clone_read(io, bio);
}

static int clone_map(struct replica_door *d, struct dm_target *ti, struct bio *bio)
{
	struct door_io *io = door_io_of(bio);
	struct dm_sync_mirror *m = d->mirror;
	int r;

	io->door = d;
	io->mirror = m;
	io->counted = io->ranged = io->cover = io->refused = io->late = false;
	bio_set_dev(bio, d->replica->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	io->write = op_is_write(bio_op(bio)) && bio_sectors(bio);
	io->flush = !bio_sectors(bio) && (bio->bi_opf & REQ_PREFLUSH);
	io->fua = bio->bi_opf & REQ_FUA;
	io->sector = bio->bi_iter.bi_sector;
	io->last = io->sector + max(bio_sectors(bio), 1u) - 1;
	if (io->write)
		cut_at_regions(io, bio);
	r = clone_go(io, bio);
	if (r != DM_MAPIO_KILL)
		return r;
	/* There is no end_io for it, but if somebody is taking its range away. */
	bio->bi_status = BLK_STS_IOERR;
	if (io->cover && io->ranged && !cover_end(io, false))
		return DM_MAPIO_SUBMITTED;
	door_io_end(io);
	return r;
}

/**
 * dm_sync_clone_door_range - which sectors I/O of a clone's replica door is about
 * @bio: the I/O
 * @sector: out: first
 * @last: out: last
 * @write: out: it is a write
 */
void dm_sync_clone_door_range(struct bio *bio, sector_t *sector, sector_t *last, bool *write)
{
	struct door_io *io = door_io_of(bio);

	*sector = io->sector;
	*last = io->last;
	*write = io->write;
}

/**
 * dm_sync_clone_door_go - what I/O of the replica door waited for was copied
 * @m: the clone
 * @bio: the I/O; the marks of a write are durable
 * @error: it was not
 *
 * Context: may sleep.
 */
void dm_sync_clone_door_go(struct dm_sync_mirror *m, struct bio *bio, int error)
{
	if (error) {
		door_io_of(bio)->refused = true;
		bio->bi_status = errno_to_blk_status(error);
		bio_endio(bio);
	} else {
		dm_submit_bio_remap(bio, NULL);
	}
}

/**
 * dm_sync_clone_door_again - the new point in time was taken: I/O begins anew
 * @m: the clone
 * @bio: the I/O
 *
 * Context: may sleep.
 */
void dm_sync_clone_door_again(struct dm_sync_mirror *m, struct bio *bio)
{
	door_mapped(m, bio, clone_go(door_io_of(bio), bio));
}

/**
 * dm_sync_clone_door_source - what a read asked for could not be copied
 * @m: the clone
 * @bio: the read; the source serves it
 *
 * Context: may sleep.
 */
void dm_sync_clone_door_source(struct dm_sync_mirror *m, struct bio *bio)
{
	door_mapped(m, bio, clone_read_source(door_io_of(bio), bio));
}

/*----------------------------------------------------------------
 * I/O of both
 *--------------------------------------------------------------*/

static int mirror_map(struct replica_door *d, struct dm_target *ti, struct bio *bio)
{
	struct dm_sync_mirror *m = d->mirror;
	struct door_io *io = door_io_of(bio);
	bool write = op_is_write(bio_op(bio));

	io->mirror = m;
	io->ranged = io->cover = false;
	io->counted = door_enter(m, write && bio_sectors(bio));
	if (!io->counted)
		return DM_MAPIO_KILL;
	bio_set_dev(bio, d->replica->bdev);
	if (bio->bi_opf & REQ_PREFLUSH)
		return DM_MAPIO_REMAPPED;
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (!write || door_mark(m, bio))
		return DM_MAPIO_REMAPPED;
	return DM_MAPIO_SUBMITTED;
}

/*
 * What the replica did not save for a host may be the copy's as well.  While the source
 * door is suspended, or gone, all of that is durable, and nothing may be written of it.
 */
static bool flush_failed(struct door_io *io, struct bio *bio)
{
	struct dm_sync_mirror *m = io->mirror;

	return io->counted && m->is_clone && (bio->bi_opf & REQ_PREFLUSH) && !io->refused &&
	       READ_ONCE(m->armed) && !READ_ONCE(m->pair.gone);
}

/* It ended well, but not what it promises: see dm-sync-clone-owe.c. */
static bool promise_broken(struct door_io *io)
{
	struct dm_sync_clone *cl = &io->mirror->clone;

	if (!io->counted || !io->mirror->is_clone)
		return false;
	return io->late || (io->flush && dm_sync_clone_tell(io->mirror, &cl->told, io->losses)) ||
	       (io->fua && dm_sync_clone_tell(io->mirror, &cl->told_fua, io->losses));
}

static int mirror_end_io(struct bio *bio, blk_status_t *error)
{
	struct door_io *io = door_io_of(bio);

	if (io->cover && io->ranged && !cover_end(io, !*error))
		return DM_ENDIO_INCOMPLETE;
	if (unlikely(*error)) {
		if (flush_failed(io, bio)) {
			dm_sync_clone_unflushed(io->mirror, false);
			dm_sync_break(io->mirror, DM_SYNC_REASON_REPLICA_FLUSH_ERROR);
		}
	} else if (promise_broken(io)) {
		*error = BLK_STS_IOERR;
	}
	door_io_end(io);
	return DM_ENDIO_DONE;
}

/*----------------------------------------------------------------
 * I/O
 *--------------------------------------------------------------*/

static int replica_map(struct dm_target *ti, struct bio *bio)
{
	struct replica_door *d = ti->private;

	if (d->mirror && d->mirror->is_clone)
		return clone_map(d, ti, bio);
	return d->mirror ? mirror_map(d, ti, bio) : dm_sync_image_map(&d->image, ti, bio);
}

static int replica_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct replica_door *d = ti->private;

	return d->mirror ? mirror_end_io(bio, error) : dm_sync_image_end_io(bio, error);
}

/*----------------------------------------------------------------
 * Which pair
 *--------------------------------------------------------------*/

static int source_door_dev(struct dm_target *ti, const char *arg, dev_t *dev)
{
	unsigned int major, minor;
	char dummy;

	if (sscanf(arg, "%u:%u%c", &major, &minor, &dummy) == 2) {
		*dev = MKDEV(major, minor);
		return 0;
	}
	ti->error = "There is no such source door";
	return lookup_bdev(arg, dev);
}

static int take_image(struct dm_target *ti, struct replica_door *d, struct dm_sync_store *s,
		      const char *name)
{
	if (!name) {
		ti->error = "This source door has images: name one";
		return -EINVAL;
	}
	d->image.image = dm_sync_image_find(s, name);
	if (!d->image.image) {
		ti->error = "There is no image of that name";
		return -ENOENT;
	}
	d->pair = &d->image.image->pair;
	return 0;
}

static int take_mirror(struct dm_target *ti, struct replica_door *d,
		       struct dm_sync_pair *pair, const char *name)
{
	d->pair = pair;
	if (name) {
		ti->error = "Mirrors and clones have no images";
		return -EINVAL;
	}
	d->mirror = to_mirror(pair);
	return 0;
}

/*
 * Its source door may have become another kind's while we looked: whose pair it is, the
 * pair says.  Sets d->pair also when it then fails.
 */
static int find_pair(struct dm_target *ti, struct replica_door *d, dev_t door,
		     const char *name)
{
	struct dm_sync_store *s = dm_sync_store_find_door(door);
	struct dm_sync_pair *pair;
	int r;

	if (s) {
		r = take_image(ti, d, s, name);
		dm_sync_store_put(s);
		return r;
	}
	pair = dm_sync_pair_find_door(door);
	if (pair && pair->state.sync_type != DM_SYNC_SYNC_TYPE_SNAPSHOT)
		return take_mirror(ti, d, pair, name);
	d->pair = pair;
	ti->error = "The device is not the source door of an active pair";
	return -ENODEV;
}

static int check_size(struct dm_target *ti, struct replica_door *d)
{
	sector_t sectors = d->mirror ? d->mirror->sectors : d->image.image->store->sectors;

	if (!ti->begin && ti->len == sectors)
		return 0;
	ti->error = "The replica door must be as large as its source door";
	return -EINVAL;
}

/*----------------------------------------------------------------
 * Construction
 *--------------------------------------------------------------*/

static int open_device(struct dm_target *ti, dev_t dev, blk_mode_t mode, struct dm_dev **opened,
		       char *error)
{
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%u:%u", MAJOR(dev), MINOR(dev));
	r = dm_get_device(ti, name, mode, opened);
	if (r) {
		*opened = NULL;
		ti->error = error;
	}
	return r;
}

static int open_devices(struct dm_target *ti, struct replica_door *d)
{
	int r = open_device(ti, d->pair->replica_dev, dm_table_get_mode(ti->table), &d->replica,
			    d->mirror ? "Cannot open the replica" : "Cannot open the store");

	if (r || (d->mirror && !d->mirror->is_clone))
		return r;
	r = open_device(ti, d->pair->source_dev, BLK_OPEN_READ, &d->source,
			"Cannot open the source");
	if (r || d->mirror)
		return r;
	d->image.source = d->source->bdev;
	d->image.store = d->replica->bdev;
	return 0;
}

/*
 * Zeroes can be written into a slot only as the store can; a discard becomes that.  The
 * replica of a clone is a device of its own, and gets both as they are.
 */
static void set_limits(struct dm_target *ti, struct replica_door *d)
{
	bool takes = !d->mirror || d->mirror->is_clone;
	bool zeroes = takes && bdev_write_zeroes_sectors(d->replica->bdev);

	ti->num_flush_bios = 1;
	/* It makes durable more than what a disk without a cache has. */
	ti->flush_supported = takes;
	ti->num_write_zeroes_bios = zeroes;
	ti->num_discard_bios = takes && (zeroes || d->mirror) &&
			       bdev_max_discard_sectors(d->replica->bdev);
	ti->per_io_data_size = d->mirror ? sizeof(struct door_io) : dm_sync_image_io_size();
	ti->accounts_remapped_io = true;
}

static int construct(struct dm_target *ti, struct replica_door *d, unsigned int argc, char **argv)
{
	dev_t dev;
	int r = source_door_dev(ti, argv[0], &dev);

	if (!r)
		r = find_pair(ti, d, dev, argc > 1 ? argv[1] : NULL);
	if (!r)
		r = check_size(ti, d);
	if (!r)
		r = open_devices(ti, d);
	return r;
}

static void door_free(struct dm_target *ti, struct replica_door *d)
{
	if (d->source)
		dm_put_device(ti, d->source);
	if (d->replica)
		dm_put_device(ti, d->replica);
	if (d->pair)
		dm_sync_pair_put(d->pair);
	kfree(d);
}

static int replica_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct replica_door *d;
	int r;

	if (argc != 1 && argc != 2) {
		ti->error = "Arguments: <source door> [<image>]";
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d) {
		ti->error = "Cannot allocate the replica door";
		return -ENOMEM;
	}
	r = construct(ti, d, argc, argv);
	if (!r && d->mirror && d->mirror->is_clone)	/* each I/O is of one region */
		r = dm_set_target_max_io_len(ti, 1u << d->mirror->region_shift);
	if (r) {
		door_free(ti, d);
		return r;
	}
	if (d->image.image)
		dm_sync_image_door_add(d->image.image, &d->image,
				       dm_table_get_md(ti->table));
	set_limits(ti, d);
	ti->private = d;
	return 0;
}

static void replica_dtr(struct dm_target *ti)
{
	struct replica_door *d = ti->private;

	if (d->image.image)
		dm_sync_image_door_remove(d->image.image, &d->image);
	door_free(ti, d);
}

/*----------------------------------------------------------------
 * Status
 *--------------------------------------------------------------*/

/* Chunks that the image's host wrote. */
static u64 image_written(struct dm_sync_image *image)
{
	const struct dm_sync_view_image *view;
	u64 nr;

	rcu_read_lock();
	view = rcu_dereference(image->view);
	nr = view ? READ_ONCE(view->own.nr) : 0;
	rcu_read_unlock();
	return nr;
}

/*
 * INFO, in this order for ever: <access> <regions or chunks that were written through it>
 * TABLE: as the constructor takes it
 */
static void replica_status(struct dm_target *ti, status_type_t type,
			   unsigned int status_flags, char *result, unsigned int maxlen)
{
	static const char *const access[] = { "none", "ro", "rw" };
	struct replica_door *d = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%s %llu", access[READ_ONCE(d->pair->door_access)],
		       d->mirror ? dm_sync_map_count(d->mirror->replica_map) :
				   image_written(d->image.image));
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%u:%u", MAJOR(d->pair->door), MINOR(d->pair->door));
		if (d->image.image)
			DMEMIT(" %s", d->image.image->name);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int replica_iterate(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct replica_door *d = ti->private;
	int r;

	if (d->mirror) {
		r = fn(ti, d->replica, 0, ti->len, data);
		/* A clone's reads may be the source's. */
		return r || !d->source ? r : fn(ti, d->source, 0, ti->len, data);
	}
	/* The store may be smaller than the image; what counts is what it demands. */
	r = fn(ti, d->replica, 0, 1u << d->image.image->store->chunk_shift, data);
	return r ?: fn(ti, d->source, 0, ti->len, data);
}

static struct target_type replica_target = {
	.name = "sync-replica",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON,
	.module = THIS_MODULE,
	.ctr = replica_ctr,
	.dtr = replica_dtr,
	.map = replica_map,
	.end_io = replica_end_io,
	.status = replica_status,
	.iterate_devices = replica_iterate,
};

int dm_sync_replica_register(void)
{
	return dm_register_target(&replica_target);
}

void dm_sync_replica_unregister(void)
{
	dm_unregister_target(&replica_target);
}

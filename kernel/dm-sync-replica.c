// SPDX-License-Identifier: GPL-2.0-only
/*
 * The replica door: target "sync-replica".
 *
 *	0 <sectors> sync-replica <source door>
 *
 * Through it, and only through it, may hosts use the replica; so the pair
 * knows what they wrote.  Whether they may is a function of the pair's state
 * (semantics §4.3) and looked up for every bio:
 *
 *	enter	 count the bio, then look at the access.  Whoever takes the access
 *		 away first changes it, then waits until the count is 0; so no bio
 *		 that was let in is still under way when the copy starts.
 *	write	 its regions are marked in the replica map, durably, before it is
 *		 issued: the same rule M, from the other side.
 *
 * The source door is named, not opened: it may be mounted, and device-mapper
 * opens devices exclusively.  A pair that goes leaves a door that refuses all
 * I/O; nothing of the pair is freed while the door refers to it.
 */
#include "dm-sync-mirror.h"

#define DM_MSG_PREFIX "sync-replica"

struct replica_door {
	struct dm_sync_mirror *mirror;
	struct dm_dev *replica;
};

struct door_io {
	struct dm_sync_mirror *mirror;
	bool counted;
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
		if (error) {
			bio->bi_status = errno_to_blk_status(error);
			bio_endio(bio);
		} else {
			dm_submit_bio_remap(bio, NULL);
		}
	}
}

static int replica_map(struct dm_target *ti, struct bio *bio)
{
	struct replica_door *d = ti->private;
	struct dm_sync_mirror *m = d->mirror;
	struct door_io *io = door_io_of(bio);
	bool write = op_is_write(bio_op(bio));

	io->mirror = m;
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

static int replica_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct door_io *io = door_io_of(bio);

	if (io->counted) {
		io->counted = false;
		door_leave(io->mirror);
	}
	return DM_ENDIO_DONE;
}

/*----------------------------------------------------------------
 * Construction
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

static int find_mirror(struct dm_target *ti, const char *arg, struct dm_sync_mirror **mirror)
{
	struct dm_sync_pair *pair;
	dev_t dev;
	int r = source_door_dev(ti, arg, &dev);

	if (r)
		return r;
	pair = dm_sync_pair_find_door(dev);
	if (!pair) {
		ti->error = "The device is not the source door of an active pair";
		return -ENODEV;
	}
	*mirror = to_mirror(pair);
	if (!ti->begin && ti->len == (*mirror)->sectors)
		return 0;
	ti->error = "The replica door must be as large as its source door";
	dm_sync_pair_put(pair);
	return -EINVAL;
}

static int open_replica(struct dm_target *ti, struct replica_door *d)
{
	dev_t dev = d->mirror->pair.replica_dev;
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%u:%u", MAJOR(dev), MINOR(dev));
	r = dm_get_device(ti, name, dm_table_get_mode(ti->table), &d->replica);
	if (r)
		ti->error = "Cannot open the replica";
	return r;
}

static int replica_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct replica_door *d;
	int r;

	if (argc != 1) {
		ti->error = "Arguments: <source door>";
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d) {
		ti->error = "Cannot allocate the replica door";
		return -ENOMEM;
	}
	r = find_mirror(ti, argv[0], &d->mirror);
	if (r)
		goto bad_mirror;
	r = open_replica(ti, d);
	if (r)
		goto bad_replica;
	ti->private = d;
	ti->num_flush_bios = 1;
	ti->per_io_data_size = sizeof(struct door_io);
	ti->accounts_remapped_io = true;
	return 0;

bad_replica:
	dm_sync_pair_put(&d->mirror->pair);
bad_mirror:
	kfree(d);
	return r;
}

static void replica_dtr(struct dm_target *ti)
{
	struct replica_door *d = ti->private;

	dm_put_device(ti, d->replica);
	dm_sync_pair_put(&d->mirror->pair);
	kfree(d);
}

static void replica_status(struct dm_target *ti, status_type_t type,
			   unsigned int status_flags, char *result, unsigned int maxlen)
{
	static const char *const access[] = { "none", "ro", "rw" };
	struct replica_door *d = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%s %llu", access[READ_ONCE(d->mirror->pair.door_access)],
		       dm_sync_map_count(d->mirror->replica_map));
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%u:%u", MAJOR(d->mirror->pair.door), MINOR(d->mirror->pair.door));
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int replica_iterate(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct replica_door *d = ti->private;

	return fn(ti, d->replica, 0, ti->len, data);
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

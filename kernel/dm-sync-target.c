// SPDX-License-Identifier: GPL-2.0-only
/*
 * The source door: target "sync".
 *
 *	0 <sectors> sync <personality> <source> <replica> <meta|-> <region> [<#opts> <opt>...]
 *
 * Here are device-mapper's callbacks and what is the same for all personalities
 * of a table line; the personality does the rest.  The constructor reads and
 * writes nothing (rule L).
 */
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "dm-sync-freeze.h"
#include "dm-sync-mirror.h"
#include "dm-sync-target.h"

#define DM_MSG_PREFIX "sync"

#define REGION_MIN_SECTORS	8u
#define REGION_MAX_SECTORS	2097152u
#define REGIONS_MAX		(1ULL << 32)

/* The first answers for a line that names none. */
static const struct dm_sync_personality *const personalities[] = {
	&dm_sync_mirror_personality,
	&dm_sync_snapshot_personality,
	&dm_sync_clone_personality,
};

/*----------------------------------------------------------------
 * Construction
 *--------------------------------------------------------------*/

static const struct dm_sync_personality *personality_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(personalities); i++)
		if (!strcasecmp(personalities[i]->name, name))
			return personalities[i];
	return NULL;
}

static int parse_region(struct dm_target *ti, struct dm_sync_config *c, const char *arg)
{
	ti->error = "Region size is a power of two, 8 to 2097152 sectors";
	if (kstrtou32(arg, 10, &c->region_sectors) ||
	    c->region_sectors < REGION_MIN_SECTORS ||
	    c->region_sectors > REGION_MAX_SECTORS ||
	    !is_power_of_2(c->region_sectors))
		return -EINVAL;
	if (ti->len > REGIONS_MAX * (u64)c->region_sectors) {
		ti->error = "Too many regions: choose a larger region size";
		return -EINVAL;
	}
	return 0;
}

/**
 * dm_sync_door_open - open a device of a table line
 * @ti: the instance, being constructed
 * @path: the device
 * @dev: out: a member of struct dm_sync_door; NULL when it failed
 * @error: for ti->error, when it failed
 *
 * It is closed when the instance goes, also when its construction fails.
 *
 * Context: constructor; may sleep.
 * Return: 0 or a negative errno.
 */
int dm_sync_door_open(struct dm_target *ti, const char *path, struct dm_dev **dev,
		      char *error)
{
	int r = dm_get_device(ti, path, dm_table_get_mode(ti->table), dev);

	if (r) {
		*dev = NULL;
		ti->error = error;
	}
	return r;
}

static void close_devices(struct dm_target *ti, struct dm_sync_door *d)
{
	if (d->delta)
		dm_put_device(ti, d->delta);
	if (d->meta)
		dm_put_device(ti, d->meta);
	if (d->replica)
		dm_put_device(ti, d->replica);
	if (d->source)
		dm_put_device(ti, d->source);
}

static int construct(struct dm_target *ti, struct dm_sync_door *d, unsigned int argc,
		     char **argv)
{
	struct dm_arg_set as = { .argc = argc - 5, .argv = argv + 5 };
	int r;

	d->config = *d->kind->defaults;
	r = parse_region(ti, &d->config, argv[4]);
	if (!r)
		r = dm_sync_options_parse(ti, d->kind, &as, &d->config);
	if (!r)
		r = d->kind->attach(d, ti, argv + 1);
	return r;
}

static int sync_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	const struct dm_sync_personality *kind = argc ? personality_find(argv[0]) : NULL;
	struct dm_sync_door *d;
	int r;

	if (argc < 5) {
		ti->error = (kind ?: personalities[0])->arguments;
		return -EINVAL;
	}
	if (!kind) {
		ti->error = "The kind of pair must be mirror, snapshot or clone";
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d) {
		ti->error = "Cannot allocate the source door";
		return -ENOMEM;
	}
	d->kind = kind;
	r = construct(ti, d, argc, argv);
	if (r) {
		close_devices(ti, d);
		kfree(d);
		return r;
	}
	ti->private = d;
	return 0;
}

static void sync_dtr(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;

	d->kind->detach(d);
	close_devices(ti, d);
	kfree(d);
}

/*----------------------------------------------------------------
 * I/O and life: the personality's business
 *--------------------------------------------------------------*/

static int sync_map(struct dm_target *ti, struct bio *bio)
{
	struct dm_sync_door *d = ti->private;

	return d->kind->map(d, ti, bio);
}

static int sync_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct dm_sync_door *d = ti->private;

	return d->kind->end_io(d, bio, error);
}

static int sync_preresume(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;
	unsigned int noio = memalloc_noio_save();
	int r;

	/* Reclaim could wait for this very device. */
	r = d->kind->preresume(d, ti);
	memalloc_noio_restore(noio);
	return r;
}

static void sync_resume(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;
	unsigned int noio = memalloc_noio_save();

	d->kind->resume(d);
	memalloc_noio_restore(noio);
}

static void sync_presuspend(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;

	d->kind->presuspend(d, ti);
}

static void sync_presuspend_undo(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;

	d->kind->presuspend_undo(d, ti);
}

static void sync_postsuspend(struct dm_target *ti)
{
	struct dm_sync_door *d = ti->private;

	d->kind->postsuspend(d, ti);
}

static void sync_status(struct dm_target *ti, status_type_t type,
			unsigned int status_flags, char *result, unsigned int maxlen)
{
	struct dm_sync_door *d = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		d->kind->info(d, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		d->kind->table(d, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int sync_message(struct dm_target *ti, unsigned int argc, char **argv,
			char *result, unsigned int maxlen)
{
	struct dm_sync_door *d = ti->private;

	return d->kind->message(d, argc, argv);
}

static int sync_iterate(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct dm_sync_door *d = ti->private;

	return d->kind->iterate(d, ti, fn, data);
}

static void sync_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct dm_sync_door *d = ti->private;

	d->kind->limits(d, ti, limits);
}

/*----------------------------------------------------------------
 * Module
 *--------------------------------------------------------------*/

static struct target_type sync_target = {
	.name = "sync",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON,
	.module = THIS_MODULE,
	.ctr = sync_ctr,
	.dtr = sync_dtr,
	.map = sync_map,
	.end_io = sync_end_io,
	.preresume = sync_preresume,
	.resume = sync_resume,
	.presuspend = sync_presuspend,
	.presuspend_undo = sync_presuspend_undo,
	.postsuspend = sync_postsuspend,
	.status = sync_status,
	.message = sync_message,
	.iterate_devices = sync_iterate,
	.io_hints = sync_io_hints,
};

static int __init dm_sync_init(void)
{
	int r = dm_sync_mirror_module_init();

	if (r)
		return r;
	r = dm_sync_copy_module_init();
	if (r)
		goto bad_copy;
	r = dm_sync_freeze_module_init();
	if (r)
		goto bad_freeze;
	r = dm_sync_netlink_init();
	if (r)
		goto bad_netlink;
	r = dm_register_target(&sync_target);
	if (r)
		goto bad_target;
	r = dm_sync_replica_register();
	if (r)
		goto bad_replica;
	return 0;

bad_replica:
	dm_unregister_target(&sync_target);
bad_target:
	dm_sync_netlink_exit();
bad_netlink:
	dm_sync_freeze_module_exit();
bad_freeze:
	dm_sync_copy_module_exit();
bad_copy:
	dm_sync_mirror_module_exit();
	return r;
}

static void __exit dm_sync_exit(void)
{
	dm_sync_replica_unregister();
	dm_unregister_target(&sync_target);
	dm_sync_netlink_exit();
	dm_sync_freeze_module_exit();
	dm_sync_copy_module_exit();
	rcu_barrier();
	dm_sync_mirror_module_exit();
	dm_sync_pair_module_exit();
}

module_init(dm_sync_init);
module_exit(dm_sync_exit);

MODULE_VERSION(DM_SYNC_VERSION);
MODULE_DESCRIPTION("dm-sync: replicas of block devices: mirrors, snapshots, clones");
MODULE_AUTHOR("The dm-sync developers");
MODULE_ALIAS("dm-sync-replica");
MODULE_LICENSE("GPL");

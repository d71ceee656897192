// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mirror, or a clone, behind a source door.
 *
 *	0 <sectors> sync mirror <source> <replica> <meta|-> <region> [<#opts> <opt>...]
 *	0 <sectors> sync clone  <source> <replica> <meta|-> <region> [<#opts> <opt>...]
 *
 * Here is what they demand of its devices, its status lines and messages;
 * the engine does the rest.
 */
#include "dm-sync-mirror.h"
#include "dm-sync-names.h"
#include "dm-sync-target.h"

#define DM_MSG_PREFIX "sync"

static struct dm_sync_mirror *mirror_of(struct dm_sync_door *d)
{
	return d->context;
}

static struct block_device *bdev_of(struct dm_dev *dev)
{
	return dev ? dev->bdev : NULL;
}

static struct dm_sync_devices devices_of(struct dm_sync_door *d)
{
	return (struct dm_sync_devices) {
		.source = d->source->bdev, .replica = d->replica->bdev,
		.meta = bdev_of(d->meta), .delta = bdev_of(d->delta),
	};
}

/*----------------------------------------------------------------
 * Devices
 *--------------------------------------------------------------*/

static int open_devices(struct dm_target *ti, struct dm_sync_door *d, char **words)
{
	int r = dm_sync_door_open(ti, words[0], &d->source, "Cannot open the source");

	if (!r)
		r = dm_sync_door_open(ti, words[1], &d->replica, "Cannot open the replica");
	if (!r && strcmp(words[2], "-"))
		r = dm_sync_door_open(ti, words[2], &d->meta,
				      "Cannot open the metadata device");
	if (!r && d->config.delta)
		r = dm_sync_door_open(ti, d->config.delta, &d->delta,
				      "Cannot open the delta device");
	d->config.delta = d->delta ? d->delta->name : NULL;
	return r;
}

/* What goes together, and can be told without a device. */
static int check_delta_option(struct dm_target *ti, const struct dm_sync_config *c)
{
	bool needs = c->methodology == DM_SYNC_COPY_METHODOLOGY_SNAP_AND_CLONE;

	if (needs == !!c->delta)
		return 0;
	ti->error = needs ? "The methodology snap_and_clone needs the option delta:<device>" :
			    "The option delta is for the methodology snap_and_clone";
	return -EINVAL;
}

static int check_delta(struct dm_target *ti, struct dm_sync_door *d)
{
	struct dm_sync_devices dev = devices_of(d);
	struct block_device *delta = dev.delta;

	if (!delta)
		return 0;
	if (delta == dev.source || delta == dev.replica || delta == dev.meta)
		ti->error = "The delta device must not be source, replica or metadata";
	else if (bdev_is_zoned(delta))
		ti->error = "Zoned devices are not supported";
	else if (bdev_logical_block_size(delta) > bdev_logical_block_size(dev.source) ||
		 bdev_logical_block_size(delta) > DM_SYNC_BLOCK_SIZE)
		ti->error = "The delta device has larger blocks than the source";
	else if (DIV_ROUND_UP_ULL(ti->len, d->config.region_sectors) >= U32_MAX)
		ti->error = "Too many regions for a delta: choose a larger region size";
	else if (!dm_sync_delta_fits(bdev_nr_sectors(delta), d->config.region_sectors))
		ti->error = "The delta device is too small";
	else
		return 0;
	return -EINVAL;
}

static int check_devices(struct dm_target *ti, struct dm_sync_door *d)
{
	struct block_device *s = d->source->bdev, *r = d->replica->bdev;
	struct block_device *m = bdev_of(d->meta);

	if (s == r)
		ti->error = "Source and replica are the same device";
	else if (m && (m == s || m == r))
		ti->error = "The metadata device must not be source or replica";
	else if (bdev_nr_sectors(s) < ti->len)
		ti->error = "The source is smaller than the table line says";
	else if (bdev_nr_sectors(r) < ti->len)
		ti->error = "The replica is smaller than the source";
	else if (bdev_is_zoned(s) || bdev_is_zoned(r) || (m && bdev_is_zoned(m)))
		ti->error = "Zoned devices are not supported";
	else if (m && bdev_logical_block_size(m) > DM_SYNC_BLOCK_SIZE)
		ti->error = "The metadata device has blocks larger than 4 KiB";
	else if (max(bdev_logical_block_size(s), bdev_logical_block_size(r)) >
		 d->config.region_sectors << SECTOR_SHIFT)
		ti->error = "The region size is smaller than the devices' blocks";
	else if (d->config.sync_type == DM_SYNC_SYNC_TYPE_CLONE &&
		 d->config.region_sectors > DM_SYNC_COPY_SECTORS)
		ti->error = "The regions of a clone are at most 2048 sectors (1 MiB)";
	else
		return 0;
	return -EINVAL;
}

static int check_meta_size(struct dm_target *ti, struct dm_sync_door *d)
{
	u64 regions = DIV_ROUND_UP_ULL(ti->len, d->config.region_sectors);
	unsigned int shift = dm_sync_extent_shift(ti->len, d->config.region_sectors);
	u32 extents = DIV_ROUND_UP_ULL(ti->len, 1ULL << shift);
	u64 blocks = dm_sync_super_blocks(d->config.sync_type == DM_SYNC_SYNC_TYPE_CLONE,
					  regions, extents);

	if (!d->meta ||
	    bdev_nr_sectors(d->meta->bdev) >= 2 * blocks * DM_SYNC_BLOCK_SECTORS)
		return 0;
	ti->error = "The metadata device is too small";
	DMERR("a pair of %llu regions needs %llu KiB of metadata", regions,
	      2 * blocks * DM_SYNC_BLOCK_SIZE >> 10);
	return -ENOSPC;
}

/*----------------------------------------------------------------
 * Construction
 *--------------------------------------------------------------*/

static void set_limits(struct dm_target *ti, struct dm_sync_door *d)
{
	struct block_device *s = d->source->bdev, *r = d->replica->bdev;
	bool zeroes = bdev_write_zeroes_sectors(s) && bdev_write_zeroes_sectors(r);

	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_write_zeroes_bios = zeroes;
	/* A discard becomes write-zeroes: what it leaves must not differ. */
	ti->num_discard_bios = zeroes && bdev_max_discard_sectors(s) &&
			       bdev_max_discard_sectors(r);
	ti->per_io_data_size = dm_sync_io_size();
	ti->accounts_remapped_io = true;
}

static int set_io_length(struct dm_target *ti, struct dm_sync_door *d)
{
	u64 extent = 1ULL << dm_sync_extent_shift(ti->len, d->config.region_sectors);

	if (ti->begin) {
		ti->error = "The table line must begin at sector 0";
		return -EINVAL;
	}
	return dm_set_target_max_io_len(ti, min_t(u64, extent, UINT_MAX));
}

static int mirror_attach(struct dm_sync_door *d, struct dm_target *ti, char **words)
{
	struct dm_sync_devices dev;
	struct dm_sync_mirror *m;
	int r;

	r = check_delta_option(ti, &d->config);
	if (!r)
		r = open_devices(ti, d, words);
	if (!r)
		r = check_devices(ti, d);
	if (!r)
		r = check_meta_size(ti, d);
	if (!r)
		r = check_delta(ti, d);
	if (!r)
		r = set_io_length(ti, d);
	if (r)
		return r;
	dev = devices_of(d);
	m = dm_sync_mirror_attach(ti, &dev, &d->config);
	if (IS_ERR(m))
		return PTR_ERR(m);
	d->context = m;
	set_limits(ti, d);
	return 0;
}

static void mirror_detach(struct dm_sync_door *d)
{
	dm_sync_mirror_forget_config(mirror_of(d), &d->config);
	dm_sync_mirror_detach(mirror_of(d));
}

/*----------------------------------------------------------------
 * I/O and life: the engine's business
 *--------------------------------------------------------------*/

static int mirror_map(struct dm_sync_door *d, struct dm_target *ti, struct bio *bio)
{
	return dm_sync_mirror_map(mirror_of(d), ti, bio);
}

static int mirror_end_io(struct dm_sync_door *d, struct bio *bio, blk_status_t *error)
{
	return dm_sync_mirror_end_io(mirror_of(d), bio, error);
}

static int mirror_preresume(struct dm_sync_door *d, struct dm_target *ti)
{
	struct dm_sync_devices dev = devices_of(d);

	return dm_sync_mirror_activate(mirror_of(d), ti, &dev, &d->config);
}

static void mirror_resume(struct dm_sync_door *d)
{
	dm_sync_mirror_resume(mirror_of(d));
}

static void mirror_presuspend(struct dm_sync_door *d, struct dm_target *ti)
{
	if (mirror_of(d)->ti == ti)
		dm_sync_mirror_presuspend(mirror_of(d));
}

static void mirror_presuspend_undo(struct dm_sync_door *d, struct dm_target *ti)
{
	if (mirror_of(d)->ti == ti)
		dm_sync_mirror_presuspend_undo(mirror_of(d));
}

static void mirror_postsuspend(struct dm_sync_door *d, struct dm_target *ti)
{
	if (mirror_of(d)->ti == ti)
		dm_sync_mirror_postsuspend(mirror_of(d));
}

static int mirror_iterate(struct dm_sync_door *d, struct dm_target *ti,
			  iterate_devices_callout_fn fn, void *data)
{
	int r = fn(ti, d->source, 0, ti->len, data);

	return r ?: fn(ti, d->replica, 0, ti->len, data);
}

static void mirror_limits(struct dm_sync_door *d, struct dm_target *ti,
			  struct queue_limits *limits)
{
	/* The same page goes to two devices and must not change in between. */
	dm_sync_want_stable_writes(ti, limits);
}

/*----------------------------------------------------------------
 * Status
 *--------------------------------------------------------------*/

/*
 * INFO, in this order for ever:
 *	mirror|clone <uuid> <copy state> <progress> <requested> <percent|-> <sync state|->
 *	<maintained 0|1> <source-changed>/<regions> <replica-changed>/<regions>
 *	<bytes per second> <limited by> <replica door> <held> <reason> <meta|volatile>
 * and of a clone with a delta
 *	<used>/<slots>
 * Names are the class's, with "_" for blanks.
 */
static void emit_name(char *result, unsigned int maxlen, unsigned int *size,
		      const char *name)
{
	unsigned int sz = *size, start = *size;

	DMEMIT("%s ", name);
	for (; start + 1 < sz && start < maxlen; start++)
		if (result[start] == ' ')
			result[start] = '_';
	*size = sz;
}

static void mirror_info(struct dm_sync_door *d, char *result, unsigned int maxlen)
{
	struct dm_sync_mirror *m = mirror_of(d);
	struct dm_sync_info *i = kmalloc(sizeof(*i), GFP_NOIO);
	unsigned int sz = 0;

	if (!i || m->passthrough) {
		DMEMIT("%s", m->passthrough ? "passthrough" : "unknown");
		kfree(i);
		return;
	}
	dm_sync_pair_info(&m->pair, i);
	DMEMIT("%s %pU ", d->kind->name, i->uuid);
	emit_name(result, maxlen, &sz, dm_sync_copy_state_name(i->copy_state));
	emit_name(result, maxlen, &sz, dm_sync_progress_status_name(i->progress));
	emit_name(result, maxlen, &sz, dm_sync_copy_state_name(i->requested));
	if (i->percent >= 0)
		DMEMIT("%d ", i->percent);
	else
		DMEMIT("- ");
	emit_name(result, maxlen, &sz, i->sync_state < 0 ? "-" :
		  dm_sync_sync_state_name(i->sync_state));
	DMEMIT("%d %llu/%llu %llu/%llu %llu ", i->sync_maintained,
	       i->source_changed, i->regions, i->replica_changed, i->regions, i->rate);
	emit_name(result, maxlen, &sz, dm_sync_limited_by_name(i->limited_by));
	emit_name(result, maxlen, &sz, dm_sync_door_access_name(i->door_access));
	DMEMIT("%u ", i->held);
	emit_name(result, maxlen, &sz, dm_sync_reason_name(i->reason));
	DMEMIT("%s", i->meta ? "meta" : "volatile");
	if (m->loaded && m->delta)
		DMEMIT(" %u/%u", READ_ONCE(m->delta->nr_used), m->delta->nr_slots);
	kfree(i);
}

/* The settings in force, as a line that the constructor takes back. */
static void mirror_table(struct dm_sync_door *d, char *result, unsigned int maxlen)
{
	struct dm_sync_mirror *m = mirror_of(d);
	struct dm_sync_config c = d->config;
	unsigned int sz = 0;

	if (m->config == &d->config) {
		c.priority = m->pair.state.priority;
		c.recovery = m->recovery;
		c.hold = m->hold;
		c.hold_max = m->hold_max;
		c.rate = READ_ONCE(m->resync.pace.rate);
	}
	DMEMIT("%s %s %s %s %u", d->kind->name, d->source->name, d->replica->name,
	       d->meta ? d->meta->name : "-", c.region_sectors);
	dm_sync_options_emit(d->kind, &c, result, maxlen, &sz);
}

/*----------------------------------------------------------------
 * Messages: <operation> [force], set <key> <value>
 *--------------------------------------------------------------*/

static int message_set(struct dm_sync_door *d, const char *key, const char *value,
		       const char **why)
{
	enum dm_sync_setting setting;
	u64 number;
	int r = dm_sync_options_setting(d->kind, key, value, &setting, &number, why);

	return r ?: dm_sync_pair_set(&mirror_of(d)->pair, setting, number, why);
}

static int message_operation(struct dm_sync_pair *p, unsigned int argc, char **argv,
			     const char **why)
{
	bool force = argc == 2 && !strcasecmp(argv[1], "force");
	unsigned int op;

	*why = "messages are \"<operation> [force]\" and \"set <key> <value>\"";
	if (argc > 2 || (argc == 2 && !force))
		return -EINVAL;
	for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_RESET_REPLICA; op++) {
		const char *name = dm_sync_operation_name(op);

		if (name && !strcasecmp(name, argv[0]))
			return dm_sync_pair_operate(p, op, force ? DM_SYNC_OP_FORCE : 0, why);
	}
	*why = "there is no such operation";
	return -EINVAL;
}

static int mirror_message(struct dm_sync_door *d, unsigned int argc, char **argv)
{
	struct dm_sync_pair *p = &mirror_of(d)->pair;
	const char *why = NULL;
	int r;

	if (argc == 3 && !strcasecmp(argv[0], "set"))
		r = message_set(d, argv[1], argv[2], &why);
	else if (argc)
		r = message_operation(p, argc, argv, &why);
	else
		r = -EINVAL;
	if (r)
		DMERR_LIMIT("%s: message %s refused: %s", p->name,
			    argc ? argv[0] : "", why ?: "no reason given");
	return r;
}

/*----------------------------------------------------------------
 * The personality
 *--------------------------------------------------------------*/

static const struct dm_sync_config mirror_defaults = {
	.sync_type = DM_SYNC_SYNC_TYPE_MIRROR,
	.copy_type = DM_SYNC_COPY_TYPE_SYNC,
	.methodology = DM_SYNC_COPY_METHODOLOGY_FULL_COPY,
	.priority = DM_SYNC_COPY_PRIORITY_LOW,
	.hold_max = DM_SYNC_HOLD_MAX,
};

#define MIRROR_CALLBACKS					\
	.attach = mirror_attach,	\
	.detach = mirror_detach,	\
	.map = mirror_map,	\
	.end_io = mirror_end_io,	\
	.preresume = mirror_preresume,	\
	.resume = mirror_resume,	\
	.presuspend = mirror_presuspend,	\
	.presuspend_undo = mirror_presuspend_undo,	\
	.postsuspend = mirror_postsuspend,	\
	.info = mirror_info,	\
	.table = mirror_table,	\
	.message = mirror_message,	\
	.iterate = mirror_iterate,	\
	.limits = mirror_limits

const struct dm_sync_personality dm_sync_mirror_personality = {
	.name = "mirror",
	.options = DM_SYNC_FOR_MIRROR,
	.arguments = "Arguments: mirror <source> <replica> <meta|-> <region> [<#opts> <opt>...]",
	.settings = "settings are priority, rate, hold, hold_max and recovery",
	.defaults = &mirror_defaults,
	MIRROR_CALLBACKS,
};

static const struct dm_sync_config clone_defaults = {
	.sync_type = DM_SYNC_SYNC_TYPE_CLONE,
	.copy_type = DM_SYNC_COPY_TYPE_UNSYNC_ASSOC,
	.methodology = DM_SYNC_COPY_METHODOLOGY_COPY_ON_WRITE,
	.priority = DM_SYNC_COPY_PRIORITY_LOW,
	.hold_max = DM_SYNC_HOLD_MAX,
};

const struct dm_sync_personality dm_sync_clone_personality = {
	.name = "clone",
	.options = DM_SYNC_FOR_CLONE,
	.arguments = "Arguments: clone <source> <replica> <meta|-> <region> [<#opts> <opt>...]",
	.settings = "settings are priority, rate, hold, hold_max and recovery",
	.defaults = &clone_defaults,
	MIRROR_CALLBACKS,
};

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The source door: target "sync".
 *
 *	0 <sectors> sync mirror <source> <replica> <meta|-> <region> [<#opts> <opt>...]
 *
 * Here is the table line and what device-mapper wants to know; the pair does
 * the rest.  The constructor reads and writes nothing (rule L).
 */
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/uuid.h>

#include "dm-sync-mirror.h"
#include "dm-sync-names.h"

#define DM_MSG_PREFIX "sync"

#define REGION_MIN_SECTORS	8u
#define REGION_MAX_SECTORS	2097152u
#define REGIONS_MAX		(1ULL << 32)
#define OPTIONS_MAX		16u

struct sync_door {
	struct dm_sync_mirror *mirror;
	struct dm_dev *source, *replica, *meta;
	struct dm_sync_config config;
};

/*----------------------------------------------------------------
 * The table line
 *--------------------------------------------------------------*/

/* One word of an option's value and the number it stands for. */
struct word {
	const char *name;
	u8 value;
};

static const struct word copy_types[] = {
	{ "sync", DM_SYNC_COPY_TYPE_SYNC }, { }
};

static const struct word methodologies[] = {
	{ "full", DM_SYNC_COPY_METHODOLOGY_FULL_COPY },
	{ "incremental", DM_SYNC_COPY_METHODOLOGY_INCREMENTAL },
	{ "differential", DM_SYNC_COPY_METHODOLOGY_DIFFERENTIAL }, { }
};

static const struct word priorities[] = {
	{ "low", DM_SYNC_COPY_PRIORITY_LOW },
	{ "same", DM_SYNC_COPY_PRIORITY_SAME },
	{ "high", DM_SYNC_COPY_PRIORITY_HIGH },
	{ "none", DM_SYNC_COPY_PRIORITY_NOT_MANAGED }, { }
};

static const struct word stops[] = {
	{ "synchronized", 0 },
	{ "initialized", DM_SYNC_COPY_STATE_INITIALIZED },
	{ "prepared", DM_SYNC_COPY_STATE_PREPARED },
	{ "inactive", DM_SYNC_COPY_STATE_INACTIVE }, { }
};

static const struct word recoveries[] = { { "auto", 0 }, { "manual", 1 }, { } };
static const struct word holds[] = { { "queue", 0 }, { "track", 1 }, { } };

/* Options whose value is one of a few words. */
static const struct {
	const char *key;
	const struct word *words;
	size_t offset;
	char *error;
} word_options[] = {
	{ "copy_type", copy_types, offsetof(struct dm_sync_config, copy_type),
	  "copy_type is sync (async is not built yet)" },
	{ "methodology", methodologies, offsetof(struct dm_sync_config, methodology),
	  "methodology is full, incremental or differential" },
	{ "priority", priorities, offsetof(struct dm_sync_config, priority),
	  "priority is low, same, high or none" },
	{ "stop_at", stops, offsetof(struct dm_sync_config, stop_at),
	  "stop_at is synchronized, initialized, prepared or inactive" },
	{ "recovery", recoveries, offsetof(struct dm_sync_config, recovery),
	  "recovery is auto or manual" },
	{ "hold", holds, offsetof(struct dm_sync_config, hold),
	  "hold is queue or track" },
};

static const struct word *word_find(const struct word *words, const char *name)
{
	for (; words->name; words++)
		if (!strcasecmp(words->name, name))
			return words;
	return NULL;
}

static const char *word_name(const struct word *words, u8 value)
{
	for (; words->name; words++)
		if (words->value == value)
			return words->name;
	return "?";
}

static u8 *config_field(struct dm_sync_config *c, unsigned int i)
{
	return (u8 *)c + word_options[i].offset;
}

/* Returns 1 when @key is one of these, 0 when it is not, or -EINVAL. */
static int parse_word(struct dm_target *ti, struct dm_sync_config *c,
		      const char *key, const char *value)
{
	const struct word *word;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(word_options); i++) {
		if (strcasecmp(word_options[i].key, key))
			continue;
		word = word_find(word_options[i].words, value);
		if (!word) {
			ti->error = word_options[i].error;
			return -EINVAL;
		}
		*config_field(c, i) = word->value;
		return 1;
	}
	return 0;
}

static int parse_value(struct dm_target *ti, struct dm_sync_config *c,
		       const char *key, const char *value)
{
	int r = parse_word(ti, c, key, value);

	if (r)
		return r < 0 ? r : 0;
	if (!strcasecmp(key, "rate")) {
		ti->error = "rate is a number of bytes per second";
		return kstrtou64(value, 10, &c->rate);
	}
	if (!strcasecmp(key, "hold_max")) {
		ti->error = "hold_max is 1 to 3600 seconds";
		r = kstrtou32(value, 10, &c->hold_max);
		return r ?: !c->hold_max || c->hold_max > DM_SYNC_HOLD_LIMIT ? -EINVAL : 0;
	}
	if (!strcasecmp(key, "uuid")) {
		ti->error = "uuid has the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
		c->have_uuid = true;
		return uuid_parse(value, (uuid_t *)c->uuid);
	}
	if (!strcasecmp(key, "on_source_error")) {
		ti->error = "on_source_error is error (failover is not built yet)";
		return strcasecmp(value, "error") ? -EINVAL : 0;
	}
	ti->error = "Unknown option";
	return -EINVAL;
}

static int parse_option(struct dm_target *ti, struct dm_sync_config *c, char *option)
{
	char *value = strchr(option, ':');
	int r;

	if (value) {
		*value = '\0';
		r = parse_value(ti, c, option, value + 1);
		*value = ':';
		return r;
	}
	if (!strcasecmp(option, "assume_in_sync")) {
		c->assume_in_sync = true;
		return 0;
	}
	if (!strcasecmp(option, "format")) {
		c->format = true;
		return 0;
	}
	ti->error = "Unknown option";
	return -EINVAL;
}

static int parse_options(struct dm_target *ti, struct dm_sync_config *c,
			 struct dm_arg_set *as)
{
	static const struct dm_arg args[] = {
		{ 0, OPTIONS_MAX, "Invalid number of options" },
	};
	unsigned int n;
	int r;

	*c = (struct dm_sync_config) {
		.region_sectors = c->region_sectors,
		.copy_type = DM_SYNC_COPY_TYPE_SYNC,
		.methodology = DM_SYNC_COPY_METHODOLOGY_FULL_COPY,
		.priority = DM_SYNC_COPY_PRIORITY_LOW,
		.hold_max = DM_SYNC_HOLD_MAX,
	};
	if (!as->argc)
		return 0;
	r = dm_read_arg_group(args, as, &n, &ti->error);
	if (r)
		return r;
	while (n--) {
		r = parse_option(ti, c, (char *)dm_shift_arg(as));
		if (r)
			return r;
	}
	if (as->argc) {
		ti->error = "More words than the number of options says";
		return -EINVAL;
	}
	return 0;
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

/*----------------------------------------------------------------
 * Devices
 *--------------------------------------------------------------*/

static void put_devices(struct dm_target *ti, struct sync_door *d)
{
	if (d->meta)
		dm_put_device(ti, d->meta);
	if (d->replica)
		dm_put_device(ti, d->replica);
	if (d->source)
		dm_put_device(ti, d->source);
}

static int open_device(struct dm_target *ti, const char *path, struct dm_dev **dev,
		      char *error)
{
	int r = dm_get_device(ti, path, dm_table_get_mode(ti->table), dev);

	if (r) {
		*dev = NULL;
		ti->error = error;
	}
	return r;
}

static int get_devices(struct dm_target *ti, struct sync_door *d, char **argv)
{
	int r = open_device(ti, argv[0], &d->source, "Cannot open the source");

	if (!r)
		r = open_device(ti, argv[1], &d->replica, "Cannot open the replica");
	if (!r && strcmp(argv[2], "-"))
		r = open_device(ti, argv[2], &d->meta, "Cannot open the metadata device");
	return r;
}

static int check_devices(struct dm_target *ti, struct sync_door *d)
{
	struct block_device *s = d->source->bdev, *r = d->replica->bdev;
	struct block_device *m = d->meta ? d->meta->bdev : NULL;

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
	else
		return 0;
	return -EINVAL;
}

static int check_meta_size(struct dm_target *ti, struct sync_door *d)
{
	u64 regions = DIV_ROUND_UP_ULL(ti->len, d->config.region_sectors);
	unsigned int shift = dm_sync_extent_shift(ti->len, d->config.region_sectors);
	u32 extents = DIV_ROUND_UP_ULL(ti->len, 1ULL << shift);
	u64 blocks = 1 + dm_sync_activity_nr_blocks(extents) +
		     2ULL * dm_sync_map_nr_blocks(regions);

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

static void set_limits(struct dm_target *ti, struct sync_door *d)
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

static int set_io_length(struct dm_target *ti, struct sync_door *d)
{
	u64 extent = 1ULL << dm_sync_extent_shift(ti->len, d->config.region_sectors);

	if (ti->begin) {
		ti->error = "The table line must begin at sector 0";
		return -EINVAL;
	}
	return dm_set_target_max_io_len(ti, min_t(u64, extent, UINT_MAX));
}

static int construct(struct dm_target *ti, struct sync_door *d, unsigned int argc,
		     char **argv)
{
	struct dm_arg_set as = { .argc = argc - 5, .argv = argv + 5 };
	int r;

	r = parse_region(ti, &d->config, argv[4]);
	if (!r)
		r = parse_options(ti, &d->config, &as);
	if (!r)
		r = get_devices(ti, d, argv + 1);
	if (!r)
		r = check_devices(ti, d);
	if (!r)
		r = check_meta_size(ti, d);
	if (!r)
		r = set_io_length(ti, d);
	return r;
}

static int sync_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct sync_door *d;
	int r = -EINVAL;

	if (argc < 5) {
		ti->error = "Arguments: mirror <source> <replica> <meta|-> <region> [<#opts> <opt>...]";
		return -EINVAL;
	}
	if (strcasecmp(argv[0], "mirror")) {
		ti->error = "The kind of pair must be mirror";
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d) {
		ti->error = "Cannot allocate the source door";
		return -ENOMEM;
	}
	r = construct(ti, d, argc, argv);
	if (r)
		goto bad;
	d->mirror = dm_sync_mirror_attach(ti, d->source->bdev, d->replica->bdev,
					  d->meta ? d->meta->bdev : NULL, &d->config);
	if (IS_ERR(d->mirror)) {
		r = PTR_ERR(d->mirror);
		goto bad;
	}
	set_limits(ti, d);
	ti->private = d;
	return 0;

bad:
	put_devices(ti, d);
	kfree(d);
	return r;
}

static void sync_dtr(struct dm_target *ti)
{
	struct sync_door *d = ti->private;

	dm_sync_mirror_forget_config(d->mirror, &d->config);
	dm_sync_mirror_detach(d->mirror);
	put_devices(ti, d);
	kfree(d);
}

/*----------------------------------------------------------------
 * I/O and life: the pair's business
 *--------------------------------------------------------------*/

static int sync_map(struct dm_target *ti, struct bio *bio)
{
	struct sync_door *d = ti->private;

	return dm_sync_mirror_map(d->mirror, ti, bio);
}

static int sync_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct sync_door *d = ti->private;

	return dm_sync_mirror_end_io(d->mirror, bio, error);
}

static int sync_preresume(struct dm_target *ti)
{
	struct sync_door *d = ti->private;
	unsigned int noio = memalloc_noio_save();
	int r;

	/* Reclaim could wait for this very device. */
	r = dm_sync_mirror_activate(d->mirror, ti, d->source->bdev, d->replica->bdev,
				    d->meta ? d->meta->bdev : NULL, &d->config);
	memalloc_noio_restore(noio);
	return r;
}

static void sync_resume(struct dm_target *ti)
{
	struct sync_door *d = ti->private;
	unsigned int noio = memalloc_noio_save();

	dm_sync_mirror_resume(d->mirror);
	memalloc_noio_restore(noio);
}

static void sync_presuspend(struct dm_target *ti)
{
	struct sync_door *d = ti->private;

	if (d->mirror->ti == ti)
		dm_sync_mirror_presuspend(d->mirror);
}

static void sync_presuspend_undo(struct dm_target *ti)
{
	struct sync_door *d = ti->private;

	if (d->mirror->ti == ti)
		dm_sync_mirror_presuspend_undo(d->mirror);
}

static void sync_postsuspend(struct dm_target *ti)
{
	struct sync_door *d = ti->private;

	if (d->mirror->ti == ti)
		dm_sync_mirror_postsuspend(d->mirror);
}

static int sync_iterate(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct sync_door *d = ti->private;
	int r = fn(ti, d->source, 0, ti->len, data);

	return r ?: fn(ti, d->replica, 0, ti->len, data);
}

static void sync_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	/* The same page goes to two devices and must not change in between. */
	dm_sync_want_stable_writes(ti, limits);
}

/*----------------------------------------------------------------
 * Status
 *--------------------------------------------------------------*/

/*
 * INFO, in this order for ever:
 *	mirror <uuid> <copy state> <progress> <requested> <percent|-> <sync state|->
 *	<maintained 0|1> <source-changed>/<regions> <replica-changed>/<regions>
 *	<bytes per second> <limited by> <replica door> <held> <reason> <meta|volatile>
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

static void status_info(struct dm_sync_mirror *m, char *result, unsigned int maxlen)
{
	struct dm_sync_info *i = kmalloc(sizeof(*i), GFP_NOIO);
	unsigned int sz = 0;

	if (!i || m->passthrough) {
		DMEMIT("%s", m->passthrough ? "passthrough" : "unknown");
		kfree(i);
		return;
	}
	dm_sync_pair_info(&m->pair, i);
	DMEMIT("mirror %pU ", i->uuid);
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
	kfree(i);
}

/* The settings in force, as a line that the constructor takes back. */
static void status_table(struct sync_door *d, char *result, unsigned int maxlen)
{
	struct dm_sync_config c = d->config;
	struct dm_sync_mirror *m = d->mirror;
	unsigned int i, sz = 0, n = ARRAY_SIZE(word_options) + 2;

	if (m->config == &d->config) {
		c.priority = m->pair.state.priority;
		c.recovery = m->recovery;
		c.hold = m->hold;
		c.hold_max = m->hold_max;
		c.rate = READ_ONCE(m->resync.pace.rate);
	}
	DMEMIT("mirror %s %s %s %u %u", d->source->name, d->replica->name,
	       d->meta ? d->meta->name : "-", c.region_sectors,
	       n + c.have_uuid + c.assume_in_sync);
	for (i = 0; i < ARRAY_SIZE(word_options); i++)
		DMEMIT(" %s:%s", word_options[i].key,
		       word_name(word_options[i].words, *config_field(&c, i)));
	DMEMIT(" rate:%llu hold_max:%u", c.rate, c.hold_max);
	if (c.have_uuid)
		DMEMIT(" uuid:%pU", c.uuid);
	if (c.assume_in_sync)
		DMEMIT(" assume_in_sync");
}

static void sync_status(struct dm_target *ti, status_type_t type,
			unsigned int status_flags, char *result, unsigned int maxlen)
{
	struct sync_door *d = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		status_info(d->mirror, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(d, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

/*----------------------------------------------------------------
 * Messages: <operation> [force], set <key> <value>
 *--------------------------------------------------------------*/

static int message_word(struct dm_sync_pair *p, const char *key, const char *value,
			const char **why)
{
	const struct word *w;

	if (!strcasecmp(key, "priority")) {
		w = word_find(priorities, value);
		return w ? dm_sync_pair_set(p, DM_SYNC_SETTING_PRIORITY, w->value, why) : -EINVAL;
	}
	if (!strcasecmp(key, "hold")) {
		w = word_find(holds, value);
		return w ? dm_sync_pair_set(p, DM_SYNC_SETTING_HOLD, w->value, why) : -EINVAL;
	}
	if (!strcasecmp(key, "recovery")) {
		w = word_find(recoveries, value);
		return w ? dm_sync_pair_set(p, DM_SYNC_SETTING_RECOVERY, w->value, why) : -EINVAL;
	}
	*why = "settings are priority, rate, hold, hold_max and recovery";
	return -EINVAL;
}

static int message_set(struct dm_sync_pair *p, const char *key, const char *value,
		       const char **why)
{
	u64 number;

	*why = "the value is not one of those allowed";
	if (!strcasecmp(key, "rate"))
		return kstrtou64(value, 10, &number) ? -EINVAL :
		       dm_sync_pair_set(p, DM_SYNC_SETTING_LIMIT, number, why);
	if (!strcasecmp(key, "hold_max"))
		return kstrtou64(value, 10, &number) || number > U32_MAX ? -EINVAL :
		       dm_sync_pair_set(p, DM_SYNC_SETTING_HOLD_MAX, number, why);
	return message_word(p, key, value, why);
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

static int sync_message(struct dm_target *ti, unsigned int argc, char **argv,
			char *result, unsigned int maxlen)
{
	struct sync_door *d = ti->private;
	struct dm_sync_pair *p = &d->mirror->pair;
	const char *why = NULL;
	int r;

	if (argc == 3 && !strcasecmp(argv[0], "set"))
		r = message_set(p, argv[1], argv[2], &why);
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
	dm_sync_copy_module_exit();
	rcu_barrier();
	dm_sync_mirror_module_exit();
	dm_sync_pair_module_exit();
}

module_init(dm_sync_init);
module_exit(dm_sync_exit);

MODULE_VERSION(DM_SYNC_VERSION);
MODULE_DESCRIPTION("dm-sync: replicas of block devices, mirrors");
MODULE_AUTHOR("The dm-sync developers");
MODULE_ALIAS("dm-sync-replica");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A snapshot store behind a source door.
 *
 *	0 <sectors> sync snapshot <source> <store> - <chunk> [<#opts> <opt>...]
 *
 * Here is what a store demands of its devices, its status lines and messages; the
 * store and its images do the rest.  All the store knows is in the store, so there is
 * no metadata device.
 *
 * Images come and go by messages, and by netlink:
 *
 *	image create <name> [<stop_at>] [force]
 *	image delete <name> [force]
 *	image <operation> <name> [force]
 *	set <key> <value>
 *
 * A message is carried out when dmsetup returns.  device-mapper keeps the live table
 * for it meanwhile, which a suspend waits for; but before that comes our presuspend,
 * which waits until the conductor is idle and has it refuse what comes after.
 */
#include "dm-sync-names.h"
#include "dm-sync-store.h"
#include "dm-sync-target.h"

#define DM_MSG_PREFIX "sync"

static struct dm_sync_store *store_of(struct dm_sync_door *d)
{
	return d->context;
}

/*----------------------------------------------------------------
 * Devices
 *--------------------------------------------------------------*/

static int open_devices(struct dm_target *ti, struct dm_sync_door *d, char **words)
{
	int r;

	if (strcmp(words[2], "-")) {
		ti->error = "A snapshot store has its metadata in itself: say -";
		return -EINVAL;
	}
	r = dm_sync_door_open(ti, words[0], &d->source, "Cannot open the source");
	return r ?: dm_sync_door_open(ti, words[1], &d->replica, "Cannot open the store");
}

static int check_devices(struct dm_target *ti, struct dm_sync_door *d)
{
	struct block_device *source = d->source->bdev, *store = d->replica->bdev;

	if (ti->begin)
		ti->error = "The table line must begin at sector 0";
	else if (source == store)
		ti->error = "Source and store are the same device";
	else if (bdev_nr_sectors(source) < ti->len)
		ti->error = "The source is smaller than the table line says";
	else if (bdev_is_zoned(source) || bdev_is_zoned(store))
		ti->error = "Zoned devices are not supported";
	else if (bdev_logical_block_size(store) > DM_SYNC_BLOCK_SIZE)
		ti->error = "The store has blocks larger than 4 KiB";
	else if (bdev_logical_block_size(store) > bdev_logical_block_size(source))
		ti->error = "The store has larger blocks than the source";
	else if (d->config.region_sectors > DM_SYNC_COW_SECTORS)
		ti->error = "A chunk of a snapshot store is at most 2048 sectors";
	else if (bdev_logical_block_size(source) > d->config.region_sectors << SECTOR_SHIFT)
		ti->error = "The chunk size is smaller than the source's blocks";
	else
		return 0;
	return -EINVAL;
}

static int check_store_size(struct dm_target *ti, struct dm_sync_door *d)
{
	struct dm_sync_store_layout l;
	int r = dm_sync_store_layout(&l, d->config.region_sectors, ti->len,
				     bdev_nr_sectors(d->replica->bdev));

	if (!r)
		return 0;
	ti->error = "Too many chunks: choose a larger chunk size";
	if (r == -ENOSPC) {
		ti->error = "The store is too small";
		DMERR("a store for this source needs at least %llu KiB",
		      dm_sync_store_min_sectors(d->config.region_sectors, ti->len) / 2);
	}
	return r;
}

/*----------------------------------------------------------------
 * Construction
 *--------------------------------------------------------------*/

static void set_limits(struct dm_target *ti, struct dm_sync_door *d)
{
	struct block_device *source = d->source->bdev;

	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_write_zeroes_bios = bdev_write_zeroes_sectors(source) > 0;
	ti->num_discard_bios = bdev_max_discard_sectors(source) > 0;
	ti->per_io_data_size = dm_sync_cow_io_size();
	ti->accounts_remapped_io = true;
}

static int snapshot_attach(struct dm_sync_door *d, struct dm_target *ti, char **words)
{
	struct dm_sync_store *s;
	int r;

	r = open_devices(ti, d, words);
	if (!r)
		r = check_devices(ti, d);
	if (!r)
		r = check_store_size(ti, d);
	if (!r)
		r = dm_set_target_max_io_len(ti, DM_SYNC_COW_SECTORS);
	if (r)
		return r;
	s = dm_sync_store_attach(ti, d->source->bdev, d->replica->bdev, &d->config);
	if (IS_ERR(s))
		return PTR_ERR(s);
	d->context = s;
	set_limits(ti, d);
	return 0;
}

static void snapshot_detach(struct dm_sync_door *d)
{
	dm_sync_store_forget_config(store_of(d), &d->config);
	dm_sync_store_detach(store_of(d));
}

/*----------------------------------------------------------------
 * I/O and life: the store's business
 *--------------------------------------------------------------*/

static int snapshot_map(struct dm_sync_door *d, struct dm_target *ti, struct bio *bio)
{
	return dm_sync_cow_map(store_of(d), ti, bio);
}

static int snapshot_end_io(struct dm_sync_door *d, struct bio *bio, blk_status_t *error)
{
	return dm_sync_cow_end_io(store_of(d), bio, error);
}

static int snapshot_preresume(struct dm_sync_door *d, struct dm_target *ti)
{
	return dm_sync_store_activate(store_of(d), ti, d->source->bdev, d->replica->bdev,
				      &d->config);
}

static void snapshot_resume(struct dm_sync_door *d)
{
	dm_sync_store_resume(store_of(d));
}

static void snapshot_presuspend(struct dm_sync_door *d, struct dm_target *ti)
{
	if (store_of(d)->ti == ti)
		dm_sync_store_presuspend(store_of(d));
}

static void snapshot_presuspend_undo(struct dm_sync_door *d, struct dm_target *ti)
{
	if (store_of(d)->ti == ti)
		dm_sync_store_presuspend_undo(store_of(d));
}

static void snapshot_postsuspend(struct dm_sync_door *d, struct dm_target *ti)
{
	if (store_of(d)->ti == ti)
		dm_sync_store_postsuspend(store_of(d));
}

/*
 * Host I/O meets the source alone; but while that is restored, what is not there yet is read
 * from the store in the source's blocks, so the store's are no larger (check_devices()).
 */
static int snapshot_iterate(struct dm_sync_door *d, struct dm_target *ti,
			    iterate_devices_callout_fn fn, void *data)
{
	return fn(ti, d->source, 0, ti->len, data);
}

static void snapshot_limits(struct dm_sync_door *d, struct dm_target *ti,
			    struct queue_limits *limits)
{
	/*
	 * Those of the source hold as they are: what is saved is read, not handed on. But reads
	 * that a restore sends to the store are the host's own, and its memory is as it is.
	 */
	limits->dma_alignment = max(limits->dma_alignment,
				    (unsigned int)bdev_dma_alignment(d->replica->bdev));
}

/*----------------------------------------------------------------
 * Status
 *--------------------------------------------------------------*/

static const char *space_name(struct dm_sync_store *s)
{
	if (READ_ONCE(s->failed))
		return "failed";
	if (READ_ONCE(s->full))
		return "full";
	return READ_ONCE(s->low) ? "low" : "ok";
}

/*
 * INFO, in this order for ever:
 *	snapshot <uuid> <used slots>/<slots> <images> <bytes saved> <space>
 *	<writes held> <bytes read> <batches> <metadata writes>
 * Space is ok, low, full (writes wait for space) or failed (the store could not be
 * written). Held are writes for an image that is Suspended; counters run since the store
 * was loaded.
 */
static void snapshot_info(struct dm_sync_door *d, char *result, unsigned int maxlen)
{
	struct dm_sync_store *s = store_of(d);
	unsigned int sz = 0;

	if (!READ_ONCE(s->loaded)) {
		DMEMIT("unknown");
		return;
	}
	DMEMIT("snapshot %pU %u/%u %u %llu %s %u %llu %llu %llu", s->meta.uuid,
	       READ_ONCE(s->slots.used), READ_ONCE(s->layout.nr_slots),
	       READ_ONCE(s->nr_images), (u64)atomic64_read(&s->saved_bytes), space_name(s),
	       READ_ONCE(s->nr_held), (u64)atomic64_read(&s->read_bytes),
	       (u64)atomic64_read(&s->commits), (u64)atomic64_read(&s->meta.writes));
}

/* Settings are made in the line's own configuration, so it says what is in force. */
static void snapshot_table(struct dm_sync_door *d, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("snapshot %s %s - %u", d->source->name, d->replica->name,
	       d->config.region_sectors);
	dm_sync_options_emit(d->kind, &d->config, result, maxlen, &sz);
}

/*----------------------------------------------------------------
 * Messages
 *--------------------------------------------------------------*/

static const char usage[] =
	"messages are \"image create <name> [<stop_at>] [force]\", \"image delete <name> [force]\", \"image <operation> <name> [force]\" and \"set <key> <value>\"";

static int message_set(struct dm_sync_door *d, const char *key, const char *value,
		       const char **why)
{
	enum dm_sync_setting setting;
	u64 number;
	int r = dm_sync_options_setting(d->kind, key, value, &setting, &number, why);

	return r ?: dm_sync_images_set(store_of(d), setting, number, why);
}

/* Words after a name: a state to stop at, and the last one may be "force". */
static int message_create(struct dm_sync_store *s, unsigned int argc, char **argv,
			  const char **why)
{
	bool force = argc > 1 && !strcasecmp(argv[argc - 1], "force");
	struct dm_sync_image *image = NULL;
	u8 stop_at = 0;
	int r;

	argc -= force;
	if (!argc || argc > 2)
		return -EINVAL;
	if (argc == 2 && !dm_sync_options_stop_at(argv[1], &stop_at)) {
		*why = "stop_at is synchronized, initialized, prepared or inactive";
		return -EINVAL;
	}
	*why = NULL;
	r = dm_sync_image_create(s, argv[0], stop_at, force ? DM_SYNC_OP_FORCE : 0,
				 &image, why);
	if (image)
		dm_sync_pair_put(&image->pair);
	return r;
}

static unsigned int operation_of(const char *word)
{
	unsigned int op;

	if (!strcasecmp(word, "delete"))
		return DM_SYNC_OPERATION_RETURN_TO_RESOURCE_POOL;
	for (op = DM_SYNC_OPERATION_ABORT; op <= DM_SYNC_OPERATION_RESET_REPLICA; op++) {
		const char *name = dm_sync_operation_name(op);

		if (name && !strcasecmp(name, word))
			return op;
	}
	return 0;
}

static int message_operation(struct dm_sync_store *s, const char *word, unsigned int argc,
			     char **argv, const char **why)
{
	bool force = argc == 2 && !strcasecmp(argv[1], "force");
	unsigned int op = operation_of(word);
	struct dm_sync_image *image;
	int r;

	if (argc != 1 + force)
		return -EINVAL;
	if (!op) {
		*why = "there is no such operation";
		return -EINVAL;
	}
	image = dm_sync_image_find(s, argv[0]);
	if (!image) {
		*why = "there is no image of this name";
		return -ENOENT;
	}
	*why = NULL;
	r = dm_sync_pair_operate(&image->pair, op, force ? DM_SYNC_OP_FORCE : 0, why);
	dm_sync_pair_put(&image->pair);
	return r;
}

static int message_image(struct dm_sync_store *s, unsigned int argc, char **argv,
			 const char **why)
{
	if (argc < 2)
		return -EINVAL;
	if (!strcasecmp(argv[0], "create"))
		return message_create(s, argc - 1, argv + 1, why);
	return message_operation(s, argv[0], argc - 1, argv + 1, why);
}

static int snapshot_message(struct dm_sync_door *d, unsigned int argc, char **argv)
{
	struct dm_sync_store *s = store_of(d);
	const char *why = usage;
	int r = -EINVAL;

	if (argc == 3 && !strcasecmp(argv[0], "set"))
		r = message_set(d, argv[1], argv[2], &why);
	else if (argc && !strcasecmp(argv[0], "image"))
		r = message_image(s, argc - 1, argv + 1, &why);
	if (r)
		DMERR_LIMIT("%s: message %s refused: %s", s->name, argc ? argv[0] : "",
			    why ?: "no reason given");
	return r;
}

/*----------------------------------------------------------------
 * The personality
 *--------------------------------------------------------------*/

static const struct dm_sync_config snapshot_defaults = {
	.priority = DM_SYNC_COPY_PRIORITY_LOW,
	.hold_max = DM_SYNC_HOLD_MAX,
};

const struct dm_sync_personality dm_sync_snapshot_personality = {
	.name = "snapshot",
	.options = DM_SYNC_FOR_SNAPSHOT,
	.arguments = "Arguments: snapshot <source> <store> - <chunk> [<#opts> <opt>...]",
	.settings = "settings are priority, rate, hold_max and on_full",
	.defaults = &snapshot_defaults,
	.attach = snapshot_attach,
	.detach = snapshot_detach,
	.map = snapshot_map,
	.end_io = snapshot_end_io,
	.preresume = snapshot_preresume,
	.resume = snapshot_resume,
	.presuspend = snapshot_presuspend,
	.presuspend_undo = snapshot_presuspend_undo,
	.postsuspend = snapshot_postsuspend,
	.info = snapshot_info,
	.table = snapshot_table,
	.message = snapshot_message,
	.iterate = snapshot_iterate,
	.limits = snapshot_limits,
};

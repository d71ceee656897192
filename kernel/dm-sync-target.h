/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source door: what the target "sync" and its personalities share.
 */
#ifndef DM_SYNC_TARGET_H
#define DM_SYNC_TARGET_H

#include <linux/device-mapper.h>

#include "dm-sync-options.h"

/**
 * struct dm_sync_door - one table instance of a source door
 * @kind: its personality
 * @source: device
 * @replica: device; that of the store, where there is one
 * @meta: device or NULL
 * @delta: device or NULL; of a clone
 * @config: what the table line says
 * @context: the personality's, shared between instances (rule L)
 */
struct dm_sync_door {
	const struct dm_sync_personality *kind;
	struct dm_dev *source, *replica, *meta, *delta;
	struct dm_sync_config config;
	void *context;
};

/**
 * struct dm_sync_personality - what a kind of pair does behind a source door
 * @name: first word of the table line
 * @options: its DM_SYNC_FOR_ bit
 * @arguments: what a line with too few words is refused with
 * @settings: what a setting that it does not have is refused with
 * @defaults: of the options
 *
 * Device-mapper's callbacks, in the contexts that device-mapper gives them; none
 * holds a lock of ours:
 *
 * @attach: constructor. Region size and options are in @d->config; @words are the
 *	three between the name and the region: source, replica, metadata. Opens the
 *	devices into @d (dm_sync_door_open()), checks them, sets @d->context and what
 *	@ti must say of itself (length, kinds of bios, size of their data). Reads and
 *	writes nothing (rule L). Sets ti->error when it fails, and undoes all but the
 *	opening.
 * @detach: destructor, and host I/O is over. The devices are closed afterwards.
 * @map: a host bio. Must not wait for I/O that it submits (rule Q).
 * @end_io: the bio that map sent on is over. Interrupt.
 * @preresume: read the metadata, or refuse; no host I/O yet. May sleep, without I/O
 *	from reclaim.
 * @resume: host I/O comes when it returns. May sleep, likewise.
 * @presuspend: let go what holds host I/O up. Like the next two it may be called
 *	for an instance that is not the one activated last; then it does nothing.
 * @presuspend_undo: host I/O goes on
 * @postsuspend: host I/O is over: make everything durable
 * @info: STATUSTYPE_INFO. Takes no lock that I/O, suspend or a dead device can
 *	hold (rule P).
 * @table: STATUSTYPE_TABLE, from the first word on; the same terms.
 * @message: a message to the source door. May sleep. Says in the log why it refuses.
 * @iterate: device-mapper's iterate_devices
 * @limits: device-mapper's io_hints
 *
 * All are required.
 */
struct dm_sync_personality {
	const char *name;
	u32 options;
	char *arguments;
	const char *settings;
	const struct dm_sync_config *defaults;

	int (*attach)(struct dm_sync_door *d, struct dm_target *ti, char **words);
	void (*detach)(struct dm_sync_door *d);
	int (*map)(struct dm_sync_door *d, struct dm_target *ti, struct bio *bio);
	int (*end_io)(struct dm_sync_door *d, struct bio *bio, blk_status_t *error);
	int (*preresume)(struct dm_sync_door *d, struct dm_target *ti);
	void (*resume)(struct dm_sync_door *d);
	void (*presuspend)(struct dm_sync_door *d, struct dm_target *ti);
	void (*presuspend_undo)(struct dm_sync_door *d, struct dm_target *ti);
	void (*postsuspend)(struct dm_sync_door *d, struct dm_target *ti);
	void (*info)(struct dm_sync_door *d, char *result, unsigned int maxlen);
	void (*table)(struct dm_sync_door *d, char *result, unsigned int maxlen);
	int (*message)(struct dm_sync_door *d, unsigned int argc, char **argv);
	int (*iterate)(struct dm_sync_door *d, struct dm_target *ti,
		       iterate_devices_callout_fn fn, void *data);
	void (*limits)(struct dm_sync_door *d, struct dm_target *ti,
		       struct queue_limits *limits);
};

/* dm-sync-mirror-target.c */
extern const struct dm_sync_personality dm_sync_mirror_personality;
extern const struct dm_sync_personality dm_sync_clone_personality;

/* dm-sync-snapshot-target.c */
extern const struct dm_sync_personality dm_sync_snapshot_personality;

/* dm-sync-target.c */
int dm_sync_door_open(struct dm_target *ti, const char *path, struct dm_dev **dev,
		      char *error);

#endif /* DM_SYNC_TARGET_H */

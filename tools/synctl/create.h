/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that make device-mapper devices share. */
#ifndef SYNCTL_CREATE_H
#define SYNCTL_CREATE_H

#include "dm.h"
#include "synctl.h"

/**
 * struct creation - a source door about to be made
 * @args: the command line
 * @kind: "mirror", "clone" or "snapshot"
 * @source: path
 * @replica: path; of a snapshot, the store
 * @meta: path of what remembers the pair, or NULL
 * @delta: path of a clone's delta, or NULL
 * @source_dev: number
 * @replica_dev: number
 * @meta_dev: number
 * @delta_dev: number
 * @bytes: size of the pair
 * @region: size of a region or chunk in bytes
 * @uuid: of a new pair, else empty
 * @optc: words in @opts
 * @opts: options of the table line
 * @dev: the device
 */
struct creation {
	struct args *args;
	const char *kind;
	const char *source;
	const char *replica;
	const char *meta;
	const char *delta;
	struct devno source_dev;
	struct devno replica_dev;
	struct devno meta_dev;
	struct devno delta_dev;
	uint64_t bytes;
	uint64_t region;
	char uuid[DMS_UUID_TEXT];
	unsigned int optc;
	char opts[DM_PARAMS_MAX];
	struct dm_device dev;
};

/* All of these return an exit code; the complaint is printed. */
int create_find_device(struct creation *c, const char *path, struct devno *dev);
int create_check_source(struct creation *c);
int create_choose_name(struct creation *c, const char *name);

/**
 * create_choose_region() - size of a region or chunk
 * @c: the creation; its size must be known
 * @id: the option that may say it
 * @max: the largest that is allowed, in bytes
 */
int create_choose_region(struct creation *c, enum option_id id, uint64_t max);

/**
 * create_word() - an option with a few legal words
 * @c: where it goes
 * @id: the option of the command line
 * @key: that of the table line, with its colon
 * @legal: the words, up to NULL
 */
int create_word(struct creation *c, enum option_id id, const char *key,
		const char *const *legal);

/* --priority, --rate and --hold-max, which all kinds have */
int create_pace(struct creation *c);
void create_add(struct creation *c, const char *key, const char *value);
int create_choose_uuid(struct creation *c);
int create_build_table(struct creation *c);

/**
 * delta_options() - is --delta there when it must be, and only then?
 * @c: the creation, nothing of it looked at yet
 */
int delta_options(const struct creation *c);

/* The number of the delta, which must be a device of its own. The others have theirs. */
int delta_devices(struct creation *c);

/* Is it large enough? The size of a region is chosen. */
int delta_room(struct creation *c);

/* May it be taken? Asks before --format overwrites what is on it. */
int delta_use(struct creation *c);

/* dm_create() failed: say why; @action: what can be done, or NULL */
int create_failed(struct args *args, const struct dm_device *dev, int err, const char *action);

/* "dm-1 (db0)" for what has a device open; false when nothing has */
bool create_holder(struct devno dev, char *text, size_t size);

/* Whether two numbers are those of one device */
bool create_same(struct devno a, struct devno b);

/* The line as it could be given to dmsetup */
void create_print(const struct dm_device *dev);

#endif /* SYNCTL_CREATE_H */

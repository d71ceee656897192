// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/block/dm-N/dm-sync/: one value a file.
 *
 * That is a mirror's directory, those of images are images/<image>/ in it: where
 * one is, and its name, is up to the pair's engine. It belongs to the pair, not
 * to a table, and its object holds a reference of the pair. Reading copies what
 * the pair has published, under no lock but that of dm_sync_pair_info(); so a
 * reader is never stopped by a device that died or a suspend that waits (rule
 * P), and whoever removes the directory, and with that waits for its readers,
 * waits for nothing that could in turn wait for him.
 *
 * All files are rows of two tables, one of which is for images only; the settings of
 * images are those of their store. Names and meanings are part of the interface
 * (Documentation/ABI/testing/sysfs-block-dm-sync).
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/kobject.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>

#include "dm-sync.h"
#include "dm-sync-pair.h"
#include "dm-sync-names.h"

struct dm_sync_dir {
	struct kobject kobj;
	struct dm_sync_pair *pair;
	struct completion *released;
};

/**
 * enum dm_sync_file_kind - how the member of struct dm_sync_info is shown
 * @SHOW_BOOL: bool as 0 or 1
 * @SHOW_U8: as a number; with names, the name
 * @SHOW_U32: likewise
 * @SHOW_U64: likewise
 * @SHOW_INT: as SHOW_U32, but "-" when negative
 * @SHOW_TIME: nanoseconds since 1970 as ISO 8601 in UTC; "-" when 0
 * @SHOW_DEV: major:minor; "-" when 0
 * @SHOW_UUID: sixteen bytes as a uuid
 * @SHOW_RPO: objective and measured value; "-" when there is no objective
 * @SHOW_OPERATIONS: the verbs of the bits that are set
 */
enum dm_sync_file_kind {
	SHOW_BOOL,
	SHOW_U8,
	SHOW_U32,
	SHOW_U64,
	SHOW_INT,
	SHOW_TIME,
	SHOW_DEV,
	SHOW_UUID,
	SHOW_RPO,
	SHOW_OPERATIONS,
};

/**
 * struct dm_sync_file - one file
 * @attr: its name and mode
 * @kind: how it is shown
 * @offset: of the member of struct dm_sync_info
 * @name: names of the values of an enumeration; NULL for plain numbers
 * @values: with @name: writing takes the names and numbers of 0 to @values - 1
 * @setting: what writing sets
 * @max: the largest number that may be written; 0 for files that are read only
 */
struct dm_sync_file {
	struct attribute attr;
	enum dm_sync_file_kind kind;
	size_t offset;
	const char *(*name)(unsigned int value);
	unsigned int values;
	enum dm_sync_setting setting;
	u64 max;
};

/*----------------------------------------------------------------
 * Showing
 *--------------------------------------------------------------*/

static ssize_t dm_sync_show_number(const struct dm_sync_file *f, u64 value,
				   char *page)
{
	if (f->name)
		return sysfs_emit(page, "%s\n", f->name(value));
	return sysfs_emit(page, "%llu\n", value);
}

static ssize_t dm_sync_show_time(u64 ns, char *page)
{
	struct tm tm;

	if (!ns)
		return sysfs_emit(page, "-\n");
	time64_to_tm(div_u64(ns, NSEC_PER_SEC), 0, &tm);
	return sysfs_emit(page, "%04ld-%02d-%02dT%02d:%02d:%02dZ\n",
			  tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			  tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static ssize_t dm_sync_show_dev(dev_t dev, char *page)
{
	if (!dev)
		return sysfs_emit(page, "-\n");
	return sysfs_emit(page, "%u:%u\n", MAJOR(dev), MINOR(dev));
}

static ssize_t dm_sync_show_operations(u32 operations, char *page)
{
	unsigned int op;
	ssize_t len = 0;

	for (op = 0; op < 32; op++)
		if (operations & BIT(op))
			len += sysfs_emit_at(page, len, "%s%s", len ? " " : "",
					     dm_sync_operation_name(op));
	return len + sysfs_emit_at(page, len, "\n");
}

static ssize_t dm_sync_show(struct kobject *kobj, struct attribute *attr, char *page)
{
	struct dm_sync_dir *dir = container_of(kobj, struct dm_sync_dir, kobj);
	struct dm_sync_file *f = container_of(attr, struct dm_sync_file, attr);
	struct dm_sync_info info;
	const void *p = (const char *)&info + f->offset;

	dm_sync_pair_info(dir->pair, &info);
	switch (f->kind) {
	case SHOW_BOOL:
		return dm_sync_show_number(f, *(const bool *)p, page);
	case SHOW_U8:
		return dm_sync_show_number(f, *(const u8 *)p, page);
	case SHOW_U32:
		return dm_sync_show_number(f, *(const u32 *)p, page);
	case SHOW_U64:
		return dm_sync_show_number(f, *(const u64 *)p, page);
	case SHOW_INT:
		if (*(const int *)p < 0)
			return sysfs_emit(page, "-\n");
		return dm_sync_show_number(f, *(const int *)p, page);
	case SHOW_TIME:
		return dm_sync_show_time(*(const u64 *)p, page);
	case SHOW_DEV:
		return dm_sync_show_dev(*(const dev_t *)p, page);
	case SHOW_UUID:
		return sysfs_emit(page, "%pUb\n", p);
	case SHOW_RPO:
		if (info.rpo_objective < 0)
			return sysfs_emit(page, "-\n");
		return sysfs_emit(page, "%d %u\n", info.rpo_objective,
				  info.rpo_measured);
	case SHOW_OPERATIONS:
		return dm_sync_show_operations(*(const u32 *)p, page);
	}
	return -EIO;
}

/*----------------------------------------------------------------
 * Setting
 *--------------------------------------------------------------*/

/* The value whose name this is, without regard to case, or else the number. */
static int dm_sync_parse(const struct dm_sync_file *f, const char *text,
			 size_t len, u64 *value)
{
	size_t word = len;
	unsigned int i;

	while (word && isspace(text[word - 1]))
		word--;
	for (i = 0; i < f->values; i++) {
		const char *name = f->name(i);

		if (strlen(name) == word && !strncasecmp(text, name, word)) {
			*value = i;
			return 0;
		}
	}
	return kstrtou64(text, 0, value);
}

static ssize_t dm_sync_store(struct kobject *kobj, struct attribute *attr,
			     const char *text, size_t len)
{
	struct dm_sync_dir *dir = container_of(kobj, struct dm_sync_dir, kobj);
	struct dm_sync_file *f = container_of(attr, struct dm_sync_file, attr);
	const char *why;
	u64 value;
	int r;

	if (!f->max)
		return -EIO;
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	r = dm_sync_parse(f, text, len, &value);
	if (!r && value > f->max)
		r = -ERANGE;
	/* There is no room for a reason here; netlink and messages say it. */
	if (!r)
		r = dm_sync_pair_set(dir->pair, f->setting, value, &why);
	return r ?: len;
}

/*----------------------------------------------------------------
 * The files
 *--------------------------------------------------------------*/

#define FILE(n, k, member)						\
	{ .attr = { .name = #n, .mode = 0444 }, .kind = SHOW_##k,	\
	  .offset = offsetof(struct dm_sync_info, member) }

#define NAMED(n, k, member, names)					\
	{ .attr = { .name = #n, .mode = 0444 }, .kind = SHOW_##k,	\
	  .offset = offsetof(struct dm_sync_info, member),		\
	  .name = dm_sync_##names##_name }

#define SETTING(n, k, member, what)					\
	{ .attr = { .name = #n, .mode = 0644 }, .kind = SHOW_##k,	\
	  .offset = offsetof(struct dm_sync_info, member),		\
	  .setting = DM_SYNC_SETTING_##what,				\
	  .max = type_max(typeof_member(struct dm_sync_info, member)) }

#define CHOICE(n, k, member, names, nr, what)				\
	{ .attr = { .name = #n, .mode = 0644 }, .kind = SHOW_##k,	\
	  .offset = offsetof(struct dm_sync_info, member),		\
	  .name = dm_sync_##names##_name, .values = nr,			\
	  .setting = DM_SYNC_SETTING_##what, .max = U32_MAX }

/* not const: lockdep keeps its keys in the attributes */
static struct dm_sync_file dm_sync_files[] = {
	/* the fields of the class */
	FILE(sync_time,			TIME,	sync_time),
	FILE(sync_maintained,		BOOL,	sync_maintained),
	NAMED(copy_state,		U8,	copy_state,	copy_state),
	NAMED(requested_copy_state,	U8,	requested,	copy_state),
	NAMED(sync_type,		U8,	sync_type,	sync_type),
	NAMED(sync_mode,		U8,	sync_mode,	sync_mode),
	NAMED(progress_status,		U8,	progress,	progress_status),
	FILE(percent_synced,		INT,	percent),
	NAMED(copy_type,		U8,	copy_type,	copy_type),
	NAMED(replica_type,		U8,	replica_type,	replica_type),
	NAMED(sync_state,		INT,	sync_state,	sync_state),
	CHOICE(copy_priority,		U8,	priority,	copy_priority,
	       DM_SYNC_COPY_PRIORITY_HIGH + 1, PRIORITY),
	NAMED(copy_methodology,		U8,	methodology,	copy_methodology),
	FILE(recovery_point_objective,	RPO,	rpo_objective),

	/* which pair */
	FILE(uuid,			UUID,	uuid),
	FILE(id,			U32,	id),
	FILE(generation,		U32,	generation),
	FILE(source,			DEV,	source),
	FILE(replica,			DEV,	replica),
	FILE(metadata,			DEV,	meta),

	/* why, and what may be done */
	NAMED(reason,			U32,	reason,		reason),
	NAMED(door_access,		U8,	door_access,	door_access),
	FILE(allowed_operations,	OPERATIONS, allowed),

	/* sizes and amounts of change */
	FILE(size_bytes,		U64,	size),
	FILE(region_bytes,		U64,	region_size),
	FILE(source_changed,		U64,	source_changed),
	FILE(replica_changed,		U64,	replica_changed),

	/* the copy */
	FILE(total_bytes,		U64,	total),
	FILE(done_bytes,		U64,	done),
	FILE(rate_bytes_per_second,	U64,	rate),
	SETTING(limit_bytes_per_second,	U64,	limit,	LIMIT),
	NAMED(limited_by,		U8,	limited_by,	limited_by),
	FILE(read_bytes,		U64,	read_bytes),
	FILE(written_bytes,		U64,	written_bytes),
	FILE(skipped_bytes,		U64,	skipped_bytes),

	/* counters */
	FILE(metadata_writes,		U64,	metadata_writes),
	FILE(activity_hits,		U64,	activity_hits),
	FILE(activity_misses,		U64,	activity_misses),
	FILE(reads_from_replica,	U64,	reads_from_replica),
	FILE(source_errors,		U64,	source_errors),
	FILE(replica_errors,		U64,	replica_errors),

	/* suspending and recovering */
	FILE(held,			U32,	held),
	CHOICE(hold,			U8,	hold,		hold,
	       DM_SYNC_HOLD_TRACK + 1, HOLD),
	SETTING(hold_max,		U32,	hold_max, HOLD_MAX),
	CHOICE(recovery,		U8,	recovery,	recovery,
	       DM_SYNC_RECOVERY_MANUAL + 1, RECOVERY),
};

/* of images only */
static struct dm_sync_file dm_sync_image_files[] = {
	FILE(saved_bytes,		U64,	saved),
	FILE(alone_bytes,		U64,	alone),
	FILE(pause_ns,			U64,	pause_ns),
	FILE(fill_bytes_per_second,	U64,	fill_rate),
	FILE(full_seconds,		INT,	full_seconds),
};

/* of images, and of clones with a delta */
static struct dm_sync_file dm_sync_store_files[] = {
	FILE(store_bytes,		U64,	store_size),
	FILE(store_free_bytes,		U64,	store_free),
	FILE(slots,			U32,	slots),
};

#undef FILE
#undef NAMED
#undef SETTING
#undef CHOICE

static const struct sysfs_ops dm_sync_sysfs_ops = {
	.show	= dm_sync_show,
	.store	= dm_sync_store,
};

static void dm_sync_dir_release(struct kobject *kobj)
{
	struct dm_sync_dir *dir = container_of(kobj, struct dm_sync_dir, kobj);
	struct completion *released = dir->released;

	dm_sync_pair_put(dir->pair);
	kfree(dir);
	if (released)
		complete(released);
}

static const struct kobj_type dm_sync_ktype = {
	.sysfs_ops	= &dm_sync_sysfs_ops,
	.release	= dm_sync_dir_release,
};

static int dm_sync_add_files(struct kobject *kobj, struct dm_sync_file *files, unsigned int nr)
{
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < nr; i++)
		r = sysfs_create_file(kobj, &files[i].attr);
	return r;
}

static noinline_for_stack void dm_sync_kind(struct dm_sync_pair *pair, bool *image, bool *store)
{
	struct dm_sync_info info;

	dm_sync_pair_info(pair, &info);
	*image = info.image[0];
	*store = info.slots;
}

/**
 * dm_sync_sysfs_add - make the directory of a pair
 * @pair: the pair; the directory takes a reference of its own
 * @parent: where it goes; must have been added already
 * @name: of the directory
 * @kobj: where the directory is left, for the two calls below; NULL on failure
 *
 * Process context, may sleep; hold no lock that a write to a file takes.
 *
 * Return: 0 or a negative errno. A pair works without its directory.
 */
int dm_sync_sysfs_add(struct dm_sync_pair *pair, struct kobject *parent,
		      const char *name, struct kobject **kobj)
{
	struct dm_sync_dir *dir;
	bool image, store;
	int r;

	*kobj = NULL;
	dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	if (!dir)
		return -ENOMEM;
	dm_sync_pair_get(pair);
	dir->pair = pair;

	r = kobject_init_and_add(&dir->kobj, &dm_sync_ktype, parent, "%s",
				 name);
	if (!r)
		r = dm_sync_add_files(&dir->kobj, dm_sync_files, ARRAY_SIZE(dm_sync_files));
	dm_sync_kind(pair, &image, &store);
	if (!r && image)
		r = dm_sync_add_files(&dir->kobj, dm_sync_image_files,
				      ARRAY_SIZE(dm_sync_image_files));
	if (!r && store)
		r = dm_sync_add_files(&dir->kobj, dm_sync_store_files,
				      ARRAY_SIZE(dm_sync_store_files));
	if (r) {
		dm_sync_sysfs_remove(&dir->kobj);
		return r;
	}
	*kobj = &dir->kobj;
	return 0;
}

/**
 * dm_sync_sysfs_remove - take the directory of a pair away
 * @kobj: what dm_sync_sysfs_add() left; may be NULL
 *
 * When this returns, no file is being read or written, the object is gone and
 * its reference of the pair has been put; so that the module may go as well.
 * The caller holds a reference of the pair of its own, and no lock that
 * dm_sync_pair_info() or dm_sync_pair_set() take.
 */
void dm_sync_sysfs_remove(struct kobject *kobj)
{
	DECLARE_COMPLETION_ONSTACK(released);

	if (!kobj)
		return;
	container_of(kobj, struct dm_sync_dir, kobj)->released = &released;
	kobject_del(kobj);
	kobject_put(kobj);
	wait_for_completion(&released);
}

/**
 * dm_sync_sysfs_notify - wake those who poll a file of the state
 * @kobj: what dm_sync_sysfs_add() left; may be NULL
 *
 * Process context, may sleep. The caller sees to it that the directory is not
 * being removed meanwhile.
 */
void dm_sync_sysfs_notify(struct kobject *kobj)
{
	if (!kobj)
		return;
	sysfs_notify(kobj, NULL, "copy_state");
	sysfs_notify(kobj, NULL, "progress_status");
	sysfs_notify(kobj, NULL, "percent_synced");
}

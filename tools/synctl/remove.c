// SPDX-License-Identifier: GPL-2.0-only
/*
 * remove: take down a pair's device-mapper devices, replica doors first. The
 * data stays where it is, and a pair with a metadata device can be taken up
 * again. A device whose pair was detached is still a door to its source, so a
 * name the netlink family does not know may be one all the same.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "dm.h"
#include "select.h"

#define DOORS_MAX	8192

/* A replica door and the source door it belongs to */
struct replica_door {
	char name[128];
	struct devno source_door;
};

struct doors {
	struct replica_door *list;
	unsigned int count;
};

static void note_door(const char *name, void *arg)
{
	struct doors *doors = arg;
	struct replica_door *more;
	char target[32], params[DM_PARAMS_MAX];
	struct devno dev;

	if (doors->count == DOORS_MAX || !dm_table(name, target, params) ||
	    strcmp(target, "sync-replica"))
		return;
	params[strcspn(params, " ")] = 0;
	if (!device_number(params, &dev))
		return;
	more = realloc(doors->list, (doors->count + 1) * sizeof(*more));
	if (!more)
		return;
	doors->list = more;
	snprintf(more[doors->count].name, sizeof(more->name), "%s", name);
	more[doors->count++].source_door = dev;
}

static int remove_device(struct args *args, const char *name)
{
	struct failure f = { .args = args, .object = name };
	int err;

	if (given(args, OPT_DRY_RUN)) {
		printf("dmsetup remove %s\n", name);
		return EXIT_OK;
	}
	err = dm_remove(name);
	if (err) {
		f.err = -err;
		f.code = err == -EPERM ? EXIT_DENIED : exit_of_errno(-err);
		if (err == -EBUSY)
			f.action = "unmount it and close what has it open";
		return fail(&f, "cannot remove the device: %s",
			    err == -EBUSY ? "it is in use" : strerror(-err));
	}
	if (given(args, OPT_VERBOSE))
		printf("%s: removed\n", name);
	return EXIT_OK;
}

static int remove_doors(struct args *args, const struct doors *doors, struct devno door)
{
	unsigned int i;
	int code = EXIT_OK;

	for (i = 0; i < doors->count && !code; i++)
		if (doors->list[i].source_door.major == door.major &&
		    doors->list[i].source_door.minor == door.minor)
			code = remove_device(args, doors->list[i].name);
	return code;
}

static int remove_pair(struct args *args, const struct doors *doors,
		       const struct dms_pair *pair)
{
	struct devno door;
	int code = EXIT_OK;

	if (pair_device(pair, DEV_DOOR, &door))
		code = remove_doors(args, doors, door);
	return code ? code : remove_device(args, pair->name);
}

/* A name that is no pair: one of our devices all the same? */
static bool is_ours(const char *word, char *name, size_t size)
{
	char target[32], params[DM_PARAMS_MAX];
	struct devno dev;

	if (word[0] == '/') {
		if (!device_number(word, &dev) || !device_dm_name(dev, name, size))
			return false;
	} else {
		snprintf(name, size, "%s", word);
	}
	return dm_table(name, target, params) &&
		(!strcmp(target, "sync") || !strcmp(target, "sync-replica"));
}

static bool means_pair(const struct dms_list *all, const char *word)
{
	unsigned int i;

	if (!strcmp(word, "all"))
		return true;
	for (i = 0; i < all->count; i++)
		if (select_matches(&all->pairs[i], word))
			return true;
	return false;
}

/* A door that is no pair may still be the source door of replica doors. */
static int remove_named(struct args *args, const struct doors *doors, const char *name)
{
	char path[DEVICE_PATH_MAX];
	struct devno dev;
	int code = EXIT_OK;

	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	if (device_number(path, &dev))
		code = remove_doors(args, doors, dev);
	return code ? code : remove_device(args, name);
}

static int remove_words(struct args *args, const struct dms_list *all,
			const struct doors *doors)
{
	struct dms_list pairs = { 0 };
	unsigned int i, tried = 0, failed = 0;
	int code, last = EXIT_OK;
	char name[128];

	for (i = 0; i < args->count; i++) {
		const char *word = args->words[i];

		if (!means_pair(all, word) && is_ours(word, name, sizeof(name)))
			code = remove_named(args, doors, name);
		else
			code = select_filter(args, word, all, &pairs);
		tried++;
		failed += !!code;
		last = code ? code : last;
	}
	if (pairs.count)
		tried += pairs.count - 1;
	for (i = 0; i < pairs.count; i++) {
		code = remove_pair(args, doors, &pairs.pairs[i]);
		failed += !!code;
		last = code ? code : last;
	}
	dms_list_free(&pairs);
	return sum_up(tried, failed, last);
}

int cmd_remove(struct args *args)
{
	struct doors doors = { 0 };
	struct dms_list all = { 0 };
	int code;
	int err = 0;

	if (dms_loaded(args->client))
		err = dms_dump(args->client, &all);
	if (err)
		return fail_kernel(args, NULL, "list the pairs", err);
	select_names(&all);
	if (!getenv("SYNCTL_REPLAY"))
		dm_each(note_door, &doors);
	code = remove_words(args, &all, &doors);
	free(doors.list);
	dms_list_free(&all);
	return code;
}

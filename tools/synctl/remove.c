// SPDX-License-Identifier: GPL-2.0-only
/*
 * remove: take down a pair's device-mapper devices, replica doors first. The
 * data stays where it is, and a pair with a metadata device can be taken up
 * again. The images of a store stay in the store when its door is taken down; one that
 * is named in full is meant itself, and deleted. A device whose pair was detached is
 * still a door to its source, so a name the netlink family does not know may be one all
 * the same.
 */

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "dm.h"
#include "format.h"
#include "select.h"

#define DOORS_MAX	8192

/* A replica door and the source door it belongs to, and of an image its name */
struct replica_door {
	char name[128];
	char image[DMS_IMAGE_MAX];
	struct devno source_door;
};

/* @stores: names of the source doors that have a store; @all: the pairs and images */
struct doors {
	const struct dms_list *all;
	struct replica_door *list;
	unsigned int count;
	char (*stores)[128];
	unsigned int store_count;
};

static void note_store(struct doors *doors, const char *name)
{
	char (*more)[128] = realloc(doors->stores, (doors->store_count + 1) * sizeof(*more));

	if (!more)
		return;
	doors->stores = more;
	snprintf(more[doors->store_count++], sizeof(*more), "%s", name);
}

static void note_door(const char *name, void *arg)
{
	struct doors *doors = arg;
	struct replica_door *more;
	char target[32], params[DM_PARAMS_MAX];
	struct devno dev;
	char *image;

	if (doors->count == DOORS_MAX || !dm_table(name, target, params))
		return;
	if (!strcmp(target, "sync") && !strncmp(params, "snapshot ", 9))
		note_store(doors, name);
	if (strcmp(target, "sync-replica"))
		return;
	image = strchr(params, ' ');
	if (image)
		*image++ = 0;
	if (!device_number(params, &dev))
		return;
	more = realloc(doors->list, (doors->count + 1) * sizeof(*more));
	if (!more)
		return;
	doors->list = more;
	snprintf(more[doors->count].name, sizeof(more->name), "%s", name);
	snprintf(more[doors->count].image, sizeof(more->image), "%s", image ? image : "");
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

/* @image: only doors of this image, or NULL */
static int remove_doors(struct args *args, const struct doors *doors, struct devno door,
			const char *image)
{
	unsigned int i;
	int code = EXIT_OK;

	for (i = 0; i < doors->count && !code; i++)
		if (doors->list[i].source_door.major == door.major &&
		    doors->list[i].source_door.minor == door.minor &&
		    (!image || !strcmp(doors->list[i].image, image)))
			code = remove_device(args, doors->list[i].name);
	return code;
}

static int confirm_image(struct args *args, const struct dms_pair *pair)
{
	char when[64], alone[64], warning[512];

	if (!image_holds(pair))
		return EXIT_OK;
	format_time(GET(pair, SYNC_TIME), 0, when, sizeof(when));
	format_bytes(GET(pair, ALONE_BYTES), false, alone, sizeof(alone));
	snprintf(warning, sizeof(warning),
		 "this deletes the image, the source of %s, and what was written to it; %s of "
		 "the store become free. The source and other images stay as they are",
		 when, alone);
	return ask(args, pair->name, warning);
}

static int remove_image(struct args *args, const struct doors *doors,
			const struct dms_pair *pair)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_PAIR_OP };
	struct devno door;
	int code = confirm_image(args, pair);
	int err;

	if (!code && pair_device(pair, DEV_DOOR, &door))
		code = remove_doors(args, doors, door, pair->image);
	if (code)
		return code;
	dms_request_add(&request, DM_SYNC_A_PAIR_ID, GET(pair, ID));
	dms_request_add(&request, DM_SYNC_A_PAIR_OPERATION,
			DM_SYNC_OPERATION_RETURN_TO_RESOURCE_POOL);
	if (given(args, OPT_FORCE))
		dms_request_add(&request, DM_SYNC_A_PAIR_FLAGS, DM_SYNC_PAIR_FLAGS_FORCE);
	if (given(args, OPT_DRY_RUN)) {
		print_request(&request);
		return EXIT_OK;
	}
	err = dms_send(args->client, &request, NULL);
	if (err)
		return fail_kernel(args, pair, "delete the image", err);
	if (given(args, OPT_VERBOSE))
		printf("%s: deleted\n", pair->name);
	return EXIT_OK;
}

static int remove_pair(struct args *args, const struct doors *doors,
		       const struct dms_pair *pair)
{
	struct devno door;
	int code = EXIT_OK;

	if (HAS(pair, IMAGE))
		return remove_image(args, doors, pair);
	if (pair_device(pair, DEV_DOOR, &door))
		code = remove_doors(args, doors, door, NULL);
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

static bool has_images(const struct doors *doors, const char *name)
{
	char store[DMS_NAME_MAX];
	unsigned int i;

	for (i = 0; i < doors->all->count; i++) {
		if (!HAS(&doors->all->pairs[i], IMAGE))
			continue;
		select_store(&doors->all->pairs[i], store, sizeof(store));
		if (!strcmp(store, name))
			return true;
	}
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
		code = remove_doors(args, doors, dev, NULL);
	if (!code)
		code = remove_device(args, name);
	if (!code && has_images(doors, name) && !given(args, OPT_QUIET) &&
	    !given(args, OPT_DRY_RUN))
		fprintf(stderr, "synctl: %s: note: images stay in the store; `synctl snapshot "
			"SOURCE STORE %s` brings them back\n", name, name);
	return code;
}

/* "all" and globs mean stores, not the images in them: these are deleted one by one. */
static bool is_pattern(const char *word)
{
	return !strcmp(word, "all") || (word[0] != '/' && strpbrk(word, "*?["));
}

static int remove_stores(struct args *args, const struct doors *doors, const char *word,
			 bool *found)
{
	unsigned int i;
	int code, last = EXIT_OK;

	for (i = 0; i < doors->store_count; i++) {
		if (strcmp(word, "all") && fnmatch(word, doors->stores[i], 0))
			continue;
		*found = true;
		code = remove_named(args, doors, doors->stores[i]);
		last = code ? code : last;
	}
	return last;
}

static void drop_images(struct dms_list *list)
{
	unsigned int i, kept = 0;

	for (i = 0; i < list->count; i++)
		if (!HAS(&list->pairs[i], IMAGE))
			list->pairs[kept++] = list->pairs[i];
	list->count = kept;
}

static int remove_pattern(struct args *args, const struct dms_list *all,
			  const struct doors *doors, const char *word, struct dms_list *pairs)
{
	struct failure f = { .args = args, .code = EXIT_NOT_FOUND, .object = word,
			     .action = "an image is deleted by its full name, VOL@IMAGE" };
	struct dms_list others = *all;
	bool found = false;
	int last = remove_stores(args, doors, word, &found);
	int code = EXIT_OK;

	others.pairs = calloc(all->count + 1, sizeof(*others.pairs));
	if (!others.pairs)
		return fail(&f, "out of memory");
	if (all->count)
		memcpy(others.pairs, all->pairs, all->count * sizeof(*others.pairs));
	drop_images(&others);
	if (means_pair(&others, word) || (!found && !means_pair(all, word)))
		code = select_filter(args, word, &others, pairs);
	else if (!found)
		code = fail(&f, "this means images, and no device of a pair");
	free(others.pairs);
	return last ? last : code;
}

/* The device of a store, by the images that are in it */
static bool is_store_of(const struct dms_list *all, const char *word, char *name, size_t size)
{
	char store[DMS_NAME_MAX];
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		if (!select_means_store(&all->pairs[i], word))
			continue;
		select_store(&all->pairs[i], store, sizeof(store));
		snprintf(name, size, "%.*s", (int)size - 1, store);
		return true;
	}
	return false;
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

		if (is_pattern(word))
			code = remove_pattern(args, all, doors, word, &pairs);
		else if (!means_pair(all, word) &&
			 (is_ours(word, name, sizeof(name)) ||
			  is_store_of(all, word, name, sizeof(name))))
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
	struct dms_list all = { 0 };
	struct doors doors = { .all = &all };
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
	free(doors.stores);
	dms_list_free(&all);
	return code;
}

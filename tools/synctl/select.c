// SPDX-License-Identifier: GPL-2.0-only
/* Which pairs the words of a command line mean. */

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "select.h"

bool pair_device(const struct dms_pair *pair, enum pair_device which, struct devno *dev)
{
	static const uint16_t attrs[] = {
		[DEV_DOOR] = DM_SYNC_A_PAIR_DOOR_MAJOR,
		[DEV_SOURCE] = DM_SYNC_A_PAIR_SOURCE_MAJOR,
		[DEV_REPLICA] = DM_SYNC_A_PAIR_REPLICA_MAJOR,
		[DEV_META] = DM_SYNC_A_PAIR_META_MAJOR,
	};
	uint16_t attr = attrs[which];

	if (!pair->has[attr] || !pair->has[attr + 1])
		return false;
	dev->major = pair->value[attr];
	dev->minor = pair->value[attr + 1];
	return true;
}

/*
 * A rename is the device-mapper's; its name is the one people see. Of an image it
 * is DOOR@IMAGE, and only the first half can be renamed.
 */
void select_name(struct dms_pair *pair)
{
	char renamed[128], image[65] = "";
	const char *at = strrchr(pair->name, '@');
	struct devno door;

	if (GET(pair, SYNC_TYPE) == DM_SYNC_SYNC_TYPE_SNAPSHOT && at)
		snprintf(image, sizeof(image), "%s", at);
	if (pair_device(pair, DEV_DOOR, &door) &&
	    device_dm_name(door, renamed, sizeof(renamed)))
		snprintf(pair->name, sizeof(pair->name), "%s%s", renamed, image);
	if (!pair->name[0])
		snprintf(pair->name, sizeof(pair->name), "id:%u",
			 (unsigned int)GET(pair, ID));
}

void select_names(struct dms_list *list)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		select_name(&list->pairs[i]);
}

static bool matches_device(const struct dms_pair *pair, const char *word)
{
	struct devno dev, mine;
	int which;

	if (!device_number(word, &dev))
		return false;
	for (which = DEV_DOOR; which <= DEV_META; which++)
		if (pair_device(pair, which, &mine) && mine.major == dev.major &&
		    mine.minor == dev.minor)
			return true;
	return false;
}

static bool matches_door(const struct dms_pair *pair, const char *word)
{
	char name[DMS_NAME_MAX];
	struct devno dev;

	return device_number(word, &dev) && device_dm_name(dev, name, sizeof(name)) &&
		!strcmp(name, pair->name);
}

void select_store(const struct dms_pair *pair, char *name, size_t size)
{
	const char *at = strrchr(pair->name, '@');

	snprintf(name, size, "%.*s", at ? (int)(at - pair->name) : DMS_NAME_MAX, pair->name);
}

bool select_means_store(const struct dms_pair *pair, const char *word)
{
	char store[DMS_NAME_MAX];

	if (!HAS(pair, IMAGE))
		return false;
	select_store(pair, store, sizeof(store));
	return !strcmp(word, store) ||
		((word[0] == '/' || strchr(word, ':')) && matches_device(pair, word));
}

bool select_matches(const struct dms_pair *pair, const char *word)
{
	char uuid[DMS_UUID_TEXT];

	if (!strcmp(word, "all") || !strcmp(word, pair->name))
		return true;
	if (!strncmp(word, "id:", 3))
		return GET(pair, ID) == strtoull(word + 3, NULL, 10);
	if (!strncmp(word, "uuid:", 5)) {
		dms_uuid_text(pair->uuid, uuid);
		return HAS(pair, UUID) && !strcasecmp(word + 5, uuid);
	}
	if (word[0] == '/' || strchr(word, ':'))
		return HAS(pair, IMAGE) ? matches_door(pair, word) : matches_device(pair, word);
	return strpbrk(word, "*?[") && !fnmatch(word, pair->name, 0);
}

static int add(struct dms_list *list, const struct dms_pair *pair)
{
	struct dms_pair *more;
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (GET(&list->pairs[i], ID) == GET(pair, ID))
			return 0;
	more = realloc(list->pairs, (list->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->pairs = more;
	list->pairs[list->count++] = *pair;
	return 0;
}

/*
 * To look at a store is to look at its images. What changes something wants to be told
 * which: what one image can spare the next may not.
 */
static int filter_store(struct args *args, const char *word, const struct dms_list *all,
			struct dms_list *out, bool *found)
{
	struct failure f = { .args = args, .code = EXIT_USAGE, .object = word };
	char action[2 * DMS_NAME_MAX];
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		const struct dms_pair *pair = &all->pairs[i];

		if (!select_means_store(pair, word))
			continue;
		*found = true;
		if (args->command->group != GROUP_OBSERVE) {
			snprintf(action, sizeof(action), "name an image of it, as %s",
				 pair->name);
			f.action = action;
			return fail(&f, "this is a store, and `%s` is for one of its images",
				    args->command->name);
		}
		if (add(out, pair))
			return fail(&f, "out of memory");
	}
	return EXIT_OK;
}

int select_filter(struct args *args, const char *word, const struct dms_list *all,
		  struct dms_list *out)
{
	struct failure f = { .args = args, .code = EXIT_NOT_FOUND, .object = word };
	bool found = !strcmp(word, "all");
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		if (!select_matches(&all->pairs[i], word))
			continue;
		found = true;
		if (add(out, &all->pairs[i]))
			return fail(&f, "out of memory");
	}
	if (!found) {
		int code = filter_store(args, word, all, out, &found);

		if (code)
			return code;
	}
	if (found)
		return EXIT_OK;
	f.action = all->count ? "`synctl list` names the pairs there are" :
		"there are no pairs yet; `synctl mirror SOURCE REPLICA` makes one";
	return fail(&f, "there is no such pair");
}

int select_pairs(struct args *args, struct dms_list *list)
{
	struct dms_list all;
	unsigned int i;
	int err;

	memset(list, 0, sizeof(*list));
	err = dms_dump(args->client, &all);
	if (err)
		return fail_kernel(args, NULL, "list the pairs", err);
	select_names(&all);
	if (!args->count) {
		*list = all;
		return EXIT_OK;
	}
	list->consistent = all.consistent;
	for (i = 0; i < args->count && !err; i++)
		err = select_filter(args, args->words[i], &all, list);
	dms_list_free(&all);
	if (err)
		dms_list_free(list);
	return err;
}

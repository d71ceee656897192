// SPDX-License-Identifier: GPL-2.0-only
/*
 * door: the device through which a replica is used. That of a mirror or clone is
 * PAIR-replica; an image is mounted by its own name, VOL@IMAGE, which device-mapper
 * and udev both take as it is.
 */

#include <inttypes.h>
#include <string.h>

#include "create.h"
#include "select.h"

/* An image has room for many doors; the first of them has its name. */
static int name_door(struct args *args, const struct dms_pair *pair, struct dm_device *dev)
{
	const char *name = args->count > 1 ? args->words[1] : NULL;
	const char *tail = name || HAS(pair, IMAGE) ? "" : "-replica";
	char uuid[DMS_UUID_TEXT];
	int n;

	n = snprintf(dev->name, sizeof(dev->name), "%s%s", name ? name : pair->name, tail);
	if (n < 0 || (size_t)n >= sizeof(dev->name) || strchr(dev->name, '/'))
		return usage(args, "not a name for a door: %s%s (`synctl door PAIR NAME` chooses)",
			     name ? name : pair->name, tail);
	dms_uuid_text(pair->uuid, uuid);
	snprintf(dev->uuid, sizeof(dev->uuid), "SYNC-%s-replica%s%.60s", uuid,
		 name ? "-" : "", name ? name : "");
	return EXIT_OK;
}

static int door_of(struct args *args, const struct dms_list *list, struct dm_device *dev)
{
	struct failure f = { .args = args, .code = EXIT_USAGE, .object = args->words[0] };
	const struct dms_pair *pair = &list->pairs[0];
	struct devno door;

	if (list->count != 1 || !pair_device(pair, DEV_DOOR, &door))
		return fail(&f, "this does not mean exactly one pair");
	dev->sectors = GET(pair, SIZE_BYTES) / 512;
	snprintf(dev->params, sizeof(dev->params), "%u:%u%s%s", door.major, door.minor,
		 pair->image[0] ? " " : "", pair->image);
	return name_door(args, pair, dev);
}

int cmd_door(struct args *args)
{
	struct dm_device dev = { .target = "sync-replica", .low_priority = true };
	unsigned int words = args->count;
	struct dms_list list;
	struct devno door;
	int code;
	int err;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	args->count = 1;
	code = select_pairs(args, &list);
	args->count = words;
	if (code)
		return code;
	code = door_of(args, &list, &dev);
	dms_list_free(&list);
	if (code)
		return code;
	if (given(args, OPT_DRY_RUN)) {
		create_print(&dev);
		return EXIT_OK;
	}
	err = dm_create(&dev, &door);
	if (err)
		return create_failed(args, &dev, err, NULL);
	if (given(args, OPT_VERBOSE))
		printf("%s: created /dev/mapper/%s\n", args->words[0], dev.name);
	return EXIT_OK;
}

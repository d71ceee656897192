// SPDX-License-Identifier: GPL-2.0-only
/* mirror and clone: pairs whose replica is a whole device. */

#include <errno.h>
#include <string.h>

#include "ask.h"
#include "create.h"
#include "format.h"
#include "probe.h"
#include "select.h"
#include "wait.h"

#define REGION_MAX	(1ULL << 30)
#define CLONE_REGION_MAX	(1ULL << 20)	/* a region of a clone is copied in one piece */

static bool is_clone(const struct creation *c)
{
	return !strcmp(c->kind, "clone");
}

static int check_devices(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_USAGE, .object = c->replica };
	char have[64], need[64];
	uint64_t room;

	if (create_same(c->source_dev, c->replica_dev))
		return fail(&f, "source and replica are the same device");
	if (c->meta && (create_same(c->meta_dev, c->source_dev) ||
			create_same(c->meta_dev, c->replica_dev))) {
		f.object = c->meta;
		return fail(&f, "the metadata device must be a device of its own");
	}
	c->bytes = device_bytes(c->source_dev);
	room = device_bytes(c->replica_dev);
	if (!c->bytes) {
		f.object = c->source;
		return fail(&f, "the source has no size");
	}
	if (room < c->bytes) {
		format_bytes(room, true, have, sizeof(have));
		format_bytes(c->bytes, true, need, sizeof(need));
		return fail(&f, "the replica is too small: it has %s bytes, the source %s",
			    have, need);
	}
	return EXIT_OK;
}

/* A mounted device cannot be taken at all; anything else can, when one says so. */
static int check_use(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->replica };
	char where[256], content[128], warning[512];
	int code = create_check_source(c);

	if (code)
		return code;
	if (probe_mount(c->replica_dev, where, sizeof(where)))
		return fail(&f, "this cannot become a replica: it is mounted on %s", where);
	if (given(c->args, OPT_ASSUME_IN_SYNC))
		return EXIT_OK;
	/* It is the replica already: what it holds is what the pair put there. */
	if (c->meta && !given(c->args, OPT_FORMAT) && probe_pair(c->meta))
		return EXIT_OK;
	if (create_holder(c->replica_dev, where, sizeof(where)))
		snprintf(warning, sizeof(warning),
			 "this is in use by %s and all of it will be overwritten", where);
	else if (probe_content(c->replica, content, sizeof(content)))
		snprintf(warning, sizeof(warning),
			 "this holds %s and all of it will be overwritten", content);
	else
		return EXIT_OK;
	return ask(c->args, c->replica, warning);
}

static int choose_options(struct creation *c)
{
	static const char * const mirror[] = { "full", "incremental", "differential", NULL };
	static const char * const clone[] = { "copy_on_write", "full", "copy_on_access",
					      "snap_and_clone", NULL };
	static const char * const stops[] = { "synchronized", "initialized", "prepared",
					      "inactive", NULL };
	static const char * const recoveries[] = { "auto", "manual", NULL };
	static const char * const holds[] = { "queue", "track", NULL };
	int code = create_word(c, OPT_METHODOLOGY, "methodology:",
			       is_clone(c) ? clone : mirror);

	if (!code)
		code = create_word(c, OPT_STOP_AT, "stop_at:", stops);
	if (!code)
		code = create_word(c, OPT_RECOVERY, "recovery:", recoveries);
	if (!code)
		code = create_word(c, OPT_HOLD, "hold:", holds);
	if (!code)
		code = create_pace(c);
	if (c->delta)
		create_add(c, "delta:", c->delta);
	if (given(c->args, OPT_UNASSOC))
		create_add(c, "copy_type:", "unassoc");
	if (given(c->args, OPT_ASSUME_IN_SYNC))
		create_add(c, "assume_in_sync", "");
	if (given(c->args, OPT_FORMAT))
		create_add(c, "format", "");
	return code;
}

/* The pair whose source door is @door, by a connection that sees the family. */
static int find_created(struct args *args, struct devno door, struct dms_list *list)
{
	struct devno mine;
	unsigned int i;
	int err;

	if (!dms_loaded(args->client)) {
		dms_close(args->client);
		args->client = NULL;
		err = dms_open(&args->client);
		if (err)
			return err;
	}
	if (given(args, OPT_WAIT)) {
		err = dms_subscribe(args->client, true);
		if (err)
			return err;
	}
	err = dms_dump(args->client, list);
	if (err)
		return err;
	select_names(list);
	for (i = 0; i < list->count; i++) {
		if (!pair_device(&list->pairs[i], DEV_DOOR, &mine) || !create_same(mine, door))
			continue;
		list->pairs[0] = list->pairs[i];
		list->count = 1;
		return 0;
	}
	dms_list_free(list);
	return -ENOENT;
}

static uint32_t goal_of(const struct args *args)
{
	uint32_t goal;

	if (given(args, OPT_STOP_AT) &&
	    spec_parse(&spec_copy_state, args->value[OPT_STOP_AT], &goal))
		return goal;
	return given(args, OPT_UNASSOC) ? DM_SYNC_COPY_STATE_NOT_APPLICABLE :
		DM_SYNC_COPY_STATE_SYNCHRONIZED;
}

/*
 * The kernel took the device, but there is no pair. A new clone that dissolves itself may
 * have been faster than we are; else the metadata say that the pair has come to its end.
 */
static int ended(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->meta,
			     .action = "both devices stand alone: use them directly; --format begins "
				       "a new pair and overwrites the replica" };

	if (given(c->args, OPT_UNASSOC) && c->uuid[0]) {
		if (given(c->args, OPT_VERBOSE))
			printf("%s: complete, and dissolved\n", c->dev.name);
		return EXIT_OK;
	}
	dm_remove(c->dev.name);
	return fail(&f, "the pair of this metadata device was detached or dissolved");
}

/* The kernel's sentences are constant; what the metadata were made with is on the device. */
static int not_created(struct creation *c, int err)
{
	char region[64], action[192] = "";
	uint64_t bytes = c->meta ? probe_region(c->meta) : 0;

	if (bytes && strstr(dm_reason(), "another region size")) {
		format_bytes(bytes, true, region, sizeof(region));
		snprintf(action, sizeof(action), "its regions have %s bytes: give that as "
			 "--region, as when it was made", region);
	}
	return create_failed(c->args, &c->dev, err, action[0] ? action : NULL);
}

static int create(struct creation *c)
{
	struct dms_list list = { 0 };
	struct devno door;
	char text[DMS_UUID_TEXT];
	int code = EXIT_OK;
	int err = dm_create(&c->dev, &door);

	if (err)
		return not_created(c, err);
	err = find_created(c->args, door, &list);
	if (err == -ENOENT)
		return ended(c);
	if (err)
		return fail_kernel(c->args, NULL, "find the new pair", err);
	if (!c->dev.uuid[0]) {
		dms_uuid_text(list.pairs[0].uuid, text);
		snprintf(c->dev.uuid, sizeof(c->dev.uuid), "SYNC-%s", text);
		dm_set_uuid(c->dev.name, c->dev.uuid);
	}
	if (given(c->args, OPT_VERBOSE))
		printf("%s: created /dev/mapper/%s\n", c->dev.name, c->dev.name);
	if (!c->meta && !given(c->args, OPT_QUIET))
		fprintf(stderr, "synctl: %s: note: without --meta the state is lost when "
			"the device is removed\n", c->dev.name);
	if (given(c->args, OPT_WAIT))
		code = wait_after(c->args, &list, goal_of(c->args));
	dms_list_free(&list);
	return code;
}

static int pair_create(struct creation *c)
{
	struct args *args = c->args;
	const char *slash = strrchr(c->source, '/');
	int code = delta_options(c);

	if (!code)
		code = create_find_device(c, c->source, &c->source_dev);
	if (!code)
		code = create_find_device(c, c->replica, &c->replica_dev);
	if (!code && c->meta)
		code = create_find_device(c, c->meta, &c->meta_dev);
	if (!code)
		code = delta_devices(c);
	if (!code)
		code = check_devices(c);
	if (!code)
		code = create_choose_name(c, given(args, OPT_NAME) ? args->value[OPT_NAME] :
					  slash ? slash + 1 : c->source);
	if (!code)
		code = create_choose_region(c, OPT_REGION,
					    is_clone(c) ? CLONE_REGION_MAX : REGION_MAX);
	if (!code)
		code = delta_room(c);
	if (!code)
		code = choose_options(c);
	if (!code)
		code = create_choose_uuid(c);
	if (!code)
		code = create_build_table(c);
	if (!code)
		code = check_use(c);
	if (!code)
		code = delta_use(c);
	if (code)
		return code;
	if (given(args, OPT_DRY_RUN)) {
		create_print(&c->dev);
		return EXIT_OK;
	}
	return create(c);
}

int cmd_mirror(struct args *args)
{
	struct creation c = { .args = args, .kind = "mirror", .source = args->words[0],
			      .replica = args->words[1], .meta = args->value[OPT_META] };

	return pair_create(&c);
}

int cmd_clone(struct args *args)
{
	struct creation c = { .args = args, .kind = "clone", .source = args->words[0],
			      .replica = args->words[1], .meta = args->value[OPT_META],
			      .delta = args->value[OPT_DELTA] };

	return pair_create(&c);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapshot: an image of a source, and the source door with its store where there is none.
 *
 * The two are steps of their own. A door that was made stays when the image is refused:
 * it may be in use by then, and the next attempt finds it.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ask.h"
#include "create.h"
#include "json.h"
#include "probe.h"
#include "select.h"

#define CHUNK_MAX	(1024 * 1024ULL)

/* Options that make sense only where the door is made; @set: and can be changed later */
static const struct {
	enum option_id id;
	bool set;
} of_the_door[] = {
	{ OPT_CHUNK, false }, { OPT_ON_FULL, true }, { OPT_PRIORITY, true }, { OPT_RATE, true },
	{ OPT_HOLD_MAX, true }, { OPT_UUID, false }, { OPT_FORMAT, false },
};

/* VOL@IMAGE in its parts; @image is empty where there is no @ */
static int split_name(struct args *args, const char *word, char *vol, char *image)
{
	const char *at = strrchr(word, '@');
	size_t len = at ? (size_t)(at - word) : strlen(word);

	if (!len || len >= 128 || memchr(word, '/', len))
		return usage(args, "not a name for the source's device: %.*s", (int)len, word);
	snprintf(vol, 128, "%.*s", (int)len, word);
	image[0] = 0;
	if (!at)
		return EXIT_OK;
	at++;
	if (!at[0] || strlen(at) >= DMS_IMAGE_MAX || !strcmp(at, ".") || !strcmp(at, "..") ||
	    at[strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")])
		return usage(args, "not a name for an image: '%s' (up to 63 letters, digits "
			     "and . _ + -)", at);
	snprintf(image, DMS_IMAGE_MAX, "%s", at);
	return EXIT_OK;
}

/* -- the door ----------------------------------------------------------- */

static int refuse_door_options(struct args *args, const char *vol)
{
	size_t i;

	for (i = 0; i < sizeof(of_the_door) / sizeof(of_the_door[0]); i++) {
		const char *name = options[of_the_door[i].id].name;

		if (!given(args, of_the_door[i].id))
			continue;
		if (of_the_door[i].set)
			return usage(args, "--%s is given when the device is made; change it with "
				     "`synctl set %s %s=...`", name, vol, name);
		return usage(args, "--%s is for a new store, and %s %s", name, vol,
			     args->count == 1 ? "is to be there" : "is there already");
	}
	return EXIT_OK;
}

/*
 * Is @vol a device already? @there says so. One that is not ours, or not of these
 * devices, is an error.
 */
static int look_at_door(struct creation *c, const char *vol, bool *there)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = vol };
	char target[32], params[DM_PARAMS_MAX], source[256], store[256];
	struct devno a, b;

	*there = dm_table(vol, target, params);
	if (!*there)
		return EXIT_OK;
	if (strcmp(target, "sync") || strncmp(params, "snapshot ", 9)) {
		f.action = "choose another name in place of it";
		return fail(&f, "there is a device of this name, and it is no snapshot store's");
	}
	if (sscanf(params + 9, "%255s %255s", source, store) != 2 ||
	    !device_number(source, &a) || !device_number(store, &b))
		return EXIT_OK;
	if (create_same(a, c->source_dev) && create_same(b, c->replica_dev))
		return EXIT_OK;
	f.action = "leave the devices out to take an image of it, or choose another name";
	return fail(&f, "this is there already, with other devices");
}

static int check_sizes(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_USAGE, .object = c->replica };

	if (create_same(c->source_dev, c->replica_dev))
		return fail(&f, "source and store are the same device");
	c->bytes = device_bytes(c->source_dev);
	f.object = c->source;
	return c->bytes ? EXIT_OK : fail(&f, "the source has no size");
}

/*
 * The kernel takes a store that is blank or its own, and refuses anything else. So there
 * is something to ask about only where that is switched off.
 */
static int check_store(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->replica };
	char where[256], content[128], warning[512];
	int code = create_check_source(c);

	if (code)
		return code;
	if (probe_mount(c->replica_dev, where, sizeof(where)))
		return fail(&f, "this cannot become a store: it is mounted on %s", where);
	if (!given(c->args, OPT_FORMAT) || probe_blank(c->replica))
		return EXIT_OK;
	snprintf(content, sizeof(content), "something, perhaps images");
	probe_content(c->replica, content, sizeof(content));
	snprintf(warning, sizeof(warning),
		 "--format: this holds %s, and all of it will be lost", content);
	return ask(c->args, c->replica, warning);
}

static int store_options(struct creation *c)
{
	static const char * const fulls[] = { "drop", "hold", NULL };
	int code = create_choose_region(c, OPT_CHUNK, CHUNK_MAX);

	/* The kernel checks it; so a store that is damaged is refused in its words. */
	if (!code && !given(c->args, OPT_CHUNK) && !given(c->args, OPT_FORMAT) &&
	    probe_chunk(c->replica))
		c->region = probe_chunk(c->replica);
	if (!code)
		code = create_word(c, OPT_ON_FULL, "on_full:", fulls);
	if (!code)
		code = create_pace(c);
	if (!code && given(c->args, OPT_FORMAT))
		create_add(c, "format", "");
	if (!code)
		code = create_choose_uuid(c);
	return code ? code : create_build_table(c);
}

/* A store that was taken up knows its uuid; the device gets it as its own. */
static void name_by_uuid(struct creation *c)
{
	char target[32], status[DM_PARAMS_MAX], uuid[DMS_UUID_TEXT];

	if (c->dev.uuid[0] || !dm_status(c->dev.name, target, status) ||
	    sscanf(status, "snapshot %36s", uuid) != 1)
		return;
	snprintf(c->dev.uuid, sizeof(c->dev.uuid), "SYNC-%s", uuid);
	dm_set_uuid(c->dev.name, c->dev.uuid);
}

/* The first door loads the module, and with it comes the family. */
static int reconnect(struct args *args)
{
	int err;

	if (dms_loaded(args->client))
		return EXIT_OK;
	dms_close(args->client);
	args->client = NULL;
	err = dms_open(&args->client);
	return err ? fail_kernel(args, NULL, "reach dm-sync", err) : EXIT_OK;
}

static int make_door(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->replica };
	struct devno door;
	int code = store_options(c);
	int err;

	if (!code)
		code = check_store(c);
	if (code)
		return code;
	if (given(c->args, OPT_DRY_RUN)) {
		create_print(&c->dev);
		return EXIT_OK;
	}
	err = dm_create(&c->dev, &door);
	if (err == -ENOSPC && strstr(dm_reason(), "too small")) {
		f.action = "enlarge the store to that size, or choose another device";
		return fail(&f, "cannot create the device: %s", dm_reason());
	}
	if (err == -EINVAL && strstr(dm_reason(), "another chunk size")) {
		f.action = "leave --chunk out; the store knows its own";
		return fail(&f, "cannot create the device: %s", dm_reason());
	}
	if (err)
		return create_failed(c->args, &c->dev, err, NULL);
	name_by_uuid(c);
	if (given(c->args, OPT_VERBOSE))
		printf("%s: created /dev/mapper/%s\n", c->dev.name, c->dev.name);
	return reconnect(c->args);
}

static int find_or_make_door(struct args *args, const char *vol)
{
	struct creation c = { .args = args, .kind = "snapshot", .source = args->words[0],
			      .replica = args->words[1], .meta = args->words[1] };
	bool there = false;
	int code = create_find_device(&c, c.source, &c.source_dev);

	if (!code)
		code = create_find_device(&c, c.replica, &c.replica_dev);
	if (!code)
		code = check_sizes(&c);
	if (!code)
		code = create_choose_name(&c, vol);
	if (!code)
		code = look_at_door(&c, vol, &there);
	if (code)
		return code;
	return there ? refuse_door_options(args, vol) : make_door(&c);
}

/* -- the image ---------------------------------------------------------- */

static int stop_at(struct args *args, struct dms_request *request)
{
	uint32_t state;

	if (!given(args, OPT_STOP_AT))
		return EXIT_OK;
	if (!spec_parse(&spec_copy_state, args->value[OPT_STOP_AT], &state))
		return usage(args, "--stop-at: there is no %s (%s)", args->value[OPT_STOP_AT],
			     options[OPT_STOP_AT].help);
	if (state != DM_SYNC_COPY_STATE_SYNCHRONIZED)
		dms_request_add(request, DM_SYNC_A_PAIR_STOP_AT, state);
	return EXIT_OK;
}

static void report_image(struct args *args, struct dms_pair *pair)
{
	struct dms_list one = { .pairs = pair, .count = 1, .consistent = true };

	select_name(pair);
	if (args->json) {
		json_document(args, "synctl.snapshot", &one, false);
		return;
	}
	if (given(args, OPT_QUIET))
		return;
	if (!GET(pair, PAUSE_NS)) {
		printf("%s: made, %s; `synctl activate %s` takes the point in time\n", pair->name,
		       spec_text(&spec_copy_state, GET(pair, COPY_STATE)), pair->name);
		return;
	}
	printf("%s: taken; writes paused for %" PRIu64 " us\n"
	       "`synctl door %s` makes it /dev/mapper/%s, to be mounted there\n",
	       pair->name, (GET(pair, PAUSE_NS) + 500) / 1000, pair->name, pair->name);
}

static int fail_image(struct args *args, const char *vol, const char *word, int err)
{
	struct failure f = { .args = args, .code = EXIT_NOT_FOUND, .err = -err, .object = vol };
	char action[400];

	if (err == -ENODEV) {
		snprintf(action, sizeof(action), "`synctl snapshot SOURCE STORE %s` makes it", word);
		f.action = action;
		return fail(&f, "there is no snapshot store of this name");
	}
	if (err == -EEXIST) {
		f.code = EXIT_STATE;
		f.object = word;
		snprintf(action, sizeof(action), "choose another name, delete it with `synctl "
			 "remove %s`, or take it anew with `synctl resync %s`", word, word);
		f.action = action;
		return fail(&f, "there is an image of this name");
	}
	return fail_kernel(args, NULL, "take the image", err);
}

/* By number where it can be had: a device may have been renamed. */
static void address_door(struct dms_request *request, const char *vol)
{
	char path[DEVICE_PATH_MAX];
	struct devno door;

	snprintf(path, sizeof(path), "/dev/mapper/%s", vol);
	if (!device_number(path, &door)) {
		dms_request_add_text(request, DM_SYNC_A_PAIR_NAME, vol);
		return;
	}
	dms_request_add(request, DM_SYNC_A_PAIR_DOOR_MAJOR, door.major);
	dms_request_add(request, DM_SYNC_A_PAIR_DOOR_MINOR, door.minor);
}

static int take_image(struct args *args, const char *vol, const char *image,
		      const char *word)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_IMAGE_CREATE };
	struct dms_pair pair;
	int code;
	int err;

	address_door(&request, vol);
	dms_request_add_text(&request, DM_SYNC_A_PAIR_IMAGE, image);
	code = stop_at(args, &request);
	if (code)
		return code;
	if (given(args, OPT_FORCE))
		dms_request_add(&request, DM_SYNC_A_PAIR_FLAGS, DM_SYNC_PAIR_FLAGS_FORCE);
	if (given(args, OPT_DRY_RUN)) {
		print_request(&request);
		return EXIT_OK;
	}
	if (!dms_loaded(args->client))
		return fail_absent(args);
	err = dms_send(args->client, &request, &pair);
	if (err)
		return fail_image(args, vol, word, err);
	note_kernel(args, word);
	report_image(args, &pair);
	return EXIT_OK;
}

int cmd_snapshot(struct args *args)
{
	const char *word = args->words[args->count - 1];
	char vol[128], image[DMS_IMAGE_MAX];
	int code;

	if (args->count == 2)
		return usage(args, "`snapshot` needs VOL@IMAGE, or SOURCE STORE VOL@IMAGE");
	code = split_name(args, word, vol, image);
	if (!code && args->count == 1 && !image[0])
		return usage(args, "%s names no image: VOL@IMAGE does", word);
	if (!code && args->count == 1)
		code = refuse_door_options(args, vol);
	if (!code && args->count == 3)
		code = find_or_make_door(args, vol);
	if (code || !image[0])
		return code;
	return take_image(args, vol, image, word);
}

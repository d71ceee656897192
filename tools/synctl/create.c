// SPDX-License-Identifier: GPL-2.0-only
/* mirror and door: device-mapper devices come into being. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "dm.h"
#include "format.h"
#include "probe.h"
#include "select.h"
#include "wait.h"

#define KIB		1024ULL
#define TIB		(1ULL << 40)
#define REGION_DEFAULT	(64 * KIB)
#define REGION_MIN	(4 * KIB)
#define REGION_MAX	(1024 * 1024 * KIB)

struct mirror {
	struct args *args;
	const char *source;
	const char *replica;
	const char *meta;
	struct devno source_dev;
	struct devno replica_dev;
	struct devno meta_dev;
	uint64_t bytes;
	uint64_t region;
	char uuid[DMS_UUID_TEXT];
	unsigned int optc;
	char opts[512];
	struct dm_device dev;
};

static void add_option(struct mirror *m, const char *key, const char *value)
{
	size_t at = strlen(m->opts);

	snprintf(m->opts + at, sizeof(m->opts) - at, " %s%s", key, value);
	m->optc++;
}

static int find_device(struct mirror *m, const char *path, struct devno *dev)
{
	struct failure f = { .args = m->args, .code = EXIT_NOT_FOUND, .object = path };

	if (!device_number(path, dev))
		return fail(&f, "this is no block device");
	if (strpbrk(path, " \t\\"))
		return fail(&f, "a table line cannot carry this path; use another name of it");
	return EXIT_OK;
}

static bool same(struct devno a, struct devno b)
{
	return a.major == b.major && a.minor == b.minor;
}

static int check_devices(struct mirror *m)
{
	struct failure f = { .args = m->args, .code = EXIT_USAGE, .object = m->replica };
	char have[64], need[64];
	uint64_t room;

	if (same(m->source_dev, m->replica_dev))
		return fail(&f, "source and replica are the same device");
	if (m->meta && (same(m->meta_dev, m->source_dev) || same(m->meta_dev, m->replica_dev))) {
		f.object = m->meta;
		return fail(&f, "the metadata device must be a device of its own");
	}
	m->bytes = device_bytes(m->source_dev);
	room = device_bytes(m->replica_dev);
	if (!m->bytes) {
		f.object = m->source;
		return fail(&f, "the source has no size");
	}
	if (room < m->bytes) {
		format_bytes(room, true, have, sizeof(have));
		format_bytes(m->bytes, true, need, sizeof(need));
		return fail(&f, "the replica is too small: it has %s bytes, the source %s",
			    have, need);
	}
	return EXIT_OK;
}

/* "dm-1 (db0)": the number alone tells nobody anything. */
static bool find_holder(struct devno dev, char *text, size_t size)
{
	char name[128], path[300], number[32];
	struct devno holder;
	char attr[200];

	if (!device_holder(dev, name, sizeof(name)))
		return false;
	snprintf(attr, sizeof(attr), "holders/%s/dev", name);
	if (device_attr(dev, attr, number, sizeof(number)) &&
	    device_number(number, &holder) && device_dm_name(holder, path, sizeof(path)))
		snprintf(text, size, "%s (%.100s)", name, path);
	else
		snprintf(text, size, "%s", name);
	return true;
}

/* A mounted device cannot be taken at all; anything else can, when one says so. */
static int check_use(struct mirror *m)
{
	struct failure f = { .args = m->args, .code = EXIT_STATE, .object = m->source };
	char where[256], content[128], warning[512];

	if (probe_mount(m->source_dev, where, sizeof(where))) {
		f.action = "unmount it, and mount the device of the pair in its place";
		return fail(&f, "the source is mounted on %s", where);
	}
	f.object = m->replica;
	if (probe_mount(m->replica_dev, where, sizeof(where)))
		return fail(&f, "this cannot become a replica: it is mounted on %s", where);
	if (given(m->args, OPT_ASSUME_IN_SYNC))
		return EXIT_OK;
	/* It is the replica already: what it holds is what the pair put there. */
	if (m->meta && !given(m->args, OPT_FORMAT) && probe_pair(m->meta))
		return EXIT_OK;
	if (find_holder(m->replica_dev, where, sizeof(where)))
		snprintf(warning, sizeof(warning),
			 "this is in use by %s and all of it will be overwritten", where);
	else if (probe_content(m->replica, content, sizeof(content)))
		snprintf(warning, sizeof(warning),
			 "this holds %s and all of it will be overwritten", content);
	else
		return EXIT_OK;
	return ask(m->args, m->replica, warning);
}

static int choose_region(struct mirror *m)
{
	if (!given(m->args, OPT_REGION)) {
		m->region = REGION_DEFAULT;
		while (m->bytes / m->region > TIB / REGION_DEFAULT && m->region < REGION_MAX)
			m->region *= 2;
		return EXIT_OK;
	}
	if (!parse_size(m->args->value[OPT_REGION], &m->region) ||
	    m->region & (m->region - 1) || m->region < REGION_MIN || m->region > REGION_MAX)
		return usage(m->args, "--region: not a power of two from 4K to 1G: %s",
			     m->args->value[OPT_REGION]);
	return EXIT_OK;
}

static int word_option(struct mirror *m, enum option_id id, const char *key,
		       const char *const *legal)
{
	const char *value = m->args->value[id];
	int i;

	if (!value)
		return EXIT_OK;
	for (i = 0; legal[i]; i++) {
		if (spec_same(value, legal[i])) {
			add_option(m, key, legal[i]);
			return EXIT_OK;
		}
	}
	return usage(m->args, "--%s: there is no %s (%s)", options[id].name, value,
		     options[id].help);
}

static int number_options(struct mirror *m)
{
	char text[32];
	uint64_t rate;
	double seconds;

	if (given(m->args, OPT_RATE)) {
		if (!parse_size(m->args->value[OPT_RATE], &rate))
			return usage(m->args, "--rate: not a size: %s",
				     m->args->value[OPT_RATE]);
		snprintf(text, sizeof(text), "%" PRIu64, rate);
		add_option(m, "rate:", text);
	}
	if (given(m->args, OPT_HOLD_MAX)) {
		if (!option_seconds(m->args, OPT_HOLD_MAX, &seconds))
			return EXIT_USAGE;
		snprintf(text, sizeof(text), "%.0f", seconds);
		add_option(m, "hold_max:", text);
	}
	return EXIT_OK;
}

static int choose_options(struct mirror *m)
{
	static const char * const priorities[] = { "low", "same", "high", "none", NULL };
	static const char * const methods[] = { "full", "incremental", "differential", NULL };
	static const char * const stops[] = { "synchronized", "initialized", "prepared",
					      "inactive", NULL };
	static const char * const recoveries[] = { "auto", "manual", NULL };
	static const char * const holds[] = { "queue", "track", NULL };
	int code = word_option(m, OPT_METHODOLOGY, "methodology:", methods);

	if (!code)
		code = word_option(m, OPT_PRIORITY, "priority:", priorities);
	if (!code)
		code = word_option(m, OPT_STOP_AT, "stop_at:", stops);
	if (!code)
		code = word_option(m, OPT_RECOVERY, "recovery:", recoveries);
	if (!code)
		code = word_option(m, OPT_HOLD, "hold:", holds);
	if (!code)
		code = number_options(m);
	if (given(m->args, OPT_ASSUME_IN_SYNC))
		add_option(m, "assume_in_sync", "");
	if (given(m->args, OPT_FORMAT))
		add_option(m, "format", "");
	return code;
}

static void random_uuid(char *text)
{
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "r");

	text[0] = 0;
	if (!f)
		return;
	if (fgets(text, DMS_UUID_TEXT, f))
		text[strcspn(text, "\n")] = 0;
	fclose(f);
}

/*
 * A pair whose metadata device holds something is taken up where it stood, and
 * its uuid is in there; only a new pair gets one from here.
 */
static int choose_uuid(struct mirror *m)
{
	const char *given_uuid = m->args->value[OPT_UUID];

	if (given_uuid) {
		if (strlen(given_uuid) != DMS_UUID_TEXT - 1 ||
		    strspn(given_uuid, "0123456789abcdefABCDEF-") != DMS_UUID_TEXT - 1)
			return usage(m->args, "--uuid: not a UUID: %s", given_uuid);
		snprintf(m->uuid, sizeof(m->uuid), "%s", given_uuid);
	} else if (!m->meta || given(m->args, OPT_FORMAT) || probe_blank(m->meta)) {
		random_uuid(m->uuid);
	}
	if (m->uuid[0]) {
		add_option(m, "uuid:", m->uuid);
		snprintf(m->dev.uuid, sizeof(m->dev.uuid), "SYNC-%s", m->uuid);
	}
	return EXIT_OK;
}

static int choose_name(struct mirror *m)
{
	const char *slash = strrchr(m->source, '/');
	const char *name = m->args->value[OPT_NAME];

	if (!name)
		name = slash ? slash + 1 : m->source;
	if (!name[0] || strlen(name) >= sizeof(m->dev.name) || strchr(name, '/'))
		return usage(m->args, "not a name for a pair: %s", name);
	snprintf(m->dev.name, sizeof(m->dev.name), "%s", name);
	return EXIT_OK;
}

static int build_table(struct mirror *m)
{
	int n;

	m->dev.target = "sync";
	m->dev.sectors = m->bytes / 512;
	n = snprintf(m->dev.params, sizeof(m->dev.params), "mirror %s %s %s %" PRIu64,
		     m->source, m->replica, m->meta ? m->meta : "-", m->region / 512);
	if (m->optc && n > 0 && (size_t)n < sizeof(m->dev.params))
		n += snprintf(m->dev.params + n, sizeof(m->dev.params) - n, " %u%s",
			      m->optc, m->opts);
	return n < 0 || (size_t)n >= sizeof(m->dev.params) ?
		usage(m->args, "the table line becomes too long") : EXIT_OK;
}

static void print_table(const struct dm_device *dev)
{
	printf("dmsetup create %s%s%s --table '0 %" PRIu64 " %s %s'\n", dev->name,
	       dev->uuid[0] ? " --uuid " : "", dev->uuid, dev->sectors, dev->target,
	       dev->params);
}

static int fail_create(struct args *args, const struct dm_device *dev, int err)
{
	struct failure f = { .args = args, .err = -err, .object = dev->name };
	const char *why = dm_reason();

	f.code = exit_of_errno(-err);
	if (err == -EPERM || err == -EACCES)
		f.code = EXIT_DENIED;
	if (err == -EEXIST)
		f.code = EXIT_STATE;
	if (err == -EINVAL && !why[0])
		f.action = "`dmsetup targets` shows whether dm-sync is loaded, `dmesg` why it refused";
	else if (!why[0] && err == -EBUSY)
		why = "a device of this name exists, or one of the devices is in use";
	return fail(&f, "cannot create the device: %s", why[0] ? why : strerror(-err));
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
		if (!pair_device(&list->pairs[i], DEV_DOOR, &mine) || !same(mine, door))
			continue;
		list->pairs[0] = list->pairs[i];
		list->count = 1;
		return 0;
	}
	dms_list_free(list);
	return -ENOENT;
}

static uint32_t goal_of_stop(const struct args *args)
{
	uint32_t goal;

	if (given(args, OPT_STOP_AT) &&
	    spec_parse(&spec_copy_state, args->value[OPT_STOP_AT], &goal))
		return goal;
	return DM_SYNC_COPY_STATE_SYNCHRONIZED;
}

/* The kernel took the device, but as one whose pair has come to its end. */
static int fail_ended(struct mirror *m)
{
	struct failure f = { .args = m->args, .code = EXIT_STATE, .object = m->meta,
			     .action = "--format begins a new pair, which copies everything" };

	dm_remove(m->dev.name);
	return fail(&f, "the pair of this metadata device was detached or dissolved");
}

static int create(struct mirror *m)
{
	struct dms_list list = { 0 };
	struct devno door;
	char text[DMS_UUID_TEXT];
	int code = EXIT_OK;
	int err = dm_create(&m->dev, &door);

	if (err)
		return fail_create(m->args, &m->dev, err);
	err = find_created(m->args, door, &list);
	if (err == -ENOENT)
		return fail_ended(m);
	if (err)
		return fail_kernel(m->args, NULL, "find the new pair", err);
	if (!m->dev.uuid[0]) {
		dms_uuid_text(list.pairs[0].uuid, text);
		snprintf(m->dev.uuid, sizeof(m->dev.uuid), "SYNC-%s", text);
		dm_set_uuid(m->dev.name, m->dev.uuid);
	}
	if (given(m->args, OPT_VERBOSE))
		printf("%s: created /dev/mapper/%s\n", m->dev.name, m->dev.name);
	if (!m->meta && !given(m->args, OPT_QUIET))
		fprintf(stderr, "synctl: %s: note: without --meta the state is lost when "
			"the device is removed\n", m->dev.name);
	if (given(m->args, OPT_WAIT))
		code = wait_after(m->args, &list, goal_of_stop(m->args));
	dms_list_free(&list);
	return code;
}

int cmd_mirror(struct args *args)
{
	struct mirror m = { .args = args, .source = args->words[0],
			    .replica = args->words[1], .meta = args->value[OPT_META] };
	int code = find_device(&m, m.source, &m.source_dev);

	if (!code)
		code = find_device(&m, m.replica, &m.replica_dev);
	if (!code && m.meta)
		code = find_device(&m, m.meta, &m.meta_dev);
	if (!code)
		code = check_devices(&m);
	if (!code)
		code = choose_name(&m);
	if (!code)
		code = choose_region(&m);
	if (!code)
		code = choose_options(&m);
	if (!code)
		code = choose_uuid(&m);
	if (!code)
		code = build_table(&m);
	if (!code)
		code = check_use(&m);
	if (code)
		return code;
	if (given(args, OPT_DRY_RUN)) {
		print_table(&m.dev);
		return EXIT_OK;
	}
	return create(&m);
}

int cmd_door(struct args *args)
{
	struct dm_device dev = { .target = "sync-replica", .low_priority = true };
	struct failure f = { .args = args, .code = EXIT_USAGE, .object = args->words[0] };
	const char *name = args->count > 1 ? args->words[1] : NULL;
	char uuid[DMS_UUID_TEXT];
	struct dms_list list;
	struct devno door;
	int code;
	int err;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	args->count = 1;
	code = select_pairs(args, &list);
	if (code)
		return code;
	if (list.count != 1 || !pair_device(&list.pairs[0], DEV_DOOR, &door)) {
		dms_list_free(&list);
		return fail(&f, "this does not mean exactly one pair");
	}
	dms_uuid_text(list.pairs[0].uuid, uuid);
	snprintf(dev.name, sizeof(dev.name), "%.*s%s", name ? 127 : 119,
		 name ? name : list.pairs[0].name, name ? "" : "-replica");
	snprintf(dev.uuid, sizeof(dev.uuid), "SYNC-%s-replica%s%.60s", uuid,
		 name ? "-" : "", name ? name : "");
	dev.sectors = GET(&list.pairs[0], SIZE_BYTES) / 512;
	snprintf(dev.params, sizeof(dev.params), "%u:%u", door.major, door.minor);
	dms_list_free(&list);
	if (given(args, OPT_DRY_RUN)) {
		print_table(&dev);
		return EXIT_OK;
	}
	err = dm_create(&dev, &door);
	if (err)
		return fail_create(args, &dev, err);
	if (given(args, OPT_VERBOSE))
		printf("%s: created /dev/mapper/%s\n", args->words[0], dev.name);
	return EXIT_OK;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Making the devices of pairs: what mirror, clone, snapshot and door share. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "create.h"
#include "probe.h"

#define KIB		1024ULL
#define TIB		(1ULL << 40)
#define REGION_DEFAULT	(64 * KIB)
#define REGION_MIN	(4 * KIB)

void create_add(struct creation *c, const char *key, const char *value)
{
	size_t at = strlen(c->opts);

	snprintf(c->opts + at, sizeof(c->opts) - at, " %s%s", key, value);
	c->optc++;
}

int create_find_device(struct creation *c, const char *path, struct devno *dev)
{
	struct failure f = { .args = c->args, .code = EXIT_NOT_FOUND, .object = path };

	if (!device_number(path, dev))
		return fail(&f, "this is no block device");
	if (strpbrk(path, " \t\\"))
		return fail(&f, "a table line cannot carry this path; use another name of it");
	return EXIT_OK;
}

bool create_same(struct devno a, struct devno b)
{
	return a.major == b.major && a.minor == b.minor;
}

/* "dm-1 (db0)": the number alone tells nobody anything. */
bool create_holder(struct devno dev, char *text, size_t size)
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

int create_check_source(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->source };
	char where[256];

	if (!probe_mount(c->source_dev, where, sizeof(where)))
		return EXIT_OK;
	f.action = "unmount it, and mount the device that is made here in its place";
	return fail(&f, "the source is mounted on %s", where);
}

int create_choose_region(struct creation *c, enum option_id id, uint64_t max)
{
	const char *text = c->args->value[id];

	if (!text) {
		c->region = REGION_DEFAULT;
		while (c->bytes / c->region > TIB / REGION_DEFAULT && c->region < max)
			c->region *= 2;
		return EXIT_OK;
	}
	if (!parse_size(text, &c->region) || c->region & (c->region - 1) ||
	    c->region < REGION_MIN || c->region > max)
		return usage(c->args, "--%s: not a power of two from 4K to %s: %s",
			     options[id].name, max > KIB * KIB ? "1G" : "1M", text);
	return EXIT_OK;
}

int create_word(struct creation *c, enum option_id id, const char *key,
		const char *const *legal)
{
	const char *value = c->args->value[id];
	int i;

	if (!value)
		return EXIT_OK;
	for (i = 0; legal[i]; i++) {
		if (spec_same(value, legal[i])) {
			create_add(c, key, legal[i]);
			return EXIT_OK;
		}
	}
	return usage(c->args, "--%s: there is no %s (%s)", options[id].name, value,
		     options[id].help);
}

int create_pace(struct creation *c)
{
	static const char * const priorities[] = { "low", "same", "high", "none", NULL };
	char text[32];
	uint64_t rate;
	uint64_t seconds;
	int code = create_word(c, OPT_PRIORITY, "priority:", priorities);

	if (code)
		return code;
	if (given(c->args, OPT_RATE)) {
		if (!parse_size(c->args->value[OPT_RATE], &rate))
			return usage(c->args, "--rate: not a size: %s",
				     c->args->value[OPT_RATE]);
		snprintf(text, sizeof(text), "%" PRIu64, rate);
		create_add(c, "rate:", text);
	}
	if (given(c->args, OPT_HOLD_MAX)) {
		if (!option_hold(c->args, &seconds))
			return EXIT_USAGE;
		snprintf(text, sizeof(text), "%" PRIu64, seconds);
		create_add(c, "hold_max:", text);
	}
	return EXIT_OK;
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
int create_choose_uuid(struct creation *c)
{
	const char *given_uuid = c->args->value[OPT_UUID];

	if (given_uuid) {
		if (strlen(given_uuid) != DMS_UUID_TEXT - 1 ||
		    strspn(given_uuid, "0123456789abcdefABCDEF-") != DMS_UUID_TEXT - 1)
			return usage(c->args, "--uuid: not a UUID: %s", given_uuid);
		snprintf(c->uuid, sizeof(c->uuid), "%s", given_uuid);
	} else if (!c->meta || given(c->args, OPT_FORMAT) || probe_blank(c->meta)) {
		random_uuid(c->uuid);
	}
	if (c->uuid[0]) {
		create_add(c, "uuid:", c->uuid);
		snprintf(c->dev.uuid, sizeof(c->dev.uuid), "SYNC-%s", c->uuid);
	}
	return EXIT_OK;
}

int create_choose_name(struct creation *c, const char *name)
{
	if (!name[0] || strlen(name) >= sizeof(c->dev.name) || strchr(name, '/'))
		return usage(c->args, "not a name for a pair: %s", name);
	snprintf(c->dev.name, sizeof(c->dev.name), "%s", name);
	return EXIT_OK;
}

int create_build_table(struct creation *c)
{
	int n;

	c->dev.target = "sync";
	c->dev.sectors = c->bytes / 512;
	n = snprintf(c->dev.params, sizeof(c->dev.params), "%s %s %s %s %" PRIu64,
		     c->kind, c->source, c->replica,
		     c->meta && c->meta != c->replica ? c->meta : "-", c->region / 512);
	if (c->optc && n > 0 && (size_t)n < sizeof(c->dev.params))
		n += snprintf(c->dev.params + n, sizeof(c->dev.params) - n, " %u%s",
			      c->optc, c->opts);
	return n < 0 || (size_t)n >= sizeof(c->dev.params) ?
		usage(c->args, "the table line becomes too long") : EXIT_OK;
}

void create_print(const struct dm_device *dev)
{
	printf("dmsetup create %s%s%s --table '0 %" PRIu64 " %s %s'\n", dev->name,
	       dev->uuid[0] ? " --uuid " : "", dev->uuid, dev->sectors, dev->target,
	       dev->params);
}

int create_failed(struct args *args, const struct dm_device *dev, int err, const char *action)
{
	struct failure f = { .args = args, .err = -err, .object = dev->name, .action = action };
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

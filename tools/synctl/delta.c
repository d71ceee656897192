// SPDX-License-Identifier: GPL-2.0-only
/*
 * The delta of a clone: where old data goes before the replica has taken it.
 *
 * The kernel takes a device that is blank, or the pair's own delta, and refuses anything
 * else. What it would refuse is refused here, in words that help; what it would overwrite,
 * told to by --format, is asked about.
 */

#include <string.h>

#include "ask.h"
#include "create.h"
#include "format.h"
#include "probe.h"

/* Documentation/on-disk-format.rst: the table is before it, whatever the size. */
#define DATA_AT		(1ULL << 20)

int delta_options(const struct creation *c)
{
	const char *methodology = c->args->value[OPT_METHODOLOGY];
	bool wanted = methodology && spec_same(methodology, "snap_and_clone");

	if (wanted && !c->delta)
		return usage(c->args, "--methodology snap-and-clone needs --delta DEV, where old "
			     "data goes first");
	if (c->delta && !wanted)
		return usage(c->args, "--delta is for --methodology snap-and-clone");
	return EXIT_OK;
}

int delta_devices(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_USAGE, .object = c->delta };
	int code;

	if (!c->delta)
		return EXIT_OK;
	code = create_find_device(c, c->delta, &c->delta_dev);
	if (code)
		return code;
	if (create_same(c->delta_dev, c->source_dev) ||
	    create_same(c->delta_dev, c->replica_dev) ||
	    (c->meta && create_same(c->delta_dev, c->meta_dev)))
		return fail(&f, "the delta must be a device of its own");
	return EXIT_OK;
}

int delta_room(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_USAGE, .object = c->delta };
	uint64_t bytes, least = DATA_AT + c->region;
	char have[64], need[64];

	if (!c->delta)
		return EXIT_OK;
	bytes = device_bytes(c->delta_dev);
	if (bytes >= least)
		return EXIT_OK;
	format_bytes(bytes, true, have, sizeof(have));
	format_bytes(least, true, need, sizeof(need));
	return fail(&f, "the delta is too small: it has %s bytes, and needs %s for one region",
		    have, need);
}

int delta_use(struct creation *c)
{
	struct failure f = { .args = c->args, .code = EXIT_STATE, .object = c->delta };
	bool format = given(c->args, OPT_FORMAT), ours, found;
	char what[256], warning[512];

	if (!c->delta)
		return EXIT_OK;
	if (probe_mount(c->delta_dev, what, sizeof(what)))
		return fail(&f, "this cannot become a delta: it is mounted on %s", what);
	if (create_holder(c->delta_dev, what, sizeof(what)))
		return fail(&f, "this cannot become a delta: it is in use by %s", what);
	ours = probe_delta(c->delta);
	found = !ours && probe_content(c->delta, what, sizeof(what));
	if (found && !format) {
		f.action = "choose a device that is blank; --format begins a new pair and "
			   "overwrites it";
		return fail(&f, "this cannot become a delta: it holds %s", what);
	}
	/* Whose it is the kernel knows, and refuses another pair's. */
	if (ours ? !format : !found && (!format || probe_blank(c->delta)))
		return EXIT_OK;
	snprintf(warning, sizeof(warning), "%sthis holds %s, and all of it will be lost",
		 format ? "--format: " : "",
		 found ? what : ours ? "the delta of a pair" : "something");
	return ask(c->args, c->delta, warning);
}

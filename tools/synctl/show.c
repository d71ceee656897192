// SPDX-License-Identifier: GPL-2.0-only
/* The long form of a pair. */

#include <inttypes.h>
#include <string.h>

#include "advice.h"
#include "fields.h"
#include "format.h"
#include "select.h"

#define LABEL	"  %-24s  "

static void print_head(const struct dms_pair *pair)
{
	char text[DEVICE_PATH_MAX];
	struct devno dev;

	printf("%s", pair->name);
	if (pair_device(pair, DEV_DOOR, &dev)) {
		if (device_path(dev, text, sizeof(text)))
			printf("  %s", text);
		printf("  %u:%u", dev.major, dev.minor);
	}
	printf("  id:%" PRIu64, GET(pair, ID));
	if (HAS(pair, UUID)) {
		dms_uuid_text(pair->uuid, text);
		printf("  uuid %s", text);
	}
	printf("\n");
}

static void print_class(const struct dms_pair *pair)
{
	char text[128];
	int i;

	for (i = 0; i < CLASS_FIELDS; i++) {
		const struct field *f = &fields[i];

		field_text(f, pair, text, sizeof(text));
		if (f->kind == FIELD_ENUM && pair->has[f->attr])
			printf(LABEL "%-24s(%" PRIu64 ")\n", f->label, text,
			       pair->value[f->attr]);
		else
			printf(LABEL "%s\n", f->label, text);
	}
}

static void print_progress(struct args *args, const struct dms_pair *pair)
{
	bool exact = given(args, OPT_BYTES);
	const char *why_not;
	char text[64];
	int64_t eta;

	if (!copy_runs(pair))
		return;
	eta = eta_seconds(pair, dms_now(args->client), &why_not);
	format_bytes(GET(pair, DONE_BYTES), exact, text, sizeof(text));
	printf(LABEL "%s", "Progress", text);
	format_bytes(GET(pair, TOTAL_BYTES), exact, text, sizeof(text));
	printf(" of %s", text);
	format_bytes(GET(pair, RATE_BYTES), exact, text, sizeof(text));
	printf(" at %s/s", text);
	if (GET(pair, LIMIT_BYTES)) {
		format_bytes(GET(pair, LIMIT_BYTES), exact, text, sizeof(text));
		printf(", limit %s/s", text);
	}
	if (HAS(pair, LIMITED_BY))
		printf(", limited by %s",
		       spec_text(&spec_limited_by, GET(pair, LIMITED_BY)));
	if (eta >= 0) {
		format_duration(eta, text, sizeof(text));
		printf(", %s left\n", text);
	} else {
		printf(", no estimate: %s\n", why_not);
	}
}

static void print_leg(const struct dms_pair *pair, enum pair_device which,
		      const char *label, uint16_t errors, uint16_t changed)
{
	char text[DEVICE_PATH_MAX];
	struct devno dev;

	if (!pair_device(pair, which, &dev)) {
		if (which == DEV_META)
			printf(LABEL "none: the state does not outlive a reload\n", label);
		return;
	}
	if (device_path(dev, text, sizeof(text)))
		printf(LABEL "%s  %u:%u", label, text, dev.major, dev.minor);
	else
		printf(LABEL "%u:%u", label, dev.major, dev.minor);
	if (errors && pair->has[errors])
		printf("  %" PRIu64 " errors", pair->value[errors]);
	if (changed && pair->has[changed])
		printf(", %" PRIu64 " regions changed", pair->value[changed]);
	printf("\n");
}

/* Verbs, not the class's words for them: what can be typed */
static void verbs_text(uint64_t bitmap, char *text, size_t size)
{
	unsigned int op;
	size_t at = 0;

	snprintf(text, size, "-");
	for (op = 0; op < 32 && at < size; op++)
		if (bitmap >> op & 1 && command_verb(op))
			at += snprintf(text + at, size - at, "%s%s", at ? ", " : "",
				       command_verb(op));
}

static void print_image(struct args *args, const struct dms_pair *pair)
{
	bool exact = given(args, OPT_BYTES);
	char text[64];

	if (!HAS(pair, IMAGE))
		return;
	format_bytes(GET(pair, SAVED_BYTES), exact, text, sizeof(text));
	printf(LABEL "%s saved", "Image", text);
	format_bytes(GET(pair, ALONE_BYTES), exact, text, sizeof(text));
	printf(", %s held alone", text);
	if (GET(pair, PAUSE_NS))
		printf(", taken in a pause of %" PRIu64 " us", (GET(pair, PAUSE_NS) + 500) / 1000);
	printf("\n");
	format_bytes(GET(pair, STORE_FREE_BYTES), exact, text, sizeof(text));
	printf(LABEL "%s free", "Store space", text);
	format_bytes(GET(pair, SLOTS) * GET(pair, REGION_BYTES), exact, text, sizeof(text));
	printf(" of %s", text);
	format_bytes(GET(pair, REGION_BYTES), exact, text, sizeof(text));
	printf(", in chunks of %s", text);
	if (HAS(pair, FULL_SECONDS)) {
		format_duration(GET(pair, FULL_SECONDS), text, sizeof(text));
		printf(", full in %s", text);
		format_bytes(GET(pair, FILL_RATE_BYTES), exact, text, sizeof(text));
		printf(" at %s/s", text);
	}
	printf("\n");
}

static void print_delta(struct args *args, const struct dms_pair *pair)
{
	bool exact = given(args, OPT_BYTES);
	char text[64];

	if (!has_delta(pair))
		return;
	format_bytes(GET(pair, STORE_FREE_BYTES), exact, text, sizeof(text));
	printf(LABEL "%s free", "Delta space", text);
	format_bytes(GET(pair, SLOTS) * GET(pair, REGION_BYTES), exact, text, sizeof(text));
	printf(" of %s", text);
	format_bytes(GET(pair, REGION_BYTES), exact, text, sizeof(text));
	printf(", in regions of %s\n", text);
}

static void print_rest(struct args *args, const struct dms_pair *pair)
{
	uint64_t verbs = command_operations();
	char text[1024];

	if (HAS(pair, REASON) && GET(pair, REASON) != DM_SYNC_REASON_NONE) {
		printf(LABEL "%s", "Reason", spec_text(&spec_reason, GET(pair, REASON)));
		field_text(field_find("reason_time"), pair, text, sizeof(text));
		printf(HAS(pair, REASON_TIME) ? ", since %s\n" : "\n", text);
	}
	print_progress(args, pair);
	print_leg(pair, DEV_SOURCE, "Source", DM_SYNC_A_PAIR_SOURCE_ERRORS,
		  DM_SYNC_A_PAIR_SOURCE_CHANGED);
	print_leg(pair, DEV_REPLICA, HAS(pair, IMAGE) ? "Store" : "Replica", DM_SYNC_A_PAIR_REPLICA_ERRORS,
		  DM_SYNC_A_PAIR_REPLICA_CHANGED);
	if (!HAS(pair, IMAGE))
		print_leg(pair, DEV_META, "Metadata", 0, 0);
	print_image(args, pair);
	print_delta(args, pair);
	if (HAS(pair, DOOR_ACCESS))
		printf(LABEL "%s\n", "Replica door",
		       spec_text(&spec_door_access, GET(pair, DOOR_ACCESS)));
	verbs_text(GET(pair, ALLOWED_OPS), text, sizeof(text));
	printf(LABEL "%s\n", "Allowed now", HAS(pair, ALLOWED_OPS) ? text : "-");
	verbs_text(GET(pair, ALLOWED_OPS_FORCE), text, sizeof(text));
	if (GET(pair, ALLOWED_OPS_FORCE) & verbs)
		printf(LABEL "%s\n", "Allowed with --force", text);
}

/* --all: our own fields too, and what this tool does not know */
static void print_native(const struct dms_pair *pair)
{
	char text[1024];
	unsigned int i, j;

	for (i = CLASS_FIELDS; i < field_count; i++) {
		if (fields[i].kind == FIELD_OPS)
			continue;
		field_text(&fields[i], pair, text, sizeof(text));
		printf(LABEL "%s\n", fields[i].key, text);
	}
	for (i = 0; i < pair->unknown_count; i++) {
		const struct dms_unknown *u = &pair->unknown[i];

		snprintf(text, sizeof(text), "attr %u", u->type);
		printf(LABEL "%u bytes ", text, u->len);
		for (j = 0; j < u->len && j < DMS_UNKNOWN_BYTES; j++)
			printf("%02x", u->data[j]);
		printf("\n");
	}
}

void show_pair(struct args *args, const struct dms_pair *pair)
{
	print_head(pair);
	print_class(pair);
	print_rest(args, pair);
	if (given(args, OPT_ALL))
		print_native(pair);
}

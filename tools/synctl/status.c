// SPDX-License-Identifier: GPL-2.0-only
/* status, show and list. */

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "fields.h"
#include "format.h"
#include "json.h"
#include "select.h"

enum column { COL_PAIR, COL_TYPE, COL_MODE, COL_STATE, COL_PROGRESS, COL_SYNCED,
	      COL_LEFT, COL_RATE, COL_ETA, COL_ALONE, COL_REPLICA, COLUMNS };

static const struct {
	const char *name;
	int flags;
} columns[COLUMNS] = {
	[COL_PAIR] = { "PAIR", 0 },
	[COL_TYPE] = { "TYPE", 0 },
	[COL_MODE] = { "MODE", 0 },
	[COL_STATE] = { "COPY STATE", 0 },
	[COL_PROGRESS] = { "PROGRESS", 0 },
	[COL_SYNCED] = { "SYNCED", SCOLS_FL_RIGHT },
	[COL_LEFT] = { "LEFT", SCOLS_FL_RIGHT },
	[COL_RATE] = { "RATE", SCOLS_FL_RIGHT },
	[COL_ETA] = { "ETA", SCOLS_FL_RIGHT },
	[COL_ALONE] = { "ALONE", SCOLS_FL_RIGHT },
	[COL_REPLICA] = { "REPLICA", SCOLS_FL_TRUNC },
};

static void copy_columns(struct libscols_line *line, const struct dms_pair *pair,
			 struct args *args)
{
	char text[64];
	const char *why_not;
	int64_t eta = eta_seconds(pair, dms_now(args->client), &why_not);
	uint64_t left = GET(pair, TOTAL_BYTES) - GET(pair, DONE_BYTES);
	bool runs = copy_runs(pair) && GET(pair, TOTAL_BYTES) >= GET(pair, DONE_BYTES);

	format_bytes(left, given(args, OPT_BYTES), text, sizeof(text));
	scols_line_set_data(line, COL_LEFT, runs ? text : "-");
	format_short(GET(pair, RATE_BYTES), text, sizeof(text));
	if (given(args, OPT_BYTES))
		snprintf(text, sizeof(text), "%" PRIu64, GET(pair, RATE_BYTES));
	strcat(text, "/s");
	scols_line_set_data(line, COL_RATE, runs ? text : "-");
	if (eta >= 0)
		format_duration(eta, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s",
			 !runs || !strcmp(why_not, "just started") ? "-" : why_not);
	scols_line_set_data(line, COL_ETA, text);
}

static int add_line(struct libscols_table *table, const struct dms_pair *pair,
		    struct args *args)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[DEVICE_PATH_MAX];
	struct devno dev;
	const char *path;
	char *p;

	if (!line)
		return -1;
	scols_line_set_data(line, COL_PAIR, pair->name);
	field_text(field_find("sync_type"), pair, text, sizeof(text));
	for (p = text; *p; p++)
		*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
	scols_line_set_data(line, COL_TYPE, text);
	scols_line_set_data(line, COL_MODE,
			    GET(pair, SYNC_MODE) == DM_SYNC_SYNC_MODE_SYNCHRONOUS ? "sync" :
			    GET(pair, SYNC_MODE) == DM_SYNC_SYNC_MODE_ASYNCHRONOUS ? "async" : "-");
	field_text(field_find("copy_state"), pair, text, sizeof(text));
	scols_line_set_data(line, COL_STATE, text);
	field_text(field_find("progress_status"), pair, text, sizeof(text));
	scols_line_set_data(line, COL_PROGRESS, text);
	field_text(field_find("percent_synced"), pair, text, sizeof(text));
	if (HAS(pair, PERCENT_SYNCED))
		strcat(text, "%");
	scols_line_set_data(line, COL_SYNCED, text);
	copy_columns(line, pair, args);
	path = "-";
	if (pair_device(pair, DEV_REPLICA, &dev)) {
		device_path(dev, text, sizeof(text));
		path = strncmp(text, "/dev/", 5) ? text :
			strncmp(text, "/dev/mapper/", 12) ? text + 5 : text + 12;
	}
	scols_line_set_data(line, COL_REPLICA, path);
	if (HAS(pair, ALONE_BYTES))
		format_bytes(GET(pair, ALONE_BYTES), given(args, OPT_BYTES), text, sizeof(text));
	scols_line_set_data(line, COL_ALONE, HAS(pair, ALONE_BYTES) ? text : "-");
	return 0;
}

/* Only images hold something alone; a table without them has no column for it. */
static bool has_images(const struct dms_list *list)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (HAS(&list->pairs[i], IMAGE))
			return true;
	return false;
}

/* "1.0 GiB of 4.0 GiB free (25%)" */
static void print_room(struct args *args, const struct dms_pair *pair)
{
	uint64_t bytes = GET(pair, SLOTS) * GET(pair, REGION_BYTES);
	char left[64], room[64];

	format_bytes(GET(pair, STORE_FREE_BYTES), given(args, OPT_BYTES), left, sizeof(left));
	format_bytes(bytes, given(args, OPT_BYTES), room, sizeof(room));
	printf("%s of %s free", left, room);
	if (bytes)
		printf(" (%u%%)", (unsigned int)((double)GET(pair, STORE_FREE_BYTES) / bytes * 100));
}

/* A delta that is empty is of no interest, as it is when the copy is complete. */
static void print_delta(struct args *args, const struct dms_pair *pair)
{
	if (GET(pair, STORE_FREE_BYTES) >= GET(pair, SLOTS) * GET(pair, REGION_BYTES))
		return;
	printf("\n%s: delta: ", pair->name);
	print_room(args, pair);
	printf("\n");
}

/* How much room is left in the store that this image is in, which it shares */
static void print_store(struct args *args, const struct dms_list *list, unsigned int at)
{
	const struct dms_pair *pair = &list->pairs[at];
	char store[DMS_NAME_MAX], other[DMS_NAME_MAX];
	unsigned int i, images = 0;

	select_store(pair, store, sizeof(store));
	for (i = 0; i < list->count; i++) {
		select_store(&list->pairs[i], other, sizeof(other));
		if (!HAS(&list->pairs[i], IMAGE) || strcmp(store, other))
			continue;
		if (i < at)
			return;
		images++;
	}
	printf("\n%s: ", store);
	print_room(args, pair);
	printf(", %u image%s listed\n", images, images == 1 ? "" : "s");
}

static void print_remarks(struct args *args, const struct dms_list *list)
{
	unsigned int i;

	for (i = 0; i < list->count; i++)
		if (has_delta(&list->pairs[i]))
			print_delta(args, &list->pairs[i]);
		else if (HAS(&list->pairs[i], STORE_FREE_BYTES))
			print_store(args, list, i);
	for (i = 0; i < list->count; i++)
		advice_print(&list->pairs[i]);
}

static int print_table(struct args *args, const struct dms_list *list)
{
	struct libscols_table *table;
	unsigned int i;

	scols_init_debug(0);
	table = scols_new_table();
	if (!table)
		return EXIT_REFUSED;
	scols_table_enable_noheadings(table, given(args, OPT_NO_HEADINGS));
	scols_table_enable_ascii(table, given(args, OPT_ASCII));
	for (i = 0; i < COLUMNS; i++)
		scols_table_new_column(table, columns[i].name, 0, columns[i].flags |
			(i == COL_ALONE && !has_images(list) ? SCOLS_FL_HIDDEN : 0));
	for (i = 0; i < list->count; i++)
		if (add_line(table, &list->pairs[i], args))
			break;
	scols_print_table(table);
	scols_unref_table(table);
	if (!given(args, OPT_QUIET) && !given(args, OPT_NO_HEADINGS))
		print_remarks(args, list);
	return EXIT_OK;
}

static void keep_unhealthy(struct dms_list *list)
{
	unsigned int from, to = 0;

	for (from = 0; from < list->count; from++)
		if (dms_health(&list->pairs[from]) != DMS_HEALTHY)
			list->pairs[to++] = list->pairs[from];
	list->count = to;
}

/* One line and the exit code that monitoring systems expect */
static int check(const struct dms_list *list)
{
	static const char * const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	unsigned int count[4] = { 0 };
	int worst = 0;
	unsigned int i;

	for (i = 0; i < list->count; i++)
		count[dms_health(&list->pairs[i])]++;
	if (count[DMS_CRITICAL])
		worst = 2;
	else if (count[DMS_UNKNOWN])
		worst = 3;
	else if (count[DMS_DEGRADED])
		worst = 1;
	printf("DM-SYNC %s - %u pairs, %u healthy, %u degraded, %u critical, %u unknown"
	       " | pairs=%u healthy=%u degraded=%u critical=%u\n",
	       words[worst], list->count, count[0], count[1], count[2], count[3],
	       list->count, count[0], count[1], count[2]);
	return worst;
}

static int no_module(struct args *args, const char *schema)
{
	if (given(args, OPT_CHECK)) {
		printf("DM-SYNC UNKNOWN - dm-sync is not loaded | pairs=0\n");
		return 3;
	}
	if (args->count)
		return fail_absent(args);
	if (args->json)
		json_document(args, schema, NULL, false);
	if (!given(args, OPT_QUIET))
		fprintf(stderr, "synctl: no pairs (dm-sync is not %s)\n",
			dms_absence() == 'm' ? "loaded" : "reachable from here");
	return EXIT_OK;
}

static int finish(struct args *args, struct dms_list *list, int code)
{
	struct failure f = { .args = args, .code = EXIT_INCOMPLETE };

	if (!list->consistent)
		code = fail(&f, "the pairs changed three times while they were read; "
			    "the list may be incomplete");
	dms_list_free(list);
	return code;
}

/* The complaint went to stderr; what is on stdout is JSON all the same. */
static int nothing(struct args *args, const char *schema, int code)
{
	struct dms_list none = { 0 };

	if (args->json)
		json_document(args, schema, &none, false);
	return code;
}

int cmd_status(struct args *args)
{
	struct dms_list list;
	int code;

	if (!dms_loaded(args->client))
		return no_module(args, "synctl.status");
	code = select_pairs(args, &list);
	if (code)
		return nothing(args, "synctl.status", code);
	if (given(args, OPT_CHECK))
		return finish(args, &list, check(&list));
	if (given(args, OPT_UNHEALTHY))
		keep_unhealthy(&list);
	if (args->json)
		json_document(args, "synctl.status", &list, false);
	else if (list.count)
		code = print_table(args, &list);
	else if (!given(args, OPT_QUIET))
		fprintf(stderr, "synctl: no pairs\n");
	return finish(args, &list, code);
}

int cmd_list(struct args *args)
{
	struct dms_list list;
	unsigned int i;
	int code;

	if (!dms_loaded(args->client))
		return no_module(args, "synctl.list");
	code = select_pairs(args, &list);
	if (code)
		return nothing(args, "synctl.list", code);
	if (args->json)
		json_document(args, "synctl.list", &list, false);
	else
		for (i = 0; i < list.count; i++)
			printf("%s%c", list.pairs[i].name, given(args, OPT_NUL) ? 0 : '\n');
	return finish(args, &list, EXIT_OK);
}

int cmd_show(struct args *args)
{
	struct dms_list list;
	unsigned int i;
	int code;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	code = select_pairs(args, &list);
	if (code)
		return nothing(args, "synctl.show", code);
	if (args->json) {
		json_document(args, "synctl.show", &list, false);
		return finish(args, &list, EXIT_OK);
	}
	for (i = 0; i < list.count; i++) {
		if (i)
			printf("\n");
		show_pair(args, &list.pairs[i]);
	}
	return finish(args, &list, EXIT_OK);
}

// SPDX-License-Identifier: GPL-2.0-only
/* How one event is printed: a line of text or a line of JSON. */

#include <inttypes.h>
#include <string.h>

#include "fields.h"
#include "format.h"
#include "json.h"
#include "report.h"

/* What events tell: the instance of the class, why, and the settings */
static bool told(const struct field *f)
{
	switch (f->attr) {
	case DM_SYNC_A_PAIR_RPO_OBJECTIVE:
		return false;
	case DM_SYNC_A_PAIR_REASON:
	case DM_SYNC_A_PAIR_DOOR_ACCESS:
	case DM_SYNC_A_PAIR_LIMIT_BYTES:
	case DM_SYNC_A_PAIR_HOLD:
	case DM_SYNC_A_PAIR_HOLD_MAX:
	case DM_SYNC_A_PAIR_RECOVERY:
		return true;
	default:
		return f->is_class;
	}
}

/* In the first line of a pair its settings would only be noise. */
static bool introduced(const struct field *f, const struct dms_pair *pair)
{
	switch (f->attr) {
	case DM_SYNC_A_PAIR_COPY_STATE:
	case DM_SYNC_A_PAIR_PROGRESS_STATUS:
	case DM_SYNC_A_PAIR_PERCENT_SYNCED:
		return true;
	case DM_SYNC_A_PAIR_REASON:
		return GET(pair, REASON) != DM_SYNC_REASON_NONE;
	default:
		return false;
	}
}

bool report_differs(const struct dms_pair *old, const struct dms_pair *pair)
{
	unsigned int i;

	for (i = 0; i < field_count; i++)
		if (told(&fields[i]) && field_differs(&fields[i], old, pair))
			return true;
	return false;
}

static uint64_t when(struct args *args, const struct dms_pair *pair)
{
	return pair && HAS(pair, TIME) ? GET(pair, TIME) : dms_now(args->client);
}

static void print_stamp(uint64_t time, uint64_t seq)
{
	char text[64];

	format_time(time, 6, text, sizeof(text));
	printf("%s #%" PRIu64 " ", text, seq);
}

/* A value with spaces is quoted, so that a line splits into words. */
static void print_value(const struct field *f, const struct dms_pair *pair)
{
	char text[256];

	field_text(f, pair, text, sizeof(text));
	printf(strchr(text, ' ') ? "\"%s\"" : "%s", text);
}

static void print_text(struct args *args, const char *word, const struct dms_pair *old,
		       const struct dms_pair *pair)
{
	unsigned int i;

	print_stamp(when(args, pair), GET(pair, EVENT_SEQ));
	printf("%s pair %s", word, pair->name);
	if (HAS(pair, CAUSE) && strcmp(word, "exists"))
		printf(" cause:%s", spec_text(&spec_event_cause, GET(pair, CAUSE)));
	if (HAS(pair, OPERATION) && GET(pair, OPERATION) && strcmp(word, "exists"))
		printf(" operation:%s", spec_text(&spec_operation, GET(pair, OPERATION)));
	for (i = 0; i < field_count && strcmp(word, "delete"); i++) {
		const struct field *f = &fields[i];

		if (old ? !told(f) || !field_differs(f, old, pair) : !introduced(f, pair))
			continue;
		printf(" %s:", f->key);
		if (old) {
			print_value(f, old);
			printf("->");
		}
		print_value(f, pair);
	}
	printf("\n");
	fflush(stdout);
}

static struct json_object *json_event(const char *word, uint64_t time, uint64_t seq)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "schema", json_schema("synctl.event"));
	json_object_object_add(o, "time", json_time(time));
	json_object_object_add(o, "event_seq", json_object_new_uint64(seq));
	json_object_object_add(o, "event", json_object_new_string(word));
	return o;
}

static void print_json(struct args *args, const char *word, const struct dms_pair *old,
		       const struct dms_pair *pair)
{
	struct json_object *o = json_event(word, when(args, pair), GET(pair, EVENT_SEQ));
	struct json_object *list = json_object_new_array();
	unsigned int i;

	if (HAS(pair, CAUSE))
		json_object_object_add(o, "cause", json_object_new_string(
			spec_text(&spec_event_cause, GET(pair, CAUSE))));
	if (HAS(pair, OPERATION) && GET(pair, OPERATION))
		json_object_object_add(o, "operation", json_object_new_string(
			spec_text(&spec_operation, GET(pair, OPERATION))));
	for (i = 0; old && i < field_count && strcmp(word, "delete"); i++) {
		struct json_object *change;

		if (!told(&fields[i]) || !field_differs(&fields[i], old, pair))
			continue;
		change = json_object_new_object();
		json_object_object_add(change, "field", json_object_new_string(fields[i].key));
		json_object_object_add(change, "old", json_field(&fields[i], old));
		json_object_object_add(change, "new", json_field(&fields[i], pair));
		json_object_array_add(list, change);
	}
	json_object_object_add(o, "changes", list);
	json_object_object_add(o, "pair", json_pair(pair, when(args, pair)));
	json_line(o);
}

void report_event(struct args *args, const char *word, const struct dms_pair *old,
		  const struct dms_pair *pair)
{
	if (args->json)
		print_json(args, word, old, pair);
	else
		print_text(args, word, old, pair);
}

void report_ready(struct args *args, uint64_t seq, unsigned int count)
{
	uint64_t now = dms_now(args->client);

	if (args->json) {
		struct json_object *o = json_event("ready", now, seq);

		json_object_object_add(o, "pairs_count", json_object_new_int64(count));
		json_line(o);
		return;
	}
	print_stamp(now, seq);
	printf("ready %u pairs\n", count);
	fflush(stdout);
}

void report_lost(struct args *args, uint64_t from, uint64_t to)
{
	uint64_t now = dms_now(args->client);

	if (args->json) {
		struct json_object *o = json_event("lost", now, to);

		json_object_object_add(o, "lost_from", json_object_new_uint64(from));
		json_object_object_add(o, "lost_to", json_object_new_uint64(to));
		json_line(o);
		return;
	}
	print_stamp(now, to);
	printf("lost %" PRIu64 "-%" PRIu64 "\n", from, to);
	fflush(stdout);
}

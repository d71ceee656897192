// SPDX-License-Identifier: GPL-2.0-only
/*
 * The JSON documents. Every field is always there and null when it is not
 * known; numbers are numbers in the unit that the key names.
 */

#include <string.h>

#include "format.h"
#include "json.h"
#include "select.h"

#define ADD(object, key, value)	json_object_object_add(object, key, value)

struct json_object *json_time(uint64_t ns)
{
	char text[64];

	format_time(ns, 6, text, sizeof(text));
	return json_object_new_string(text);
}

static struct json_object *number(const struct dms_pair *pair, unsigned int attr)
{
	return pair->has[attr] ? json_object_new_uint64(pair->value[attr]) : NULL;
}

static struct json_object *ops(const struct dms_pair *pair, unsigned int attr)
{
	struct json_object *list;
	unsigned int op;

	if (!pair->has[attr])
		return NULL;
	list = json_object_new_array();
	for (op = 0; op < 32; op++)
		if (pair->value[attr] >> op & 1)
			json_object_array_add(list, json_object_new_string(
				spec_text(&spec_operation, op)));
	return list;
}

static struct json_object *rpo(const struct dms_pair *pair)
{
	struct json_object *list;

	if (!HAS(pair, RPO_OBJECTIVE))
		return NULL;
	list = json_object_new_array();
	json_object_array_add(list, json_object_new_uint64(GET(pair, RPO_OBJECTIVE)));
	if (HAS(pair, RPO_MEASURED))
		json_object_array_add(list, json_object_new_uint64(GET(pair, RPO_MEASURED)));
	return list;
}

struct json_object *json_field(const struct field *field, const struct dms_pair *pair)
{
	uint64_t value = pair->value[field->attr];

	if (!pair->has[field->attr])
		return NULL;
	switch (field->kind) {
	case FIELD_ENUM:
		return json_object_new_string(
			spec_text(spec_attrs_pair[field->attr].values, value));
	case FIELD_TIME:
		return json_time(value);
	case FIELD_BOOL:
		return json_object_new_boolean(value);
	case FIELD_RPO:
		return rpo(pair);
	case FIELD_OPS:
		return ops(pair, field->attr);
	default:
		return json_object_new_uint64(value);
	}
}

static void add_class_fields(struct json_object *o, const struct dms_pair *pair)
{
	char code[64];
	int i;

	for (i = 0; i < CLASS_FIELDS; i++) {
		const struct field *f = &fields[i];

		ADD(o, f->key, json_field(f, pair));
		if (f->kind != FIELD_ENUM)
			continue;
		snprintf(code, sizeof(code), "%s_code", f->key);
		ADD(o, code, number(pair, f->attr));
	}
}

static struct json_object *progress(const struct dms_pair *pair, uint64_t now)
{
	struct json_object *o = json_object_new_object();
	const char *why_not;
	int64_t eta = eta_seconds(pair, now, &why_not);

	ADD(o, "total_bytes", number(pair, DM_SYNC_A_PAIR_TOTAL_BYTES));
	ADD(o, "done_bytes", number(pair, DM_SYNC_A_PAIR_DONE_BYTES));
	ADD(o, "rate_bytes_per_second", number(pair, DM_SYNC_A_PAIR_RATE_BYTES));
	ADD(o, "limit_bytes_per_second", number(pair, DM_SYNC_A_PAIR_LIMIT_BYTES));
	ADD(o, "limited_by", json_field(field_find("limited_by"), pair));
	ADD(o, "started", HAS(pair, STARTED) ? json_time(GET(pair, STARTED)) : NULL);
	ADD(o, "eta_seconds", eta < 0 ? NULL : json_object_new_int64(eta));
	ADD(o, "eta_unknown_because", why_not ? json_object_new_string(why_not) : NULL);
	return o;
}

static struct json_object *counters(const struct dms_pair *pair)
{
	struct json_object *o = json_object_new_object();

	ADD(o, "copy_read_bytes", number(pair, DM_SYNC_A_PAIR_READ_BYTES));
	ADD(o, "copy_written_bytes", number(pair, DM_SYNC_A_PAIR_WRITTEN_BYTES));
	ADD(o, "copy_skipped_bytes", number(pair, DM_SYNC_A_PAIR_SKIPPED_BYTES));
	ADD(o, "host_reads", number(pair, DM_SYNC_A_PAIR_HOST_READS));
	ADD(o, "host_writes", number(pair, DM_SYNC_A_PAIR_HOST_WRITES));
	ADD(o, "reads_from_replica", number(pair, DM_SYNC_A_PAIR_READS_FROM_REPLICA));
	ADD(o, "metadata_writes", number(pair, DM_SYNC_A_PAIR_METADATA_WRITES));
	ADD(o, "activity_hits", number(pair, DM_SYNC_A_PAIR_ACTIVITY_HITS));
	ADD(o, "activity_misses", number(pair, DM_SYNC_A_PAIR_ACTIVITY_MISSES));
	ADD(o, "copied_since", HAS(pair, COPIED_SINCE) ?
	    json_time(GET(pair, COPIED_SINCE)) : NULL);
	return o;
}

static void add_leg(struct json_object *legs, const struct dms_pair *pair,
		    enum pair_device which, const char *role, int errors, int changed)
{
	struct json_object *o;
	struct devno dev;
	char text[DEVICE_PATH_MAX];
	bool known;

	if (!pair_device(pair, which, &dev))
		return;
	o = json_object_new_object();
	ADD(o, "role", json_object_new_string(role));
	known = device_path(dev, text, sizeof(text));
	ADD(o, "path", known ? json_object_new_string(text) : NULL);
	snprintf(text, sizeof(text), "%u:%u", dev.major, dev.minor);
	ADD(o, "devno", json_object_new_string(text));
	ADD(o, "errors", errors ? number(pair, errors) : NULL);
	ADD(o, "changed_regions", changed ? number(pair, changed) : NULL);
	json_object_array_add(legs, o);
}

static struct json_object *legs(const struct dms_pair *pair)
{
	struct json_object *list = json_object_new_array();

	add_leg(list, pair, DEV_SOURCE, "source", DM_SYNC_A_PAIR_SOURCE_ERRORS,
		DM_SYNC_A_PAIR_SOURCE_CHANGED);
	add_leg(list, pair, DEV_REPLICA, HAS(pair, IMAGE) ? "store" : "replica", DM_SYNC_A_PAIR_REPLICA_ERRORS,
		DM_SYNC_A_PAIR_REPLICA_CHANGED);
	add_leg(list, pair, DEV_META, "metadata", 0, 0);
	return list;
}

/* What only images have; null for all others */
static struct json_object *image(const struct dms_pair *pair)
{
	struct json_object *o;
	char store[DMS_NAME_MAX];

	if (!HAS(pair, IMAGE))
		return NULL;
	o = json_object_new_object();
	select_store(pair, store, sizeof(store));
	ADD(o, "name", json_object_new_string(pair->image));
	ADD(o, "store", json_object_new_string(store));
	ADD(o, "saved_bytes", number(pair, DM_SYNC_A_PAIR_SAVED_BYTES));
	ADD(o, "alone_bytes", number(pair, DM_SYNC_A_PAIR_ALONE_BYTES));
	ADD(o, "store_bytes", number(pair, DM_SYNC_A_PAIR_STORE_BYTES));
	ADD(o, "store_free_bytes", number(pair, DM_SYNC_A_PAIR_STORE_FREE_BYTES));
	ADD(o, "store_chunks", number(pair, DM_SYNC_A_PAIR_SLOTS));
	ADD(o, "pause_ns", number(pair, DM_SYNC_A_PAIR_PAUSE_NS));
	ADD(o, "store_fill_bytes_per_second", number(pair, DM_SYNC_A_PAIR_FILL_RATE_BYTES));
	ADD(o, "store_full_seconds", number(pair, DM_SYNC_A_PAIR_FULL_SECONDS));
	return o;
}

/* What only clones with a delta have; null for all others */
static struct json_object *delta(const struct dms_pair *pair)
{
	struct json_object *o;

	if (!has_delta(pair))
		return NULL;
	o = json_object_new_object();
	ADD(o, "delta_bytes", number(pair, DM_SYNC_A_PAIR_STORE_BYTES));
	ADD(o, "delta_free_bytes", number(pair, DM_SYNC_A_PAIR_STORE_FREE_BYTES));
	ADD(o, "delta_regions", number(pair, DM_SYNC_A_PAIR_SLOTS));
	return o;
}

static struct json_object *unknown(const struct dms_pair *pair)
{
	struct json_object *list = json_object_new_array();
	unsigned int i, j;

	for (i = 0; i < pair->unknown_count; i++) {
		const struct dms_unknown *u = &pair->unknown[i];
		struct json_object *o = json_object_new_object();
		char hex[2 * DMS_UNKNOWN_BYTES + 1] = "";

		for (j = 0; j < u->len && j < DMS_UNKNOWN_BYTES; j++)
			snprintf(hex + 2 * j, 3, "%02x", u->data[j]);
		ADD(o, "type", json_object_new_int(u->type));
		ADD(o, "hex", json_object_new_string(hex));
		json_object_array_add(list, o);
	}
	return list;
}

static void add_identity(struct json_object *o, const struct dms_pair *pair)
{
	char text[DEVICE_PATH_MAX];
	struct devno door;
	bool known = false;

	ADD(o, "id", number(pair, DM_SYNC_A_PAIR_ID));
	ADD(o, "name", json_object_new_string(pair->name));
	dms_uuid_text(pair->uuid, text);
	ADD(o, "uuid", HAS(pair, UUID) ? json_object_new_string(text) : NULL);
	if (pair_device(pair, DEV_DOOR, &door))
		known = device_path(door, text, sizeof(text));
	ADD(o, "device", known ? json_object_new_string(text) : NULL);
	snprintf(text, sizeof(text), "%u:%u", door.major, door.minor);
	ADD(o, "devno", HAS(pair, DOOR_MAJOR) ? json_object_new_string(text) : NULL);
	ADD(o, "generation", number(pair, DM_SYNC_A_PAIR_GENERATION));
}

struct json_object *json_pair(const struct dms_pair *pair, uint64_t now)
{
	struct json_object *o = json_object_new_object();

	add_identity(o, pair);
	ADD(o, "health", json_object_new_string(dms_health_text(dms_health(pair))));
	ADD(o, "reason", json_field(field_find("reason"), pair));
	ADD(o, "reason_code", number(pair, DM_SYNC_A_PAIR_REASON));
	ADD(o, "reason_time", json_field(field_find("reason_time"), pair));
	ADD(o, "allowed", ops(pair, DM_SYNC_A_PAIR_ALLOWED_OPS));
	ADD(o, "allowed_with_force", ops(pair, DM_SYNC_A_PAIR_ALLOWED_OPS_FORCE));
	add_class_fields(o, pair);
	ADD(o, "size_bytes", number(pair, DM_SYNC_A_PAIR_SIZE_BYTES));
	ADD(o, "region_bytes", number(pair, DM_SYNC_A_PAIR_REGION_BYTES));
	ADD(o, "regions", number(pair, DM_SYNC_A_PAIR_REGIONS));
	ADD(o, "replica_door_access", json_field(field_find("door_access"), pair));
	ADD(o, "hold", json_field(field_find("hold"), pair));
	ADD(o, "hold_max_seconds", number(pair, DM_SYNC_A_PAIR_HOLD_MAX));
	ADD(o, "held_writes", number(pair, DM_SYNC_A_PAIR_HELD));
	ADD(o, "recovery", json_field(field_find("recovery"), pair));
	ADD(o, "progress", progress(pair, now));
	ADD(o, "counters", counters(pair));
	ADD(o, "legs", legs(pair));
	ADD(o, "image", image(pair));
	ADD(o, "delta", delta(pair));
	ADD(o, "unknown_attributes", unknown(pair));
	return o;
}

struct json_object *json_schema(const char *name)
{
	struct json_object *o = json_object_new_object();

	ADD(o, "name", json_object_new_string(name));
	ADD(o, "major", json_object_new_int(1));
	ADD(o, "minor", json_object_new_int(1));
	return o;
}

void json_line(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(object);
}

void json_document(struct args *args, const char *name, const struct dms_list *list,
		   bool one_line)
{
	struct json_object *o = json_object_new_object();
	struct json_object *pairs = json_object_new_array();
	struct dms_info info = { 0 };
	uint64_t now = dms_now(args->client);
	bool known = dms_loaded(args->client) && !dms_info(args->client, &info);
	unsigned int i;

	ADD(o, "schema", json_schema(name));
	ADD(o, "tool", json_object_new_string(SYNCTL_VERSION));
	ADD(o, "module", known ? json_object_new_string(info.version) : NULL);
	ADD(o, "abi", known ? json_object_new_int64(info.abi) : NULL);
	ADD(o, "time", json_time(now));
	ADD(o, "event_seq", known ? json_object_new_uint64(info.event_seq) : NULL);
	ADD(o, "consistent", json_object_new_boolean(!list || list->consistent));
	for (i = 0; list && i < list->count; i++)
		json_object_array_add(pairs, json_pair(&list->pairs[i], now));
	ADD(o, "pairs", pairs);
	if (one_line) {
		json_line(o);
		return;
	}
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

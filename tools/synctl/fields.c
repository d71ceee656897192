// SPDX-License-Identifier: GPL-2.0-only
/* The fields of a pair; see fields.h. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "format.h"

#define F(key, label, attr, kind) \
	{ key, label, DM_SYNC_A_PAIR_##attr, FIELD_##kind, false }
#define C(key, label, attr, kind) \
	{ key, label, DM_SYNC_A_PAIR_##attr, FIELD_##kind, true }

const struct field fields[] = {
	C("sync_time", "Sync time", SYNC_TIME, TIME),
	C("sync_maintained", "Sync maintained", SYNC_MAINTAINED, BOOL),
	C("copy_state", "Copy state", COPY_STATE, ENUM),
	C("requested_copy_state", "Requested copy state", REQUESTED_COPY_STATE, ENUM),
	C("sync_type", "Sync type", SYNC_TYPE, ENUM),
	C("sync_mode", "Sync mode", SYNC_MODE, ENUM),
	C("progress_status", "Progress status", PROGRESS_STATUS, ENUM),
	C("percent_synced", "Percent synced", PERCENT_SYNCED, NUMBER),
	C("copy_type", "Copy type", COPY_TYPE, ENUM),
	C("replica_type", "Replica type", REPLICA_TYPE, ENUM),
	C("sync_state", "Sync state", SYNC_STATE, ENUM),
	C("copy_priority", "Copy priority", COPY_PRIORITY, ENUM),
	C("copy_methodology", "Copy methodology", COPY_METHODOLOGY, ENUM),
	C("recovery_point_objective", "Recovery point objective", RPO_OBJECTIVE, RPO),
	F("reason", "Reason", REASON, ENUM),
	F("reason_time", "Reason since", REASON_TIME, TIME),
	F("generation", "Generation", GENERATION, NUMBER),
	F("door_access", "Replica door", DOOR_ACCESS, ENUM),
	F("allowed", "Allowed now", ALLOWED_OPS, OPS),
	F("allowed_with_force", "Allowed with force", ALLOWED_OPS_FORCE, OPS),
	F("size_bytes", "Size", SIZE_BYTES, BYTES),
	F("region_bytes", "Region", REGION_BYTES, BYTES),
	F("regions", "Regions", REGIONS, NUMBER),
	F("source_changed", "Source changed", SOURCE_CHANGED, NUMBER),
	F("replica_changed", "Replica changed", REPLICA_CHANGED, NUMBER),
	F("total_bytes", "Work", TOTAL_BYTES, BYTES),
	F("done_bytes", "Done", DONE_BYTES, BYTES),
	F("rate_bytes", "Rate", RATE_BYTES, BYTES),
	F("limit_bytes", "Cap", LIMIT_BYTES, BYTES),
	F("limited_by", "Limited by", LIMITED_BY, ENUM),
	F("read_bytes", "Copy read", READ_BYTES, BYTES),
	F("written_bytes", "Copy wrote", WRITTEN_BYTES, BYTES),
	F("skipped_bytes", "Copy skipped", SKIPPED_BYTES, BYTES),
	F("host_reads", "Host reads", HOST_READS, NUMBER),
	F("host_writes", "Host writes", HOST_WRITES, NUMBER),
	F("reads_from_replica", "Reads from replica", READS_FROM_REPLICA, NUMBER),
	F("source_errors", "Source errors", SOURCE_ERRORS, NUMBER),
	F("replica_errors", "Replica errors", REPLICA_ERRORS, NUMBER),
	F("metadata_writes", "Metadata writes", METADATA_WRITES, NUMBER),
	F("activity_hits", "Activity hits", ACTIVITY_HITS, NUMBER),
	F("activity_misses", "Activity misses", ACTIVITY_MISSES, NUMBER),
	F("held", "Held writes", HELD, NUMBER),
	F("hold", "Hold", HOLD, ENUM),
	F("hold_max", "Hold at most", HOLD_MAX, NUMBER),
	F("recovery", "Recovery", RECOVERY, ENUM),
	F("started", "Copy started", STARTED, TIME),
	F("saved_bytes", "Saved", SAVED_BYTES, BYTES),
	F("alone_bytes", "Held alone", ALONE_BYTES, BYTES),
	F("store_bytes", "Store", STORE_BYTES, BYTES),
	F("store_free_bytes", "Store free", STORE_FREE_BYTES, BYTES),
	F("slots", "Store chunks", SLOTS, NUMBER),
	F("pause_ns", "Pause", PAUSE_NS, NUMBER),
	F("fill_rate_bytes", "Store fills", FILL_RATE_BYTES, BYTES),
	F("full_seconds", "Store full in", FULL_SECONDS, NUMBER),
	F("copied_since", "Counted since", COPIED_SINCE, TIME),
};

const unsigned int field_count = sizeof(fields) / sizeof(fields[0]);

const struct field *field_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < field_count; i++)
		if (spec_same(name, fields[i].key) ||
		    spec_same(name, spec_attrs_pair[fields[i].attr].name))
			return &fields[i];
	return NULL;
}

void ops_text(uint64_t bitmap, const char *separator, char *text, size_t size)
{
	size_t at = 0;
	unsigned int op;

	snprintf(text, size, "-");
	for (op = 0; op < 32 && at < size; op++)
		if (bitmap >> op & 1)
			at += snprintf(text + at, size - at, "%s%s", at ? separator : "",
				       spec_text(&spec_operation, op));
}

static void rpo_text(const struct dms_pair *pair, char *text, size_t size)
{
	int n = snprintf(text, size, "%" PRIu64, GET(pair, RPO_OBJECTIVE));

	if (HAS(pair, RPO_MEASURED) && n > 0 && (size_t)n < size)
		snprintf(text + n, size - n, ", %" PRIu64, GET(pair, RPO_MEASURED));
}

void field_text(const struct field *field, const struct dms_pair *pair,
		char *text, size_t size)
{
	uint64_t value = pair->value[field->attr];

	if (!pair->has[field->attr]) {
		snprintf(text, size, "-");
		return;
	}
	switch (field->kind) {
	case FIELD_ENUM:
		snprintf(text, size, "%s",
			 spec_text(spec_attrs_pair[field->attr].values, value));
		break;
	case FIELD_TIME:
		format_time(value, 6, text, size);
		break;
	case FIELD_BOOL:
		snprintf(text, size, "%s", value ? "yes" : "no");
		break;
	case FIELD_RPO:
		rpo_text(pair, text, size);
		break;
	case FIELD_OPS:
		ops_text(value, ",", text, size);
		break;
	default:
		snprintf(text, size, "%" PRIu64, value);
	}
}

bool field_differs(const struct field *field, const struct dms_pair *a,
		   const struct dms_pair *b)
{
	uint16_t attr = field->attr;

	return a->has[attr] != b->has[attr] || a->value[attr] != b->value[attr];
}

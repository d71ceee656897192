// SPDX-License-Identifier: GPL-2.0-only
/* What is the matter with a pair, and what can be done about it. */

#include <inttypes.h>
#include <string.h>

#include "advice.h"
#include "format.h"

static const char store_low[] = "the store is nearly full";

static bool allows(const struct dms_pair *pair, unsigned int op)
{
	return GET(pair, ALLOWED_OPS) >> op & 1;
}

/* Of a clone, one that does not answer is asked again and again; nothing else is. */
static bool replica_failed(const struct dms_pair *pair)
{
	return GET(pair, REASON) == DM_SYNC_REASON_REPLICA_WRITE_ERROR ||
		GET(pair, REASON) == DM_SYNC_REASON_REPLICA_READ_ERROR ||
		GET(pair, REASON) == DM_SYNC_REASON_REPLICA_FLUSH_ERROR;
}

/* Broken, a clone may still have its point in time, which a resync would throw away. */
static const char *broken_clone(const struct dms_pair *pair)
{
	if (allows(pair, DM_SYNC_OPERATION_RESTORE))
		return "a restore broke off: the source is in part what this clone is";
	if (GET(pair, PROGRESS_STATUS) != DM_SYNC_PROGRESS_STATUS_DORMANT)
		return "its point in time is lost; the source is not concerned";
	if (!replica_failed(pair))
		return "the copy broke off, and does not go on by itself";
	if (GET(pair, RECOVERY) == DM_SYNC_RECOVERY_MANUAL)
		return "the copy rests; when the replica answers it is Suspended, for `resume`";
	return "the copy rests; it goes on when the replica answers";
}

static const char *broken_text(const struct dms_pair *pair)
{
	if (HAS(pair, IMAGE) && image_holds(pair))
		return "a restore broke off: the source is in part what this image is";
	if (HAS(pair, IMAGE))
		return "the image is lost; the source is not concerned";
	return is_clone_pair(pair) ? broken_clone(pair) :
		"the replica no longer follows its source";
}

static const char *state_text(const struct dms_pair *pair)
{
	switch (GET(pair, COPY_STATE)) {
	case DM_SYNC_COPY_STATE_BROKEN:
		return broken_text(pair);
	case DM_SYNC_COPY_STATE_ABORTED:
		return "a copy was aborted and the replica is incomplete";
	case DM_SYNC_COPY_STATE_SKEWED:
		if (dms_health(pair) == DMS_CRITICAL)
			return "the replica was changed and is not what its source was";
		return GET(pair, REASON) == DM_SYNC_REASON_STORE_LOW ? store_low : NULL;
	case DM_SYNC_COPY_STATE_FAILEDOVER:
		return "the replica serves the host in place of its source";
	case DM_SYNC_COPY_STATE_SUSPENDED:
		return GET(pair, HELD) ? "host writes are being held" : NULL;
	case DM_SYNC_COPY_STATE_SYNCHRONIZED:
		if (GET(pair, REASON) == DM_SYNC_REASON_STORE_LOW)
			return store_low;
		return GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_REQUIRES_FRACTURE ?
			"a restore has ended and the pair waits for a fracture or split" : NULL;
	default:
		return NULL;
	}
}

/* What is said of a Broken image or clone; false where there is nothing special to say. */
static bool print_broken(const struct dms_pair *pair)
{
	const char *name = pair->name;

	if (GET(pair, COPY_STATE) != DM_SYNC_COPY_STATE_BROKEN || !is_point_in_time(pair))
		return false;
	if (HAS(pair, IMAGE) ? image_holds(pair) : allows(pair, DM_SYNC_OPERATION_RESTORE))
		printf("    action  `synctl restore %s` finishes it; `synctl resync %s` gives the "
		       "%s up\n", name, name, HAS(pair, IMAGE) ? "image" : "point in time");
	else if (!allows(pair, DM_SYNC_OPERATION_RESYNC))
		return false;
	else if (HAS(pair, IMAGE))
		printf("    action  `synctl resync %s` takes it anew, of now; `synctl remove %s` "
		       "deletes it\n", name, name);
	else
		printf("    action  `synctl resync %s` %stakes a new one\n", name,
		       GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_DORMANT ?
		       "gives this point in time up and " : "");
	return true;
}

static void print_action(const struct dms_pair *pair)
{
	static const struct {
		uint32_t op;
		const char *text;
	} ways[] = {
		{ DM_SYNC_OPERATION_RESUME, "lets the writes go on" },
		{ DM_SYNC_OPERATION_FRACTURE, "ends the wait" },
		{ DM_SYNC_OPERATION_RESYNC, "makes the replica follow again" },
		{ DM_SYNC_OPERATION_FAILBACK, "brings the host back to the source" },
		{ DM_SYNC_OPERATION_RESTORE, "finishes the restore that broke off" },
	};
	size_t i;

	if (GET(pair, REASON) == DM_SYNC_REASON_STORE_LOW &&
	    dms_health(pair) == DMS_DEGRADED) {
		printf("    action  `synctl remove %s` gives its space back, or make the store "
		       "larger\n", pair->name);
		return;
	}
	if (print_broken(pair))
		return;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!allows(pair, ways[i].op))
			continue;
		if (ways[i].op == DM_SYNC_OPERATION_FRACTURE &&
		    GET(pair, COPY_STATE) != DM_SYNC_COPY_STATE_SYNCHRONIZED)
			continue;
		/* Broken that only a restore leaves: the source is half rewritten. */
		if (ways[i].op == DM_SYNC_OPERATION_RESTORE &&
		    GET(pair, COPY_STATE) != DM_SYNC_COPY_STATE_BROKEN)
			continue;
		printf("    action  `synctl %s %s` %s\n",
		       spec_text(&spec_operation, ways[i].op), pair->name,
		       ways[i].op == DM_SYNC_OPERATION_RESYNC && is_clone_pair(pair) ?
		       "takes a new point in time" : ways[i].text);
		return;
	}
}

void advice_print(const struct dms_pair *pair)
{
	const char *state = state_text(pair);
	char since[64];

	if (!state)
		return;
	printf("\n%s: %s\n", pair->name, state);
	if (GET(pair, REASON) != DM_SYNC_REASON_NONE) {
		printf("    reason  %s", spec_text(&spec_reason, GET(pair, REASON)));
		if (HAS(pair, REASON_TIME)) {
			format_time(GET(pair, REASON_TIME), 0, since, sizeof(since));
			printf(", since %s", since);
		}
		printf("\n");
	}
	print_action(pair);
}

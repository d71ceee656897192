// SPDX-License-Identifier: GPL-2.0-only
/* What is the matter with a pair, and what can be done about it. */

#include <inttypes.h>
#include <string.h>

#include "advice.h"
#include "format.h"

static const char store_low[] = "the store is nearly full";

static const char *state_text(const struct dms_pair *pair)
{
	bool image = HAS(pair, IMAGE);

	switch (GET(pair, COPY_STATE)) {
	case DM_SYNC_COPY_STATE_BROKEN:
		if (image && image_holds(pair))
			return "a restore broke off: the source is in part what this image is";
		if (image)
			return "the image is lost; the source is not concerned";
		return "the replica no longer follows its source";
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

static bool allows(const struct dms_pair *pair, unsigned int op)
{
	return GET(pair, ALLOWED_OPS) >> op & 1;
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
	if (HAS(pair, IMAGE) && image_holds(pair) &&
	    GET(pair, COPY_STATE) == DM_SYNC_COPY_STATE_BROKEN) {
		printf("    action  `synctl restore %s` finishes it; `synctl resync %s` gives the "
		       "image up\n", pair->name, pair->name);
		return;
	}
	if (HAS(pair, IMAGE) && allows(pair, DM_SYNC_OPERATION_RESYNC) &&
	    GET(pair, COPY_STATE) == DM_SYNC_COPY_STATE_BROKEN) {
		printf("    action  `synctl resync %s` takes it anew, of now; `synctl remove %s` "
		       "deletes it\n", pair->name, pair->name);
		return;
	}
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
		       spec_text(&spec_operation, ways[i].op), pair->name, ways[i].text);
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

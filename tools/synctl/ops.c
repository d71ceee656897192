// SPDX-License-Identifier: GPL-2.0-only
/* The operations. Each ends in one netlink request for each pair. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "format.h"
#include "probe.h"
#include "select.h"
#include "wait.h"

/* The CopyState that an operation leads to; 0 where it depends */
static uint32_t goal_of(unsigned int op)
{
	switch (op) {
	case DM_SYNC_OPERATION_ACTIVATE:
	case DM_SYNC_OPERATION_RESYNC:
	case DM_SYNC_OPERATION_RESTORE:
	case DM_SYNC_OPERATION_RESUME:
	case DM_SYNC_OPERATION_FAILBACK:
	case DM_SYNC_OPERATION_RESET_REPLICA:
		return DM_SYNC_COPY_STATE_SYNCHRONIZED;
	case DM_SYNC_OPERATION_FRACTURE:
		return DM_SYNC_COPY_STATE_FRACTURED;
	case DM_SYNC_OPERATION_SPLIT:
		return DM_SYNC_COPY_STATE_SPLIT;
	case DM_SYNC_OPERATION_SUSPEND:
		return DM_SYNC_COPY_STATE_SUSPENDED;
	case DM_SYNC_OPERATION_DEACTIVATE:
		return DM_SYNC_COPY_STATE_INACTIVE;
	case DM_SYNC_OPERATION_PREPARE:
	case DM_SYNC_OPERATION_UNPREPARE:
		return DM_SYNC_COPY_STATE_PREPARED;
	case DM_SYNC_OPERATION_ABORT:
		return DM_SYNC_COPY_STATE_ABORTED;
	case DM_SYNC_OPERATION_FAILOVER:
		return DM_SYNC_COPY_STATE_FAILEDOVER;
	case DM_SYNC_OPERATION_DETACH:
	case DM_SYNC_OPERATION_DISSOLVE:
		return DM_SYNC_COPY_STATE_NOT_APPLICABLE;
	default:
		return 0;
	}
}

/* What the source holds and who uses it: the last look at it before it goes */
static int guard_restore(struct args *args, const struct dms_pair *pair)
{
	char path[DEVICE_PATH_MAX] = "the source";
	char content[128] = "nothing that blkid knows";
	char where[256] = "";
	char warning[1024];
	struct devno source, door;

	if (pair_device(pair, DEV_SOURCE, &source)) {
		device_path(source, path, sizeof(path));
		probe_content(path, content, sizeof(content));
	}
	if (pair_device(pair, DEV_DOOR, &door))
		probe_mount(door, where, sizeof(where));
	snprintf(warning, sizeof(warning),
		 "restore overwrites the source %s (it holds %s%s%s) with the %s; "
		 "what was written to the source since %s is lost",
		 path, content, where[0] ? ", its door is mounted on " : "", where,
		 HAS(pair, IMAGE) ? "image" : "replica",
		 is_point_in_time(pair) ? "the point in time" : "both were equal");
	return ask(args, pair->name, warning);
}

/* What is held, and what one may have wanted in its place: a clone is given up by Deactivate. */
static int guard_suspend(struct args *args, const struct dms_pair *pair)
{
	const char *what = "all writes to the source";
	const char *instead = "`synctl deactivate` only stops the copying";
	char rate[DMS_NAME_MAX + 64], warning[768];

	if (GET(pair, HOLD) == DM_SYNC_HOLD_TRACK)
		return EXIT_OK;
	if (HAS(pair, IMAGE)) {
		what = "writes that would first have to be saved, of the source";
		instead = "the image is read-only meanwhile";
	} else if (is_clone_pair(pair)) {
		what = "writes to what is not copied yet";
		snprintf(rate, sizeof(rate), "to slow the copy instead: `synctl set %s rate=...`",
			 pair->name);
		instead = rate;
	}
	snprintf(warning, sizeof(warning),
		 "suspend holds %s: programs that write will hang until `synctl resume`, at most "
		 "for %u s; %s", what, (unsigned int)GET(pair, HOLD_MAX), instead);
	return ask(args, pair->name, warning);
}

/* A clone that is not complete is of no use once its point in time is not kept any more. */
static int guard_clone(struct args *args, const struct dms_pair *pair)
{
	uint64_t state = GET(pair, COPY_STATE);

	if (state != DM_SYNC_COPY_STATE_UNSYNCHRONIZED &&
	    state != DM_SYNC_COPY_STATE_SUSPENDED &&
	    (state != DM_SYNC_COPY_STATE_BROKEN ||
	     GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_REQUIRES_RESYNC))
		return EXIT_OK;
	return ask(args, pair->name, "deactivate gives the point in time of this clone up, and "
		   "what is copied is of no use then; `activate` copies all anew, of now");
}

/* The content of an image is nowhere else: these end it, as they do not end a mirror's. */
static int guard_image(struct args *args, const struct dms_pair *pair)
{
	char when[64] = "its point in time", warning[512];

	if (!image_holds(pair))
		return EXIT_OK;
	format_time(GET(pair, SYNC_TIME), 0, when, sizeof(when));
	snprintf(warning, sizeof(warning), "%s gives up what this image holds, the source of %s%s",
		 args->command->name, when,
		 args->command->operation == DM_SYNC_OPERATION_RESYNC ?
		 "; it becomes an image of now" : "");
	return ask(args, pair->name, warning);
}

static int guard(struct args *args, const struct dms_pair *pair)
{
	switch (args->command->operation) {
	case DM_SYNC_OPERATION_RESTORE:
		return guard_restore(args, pair);
	case DM_SYNC_OPERATION_SUSPEND:
		return guard_suspend(args, pair);
	case DM_SYNC_OPERATION_DEACTIVATE:
		if (is_clone_pair(pair))
			return guard_clone(args, pair);
		return guard_image(args, pair);
	case DM_SYNC_OPERATION_RESYNC:
	case DM_SYNC_OPERATION_DISSOLVE:
		return guard_image(args, pair);
	default:
		return EXIT_OK;
	}
}

/* suspend --hold-max first sets how long writes may be held. */
static int set_hold_max(struct args *args, const struct dms_pair *pair)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_PAIR_SET };
	uint64_t seconds = 0;

	if (!given(args, OPT_HOLD_MAX))
		return EXIT_OK;
	if (!option_hold(args, &seconds))
		return EXIT_USAGE;
	dms_request_add(&request, DM_SYNC_A_PAIR_ID, GET(pair, ID));
	dms_request_add(&request, DM_SYNC_A_PAIR_HOLD_MAX, seconds);
	return send_one(args, pair, &request);
}

static int operate(struct args *args, struct dms_pair *pair)
{
	struct dms_request request = { .cmd = DM_SYNC_CMD_PAIR_OP };
	int code = guard(args, pair);

	if (!code)
		code = set_hold_max(args, pair);
	if (code)
		return code;
	dms_request_add(&request, DM_SYNC_A_PAIR_ID, GET(pair, ID));
	dms_request_add(&request, DM_SYNC_A_PAIR_OPERATION, args->command->operation);
	if (given(args, OPT_FORCE))
		dms_request_add(&request, DM_SYNC_A_PAIR_FLAGS, DM_SYNC_PAIR_FLAGS_FORCE);
	return send_one(args, pair, &request);
}

/* What is left of an aborted restore is Broken, not Aborted: it only has to come to rest. */
static uint32_t goal_of_all(const struct dms_list *list, uint32_t op)
{
	unsigned int i;

	for (i = 0; op == DM_SYNC_OPERATION_ABORT && i < list->count; i++)
		if (GET(&list->pairs[i], PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_RESTORING)
			return 0;
	/* An image that was written to is Skewed again, which is what it was. */
	for (i = 0; op == DM_SYNC_OPERATION_RESUME && i < list->count; i++)
		if (HAS(&list->pairs[i], IMAGE))
			return 0;
	return goal_of(op);
}

static int operate_all(struct args *args, struct dms_list *list)
{
	const uint32_t goal = goal_of_all(list, args->command->operation);
	unsigned int tried = list->count;
	unsigned int failed = 0;
	unsigned int i, kept = 0;
	int code = EXIT_OK;
	int last = EXIT_OK;

	for (i = 0; i < tried; i++) {
		code = operate(args, &list->pairs[i]);
		if (code) {
			failed++;
			last = code;
			continue;
		}
		list->pairs[kept++] = list->pairs[i];
	}
	list->count = kept;
	code = EXIT_OK;
	if (kept && given(args, OPT_WAIT) && !given(args, OPT_DRY_RUN))
		code = wait_after(args, list, goal);
	return failed ? sum_up(tried, failed, last) : code;
}

int cmd_operation(struct args *args)
{
	struct dms_list list;
	int code;
	int err;

	if (!dms_loaded(args->client))
		return fail_absent(args);
	if (given(args, OPT_WAIT)) {
		err = dms_subscribe(args->client, true);
		if (err)
			return fail_kernel(args, NULL, "listen to events", err);
	}
	code = select_pairs(args, &list);
	if (code)
		return code;
	code = operate_all(args, &list);
	dms_list_free(&list);
	return code;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Numbers as people read them, and what is computed from them. */

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "format.h"

#define NS		1000000000ULL
#define FRESH_SECONDS	5
#define ETA_MAX		(99 * 86400LL)

static const char units[] = "BKMGTPE";

/* Three digits that tell something, rounded down. */
static int scale(uint64_t bytes, double *number)
{
	int power = 0;

	*number = bytes;
	while (*number >= 1024 && power < 6) {
		*number /= 1024;
		power++;
	}
	return power;
}

static void print_scaled(double number, int power, char *text, size_t size)
{
	int digits = power == 0 || number >= 100 ? 0 : number >= 10 ? 0 : 1;
	double step = digits ? 10 : 1;

	snprintf(text, size, "%.*f", digits, (uint64_t)(number * step) / step);
}

void format_bytes(uint64_t bytes, bool exact, char *text, size_t size)
{
	double number;
	char digits[32];
	int power;

	if (exact) {
		snprintf(text, size, "%" PRIu64, bytes);
		return;
	}
	power = scale(bytes, &number);
	print_scaled(number, power, digits, sizeof(digits));
	if (power)
		snprintf(text, size, "%s %ciB", digits, units[power]);
	else
		snprintf(text, size, "%s B", digits);
}

void format_short(uint64_t bytes, char *text, size_t size)
{
	double number;
	char digits[32];
	int power = scale(bytes, &number);

	print_scaled(number, power, digits, sizeof(digits));
	snprintf(text, size, "%s%c", digits, units[power]);
}

void format_time(uint64_t ns, int digits, char *text, size_t size)
{
	time_t seconds = ns / NS;
	uint64_t fraction = ns % NS;
	struct tm tm;
	char date[40];
	int i;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	for (i = digits; i < 9; i++)
		fraction /= 10;
	if (digits)
		snprintf(text, size, "%s.%0*" PRIu64 "Z", date, digits, fraction);
	else
		snprintf(text, size, "%sZ", date);
}

void format_duration(uint64_t s, char *text, size_t size)
{
	if (s >= 86400)
		snprintf(text, size, "%" PRIu64 "d %" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
			 s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	else
		snprintf(text, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
			 s / 3600, s / 60 % 60, s % 60);
}

bool copy_runs(const struct dms_pair *pair)
{
	switch (GET(pair, PROGRESS_STATUS)) {
	case DM_SYNC_PROGRESS_STATUS_SYNCHRONIZING:
	case DM_SYNC_PROGRESS_STATUS_RESYNCING:
	case DM_SYNC_PROGRESS_STATUS_RESTORING:
	case DM_SYNC_PROGRESS_STATUS_FAILING_BACK:
	case DM_SYNC_PROGRESS_STATUS_PENDING:
		return true;
	default:
		return false;
	}
}

int64_t eta_seconds(const struct dms_pair *pair, uint64_t now, const char **why_not)
{
	uint64_t left;

	*why_not = NULL;
	if (!copy_runs(pair))
		*why_not = "nothing is being copied";
	else if (GET(pair, PROGRESS_STATUS) == DM_SYNC_PROGRESS_STATUS_PENDING)
		*why_not = "throttled";
	else if (!HAS(pair, TOTAL_BYTES) || !HAS(pair, DONE_BYTES))
		*why_not = "the amount of work is not known";
	else if (HAS(pair, STARTED) && now < GET(pair, STARTED) + FRESH_SECONDS * NS)
		*why_not = "just started";
	else if (!GET(pair, RATE_BYTES))
		*why_not = "stalled";
	if (*why_not)
		return -1;
	left = GET(pair, TOTAL_BYTES) > GET(pair, DONE_BYTES) ?
		GET(pair, TOTAL_BYTES) - GET(pair, DONE_BYTES) : 0;
	left /= GET(pair, RATE_BYTES);
	if (left <= ETA_MAX)
		return left;
	*why_not = "more than 99 days";
	return -1;
}

int bar_parts(const struct dms_pair *pair, int parts)
{
	uint64_t total = GET(pair, TOTAL_BYTES);
	uint64_t done = GET(pair, DONE_BYTES);
	int filled;

	if (!HAS(pair, PERCENT_SYNCED))
		return -1;
	if (GET(pair, COPY_STATE) == DM_SYNC_COPY_STATE_SYNCHRONIZED &&
	    GET(pair, PERCENT_SYNCED) == 100)
		return parts;
	filled = GET(pair, PERCENT_SYNCED) * parts / 100;
	/* Bytes are finer than whole percents, where they mean the same. */
	if (copy_runs(pair) && total && done <= total &&
	    done / (total / 100 + 1) <= GET(pair, PERCENT_SYNCED) + 1)
		filled = (double)done / total * parts;
	return filled < parts ? filled : parts - 1;
}

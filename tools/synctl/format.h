/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers as people read them, and what is computed from them. */
#ifndef SYNCTL_FORMAT_H
#define SYNCTL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pair.h"

/* "412 GiB"; @exact: "442381631488" */
void format_bytes(uint64_t bytes, bool exact, char *text, size_t size);
/* "412G", to fit a column */
void format_short(uint64_t bytes, char *text, size_t size);
/* RFC 3339, UTC, @digits of the second's fraction */
void format_time(uint64_t ns, int digits, char *text, size_t size);
/* "0:30:06" or "3d 4:00:00" */
void format_duration(uint64_t seconds, char *text, size_t size);

/**
 * eta_seconds() - when the copy of a pair will have ended
 * @pair: the pair
 * @now: time in nanoseconds since 1970
 * @why_not: why there is no estimate, or NULL
 *
 * Return: seconds from now; -1 for no estimate.
 */
int64_t eta_seconds(const struct dms_pair *pair, uint64_t now, const char **why_not);

/* Whether a pass of the copy runs, so that total and done mean something. */
bool copy_runs(const struct dms_pair *pair);

/**
 * bar_parts() - length of a progress bar, rounded down
 * @pair: the pair
 * @parts: parts that make a full bar
 *
 * Full only when the pair is Synchronized.
 * Return: parts to fill, -1 when the percentage is NULL.
 */
int bar_parts(const struct dms_pair *pair, int parts);

#endif /* SYNCTL_FORMAT_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/* How one event is printed: a line of text or a line of JSON. */
#ifndef SYNCTL_REPORT_H
#define SYNCTL_REPORT_H

#include "synctl.h"

/**
 * report_event() - print what happened to a pair
 * @args: the command line
 * @word: "exists", "create", "change", "delete", "progress" or "gone"
 * @old: the pair before, or NULL: then all fields are printed
 * @pair: the pair now
 */
void report_event(struct args *args, const char *word, const struct dms_pair *old,
		  const struct dms_pair *pair);

/* Everything that existed was printed; @seq of the newest event, @count of pairs */
void report_ready(struct args *args, uint64_t seq, unsigned int count);

/* Events @from to @to were lost. */
void report_lost(struct args *args, uint64_t from, uint64_t to);

/* Whether a pair differs from what it was in a field that events tell. */
bool report_differs(const struct dms_pair *old, const struct dms_pair *pair);

#endif /* SYNCTL_REPORT_H */

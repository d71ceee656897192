/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until something is true of pairs. */
#ifndef SYNCTL_WAIT_H
#define SYNCTL_WAIT_H

#include "fields.h"
#include "synctl.h"

enum cond_kind { COND_FIELD, COND_SETTLED, COND_GONE };
enum cond_op { COND_EQ, COND_NE, COND_GE, COND_LE, COND_GT, COND_LT };

struct cond {
	enum cond_kind kind;
	const struct field *field;
	enum cond_op op;
	uint64_t value;
};

/**
 * cond_parse() - read a condition
 * @text: a CopyState, "settled", "gone", or FIELD OP VALUE
 * @cond: filled
 *
 * Return: false when it is none of these.
 */
bool cond_parse(const char *text, struct cond *cond);

/* @pair is NULL when the pair is gone. */
bool cond_holds(const struct cond *cond, const struct dms_pair *pair);

/**
 * struct wait_for - what to wait for
 * @cond: the condition
 * @any: one of the pairs is enough
 * @complete: that a pair is gone counts only of a clone that was complete before
 * @fail_on: bits of CopyStates in which to give up
 * @settle: give up when nothing moves any more and the condition is false
 * @stable: seconds for which it must hold
 * @timeout: seconds to wait at most, negative for ever
 */
struct wait_for {
	struct cond cond;
	bool any;
	bool complete;
	uint32_t fail_on;
	bool settle;
	double stable;
	double timeout;
};

/**
 * wait_run() - wait
 * @args: the command line
 * @list: the pairs; brought up to date
 * @wait: for what
 *
 * Return: an exit code.
 */
int wait_run(struct args *args, struct dms_list *list, const struct wait_for *wait);

/**
 * wait_after() - what -W does after an operation
 * @args: its --wait and --timeout
 * @list: the pairs that the operation was started on
 * @goal: the CopyState it leads to, or 0 for "settled"; Not Applicable: until they are gone
 *
 * Return: an exit code.
 */
int wait_after(struct args *args, struct dms_list *list, uint32_t goal);

#endif /* SYNCTL_WAIT_H */

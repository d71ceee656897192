/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions before something that cannot be undone, and requests in words. */
#ifndef SYNCTL_ASK_H
#define SYNCTL_ASK_H

#include "synctl.h"

/**
 * ask() - a yes or no
 * @args: --yes answers it
 * @object: what it is about
 * @warning: what will happen, in one or more sentences
 *
 * Return: EXIT_OK for yes; else an exit code, the user having been told.
 */
int ask(const struct args *args, const char *object, const char *warning);

/* --dry-run: a request as it would be sent */
void print_request(const struct dms_request *request);

/* Several of several failed: keep one's own code, or say "some". */
int sum_up(unsigned int tried, unsigned int failed, int code);

/* Send what changes a pair, or show it with --dry-run; an exit code, the complaint printed */
int send_one(struct args *args, const struct dms_pair *pair, const struct dms_request *request);

#endif /* SYNCTL_ASK_H */
